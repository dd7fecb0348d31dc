"""Fits the trace models and length tables that simlora ships, from the public data.

``SIMLORA_DATA=DIR python -m simlora.workload.fit [OUT]`` writes them (default: where the shipped ones are) and prints
the tables of ``traces/README.md``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w

from simlora.errors import SimloraError, TraceError
from simlora.workload.lengths.fitted import LengthTable, lengths_path, load_lengths
from simlora.workload.models.distribution import rank_correlation
from simlora.workload.models.fidelity import STAND_INS, TRAITS, held, largest_shares, trait_quantiles, unseen
from simlora.workload.models.pattern import PatternModel, load_pattern_model, model_path
from simlora.workload.models.segment import fit_segment
from simlora.workload.readers.azure_llm import FILES, read_azure_llm
from simlora.workload.readers.table import Number, read_columns
from simlora.workload.segments import SEGMENT_MINUTES, eligible_segments
from simlora.workload.shipped import shipped_dir
from simlora.workload.variability import PATTERNS
from simlora.workload.workload import Floats, Ints, stream

COMMAND = "SIMLORA_DATA=DIR python -m simlora.workload.fit"
FUNCTIONS_2019 = {
    "data_set": "Azure Functions Trace 2019, one day, 635 per-minute vectors",
    "origin": "Azure/AzurePublicDataset, AzureFunctionsDataset2019; vectors from vhive-serverless/invitro (MIT), "
    "commits 457ee780 and b12de00f, data/traces/*_inv.csv",
    "licence": "CC-BY 4.0; changed: only coefficients fitted on it are here",
    "cite": "Shahrad et al., Serverless in the Wild, USENIX ATC 2020",
}
LLM_2023 = {
    "origin": "Azure/AzurePublicDataset, commit b469a113, data/AzureLLMInferenceTrace_{code,conv}.csv",
    "licence": "CC-BY 4.0; changed: only quantiles fitted on it are here",
    "cite": "Patel et al., Splitwise, ISCA 2024",
}
GSM8K = {
    "data_set": "GSM8K train: question tokens + 1 (BOS); answer tokens without calculator marks; Llama-2 tokeniser",
    "origin": "openai/grade-school-math, commit 3101c7d5, grade_school_math/data/train.jsonl",
    "licence": "MIT; no text is here",
    "cite": "Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021",
}
LENGTH_TABLES = ("gsm8k", "azure-code", "azure-conv")
REPLICAS_COMPARED = 5
GSM8K_FILE = "traces/gsm8k_lengths/train_lengths.csv.gz"


class LengthData(NamedTuple):
    """What a length table is fitted on."""

    name: str
    prompt_tokens: Floats
    output_tokens: Floats
    max_new_tokens: int
    source: dict[str, str]


def fit_pattern(data_dir: Path, pattern: str, out: Path) -> Path:
    """Fit and write the model of a class, with its fit quality; returns the file."""
    segments = eligible_segments(data_dir, pattern, "day")
    rows = {segment.id: str(fit_segment(segment.counts)) for segment in segments}
    model = PatternModel(pattern, rows, {})
    found = held(model, segments)
    replicas = []
    for place, segment in enumerate(segments):
        rng = stream(0, "goodness", place)
        replicas.append([model.sample(segment.id, rng, SEGMENT_MINUTES) for _ in range(REPLICAS_COMPARED)])
    windows = [segment.counts for segment in segments]
    copies = list(chain.from_iterable(replicas))
    real, made = trait_quantiles(windows), trait_quantiles(copies)
    goodness = {name: {"real": _round(real[row]), "model": _round(made[row])} for row, name in enumerate(TRAITS)}
    goodness["largest of 8"] = {"real": _round(largest_shares(windows)), "model": _round(largest_shares(copies))}
    distances = unseen(segments, replicas)
    provenance = {
        **FUNCTIONS_2019,
        "segments": len(segments),
        "functions": len({segment.function for segment in segments}),
        "fitted": date.today().isoformat(),
        "command": COMMAND,
        "inside_90": dict(zip(STAND_INS, _round(found.share), strict=True)),
        "width_90": dict(zip(STAND_INS, _round(found.width), strict=True)),
        "inside_90_together": round(found.together, 3),
        "goodness": goodness,
        "unseen": {"model": _round(distances[0]), "real": _round(distances[1])},
    }
    lines = "\n".join(f"{name} {row}" for name, row in rows.items())
    return _write(model_path(pattern, out), {"pattern": pattern, "segments": lines, "provenance": provenance})


def fit_lengths(data: LengthData, out: Path) -> Path:
    """Fit and write a length table, with its fit quality; returns the file."""
    table = LengthTable.fit(data.prompt_tokens, data.output_tokens)
    prompts, outputs = table.sample(stream(0, "goodness"), len(data.prompt_tokens))
    goodness = {
        "prompt tokens": {"real": _spread(data.prompt_tokens), "model": _spread(prompts)},
        "output tokens": {"real": _spread(data.output_tokens), "model": _spread(outputs)},
        "rank correlation": {
            "real": [round(rank_correlation(data.prompt_tokens, data.output_tokens), 3)],
            "model": [round(rank_correlation(prompts, outputs), 3)],
        },
    }
    provenance = {
        **data.source,
        "requests": len(data.prompt_tokens),
        "fitted": date.today().isoformat(),
        "command": COMMAND,
        "columns": "level, prompt tokens, output tokens for each tenth of the prompts (shortest first)",
        "goodness": goodness,
    }
    found = {"max_new_tokens": data.max_new_tokens, "quantiles": str(table), "provenance": provenance}
    return _write(lengths_path(data.name, out), found)


def length_data(data_dir: Path) -> Iterator[LengthData]:
    """The three public sets of length pairs. The limits of generation are assumptions: none of them cuts an output."""
    whole = Number(whole=True)
    gsm8k = read_columns(data_dir / GSM8K_FILE, {"q_tok_llama2": whole, "a_nocalc_tok_llama2": whole})
    yield LengthData("gsm8k", gsm8k["q_tok_llama2"] + 1, gsm8k["a_nocalc_tok_llama2"], 512, GSM8K)
    for service, file in FILES.items():
        table = read_azure_llm(data_dir / file)
        source = {"data_set": f"Azure LLM inference trace 2023, {service}", **LLM_2023}
        prompts, outputs = table.prompt_tokens.astype(np.float64), table.output_tokens.astype(np.float64)
        yield LengthData(f"azure-{service}", prompts, outputs, 2048, source)


def goodness_table(folder: Path | None = None) -> str:
    """Fit quality of the trace models and length tables as Markdown, from what their files say."""
    models = {pattern: load_pattern_model(model_path(pattern, folder)).provenance for pattern in PATTERNS}
    lines = [
        f"| class | segments / functions | inside 90 %: {' | '.join(STAND_INS)} | all | widths |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for pattern, facts in models.items():
        inside = [f"{facts['inside_90'][name]:.1%}" for name in STAND_INS]
        widths = ", ".join(f"{facts['width_90'][name]:.2f}" for name in STAND_INS)
        together = f"{facts['inside_90_together']:.1%}"
        cells = [pattern, f"{facts['segments']} / {facts['functions']}", *inside, together, widths]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| class | figure | real p5 / 25 / 50 / 75 / 95 | model p5 / 25 / 50 / 75 / 95 |",
        "|---|---|---|---|",
    ]
    for pattern, facts in models.items():
        for name, both in facts["goodness"].items():
            lines.append(f"| {pattern} | {name} | {_joined(both['real'])} | {_joined(both['model'])} |")
    lines += ["", f"| class | unseen functions: {' / '.join(TRAITS)} | real halves |", "|---|---|---|"]
    for pattern, facts in models.items():
        lines.append(f"| {pattern} | {_joined(facts['unseen']['model'])} | {_joined(facts['unseen']['real'])} |")
    lines += ["", "| lengths | figure | real mean / p10 / 50 / 90 / 99 | model |", "|---|---|---|---|"]
    for name in LENGTH_TABLES:
        for figure, both in load_lengths(lengths_path(name, folder)).provenance["goodness"].items():
            lines.append(f"| {name} | {figure} | {_joined(both['real'])} | {_joined(both['model'])} |")
    return "\n".join(lines)


def fit_all(data_dir: Path, out: Path) -> list[Path]:
    """Fit and write every shipped file; raises :class:`TraceError` if the data can't be read."""
    out.mkdir(parents=True, exist_ok=True)
    models = [fit_pattern(data_dir, pattern, out) for pattern in PATTERNS]
    return models + [fit_lengths(data, out) for data in length_data(data_dir)]


def _write(path: Path, table: dict[str, Any]) -> Path:
    path.write_text(tomli_w.dumps(table, multiline_strings=True), encoding="utf-8")
    return path


def _spread(tokens: Floats | Ints) -> list[float]:
    """Mean, then p10, p50, p90 and p99."""
    return _round(np.array([np.mean(tokens), *np.quantile(tokens, [0.1, 0.5, 0.9, 0.99])]))


def _round(values: Floats) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _joined(values: list[float]) -> str:
    return " / ".join(f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in values)


def main(arguments: list[str]) -> int:
    """The command; 2 if the data is missing or damaged."""
    try:
        folder = os.environ.get("SIMLORA_DATA", "")
        if not folder:
            raise TraceError("SIMLORA_DATA is not set; it must name the folder that holds traces/")
        out = Path(arguments[0]) if arguments else shipped_dir()
        for path in fit_all(Path(folder), out):
            print(path)
        print(goodness_table(out))
    except SimloraError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The traces a scenario can name, and what each is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simlora.errors import unknown_name
from simlora.workload.options import Known, read_options, split_name
from simlora.workload.readers import azure_invocations, azure_llm, mooncake, servegen
from simlora.workload.readers.azure_functions import CUTS
from simlora.workload.sources.azure_functions import ModelSegments, RealSegments, WholeDay
from simlora.workload.sources.azure_invocations import AzureInvocations
from simlora.workload.sources.azure_llm import AzureLlm
from simlora.workload.sources.base import SourceOptions, TraceSource
from simlora.workload.sources.generators import Gamma, OnOff, Poisson
from simlora.workload.sources.mooncake import Mooncake
from simlora.workload.sources.own_file import SUFFIXES, OwnFile
from simlora.workload.sources.popularity import Diurnal, Drift, GenTD26, Zipf
from simlora.workload.sources.servegen import ServeGen
from simlora.workload.variability import PATTERNS


class TraceInfo(NamedTuple):
    """One row of ``simlora list traces``. ``kind``: real, model or synthetic; real ones need the data folder."""

    name: str
    kind: str
    description: str
    available: bool


class _Entry(NamedTuple):
    source: type[SourceOptions]
    fixed: Mapping[str, Any]
    kind: str
    description: str
    file: str | None = None


_CLASSES = {"predictable": "CoV up to 1", "normal": "CoV from 1 to 4", "bursty": "CoV above 4"}
_CATALOGUE: dict[str, _Entry] = {
    **{
        f"azure-functions-2019/{pattern}": _Entry(
            RealSegments,
            {"pattern": pattern},
            "real",
            f"Azure Functions 2019, 4-hour segments, one per function, {_CLASSES[pattern]}",
            CUTS["day"].file,
        )
        for pattern in PATTERNS
    },
    "azure-functions-2019/day": _Entry(
        WholeDay,
        {},
        "real",
        "Azure Functions 2019, a whole day of 635 functions, 1.23 million calls: row r is the r-th least popular",
        CUTS["day"].file,
    ),
    **{
        f"model/azure-2019-{pattern}": _Entry(
            ModelSegments,
            {"pattern": pattern},
            "model",
            f"replicas of segments fitted on Azure Functions 2019, {_CLASSES[pattern]}",
        )
        for pattern in PATTERNS
    },
    **{
        f"azure-llm-2023/{service}": _Entry(
            AzureLlm,
            {"service": service},
            "real",
            f"Azure LLM inference 2023, {service}: 58 minutes with token counts, shared out between functions; zipf",
            file,
        )
        for service, file in azure_llm.FILES.items()
    },
    "azure-functions-2021": _Entry(
        AzureInvocations,
        {"name": "azure-functions-2021"},
        "real",
        "Azure Functions 2021, single invocations of 424 functions over two weeks; start_s",
        azure_invocations.FILES["azure-functions-2021"],
    ),
    "azure-functions-2021/sample": _Entry(
        AzureInvocations,
        {"name": "azure-functions-2021/sample"},
        "real",
        "199 of those invocations in 20 minutes: the format, no workload",
        azure_invocations.FILES["azure-functions-2021/sample"],
    ),
    **{
        f"mooncake/{service}": _Entry(
            Mooncake,
            {"service": service},
            "real",
            f"Mooncake 2025, {service}: 59 minutes of long contexts with token counts, shared out; zipf",
            file,
        )
        for service, file in mooncake.FILES.items()
    },
    **{
        f"servegen/{model}": _Entry(
            ServeGen,
            {"model": model},
            "model",
            f"ServeGen {model}: rates and gaps of real clients, one per function, over two weeks; start_s, clients",
            file,
        )
        for model, file in servegen.FILES.items()
    },
    "model/gentd26": _Entry(
        GenTD26, {}, "model", "popularity of 874 adapters in a real LoRA service: rate_per_s (of all), cv, over"
    ),
    "poisson": _Entry(Poisson, {}, "synthetic", "Poisson arrivals: rate_per_s (per function)"),
    "gamma": _Entry(Gamma, {}, "synthetic", "renewal with gamma gaps: rate_per_s (per function), cv"),
    "on-off": _Entry(
        OnOff, {}, "synthetic", "Poisson switched on and off: on_rate_per_s, off_rate_per_s, on_mean_s, off_mean_s"
    ),
    "zipf": _Entry(Zipf, {}, "synthetic", "popularity (row + 1)^-exponent: rate_per_s (of all), exponent, cv, over"),
    "drift": _Entry(
        Drift, {}, "synthetic", "zipf whose ranks change: rate_per_s (of all), exponent, every_s, churn, cv, over"
    ),
    "diurnal": _Entry(
        Diurnal,
        {},
        "synthetic",
        "a daily course: rate_per_s (of all), depth, period_s, peak_s, peak_spread_s, exponent, cv, over",
    ),
}
_KNOWN: Known = {name: (entry.source, entry.fixed) for name, entry in _CATALOGUE.items()}


def list_traces(data_dir: Path | None = None) -> list[TraceInfo]:
    """All named traces; ``available`` says whether this one can be used with the data folder given."""
    return [
        TraceInfo(
            name,
            entry.kind,
            entry.description,
            entry.file is None or (data_dir is not None and (data_dir / entry.file).is_file()),
        )
        for name, entry in _CATALOGUE.items()
    ]


def trace_keys() -> list[str]:
    """Every key that some named trace has."""
    keys = [key for entry in _CATALOGUE.values() for key in entry.source.model_fields if key not in entry.fixed]
    return list(dict.fromkeys(keys))


def make_source(trace: str | Mapping[str, Any]) -> TraceSource:
    """The source of a name, a file's path, or a table with ``name`` and keys.

    Raises :class:`~simlora.errors.ConfigError` for an unknown name or key or a bad value.
    """
    name, keys = split_name("trace", trace)
    made: Any
    if name.endswith(SUFFIXES):
        made = read_options("trace", {**keys, "name": name}, {name: (OwnFile, {"path": name})})
    elif name not in _KNOWN:
        raise unknown_name("trace (or file ending in .csv, .csv.gz or .parquet)", name, _KNOWN)
    else:
        made = read_options("trace", trace, _KNOWN)
    return made  # type: ignore[no-any-return]

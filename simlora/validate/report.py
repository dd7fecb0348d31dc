"""The report of a validation, Markdown and HTML: tables of errors beside the targets, and figures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from simlora.report.markup import coded, rows_html
from simlora.report.page import Section, page_html
from simlora.results.load import Results
from simlora.study.summary import write_rows
from simlora.study.trust import ERRORS
from simlora.validate import figures
from simlora.validate.errors import memory_errors, memory_told, pairs, request_errors, stage_errors, total_errors
from simlora.validate.seal import broken, read_seal
from simlora.validate.tables import (
    Table,
    decision_table,
    memory_table,
    request_table,
    stage_table,
    total_table,
    trust_table,
)

FOOTER = "Made by simlora from a prediction and a run on this machine. This page fetches nothing."
Figure = tuple[str, str, Path]
"""Under which table it stands, what it shows, its PNG."""


def write_report(predicted: Results, measured: Results, out: Path) -> Path:
    """``report.md`` and ``report.html``, their tables as CSV and their figures, below ``out``; the HTML carries all."""
    requests, stages = request_errors(predicted, measured), stage_errors(predicted, measured)
    totals, memory = total_errors(predicted, measured), memory_errors(predicted, measured)
    named = ((ERRORS, requests), ("errors-stages.csv", stages), ("errors-totals.csv", totals))
    for name, rows in (*named, ("errors-memory.csv", memory)):
        if rows:
            write_rows(out / name, rows)
    drawn: list[Figure] = []
    for system, scenario in pairs(measured):
        of, stem = f"{system}, {scenario}", f"{system}-{scenario}"
        _, png, _ = figures.distributions(predicted, measured, system, scenario).save(out / "figures" / stem)
        drawn.append(("requests", of, png))
        if len(memory_told(measured, system, scenario)[0]):
            held = figures.memory(predicted, measured, system, scenario)
            drawn.append(("memory", of, held.save(out / "figures" / f"{stem}-memory")[1]))
    if stages:
        drawn.append(("stages", "stages of starts", figures.stages(stages).save(out / "figures" / "stages")[1]))
    facts = measured.cells[0].facts
    errors = [request_table(requests), stage_table(stages), memory_table(memory), total_table(totals)]
    tables = [*errors, decision_table(measured), trust_table(facts)]
    title, about = f"Predicted and measured: {out.name}", _about(predicted, measured, out)
    (out / "report.html").write_text(_page(title, about, tables, drawn), encoding="utf-8")
    path = out / "report.md"
    path.write_text(_markdown(title, about, tables, drawn, out), encoding="utf-8")
    return path


def _about(predicted: Results, measured: Results, out: Path) -> str:
    facts, altered = measured.cells[0].facts, broken(predicted.folder, out)
    sealed = f"Changed since: {', '.join(altered)}." if altered else "The prediction is as it was sealed."
    device = ", ".join(dict.fromkeys(facts["gpu_models"]))
    return (
        f"Predicted before {read_seal(out)['sealed_at']}, measured after. {sealed} Device: {device}; "
        f"profile `{facts['profile']}` under engine `{facts['engine']}`."
    )


def _markdown(title: str, about: str, tables: Sequence[Table], drawn: Sequence[Figure], out: Path) -> str:
    lines = [f"# {title}", "", about, ""]
    for table in tables:
        lines += table.markdown()
        for anchor, of, png in drawn:
            if anchor == table.anchor:
                lines += [f"![{of}]({quote(png.relative_to(out).as_posix())})", ""]
    return "\n".join(lines)


def _page(title: str, about: str, tables: Sequence[Table], drawn: Sequence[Figure]) -> str:
    sections = []
    for table in tables:
        pictures = "".join(_picture_html(of, png) for anchor, of, png in drawn if anchor == table.anchor)
        html = rows_html("", table.head, table.rows, table.note) + pictures
        sections.append(Section(table.anchor, table.title, table.title, html))
    return page_html("simlora validation", title, f"<p>{coded(about)}</p>", sections, FOOTER)


def _picture_html(of: str, png: Path) -> str:
    held = base64.b64encode(png.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{held}" alt="{escape(of)}" style="max-width:100%">'
    return f'<figure class="wide"><figcaption><b>{escape(of)}.</b></figcaption>{image}</figure>'

"""The page: everything in one file, so that it can be kept, sent and read anywhere, and asks nothing of the network."""

from __future__ import annotations

from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template

from simlora.errors import ConfigError
from simlora.report.about import again_html, assumptions_html, heading_html, setup_html, trust_html
from simlora.report.figures import as_json
from simlora.report.markup import packed
from simlora.report.recorded import recorded
from simlora.report.scenes import Gallery, overview_html, scenes_html
from simlora.study.store import one_message

FILES = resources.files("simlora.report") / "files"


def write_report(
    folder: Path, out: Path, scenario: str | None = None, point: str | None = None, seed: int | None = None
) -> int:
    """Write the report of a results folder; returns its figures. The same results give the same bytes.

    ``scenario``, ``point``: of these alone; ``seed``: whose single requests are shown, without it the first.
    Raises :class:`ConfigError` for what is no results folder, where nothing matches, or without plotly.
    """
    run = recorded(folder, scenario, point, seed)
    library = plotly_js()
    gallery = Gallery()
    name = folder.resolve().name
    parts = {
        "title": escape(name),
        "heading": heading_html(run),
        "overview": overview_html(run, gallery),
        "scenes": "".join(scenes_html(run, gallery)),
        "trust": trust_html(run),
        "setup": setup_html(run),
        "assumptions": assumptions_html(run),
        "again": again_html(run),
        "style": (FILES / "page.css").read_text(encoding="utf-8"),
        "script": (FILES / "page.js").read_text(encoding="utf-8"),
        "library": packed(library),
        "figures": packed(as_json(gallery.figures)),
    }
    page = Template((FILES / "page.html").read_text(encoding="utf-8")).substitute(parts)
    with one_message(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    return len(gallery.figures)


def plotly_js() -> str:
    """The source of plotly.js; :class:`ConfigError` where plotly is not installed."""
    if find_spec("plotly") is None:
        raise ConfigError('figures of a report need plotly: pip install "simlora[report]"')
    library = resources.files("plotly") / "package_data" / "plotly.min.js"
    return library.read_text(encoding="utf-8")

"""The page: everything in one file, so that it can be kept, sent and read anywhere, and asks nothing of the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import NamedTuple

from simlora.errors import ConfigError
from simlora.report.about import again_html, assumptions_html, heading_html, setup_html, trust_html
from simlora.report.figures import as_json
from simlora.report.markup import packed
from simlora.report.recorded import recorded
from simlora.report.scenes import Gallery, overview_html, scenes_html
from simlora.study.store import one_message

FILES = resources.files("simlora.report") / "files"
NO_SCRIPT = '<noscript><p class="warning">The figures need JavaScript; tables and texts do not.</p></noscript>'
FOOTER = (
    "Made by simlora from recorded results. This page fetches nothing. Figures are drawn by plotly.js (MIT licence), "
    "which it carries."
)


class Section(NamedTuple):
    """A part of a page: where links lead, what they say, its heading, what it holds."""

    anchor: str
    link: str
    title: str
    html: str


def page_html(kind: str, title: str, heading: str, sections: Sequence[Section], footer: str, scripts: str = "") -> str:
    """A page of its own: ``heading`` stands below the title, links to the sections after it."""
    parts = {
        "kind": escape(kind),
        "title": escape(title),
        "heading": heading,
        "nav": "".join(f'<a href="#{section.anchor}">{escape(section.link)}</a>' for section in sections),
        "sections": "\n".join(
            f'<section id="{s.anchor}"><h2>{escape(s.title)}</h2>\n{s.html}\n</section>' for s in sections
        ),
        "footer": escape(footer),
        "scripts": scripts,
        "style": (FILES / "page.css").read_text(encoding="utf-8"),
    }
    return Template((FILES / "page.html").read_text(encoding="utf-8")).substitute(parts)


def _scripts(library: str, gallery: Gallery) -> str:
    """What draws the figures, and the figures."""
    script = (FILES / "page.js").read_text(encoding="utf-8")
    carried = {"library": packed(library), "figures": packed(as_json(gallery.figures))}
    held = [f'<script type="text/plain" id="{name}">{text}</script>' for name, text in carried.items()]
    return "\n".join([*held, f"<script>\n{script}\n</script>"])


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
    sections = [
        Section("results", "Results", "Results", overview_html(run, gallery)),
        Section("scenarios", "By scenario", "By scenario", "".join(scenes_html(run, gallery))),
        Section("trust", "Trust", "How far to trust it", trust_html(run)),
        Section("set-up", "Set-up", "Set-up and provenance", setup_html(run)),
        Section("assumptions", "Assumptions", "Assumptions in force", assumptions_html(run)),
        Section("again", "Run it again", "Run it again", again_html(run)),
    ]
    heading = heading_html(run) + NO_SCRIPT
    page = page_html("simlora report", folder.resolve().name, heading, sections, FOOTER, _scripts(library, gallery))
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

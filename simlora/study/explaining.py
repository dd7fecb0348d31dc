"""``simlora explain``: one request's story, in words and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlora.errors import ConfigError
from simlora.results.load import Cell, load
from simlora.results.one_request import Held, Story, story_of
from simlora.study.store import one_message

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

WIDTH = 72
SHADES = {"busy": "█", "starting": "▒", "idle": "·"}


def the_cell(folder: Path, **which: Any) -> Cell:
    """The one run that matches; :class:`ConfigError` naming what tells apart those that do, if several."""
    cells = load(folder).select(**which)
    if len(cells) == 1:
        return cells[0]
    if not cells:
        raise ConfigError(f"{folder}: no finished run matches {_written(which)}")
    for key in ("system", "scenario", "point", "seed"):
        values = list(dict.fromkeys(str(getattr(cell, key)) for cell in cells))
        if len(values) > 1:
            raise ConfigError(f"{folder}: which run? choose by --{key}: {', '.join(values)}")
    raise ConfigError(f"{folder}: several runs match {_written(which)}")


def _written(which: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in which.items() if value is not None) or "no choice"


def draw_story(folder: Path, cell: Cell, request: int) -> tuple[Path, ...]:
    """Draw a request's story into ``folder/plots``; returns the files."""
    from simlora.plotting.story import story_figure

    name = f"request-{request}-{cell.system}-{cell.scenario}-{cell.point}-{cell.seed}"
    with one_message(folder):
        return story_figure(story_of(cell, request)).save(folder / "plots" / name.replace("/", "_"))


def explain(cell: Cell, request: int) -> Iterator[RenderableType]:
    """What to print of a request."""
    from rich.text import Text

    story = story_of(cell, request)
    row = story.row
    where = "/".join(map(str, (cell.system, cell.scenario, cell.point, cell.seed)))
    yield Text(f"request {request} of {row['function']} in {where}: {_outcome(story)}", style="bold")
    yield Text("")
    if story.phases:
        yield from _phases(story)
        yield Text("")
    yield from _decisions(story)
    if story.held:
        yield Text("")
        yield from _holders(story)
    if missing := _missing(story):
        yield Text("")
        yield Text(missing)


def _outcome(story: Story) -> str:
    row = story.row
    if row["outcome"] != "finished":
        return str(row["outcome"]).replace("_", " ")
    ttft_s, e2e_s = (row[name] - row["arrived_s"] for name in ("first_token_s", "finished_s"))
    return f"first token after {ttft_s:.3f} s, last of {row['output_tokens']} after {e2e_s:.3f} s"


def _phases(story: Story) -> Iterator[Text]:
    """A line per phase: seconds, and when."""
    from rich.text import Text

    total_s = sum(story.phases.values())
    begin_s, longest = 0.0, max(map(len, story.phases))
    for name, seconds in story.phases.items():
        left = int(WIDTH * begin_s / total_s)
        begin_s += seconds
        length = max(1, int(WIDTH * begin_s / total_s) - left)
        color = "red" if name in ("prefill", "decode") else "blue" if name.startswith("start-up: ") else "bright_black"
        line = Text(f"{name:<{longest}} {seconds:9.3f} s ")
        line.append(" " * min(left, WIDTH - length))
        line.append("█" * length, style=color)
        yield line


def _decisions(story: Story) -> Iterator[Text]:
    from rich.text import Text

    yield Text("what happened (s after its arrival)", style="bold")
    for one in story.happened:
        line = Text(f"{one.at_s - story.row['arrived_s']:+11.3f}  {one.what}")
        if one.why:
            line.append(f": {one.why}", style="italic")
        yield line


def _holders(story: Story) -> Iterator[Text]:
    """Who held the GPU between its arrival and its end, the request's own instance first."""
    from rich.text import Text

    arrived_s = story.row["arrived_s"]
    span_s = max(story.until_s - arrived_s, 1e-9)
    title = f"who held GPU {story.row['gpu']} meanwhile (█ busy, ▒ starting, · idle; {span_s:.3f} s)"
    yield Text(title, style="bold")
    longest = max(len(held.name) for held in story.held)
    for held in story.held:
        line = Text(f"{held.name:<{longest}} {_most(held):6.2f} GB ", style="bold" if held.own else "")
        line.append(_bar(held, arrived_s, span_s))
        yield line


def _most(held: Held) -> float:
    return max(size for *_, size in held.spans) / 1e9


def _bar(held: Held, arrived_s: float, span_s: float) -> str:
    """What it was in for the most of each column's time."""
    columns = [dict.fromkeys(SHADES, 0.0) for _ in range(WIDTH)]
    for state, from_s, to_s, _ in held.spans:
        first, last = (WIDTH * (at_s - arrived_s) / span_s for at_s in (from_s, to_s))
        for at in range(max(int(first), 0), min(int(last) + 1, WIDTH)):
            columns[at][state] += max(0.0, min(last, at + 1) - max(first, at))
    drawn = []
    for column in columns:
        state = max(SHADES, key=lambda name: column[name])
        drawn.append(SHADES[state] if column[state] > 0 else " ")
    return "".join(drawn)


def _missing(story: Story) -> str:
    """What the run did not record."""
    if "why" not in story.row:
        return (
            "why it went there is not recorded: the run is older than the column; run the experiment again with --fresh"
        )
    if story.row["outcome"] == "unfinished":
        return "the run ended before it did: run without horizon_s, or with a later one, to see the rest"
    return ""

"""How the scripts here are called: ``python SCRIPT RESULTS [README]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from simlora.errors import SimloraError
from simlora.plotting.style import Picture
from simlora.results.load import Results, load


def fill_in(
    what: str | None,
    report: Callable[[Results], Iterable[str]],
    picture: Callable[[Results], Picture] | None = None,
    name: str = "",
    default: Path | None = None,
    place: str = "tables",
) -> None:
    """Print the lines of the report, or put them into the README named, and the picture ``name`` beside it.

    ``place``: what the markers of the page are called, between which the lines go; ``default``: where results lie if
    none are named.
    """
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    some = "?" if default is not None else None
    parser.add_argument("results", type=Path, nargs=some, default=default, help="folder of a finished run")
    parser.add_argument("readme", type=Path, nargs="?", help="a page with the two markers between which tables go")
    asked = parser.parse_args()
    try:
        results = load(asked.results)
        tables = "\n".join(report(results))
        if asked.readme is None:
            print(tables)
            return
        insert(tables, asked.readme, place)
        if picture is not None:
            drawn = picture(results).save(asked.results / "figures" / name)
            asked.readme.with_name(f"{name}.png").write_bytes(drawn[1].read_bytes())
    except (SimloraError, OSError) as error:
        sys.exit(str(error))


def insert(text: str, readme: Path, place: str) -> None:
    """Put it in place of what is between the two markers of a README."""
    begin, end = f"<!-- {place} -->", f"<!-- end of {place} -->"
    before, _, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    readme.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")

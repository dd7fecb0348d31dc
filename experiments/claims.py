"""The paper's claims in Markdown: ``python experiments/claims.py [RESULTS]`` after ``simlora claims``.

Writes what was found into each ``expected.csv``, its rows into the page beside it, and those as configured into the
README of the repository, between their markers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from page import insert

from simlora.claims.claim import FILE, Claim, read_claims, write_file
from simlora.claims.run import judge_all
from simlora.claims.table import markdown
from simlora.claims.verdict import VERDICTS, Judged
from simlora.errors import SimloraError
from simlora.study.runner import default_jobs

HERE = Path(__file__).parent
PLACE, IN_README = "claims", "as configured"
ORDER = ("comparison", "slo", "throughput", "ablation", "scaling", "breakdown", "overheads", "reimplementation")
"""Of the experiments in the README: what the paper is about first."""


def record(results: Path) -> None:
    """Judge all claims and write down what came out."""
    found, _ = judge_all(read_claims(HERE, ORDER), HERE, results, default_jobs())
    for folder in dict.fromkeys(one.claim.folder for one in found):
        own = [one for one in found if one.claim.folder == folder]
        write_file(folder / FILE, [_written_down(one) for one in own])
        insert("\n".join(markdown(own, folder)), folder / "README.md", PLACE)
    shown = [one for one in found if one.claim.view == IN_README]
    insert("\n".join([*summed_up(shown), "", *markdown(shown, HERE.parent)]), HERE.parent / "README.md", PLACE)


def _written_down(one: Judged) -> Claim:
    ours = None if one.found is None else one.found.estimate
    return one.claim.model_copy(update={"ours": ours, "verdict": one.verdict})


def summed_up(found: list[Judged]) -> Iterator[str]:
    """How many of each verdict, as of today."""
    counts = [(verdict, sum(one.verdict == verdict for one in found)) for verdict in VERDICTS]
    text = ", ".join(f"{count} {verdict}" for verdict, count in counts)
    yield f"As of {datetime.now(UTC):%d %B %Y}: {text}; {len(found) - sum(n for _, n in counts)} that no run can tell."


if __name__ == "__main__":
    try:
        record(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("results"))
    except (SimloraError, OSError) as error:
        sys.exit(str(error))

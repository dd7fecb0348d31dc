"""The claims in ARTIFACT.md: ``python experiments/artifact.py`` after ``python experiments/claims.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from page import insert

from simlora.claims.claim import read_claims
from simlora.claims.measures import DECISION
from simlora.claims.table import published, with_unit
from simlora.errors import SimloraError
from simlora.study.numbers import written

HERE = Path(__file__).parent
PAGE = HERE.parent / "ARTIFACT.md"
VIEW = "as configured"
CHOSEN = {
    "comparison": (
        "TTFT, ServerlessLLM / ServerlessLoRA",
        "TTFT, InstaInfer / ServerlessLoRA",
        "TTFT, less than InstaInfer's by",
        "cost-effectiveness over ServerlessLLM",
        "cost-effectiveness over InstaInfer",
        "cost, less than InstaInfer's by",
        "TPOT, more than ServerlessLLM's by",
    ),
    "slo": ("SLO violations of ServerlessLoRA", "SLO violations of ServerlessLLM", "SLO violations of InstaInfer"),
    "throughput": (
        "throughput of ServerlessLoRA",
        "tokens/s, ServerlessLoRA / ServerlessLLM",
        "TTFT of a further request in a batch, 7B",
    ),
    "ablation": (
        "TTFT, without sharing / with",
        "cost, without sharing / with",
        "cost-effectiveness, with sharing / without",
    ),
    "breakdown": (
        "container of a cold start (ServerlessLLM, C at 22.0 s)",
        "model, mapped, and adapter (ServerlessLoRA, C at 22.0 s)",
    ),
    "scaling": ("strong scaling, tokens/s of ServerlessLoRA on 16 GPUs",),
    "overheads": ("all decisions for a request",),
}
"""Of each experiment the claims that a reviewer asks for first."""


def table() -> Iterator[str]:
    """A row for each: what was published, what the command must show, the verdict, as the claims' files have it."""
    yield "| claim | experiment | paper | expected here | verdict |"
    yield "|---|---|---|---|---|"
    for experiment, names in CHOSEN.items():
        claims = {claim.claim: claim for claim in read_claims(HERE, [experiment]) if claim.view == VIEW}
        for name in names:
            claim = claims[name]
            timed = claim.metric.startswith(DECISION)
            ours = "-" if claim.ours is None else with_unit(written(claim.ours), claim.unit)
            expected = "the time of this machine" if timed else ours
            yield f"| {name} | {experiment} | {published(claim)} | {expected} | {claim.verdict} |"


if __name__ == "__main__":
    try:
        insert("\n".join(table()), PAGE, "claims")
    except (SimloraError, OSError) as error:
        sys.exit(str(error))

"""A verdict is of the system and its traffic, not of the seeds that were drawn: other seeds give the same."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w

from simlora.claims.claim import Claim, read_claims
from simlora.claims.run import judge_all

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SOURCES = ("paper-comparison", "paper-throughput", "ablation")
VIEW = "as configured"
PUBLISHED = [
    claim
    for claim in read_claims(EXPERIMENTS)
    if claim.source in SOURCES and claim.view == VIEW and claim.paper is not None and "decision" not in claim.metric
]


def other_seeds(where: Path, source: str, claims: list[Claim]) -> None:
    """Have the experiment run with as many seeds that come after its own, and only what the claims are about."""
    path = where / source / "experiment.toml"
    table = tomllib.loads(path.read_text())
    systems = {name for claim in claims for name in (claim.of, claim.over)}
    scenarios = {name for claim in claims for name in claim.scenarios}
    table["seeds"] = [*range(table["seeds"], 2 * table["seeds"])]
    table["scenario"] = [one for one in table["scenario"] if one["name"] in scenarios]
    for kind in ("system", "ablation"):
        table[kind] = [one for one in table.get(kind, []) if one.get("use", one.get("name")) in systems]
    path.write_text(tomli_w.dumps(table))


@pytest.mark.slow
def test_other_seeds_give_the_same_verdicts(tmp_path, monkeypatch):
    monkeypatch.setattr("simlora.study.run.write_figures", lambda *_: None)
    where = shutil.copytree(EXPERIMENTS, tmp_path / "experiments")
    for source in SOURCES:
        other_seeds(where, source, [claim for claim in PUBLISHED if claim.source == source])
    judged, ran = judge_all(PUBLISHED, where, tmp_path / "results", os.cpu_count() or 1)
    assert not ran.failed
    now = {(one.claim.folder.name, one.claim.claim): one.verdict for one in judged}
    assert now == {(claim.folder.name, claim.claim): claim.verdict for claim in PUBLISHED}

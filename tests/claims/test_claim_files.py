"""What is in expected.csv fits the experiments it names, and what does not is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.claims.claim import COLUMNS, read_claims, read_file, write_file
from simlora.claims.deciding import DECISION, roles_of
from simlora.claims.measures import FEWEST
from simlora.claims.table import published
from simlora.claims.verdict import VERDICTS
from simlora.errors import ConfigError
from simlora.policies.base import ROLES
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
AS_IS = "as configured"
CLAIMS = read_claims(EXPERIMENTS)
LINE = {
    "claim": "c", "view": "v", "source": "s", "metric": "ttft_mean_s", "of": "a", "form": "value", "paper": "1",
    "unit": "s", "tolerance": "0.1",
}  # fmt: skip


@pytest.mark.parametrize("source", sorted({claim.source for claim in CLAIMS if claim.source}))
def test_claims_name_what_their_experiment_has(source):
    grid = build_grid(read_study(EXPERIMENTS / source / "experiment.toml"))
    for claim in CLAIMS:
        if claim.source == source:
            systems = {cell.system for cell in grid.cells if cell.scenario in claim.scenarios}
            assert {cell.scenario for cell in grid.cells} >= set(claim.scenarios) != set(), claim
            assert {name.removesuffix(FEWEST) for name in (claim.of, claim.over) if name} <= systems, claim
            assert not claim.metric.startswith(DECISION) or set(roles_of(claim.metric)) <= set(ROLES), claim


def test_every_claim_is_told_once_in_a_view():
    told = [(claim.folder.name, claim.view, claim.claim) for claim in CLAIMS]
    assert len(set(told)) == len(told)


def test_every_claim_has_its_verdict_and_reason_written_down():
    for claim in CLAIMS:
        assert claim.why.endswith("."), claim.claim
        assert not claim.source or claim.verdict in VERDICTS, claim.claim
        assert claim.source or claim.verdict, claim.claim


@pytest.mark.parametrize("page", ["README.md", *sorted({f"experiments/{c.folder.name}/README.md" for c in CLAIMS})])
def test_pages_show_what_is_written_down(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = [c for c in CLAIMS if f"{c.folder.name}/README.md" in page or (page == "README.md" and c.view == AS_IS)]
    assert shown
    for claim in shown:
        row = f"| {claim.claim} | {published(claim)} | "
        assert any(line.startswith(row) and f" | {claim.verdict} | {claim.why}" in line for line in text.splitlines())


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("paper-*/expected.csv")), ids=lambda path: path.parent.name)
def test_a_file_is_written_as_it_is_read(path, tmp_path):
    write_file(tmp_path / "expected.csv", read_file(path))
    assert (tmp_path / "expected.csv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unit": "min"}, "unit: one of x, s, ms"),
        ({"form": "ratio"}, "over: the system to compare with is missing"),
        ({"form": "about"}, "form: Input should be 'value'"),
        ({"tolerance": ""}, "tolerance: a published value needs one"),
        ({"paper": "four"}, "paper: Input should be a valid number"),
        ({"metric": ""}, "metric, of: a claim with a source needs both"),
    ],
)
def test_a_line_that_does_not_fit_is_named(changed, said, tmp_path):
    path = tmp_path / "expected.csv"
    line = {**LINE, **changed}
    path.write_text(f"{','.join(COLUMNS)}\n{','.join(line.get(name, '') for name in COLUMNS)}\n")
    with pytest.raises(ConfigError, match=f"expected.csv:2: {said}"):
        read_file(path)


def test_other_columns_are_refused(tmp_path):
    (tmp_path / "expected.csv").write_text("claim,paper\nc,1\n")
    with pytest.raises(ConfigError, match="columns must be claim, view"):
        read_file(tmp_path / "expected.csv")


def test_a_name_that_no_experiment_has(tmp_path):
    with pytest.raises(ConfigError, match='did you mean "throughput"'):
        read_claims(EXPERIMENTS, ["througput"])
    with pytest.raises(ConfigError, match="no folder"):
        read_claims(tmp_path)

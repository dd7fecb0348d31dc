"""``simlora claims`` from end to end, on an experiment of seconds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from simlora.claims.claim import COLUMNS, read_claims
from simlora.claims.run import judge_all, run_claims, summed_up
from simlora.claims.table import deviation, markdown
from simlora.errors import ConfigError
from simlora.results.load import load

EXPERIMENT = """\
seeds = 6
functions = { count = 2, backbones = ["llama-2-7b"] }
prices = ["alibaba-fc-2024-08", "ec2-on-demand-2026"]
[cluster]
nodes = 1
gpus_per_node = 2
[[scenario]]
name = "some"
trace = { name = "poisson", rate_per_s = 0.02 }
duration_s = 600
[[system]]
use = "serverless-lora"
[[system]]
use = "insta-infer"
[[system]]
use = "vllm"
"""
LINES = (
    "slower,as configured,paper-small,ttft_mean_s,insta-infer,serverless-lora,ratio,some,,7,x,0.1,,,,so it is.",
    "reserved,as configured,paper-small,cost_usd,vllm (fewest),serverless-lora,ratio,some,,,x,,,,,so it is.",
    "decoding,as configured,paper-small,decode_mean_s,insta-infer,,value,some,,2.4,s,0.1,,,,so it is.",
    "first,as configured,paper-small,request 0: backbone+library,insta-infer,,value,some,,1,s,0.1,,,,so it is.",
    "deciding,as configured,paper-small,decision routing+batching,insta-infer,,value,some,,1,ms,0.1,,,,so it is.",
    "cards,as configured,paper-small,cost_usd at modal-2026-05,insta-infer,,value,some,,,USD,,,,,so it is.",
    "hardware,as configured,,,,,value,,,,,,,,not tested,so it is.",
)


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    """Drawing takes longer than all that is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simlora.study.run.write_figures", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("experiments")
    folder = where / "paper-small"
    folder.mkdir()
    (folder / "experiment.toml").write_text(EXPERIMENT)
    (folder / "expected.csv").write_text("\n".join([",".join(COLUMNS), *LINES, ""]))
    return where


@pytest.fixture(scope="module")
def found(where, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    judged, ran = judge_all(read_claims(where), where, out, 0)
    assert not ran.failed
    return out, judged


def test_each_claim_is_judged_in_its_order(found):
    _, judged = found
    assert [one.claim.claim for one in judged] == [line.partition(",")[0] for line in LINES]
    assert [judged[at].verdict for at in (1, -1)] == ["no figure published", "not tested"]
    assert judged[0].found.n == 6
    assert judged[0].found.low < judged[0].found.estimate < judged[0].found.high
    assert judged[3].found.estimate > 3.0  # libraries alone take as long


def test_another_price_list_bills_what_was_recorded(found):
    """Whole cards of 48 GB for 1.95 USD an hour are dearer than the 15 GB that a backbone takes."""
    out, judged = found
    own = load(out / "paper-small").summary.groupby("system")["cost_usd"].median()["insta-infer"]
    assert judged[5].found.estimate > own


def test_two_runs_have_the_same_last_digit(where, found, tmp_path):
    out, judged = found
    again, _ = judge_all(read_claims(where), where, tmp_path, 0)
    untimed = [one for one in judged if "decision" not in one.claim.metric]
    assert [one for one in again if "decision" not in one.claim.metric] == untimed
    for name in ("summary.csv", "summary_by_function.csv"):
        assert (tmp_path / "paper-small" / name).read_bytes() == (out / "paper-small" / name).read_bytes()


def test_what_is_finished_is_read_not_run(where, found, capsys):
    out, _ = found
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.suffix != ".csv"}
    summary = (out / "paper-small" / "summary.csv").stat().st_mtime_ns
    run_claims(where, ["small"], out, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "paper-small" / "summary.csv").stat().st_mtime_ns == summary
    assert "6 verdicts differ" in capsys.readouterr().out


def test_a_summary_older_than_a_run_is_made_anew(found, tmp_path):
    out = shutil.copytree(found[0] / "paper-small", tmp_path / "copy")
    assert summed_up(out)
    os.utime(next(out.glob("cells/*/*/*/*/done")), (2e9, 2e9))
    assert not summed_up(out)


def test_what_is_written_down_is_compared(found):
    _, judged = found
    figures = [one.found and one.found.estimate for one in judged]
    written = [{"ours": figure, "verdict": one.verdict} for figure, one in zip(figures, judged, strict=True)]
    same = [one._replace(claim=one.claim.model_copy(update=new)) for one, new in zip(judged, written, strict=True)]
    assert deviation(same) == "matches what is written down"
    claim = same[2].claim
    same[2] = same[2]._replace(claim=claim.model_copy(update={"ours": claim.ours * 0.5}))
    assert deviation(same) == 'largest deviation from what is written down: 100.0%, "decoding"'


def test_a_page_links_the_evidence(where, found):
    lines = list(markdown(found[1], where))
    assert lines[2] == "| claim | paper | here (95 %) | verdict | why |"
    assert "so it is. [small](paper-small/README.md) |" in lines[4]
    assert "so it is. |" in list(markdown(found[1], where / "paper-small"))[4]
    assert lines[10].startswith("| hardware | - | - | not tested |")


def test_an_experiment_that_is_not_there(where, tmp_path):
    copy = shutil.copytree(where, tmp_path / "copy")
    (copy / "paper-small" / "experiment.toml").unlink()
    with pytest.raises(ConfigError, match='no experiment named "paper-small"'):
        run_claims(copy, out=tmp_path / "out", jobs=0)

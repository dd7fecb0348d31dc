"""Failures of a scenario: the same for all its systems, refused where they name what is not there, shown in results."""

import pandas as pd
import pytest

from simlora.errors import SimloraError
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.hashing import cell_key
from simlora.study.run import run_experiment
from simlora.validate.run import validate

FAILURE = """\
duration_s = 600

[[scenario.failure]]
what = "{what}"
{keys}
"""


def having(folder, what, keys):
    folder.edit("experiment.toml", "duration_s = 600\n", FAILURE.format(what=what, keys=keys))
    return folder.file


def test_all_systems_of_a_scenario_meet_the_same_failures_and_run_anew_when_one_changes(folder):
    quiet = build_grid(read_study(folder.file)).cells
    cells = build_grid(read_study(having(folder, "gpu", "gpu = 3\nat_s = 200.0\nfor_s = 60.0"))).cells
    assert {tuple(map(repr, cell.failures)) for cell in cells} == {tuple(map(repr, cells[0].failures))}
    assert (cells[0].failures[0].gpu, cells[0].failures[0].for_s) == (3, 60.0)
    assert cell_key(quiet[0], "") != cell_key(cells[0], "")
    assert quiet[0].failures == []


BAD = [
    ("gpus", "at_s = 1.0", ["experiment.toml:15", "'gpu', 'node'", "'gpus'", 'did you mean "gpu"?']),
    ("gpu", "at_s = 1.0\ngpu = 4", ["experiment.toml:14", "GPUs 0 to 3", "found 4"]),
    ("node", "at_s = 1.0\nnode = 2", ["nodes 0 to 1", "found 2"]),
    ("adapter", 'at_s = 1.0\nfunction = "c"', ["experiment.toml:14", '"c"', "allowed: a, b"]),
    ("gpu", "at_s = 1.0\nfor = 3.0", ["experiment.toml:17", 'failure[1].for"', 'did you mean "for_s"?']),
    ("gpu", "at_s = 1.0\nfactor = 0.5", ["factor does not go with", "allowed: at_s, rate_per_hour, gpu, for_s"]),
    ("gpu", "for_s = 3.0", ["either at_s or rate_per_hour", "found None and None"]),
    ("gpu", "at_s = 1.0\nrate_per_hour = 1.0", ["found 1.0 and 1.0"]),
    ("worker", "rate_per_hour = 0.0", ["experiment.toml:16", "rate_per_hour", "greater than 0", "found 0.0"]),
    ("remote", "at_s = 1.0", ["for_s is missing"]),
    ("adapter", "at_s = 1.0\nonce = true\nfor_s = 3.0", ["once", "found 3.0"]),
]


@pytest.mark.parametrize(("what", "keys", "fragments"), BAD, ids=[f"{what}: {keys}" for what, keys, _ in BAD])
def test_bad_failures_are_named(folder, what, keys, fragments):
    with pytest.raises(SimloraError) as found:
        build_grid(read_study(having(folder, what, keys)))
    for fragment in fragments:
        assert fragment in str(found.value)


def test_failed_requests_are_counted_and_drawn(folder, capsys):
    having(folder, "adapter", 'function = "a"\nat_s = 0.0')
    ran = run_experiment(folder.file, sets=["seeds=1"], out=folder.path / "results", jobs=1)
    assert not ran.failed
    summary = pd.read_csv(ran.out / "summary.csv")
    of_a = pd.read_csv(ran.out / "summary_by_function.csv").query("function == 'a'")
    assert (summary["failed"] > 0).all()
    assert (of_a["failed"] == of_a["requests"]).all()
    assert (summary["finished"] + summary["failed"] == summary["requests"]).all()
    assert (ran.out / "figures" / "failed.pdf").exists()
    assert "failed" in capsys.readouterr().out


def test_no_failures_are_brought_about_for_real(folder):
    with pytest.raises(SimloraError, match=r"experiment.toml:14: failures of a scenario can only be simulated"):
        validate(having(folder, "gpu", "at_s = 1.0"), "cpu", out=folder.path / "out")

"""The command line as a user meets it: its own process, exit codes, one message for bad input."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("--set", "seeds=1", "--set", "scenario.duration_s=600", "--jobs", "1")


def simlora(*arguments, cwd, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    command = [sys.executable, "-m", "simlora.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, **options)


def test_help_is_grouped_and_quick(tmp_path, record_property):
    before_s = time.perf_counter()
    found = simlora("--help", cwd=tmp_path)
    seconds = time.perf_counter() - before_s
    record_property("seconds", seconds)
    print(f"--help answered in {seconds:.3f} s")
    assert found.returncode == 0
    for group in ("Experiments", "Looking at results", "Traffic", "Policies"):
        assert group in found.stdout


@pytest.mark.parametrize(
    "verb", [("run",), ("compare",), ("plot",), ("cost",), ("trace", "info"), ("init",), ("arena",)]
)
def test_help_of_a_verb_shows_all_its_text(tmp_path, verb):
    text = simlora(*verb, "--help", cwd=tmp_path).stdout
    assert "  []" not in text
    if verb == ("run",):
        assert "results/EXPERIMENT" in text
    if verb == ("plot",):
        assert "[default: ttft_mean_s]" in text


@pytest.mark.parametrize("heavy", ["numpy", "pandas", "matplotlib", "scipy", "pydantic", "pyarrow"])
def test_help_imports_nothing_heavy(tmp_path, heavy):
    code = f"import sys; import simlora.cli.app; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_run_without_its_figures_imports_no_plotting(tmp_path):
    code = (
        "import sys; import simlora.study.run, simlora.study.tables, simlora.engine, simlora.workload; "
        "sys.exit(any(name in sys.modules for name in ('pandas', 'matplotlib', 'scipy.stats')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


LISTED = {
    "systems": "serverless-lora",
    "policies": "pckp",
    "profiles": "l40s",
    "traces": "model/azure-2019-bursty",
    "prices": "alibaba-fc-2024-08",
    "providers": "runpod-flex",
    "failures": "rate_per_hour",
    "lengths": "openai/grade-school-math",
    "backbones": "6,738 million",
    "engines": "vllm-0.8.5",
    "loaders": "GB/s from ssd",
    "gpus": "864 GB/s",
    "nodes": "g6e.24xlarge",
}


@pytest.mark.parametrize("what", LISTED)
def test_list(tmp_path, what):
    found = simlora("list", what, cwd=tmp_path)
    assert found.returncode == 0
    assert LISTED[what] in found.stdout


def test_a_policy_of_two_roles_is_listed_once(tmp_path):
    (line,) = [line for line in simlora("list", "policies", cwd=tmp_path).stdout.splitlines() if " pckp-exact " in line]
    assert line.startswith("preloading or rebalancing")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A folder as ``init`` writes it."""
    parent = tmp_path_factory.mktemp("cli")
    found = simlora("init", "demo", cwd=parent)
    assert found.returncode == 0
    return parent / "demo"


def test_init_writes_a_folder_whose_policy_keeps_its_contract(started):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_my_policies.py"]
    found = subprocess.run(command, cwd=started, env=environment, capture_output=True, text=True, timeout=120)
    assert "5 passed" in found.stdout


def test_new_policy_says_what_to_do_next_and_that_works(tmp_path):
    found = simlora("new-policy", "keepalive", "mine", "study", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    *_, test, arena, run = found.stdout.splitlines()
    assert arena == "  cd study && simlora arena keepalive mine:Mine"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *test.split()[4:]]
    tested = subprocess.run(command, cwd=tmp_path / "study", env=environment, capture_output=True, text=True)
    assert "5 passed" in tested.stdout
    for verb in run.replace("  cd study && ", "").split(" && "):
        more = SMALL if "run" in verb else ()
        done = simlora(*verb.split()[1:], *more, cwd=tmp_path / "study")
        assert done.returncode == 0, done.stderr
    again = simlora("new-policy", "keepalive", "mine", "study", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")


def test_init_overwrites_nothing(started):
    found = simlora("init", started, cwd=started.parent)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("simlora: ")


def test_the_folder_runs_and_its_results_can_be_looked_at(started):
    found = simlora("run", "experiment.toml", *SMALL, cwd=started)
    assert found.returncode == 0, found.stderr
    for part in ("Regime", "ratio to serverless-lora", "Trust"):
        assert part in found.stdout
    out = started / "results" / "demo"
    assert (out / "figures" / "ttft.pdf").stat().st_size > 0
    compared = simlora("compare", out, cwd=started)
    assert "vllm (" in compared.stdout
    assert "mine" in compared.stdout
    drawn = simlora("plot", out, "--y", "slo_attainment", "--filter", "scenario=bursty", cwd=started)
    assert [Path(line).suffix for line in drawn.stdout.split()] == [".pdf", ".png", ".csv"]
    priced = simlora("cost", out, "--prices", "modal-2026-05,ec2-on-demand-2026", cwd=started)
    assert "month" in priced.stdout
    assert "ec2-on-demand-2026" in priced.stdout


BAD = [
    (("run", "nothing.toml"), "nothing.toml: No such file"),
    (("run", "experiment.toml", "--set", "cluster.node=1"), 'did you mean "cluster.nodes"'),
    (("run", "experiment.toml", "--set", "scenario.rate_per_s=1"), 'did you mean "scenario.trace.rate_per_s"'),
    (("run", "experiment.toml", "--set", "scenario.bursty.cv=1"), 'did you mean "scenario.bursty.trace.cv"'),
    (("run", "experiment.toml", "--set", "scenario.trace=gama"), 'did you mean "gamma"'),
    (("compare", "nowhere"), "nowhere: no such results folder"),
    (("plot", "nowhere"), "nowhere: no such results folder"),
    (("compare", "."), ".: no results folder"),
    (("plot", "."), ".: no results folder"),
    (("report", "nowhere"), "nowhere: no such results folder"),
    (("cost", "nowhere", "--prices", "modal-2026-05"), "nowhere: no such results folder"),
    (("run", "experiment.toml", "--out", "functions.csv"), "functions.csv is a file"),
    (("cost", "nowhere", "--prices", "modal"), '"modal"'),
    (("trace", "info", "gama"), 'did you mean "gamma"'),
    (("trace", "info", "gamma", "--set", "cv"), "expected key=value"),
    (("trace", "convert", "gamma", "x.txt", "--set", "rate_per_s=1", "--set", "cv=1"), "ends in .csv or .parquet"),
    (("trace", "convert", "gamma", "x.jsonl", "--set", "rate_per_s=1", "--set", "cv=1"), "timed-trace or mooncake"),
    (("trace", "convert", "gamma", "x.csv", "--to", "mooncak", "--set", "rate_per_s=1", "--set", "cv=1"), '"mooncake"'),
    (("trace", "fetch", "azure-llm-2023/cod"), 'did you mean "azure-llm-2023/code"'),
    (("list", "system"), "systems"),
    (("new-policy", "preload", "x"), 'did you mean "preloading"'),
    (("arena", "preload", "my_policies:Recent"), 'did you mean "preloading"'),
    (("arena", "preloading", "my_policies:Recnt"), 'did you mean "Recent"'),
    (("arena", "preloading", "my_policies:Recent", "--dept=2"), 'did you mean "depth"'),
    (("arena", "preloading", "my_policies:Recent", "depth"), "--key=value"),
]


@pytest.mark.parametrize(("arguments", "fragment"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_message_and_exit_code_2(started, arguments, fragment):
    found = simlora(*arguments, cwd=started)
    assert found.returncode == 2
    assert fragment in found.stderr
    assert "Traceback" not in found.stderr


def test_a_failed_run_is_reported_and_ends_with_1(started, tmp_path):
    for name in ("experiment.toml", "functions.csv", "my_policies.py"):
        (tmp_path / name).write_text((started / name).read_text())
    policy = tmp_path / "my_policies.py"
    policy.write_text(policy.read_text().replace("        return Plan(starts)", "        raise RuntimeError('oh')"))
    found = simlora("run", "experiment.toml", *SMALL, cwd=tmp_path)
    assert found.returncode == 1
    assert "failed: mine/bursty/base/0: my_policies.py:" in found.stderr
    assert "RuntimeError: oh" in found.stderr
    assert "serverless-lora" in found.stdout


def test_many_functions_are_summed_up_and_drawn(tmp_path):
    options = ("--functions", "60", "--set", "rate_per_s=0.5", "--set", "exponent=1.2", "--picture", "z")
    shown = simlora("trace", "info", "zipf", *options, "--duration-s", "7200", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "40 others" in shown.stdout
    assert (tmp_path / "z.png").stat().st_size > 0
    assert len((tmp_path / "z.csv").read_text().splitlines()) == 1 + 60 * 96


def test_traces_can_be_looked_at_and_made_files(started, tmp_path):
    made = tmp_path / "t.csv"
    options = ("--duration-s", "3600", "--functions", started / "functions.csv")
    assert simlora("trace", "convert", "model/azure-2019-bursty", made, *options, cwd=tmp_path).returncode == 0
    shown = simlora("trace", "info", made, "--duration-s", "3600", cwd=tmp_path)
    assert "chat-a" in shown.stdout
    assert "CoV and class: of the times between requests" in " ".join(shown.stdout.split())
    replayed = simlora("trace", "convert", made, tmp_path / "t.jsonl", "--to", "timed-trace", cwd=tmp_path)
    assert "timed_trace --self-timed" in replayed.stdout
    replica = tmp_path / "r.csv"
    fitted = simlora("trace", "fit", made, replica, "--replica-s", "7200", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    assert replica.read_text().startswith("time,function,count\n")
    assert simlora("trace", "info", replica, cwd=tmp_path).returncode == 0

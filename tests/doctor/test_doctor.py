"""The doctor: each trouble is told with its cure and what it rules out; what is well asks for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simlora.doctor import device
from simlora.doctor.check import Check, State
from simlora.doctor.host import host_checks
from simlora.doctor.report import complaints

CARD = ["NVIDIA H100 80GB HBM3", "550.54", "Disabled", "Default"]
SEEN = {"torch": "2.6", "available": True, "cuda": "12.4", "name": "H100", "free_bytes": 79e9, "total_bytes": 80e9}


def states(checks: list[Check]) -> dict[str, State]:
    return {check.name: check.state for check in checks}


def test_a_card_as_it_should_be_has_no_complaints() -> None:
    checks = device.card_checks([CARD]) + device.process_checks([]) + device.torch_checks(SEEN)
    checks.append(device.sharing_check(SEEN | {"shared_s": 0.02}, "cuda"))
    assert complaints(checks) == []


@pytest.mark.parametrize(
    ("checks", "name", "state", "cure"),
    [
        (device.card_checks([[*CARD[:2], "Enabled", "Default"]]), "MIG", State.WARN, "-mig 0"),
        (device.card_checks([[*CARD[:3], "Exclusive_Process"]]), "compute mode", State.FAIL, "-c DEFAULT"),
        (device.process_checks([["4711", "512 MiB"]]), "other processes", State.WARN, "end them"),
        (device.process_checks([["4711", "[N/A]"]]), "memory per process", State.WARN, "container"),
        (device.torch_checks(SEEN | {"free_bytes": 1e9}), "device memory", State.WARN, "end what holds it"),
        (device.torch_checks({"torch": "2", "available": False}), "torch and CUDA", State.FAIL, "a build of torch"),
        (device.torch_checks({"error": "No module named 'torch'"}), "torch and CUDA", State.FAIL, "pip install"),
        ([device.sharing_check(SEEN | {"sharing_error": "invalid"}, "cuda")], "CUDA IPC", State.FAIL, "--ipc=host"),
        ([device.sharing_check({"error": "no torch"}, "cpu")], "shared memory", State.FAIL, "pip install"),
    ],
)
def test_trouble_is_told_with_its_cure(checks: list[Check], name: str, state: State, cure: str) -> None:
    [found] = [check for check in checks if check.name == name]
    assert found.state is state
    assert cure in found.cure
    assert found.rules_out


def test_processes_whose_memory_is_readable_are_only_told_of() -> None:
    found = states(device.process_checks([["4711", "512 MiB"]]))
    assert found == {"other processes": State.WARN, "memory per process": State.OK}


def test_mps_is_on_where_its_pipes_are(tmp_path: Path) -> None:
    assert device.mps_check(tmp_path).state is State.WARN
    assert device.mps_check(tmp_path / "none").state is State.OK


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_nearest_parents(tmp_path: Path) -> None:
    [disk] = [check for check in host_checks(tmp_path / "not" / "yet") if check.name == "disk"]
    assert disk.found.endswith(f"at {tmp_path}")


def test_a_complaint_names_cure_and_loss() -> None:
    assert complaints([Check("x", State.WARN, "bad", "mend it", "y"), Check("z", State.OK, "fine")]) == [
        "warn: x: bad; mend it; rules out y"
    ]


@pytest.mark.torch
def test_a_second_process_reads_what_the_first_shares() -> None:
    command = [sys.executable, "-m", "simlora.cli", "doctor", "--device", "cpu"]
    environment = {**os.environ, "COLUMNS": "160"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "a second process read it" in done.stdout

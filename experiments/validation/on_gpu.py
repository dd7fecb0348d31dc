"""``python -m experiments.validation.on_gpu``: probe, model, calibration and validation of this machine, in parts.

Each call works for at most so many minutes and leaves ``OUT.tar.gz``; the next one goes on. A step that fails is
recorded with the end of what it said, stops no other, and is tried again once nothing else is left. Ends with 3 while
there is more.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibrate.measure import child
from experiments.validation.steps import Machine, Step
from simlora.backends.torch_gpu.ending import die_with_parent
from simlora.backends.torch_gpu.process import environment

NOT_DONE = 3
TOLD_LINES = 12
ARCHIVE_BYTES = 15_000_000
SMALL_CARD_BYTES = 22e9
"""Below it Llama-2-7B leaves no room for a second process."""
CARD = """
import json, torch
print(json.dumps({"bytes": torch.cuda.is_available() and torch.cuda.get_device_properties(0).total_memory}))
"""


class Progress:
    """``progress.json``: by step its state (``begun``, ``done`` or ``failed``), seconds so far, and what went wrong."""

    def __init__(self, path: Path):
        self._path = path
        there = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.steps: dict[str, dict[str, Any]] = there

    @property
    def spent_s(self) -> float:
        return sum(row["seconds"] for row in self.steps.values())

    def state(self, step: Step) -> str:
        return str(self.steps.get(step.name, {}).get("state", ""))

    def left_s(self, step: Step) -> float:
        """Of what the step may take; all of it again for one that failed."""
        row = self.steps.get(step.name, {"seconds": 0.0, "state": ""})
        return step.limit_s if row["state"] == "failed" else step.limit_s - float(row["seconds"])

    def note(self, step: Step, state: str, seconds: float = 0.0, said: str = "") -> None:
        before = self.steps.get(step.name, {"seconds": 0.0})
        row = {"state": state, "seconds": round(before["seconds"] + seconds, 1)}
        self.steps[step.name] = row | ({"said": said} if said else {})
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self.steps, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._path)


def part(machine: Machine, names: Sequence[str], seconds: float, archive: Path) -> bool:
    """Work for so long, all there is packed after each step; whether every step is done or has failed again."""
    progress = Progress(machine.out / "progress.json")
    ends_s = time.monotonic() + seconds
    retried: list[str] = []
    while waiting := _waiting(machine, names, progress, retried):
        left_s = ends_s - time.monotonic()
        step = next((step for step in waiting if step.least_s <= left_s), None)
        if step is None:
            return False
        if progress.state(step) == "failed":
            retried.append(step.name)
        _do(step, machine, progress, left_s)
        pack(machine.out, archive)
    return True


def _waiting(machine: Machine, names: Sequence[str], progress: Progress, retried: Sequence[str]) -> list[Step]:
    """Steps that are not through, in order; those that failed each once more, after all others."""
    steps = [step for step in machine.steps() if step.name in names and progress.state(step) != "done"]
    fresh = [step for step in steps if progress.state(step) != "failed"]
    return fresh + [step for step in steps if progress.state(step) == "failed" and step.name not in retried]


def _do(step: Step, machine: Machine, progress: Progress, left_s: float) -> None:
    own_s = progress.left_s(step)
    limit_s = min(left_s, own_s)
    print(f"{step.name:9} at most {limit_s:4.0f} s", end="  ", flush=True)
    progress.note(step, "begun")
    log, began = machine.out / "logs" / f"{step.name}.log", time.monotonic()
    code = _run(step.within(limit_s), log, limit_s, machine.models)
    seconds = time.monotonic() - began
    goes_on = own_s - seconds >= step.least_s and (code == NOT_DONE or (code is None and left_s < own_s))
    state = "done" if code in step.ends else "begun" if goes_on else "failed"
    end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TOLD_LINES:])
    progress.note(step, state, seconds, "" if state == "done" else f"exit code {code}: {end}")
    print(f"{state}, {seconds:.0f} s", flush=True)


def _run(command: Sequence[str], log: Path, limit_s: float, models: Path) -> int | None:
    """Its exit code, none if it had to be ended; what it says goes to the log's end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        said.write(f"$ {' '.join(command)}\n".encode())
        said.flush()
        env = {**environment(), "SIMLORA_MODELS": str(models)}
        how: Any = {"start_new_session": True, "preexec_fn": die_with_parent, "env": env}
        running = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, **how)
        try:
            return running.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


def pack(out: Path, archive: Path) -> None:
    """All but the weights, small files first, as long as they are within the size; ``left-out.txt`` names others."""
    files = sorted((p.stat().st_size, p) for p in out.rglob("*") if p.is_file() and p.suffix != ".safetensors")
    left_out, held = [], 0
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w:gz") as packed:
        for size, path in files:
            held += size
            if held > ARCHIVE_BYTES:
                left_out.append(str(path.relative_to(out)))
            else:
                packed.add(path, Path(out.name, path.relative_to(out)))
    (out / "left-out.txt").write_text("".join(f"{name}\n" for name in left_out), encoding="utf-8")
    partial.replace(archive)


def machine_of(asked: argparse.Namespace) -> Machine:
    """What fits here: a tiny model on a processor, 7B on cards that hold two of it."""
    out = asked.out.resolve()
    backbone = "tiny-llama"
    if asked.device == "cuda":
        # In a process of its own: this one should hold no memory of the card.
        card = child.run(CARD)
        if "error" in card or not card["bytes"]:
            raise SystemExit(f"torch sees no GPU: {card.get('error', 'none here')}; --device cpu tries everything")
        backbone = "llama-2-7b" if card["bytes"] >= SMALL_CARD_BYTES else backbone
    priced_as = asked.priced_as or (None if asked.device == "cuda" else "l40s")
    return Machine(asked.device, backbone, out, (asked.models or out / "models").resolve(), priced_as)


def main() -> int:
    """0 if all is through or time is spent, 3 while there is more."""
    parser = argparse.ArgumentParser(prog="python -m experiments.validation.on_gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--out", type=Path, default=Path("results/validation"), help="a folder; an existing one goes on"
    )
    parser.add_argument("--archive", type=Path, help="(default: OUT.tar.gz)")
    parser.add_argument("--models", type=Path, help="folder of the weights that are made (default: OUT/models)")
    parser.add_argument("--minutes", type=float, default=8.0, help="of this part")
    parser.add_argument("--in-all", type=float, default=18.0, help="minutes of all parts together")
    parser.add_argument("--steps", help="comma-separated (default: all)")
    parser.add_argument("--priced-as", help="GPU of the price lists, for a card that is in none")
    asked = parser.parse_args()
    machine = machine_of(asked)
    machine.write_functions()
    names = [step.name for step in machine.steps()]
    wanted = asked.steps.split(",") if asked.steps else names
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"no step {', '.join(unknown)}; there are {', '.join(names)}")
    left_s = asked.in_all * 60 - Progress(machine.out / "progress.json").spent_s
    archive = asked.archive or machine.out.with_suffix(".tar.gz")
    through = part(machine, wanted, min(asked.minutes * 60, left_s), archive)
    print(f"{archive}: {archive.stat().st_size / 1e6:.2f} MB" if archive.is_file() else "nothing was left to do")
    return 0 if through or left_s <= asked.minutes * 60 else NOT_DONE


if __name__ == "__main__":
    sys.exit(main())

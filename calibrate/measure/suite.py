"""The suite: its parts in the order of what is most worth knowing, each resumed where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from calibrate.measure import (
    assemble,
    attention,
    cold_start,
    compiling,
    contention,
    elementwise,
    gemm,
    ipc,
    lora,
    process,
    step,
    storage,
    transfers,
    transformers_step,
)
from calibrate.measure.bench import Bench
from calibrate.measure.machine import describe, smi
from calibrate.measure.plan import Case, Plan

PARTS: dict[str, ModuleType] = {
    "gemm": gemm,
    "attention": attention,
    "transfers": transfers,
    "process": process,
    "step": step,
    "transformers_step": transformers_step,
    "cold_start": cold_start,
    "assemble": assemble,
    "contention": contention,
    "lora": lora,
    "ipc": ipc,
    "storage": storage,
    "elementwise": elementwise,
    "compiling": compiling,
}


LOOK_S = 5.0
STICKY = "CUDA error"
"""After such an error the process's context is of no more use: a new one goes on with the next case."""


class Suite:
    """Measures into ``folder``: one JSON line a case in ``<part>.jsonl``, and ``machine.json``."""

    def __init__(self, bench: Bench, plan: Plan, folder: Path, limit_s: float):
        self.bench = bench
        self.plan = plan
        self.folder = folder
        self._ends_s = time.monotonic() + limit_s
        self._looked_s, self._clock_mhz = -LOOK_S, None
        self._broken = False

    def run(self, names: Sequence[str]) -> bool:
        """Whether every case of these parts is now measured; what is there already is kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "machine.json").write_text(json.dumps(describe(self.bench.device), indent=1) + "\n")
        complete = [self._part(name) for name in names]
        return all(complete)

    def _part(self, name: str) -> bool:
        path = self.folder / f"{name}.jsonl"
        measured = {key(row["case"]) for row in rows(path)}
        left = [case for case in PARTS[name].cases(self.plan) if key(case) not in measured]
        total, began = len(measured) + len(left), time.monotonic()
        with path.open("a", encoding="utf-8") as out:
            for case in left:
                if self._broken or time.monotonic() > self._ends_s:
                    break
                row = {"case": case, **self._measure(name, case), "clocks": self._clock()}
                out.write(json.dumps(row) + "\n")
                out.flush()
                measured.add(key(case))
        print(f"{name:18} {len(measured):4} of {total:4} cases  {time.monotonic() - began:6.1f} s", flush=True)
        return len(measured) == total

    def _clock(self) -> str | None:
        """Of the card, read at most every few seconds: to ask the driver takes longer than many a case."""
        if self.bench.is_gpu and time.monotonic() > self._looked_s + LOOK_S:
            self._looked_s, self._clock_mhz = time.monotonic(), smi().get("clocks.sm")
        return self._clock_mhz

    def _measure(self, name: str, case: Case) -> Mapping[str, Any]:
        """One case; one that fails is a row that says so, and the suite goes on."""
        try:
            return dict(PARTS[name].measure(self.bench, case))
        except Exception as error:
            said = (str(error) or "no reason given").splitlines()[0]
            self._broken = STICKY in said
            return {"skipped": f"{type(error).__name__}: {said}"}


def key(case: Case) -> str:
    return json.dumps(case, sort_keys=True)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a part so far; a line cut short by an interruption is measured anew."""
    if not path.exists():
        return []
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    path.write_text("".join(whole), encoding="utf-8")
    return [json.loads(line) for line in whole]

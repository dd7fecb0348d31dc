"""What is run on a machine with a GPU, in the order of what is most worth knowing."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from calibrate.load_rates import load_rates, stated
from simlora.errors import ConfigError

HERE = Path(__file__).parent
REAL_RUN_S = 100.0
"""What a validation of one run may take: probe and prediction, the horizon of the experiments, its processes' end."""
SHARED = "continuous batching"
"""The system whose one process serves all functions."""
HURRY = {"scenario.rate_scale": 6.0, "horizon_s": 25.0}
"""A processor starts a tiny model in seconds: the same arrivals, in a sixth of the time."""


@dataclass(frozen=True)
class Step:
    """``limit_s``: what it may take in all parts together; ``least_s``: with less it is not begun, and told to stop by
    itself so long before its time is over; ``ends``: exit codes of one that is through."""

    name: str
    limit_s: float
    command: Sequence[str]
    least_s: float = 15.0
    takes_minutes: bool = False
    ends: tuple[int, ...] = (0,)

    def within(self, seconds: float) -> list[str]:
        """The command, told when to stop by itself where it can be."""
        if not self.takes_minutes:
            return list(self.command)
        return [*self.command, "--minutes", f"{max(0.0, seconds - self.least_s) / 60 + 0.01:.3f}"]


@dataclass(frozen=True)
class Machine:
    """``device`` as torch calls it; ``backbone`` fits it with room to spare; everything is written below ``out``."""

    device: str
    backbone: str
    out: Path
    models: Path
    priced_as: str | None

    @property
    def profile(self) -> Path:
        return self.out / "measured.toml"

    @property
    def engine(self) -> Path:
        return self.out / "measured-eager.toml"

    @property
    def functions(self) -> Path:
        return self.out / "functions.csv"

    def steps(self) -> list[Step]:
        """All of them. What was fitted by now is what the later ones use; without it, what the experiments name."""
        model, raw = self.models / self.backbone, self.out / "raw"
        simlora, python = _module("simlora.cli"), _module
        fit = [*python("calibrate.measured"), str(raw), str(self.profile)]
        if self.priced_as is not None:
            fit += ["--gpu", self.priced_as]
        engine = [*python("calibrate.measured_engine"), str(raw), str(self.profile), str(self.engine)]
        doctor = [*simlora, "doctor", "--device", self.device, "--out", str(self.out)]
        make = [*simlora, "make-model", self.backbone, "--out", str(model), "--random"]
        return [
            Step("doctor", 120, doctor, ends=(0, 1)),
            Step("model", 180, make),
            self._measure("kernels", 150, "gemm,attention,transfers,elementwise"),
            self._measure("starts", 210, "cold_start,transformers_step"),
            Step("profile", 90, fit),
            Step("engine", 60, engine),
            self._validate("timeline", 240),
            self._validate("burst", 240),
            self._validate("slice", 420),
            self._measure("rest", 300, "lora,storage,step,contention,process,ipc,assemble,compiling"),
        ]

    def _measure(self, name: str, limit_s: float, parts: str) -> Step:
        options = ["--device", self.device, "--models", self.backbone, "--out", str(self.out / "raw"), "--parts", parts]
        return Step(name, limit_s, [*_module("calibrate.measure"), *options], takes_minutes=True)

    def _validate(self, name: str, limit_s: float) -> Step:
        settings: dict[str, object] = {"functions": str(self.functions)} | (HURRY if self.device == "cpu" else {})
        fitted = {"profile": self.profile, "system.engine": self.engine}
        if self.engine.is_file() and name == "slice":
            fitted[f"system.{SHARED}.engine"] = self._with_slots()
        settings |= {key: str(path) for key, path in fitted.items() if path.is_file()}
        with suppress(ConfigError):
            settings["system.loader_bytes_per_s"] = stated(load_rates(self.out / "raw"))
        options = ["--device", self.device, "--out", str(self.out / name), "--models", str(self.models)]
        for key, value in settings.items():
            options += ["--set", f"{key}={value}"]
        command = [*_module("simlora.cli"), "validate", str(HERE / f"{name}.toml"), *options]
        return Step(name, limit_s, command, REAL_RUN_S, takes_minutes=True)

    def _with_slots(self) -> Path:
        """The measured engine, one process serving all functions."""
        slots = tomllib.loads((HERE / "eager-slots.toml").read_text(encoding="utf-8"))
        table = tomllib.loads(self.engine.read_text(encoding="utf-8"))
        path = self.engine.with_name(f"{self.engine.stem}-slots.toml")
        path.write_text(tomli_w.dumps(table | {"name": path.stem, "batching": slots["batching"]}), encoding="utf-8")
        return path

    def write_functions(self) -> None:
        """The functions table, of the backbone that fits here."""
        self.out.mkdir(parents=True, exist_ok=True)
        header, *rows = (HERE / "functions.csv").read_text(encoding="utf-8").splitlines()
        there = [",".join([name, self.backbone, *rest]) for name, _, *rest in (row.split(",") for row in rows)]
        self.functions.write_text("\n".join([header, *there]) + "\n", encoding="utf-8")


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]

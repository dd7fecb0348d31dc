"""``simlora calibrate``: this machine measured, and a latency profile and an engine profile fitted on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from simlora.errors import ConfigError

NOT_DONE = 3
"""How ``calibrate.measure`` ends when its time is over before it is through."""


def calibrate(device: str, models: str | None, out: Path, minutes: float, full: bool) -> Iterator[str]:
    """Lines that say what was written: ``out``, and beside it ``STEM-raw/`` and ``STEM-eager.toml``.

    What ``STEM-raw/`` holds already is not measured again. Raises :class:`ConfigError` without torch or a checkout,
    for a name that is no model, or when time ran out before everything was measured.
    """
    if out.suffix != ".toml":
        raise ConfigError(f"--out {out}: a profile is a .toml file, named after the profile")
    checkout = _checkout()
    raw = out.with_name(f"{out.stem}-raw")
    asked = ["--device", device, "--out", str(raw.resolve()), "--minutes", str(minutes)]
    _measure(checkout, [*asked, *(["--models", models] if models else []), *(["--full"] if full else [])])
    yield from _fit(raw, out)


def _checkout() -> Path:
    """The folder that holds ``calibrate/``, which the wheel does not."""
    spec = find_spec("calibrate")
    if spec is None or spec.origin is None:
        raise ConfigError("calibrate/ is not here: it comes with a checkout of simlora, not with the package")
    if find_spec("torch") is None:
        raise ConfigError("calibrating measures with torch, which is not installed; pip install 'simlora[gpu]'")
    return Path(spec.origin).parents[1]


def _measure(checkout: Path, options: Sequence[str]) -> None:
    path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "calibrate.measure", *options]
    code = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode
    if code == NOT_DONE:
        raise ConfigError("time ran out; what is measured is kept, and the same command goes on from there")
    if code:
        raise ConfigError("measuring failed: the message above says why")


def _fit(raw: Path, out: Path) -> Iterator[str]:
    import tomli_w

    from calibrate.measured import fit_measured
    from calibrate.measured_engine import fit_engine
    from calibrate.public_tables import rounded
    from simlora.study.store import one_message

    profile, held_out = fit_measured(raw, out.stem)
    with one_message(out.parent):
        out.write_text(tomli_w.dumps(rounded(profile)), encoding="utf-8")
    yield f"{out}: simlora profile report {out} shows how well it fits"
    for part, held in held_out.items():
        yield from (f"  {part}, held-out {what}: {points.error}" for what, points in held.items())
    engine = out.with_name(f"{out.stem}-eager.toml")
    try:
        table, error = fit_engine(raw, out, engine.stem)
    except ConfigError as reason:
        yield f"no engine profile: {reason}"
        return
    with one_message(out.parent):
        engine.write_text(tomli_w.dumps(rounded(table)), encoding="utf-8")
    yield f"{engine}: eager Transformers here; whole decode steps: {error}"

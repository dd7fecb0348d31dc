"""What stands in experiments/, and its scripts as modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from simlora.study.run import run_experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
sys.path.append(str(EXPERIMENTS))


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Loads a script by its path below experiments/, where it finds those beside it as if it were called."""
    sys.path.append(str(EXPERIMENTS))

    def load(path: str) -> ModuleType:
        name = f"experiments_{Path(path).stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture(scope="session")
def timeline_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of experiments/timeline."""
    out = tmp_path_factory.mktemp("timeline")
    ran = run_experiment(EXPERIMENTS / "timeline" / "experiment.toml", out=out, jobs=0)
    assert not ran.failed
    return out

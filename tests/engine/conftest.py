"""What the engine's tests share: an engine profile whose stages always take their median."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simlora.latency import engines


@pytest.fixture(scope="session")
def exact_engine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eager Transformers with no spread in any stage, as the path that names it."""
    shipped = (Path(engines.__file__).parent / "engines" / "hf-eager.toml").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("engines") / "exact.toml"
    path.write_text(re.sub(r"(?m)^sigma = .*$", "sigma = 0.0", shipped), encoding="utf-8")
    return str(path)

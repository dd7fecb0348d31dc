"""Clocks that the latency tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlora.latency import ModelLatency, list_backbones, list_engines, list_profiles, load_profile

CASES = [(p, e, b) for p in list_profiles() for e in list_engines() for b in list_backbones()]


@pytest.fixture(scope="session", params=CASES, ids=lambda case: "-".join(case))
def model(request: pytest.FixtureRequest) -> ModelLatency:
    """Every shipped backbone on every shipped profile under every shipped engine."""
    profile, engine, backbone = request.param
    return load_profile(profile, engine).model(backbone)


@pytest.fixture(scope="session")
def tables_dir(data_dir: Path) -> Path:
    """The public tables the shipped coefficients were fitted on; tests that need them are skipped where they aren't."""
    tables = data_dir / "calibration"
    if not tables.is_dir():
        pytest.skip("SIMLORA_DATA holds no calibration/")
    return tables


@pytest.fixture(scope="session")
def llama() -> ModelLatency:
    """Llama-2-7B on L40S under eager Transformers."""
    return load_profile("l40s", "hf-eager").model("llama-2-7b")

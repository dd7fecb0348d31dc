"""The network in numpy is the one that torch trains, and on functions it has not seen it errs less than its rivals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlora.policies.forecast.network import Network, shipped

pytestmark = pytest.mark.torch


def test_any_network_answers_in_numpy_as_in_torch() -> None:
    import torch

    from calibrate.arrivals_lstm import MINUTES, Model, arrays_of

    torch.manual_seed(5)
    model = Model()
    network = Network(arrays_of(model))
    windows = np.random.default_rng(5).poisson(1.5, (200, MINUTES))
    with torch.no_grad():
        answers = torch.sigmoid(model(torch.from_numpy(windows.astype(np.float32)))).tolist()
    assert np.std(answers) > 1e-4
    assert network.chances(windows.tolist()) == pytest.approx(answers, abs=5e-6)


def test_training_lowers_the_error_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls every third minute, beginning at any of them: foreseen without fail."""
    from calibrate import arrivals_lstm as recipe

    for name, value in (("EPOCHS", 30), ("BATCH", 15), ("STEP", 0.01)):
        monkeypatch.setattr(recipe, name, value)
    counts = np.array([[int((minute + phase) % 3 == 0) for minute in range(60)] for phase in range(3)])
    windows, looked_at = recipe.windows_of(counts)
    called = counts[:, recipe.MINUTES :] > 0
    trained = [
        recipe.arrays_of(recipe.train(windows[looked_at].astype(np.float32), called[looked_at].astype(np.float32)))
        for _ in range(2)
    ]
    assert all(np.array_equal(trained[0][name], trained[1][name]) for name in trained[0])
    judged = recipe.judge(Network(trained[0]), counts)
    assert judged["lstm"]["brier"] < 0.01 < 0.1 < judged["mean"]["brier"]


def test_the_shipped_network_errs_least_on_functions_it_has_not_seen(data_dir: Path) -> None:
    from calibrate.arrivals_lstm import HELD_OUT, judge, read

    judged = judge(shipped(), read(HELD_OUT)[::16])
    assert judged["lstm"]["brier"] < 0.8 * judged["ewma"]["brier"]
    assert judged["lstm"]["wrong"] < judged["ewma"]["wrong"] < judged["naive"]["wrong"] < judged["mean"]["wrong"]

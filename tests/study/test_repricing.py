"""Other prices on finished runs: what they are billed over, and what a month of it is."""

from __future__ import annotations

import pytest

from simlora.study.repricing import price_table, reprice
from simlora.study.run import run_experiment


def test_a_month_is_as_many_windows_as_it_holds(folder, engine, monkeypatch):
    monkeypatch.setattr("simlora.study.run.write_figures", lambda *_: None)
    ran = run_experiment(folder.file, folder.path / "out", ["seeds=1"], jobs=0)
    found = reprice(ran.out, ["runpod-2026", "ec2-on-demand-2026"])
    assert {one.price for one in found} == {"runpod-2026", "ec2-on-demand-2026"}
    for one in found:
        assert one.window_h.estimate == pytest.approx(600 / 3600)
        assert one.month_usd.estimate == pytest.approx(one.run_usd.estimate * 30 * 24 / one.window_h.estimate)
    assert "billed over (h)" in [column.header for column in price_table(found).columns]

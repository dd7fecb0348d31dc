"""``simlora validate``: an experiment predicted, then run for real, and the two set side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simlora.errors import ConfigError, SimloraError
from simlora.results.load import load
from simlora.study.console import stderr
from simlora.study.experiment import read_study
from simlora.study.grid import Cell, build_grid
from simlora.study.hashing import cell_key
from simlora.study.overrides import parse_setting
from simlora.study.regime import survey
from simlora.study.run import Ran, default_out, run_experiment, validation_of
from simlora.study.store import Store
from simlora.study.summary import write_by_function, write_summary
from simlora.study.systems import load_prices
from simlora.study.worker import Outcome, parts_of
from simlora.study.workloads import workload_of
from simlora.validate.folders import prepare
from simlora.validate.real import RealRun
from simlora.validate.report import write_report
from simlora.validate.seal import seal


def validate(
    path: Path,
    device: str,
    out: Path | None = None,
    models: Path | None = None,
    minutes: float = 60.0,
    sets: Sequence[str] = (),
) -> Ran:
    """Predict an experiment into ``out/predicted``, run it on ``device`` into ``out/measured``, and write the report.

    ``models``: folder of model and adapter folders (default: ``out/models``), made of random numbers where they are
    missing. Runs begin while ``minutes`` last, the first seed of every system first; a later call goes on. Raises
    :class:`SimloraError` for input that does not fit.
    """
    study = read_study(path, [parse_setting(text) for text in sets])
    for at, scenario in enumerate(study.experiment.scenario):
        if scenario.failure:
            where = study.document.where(("scenario", at, "failure", 0))
            raise ConfigError(f"{where}: failures of a scenario can only be simulated, not validated")
    out = out or validation_of(default_out(path))
    run_experiment(path, out / "predicted", sets)
    grid = build_grid(study)
    cells = [c for c in sorted(grid.cells, key=lambda cell: cell.seed) if c.config.evaluation == "simulation"]
    if not cells:
        raise ConfigError(f"{path}: no system that can run for real")
    seal(out / "predicted", out)
    digests = {t.group: t.digest for t in survey(grid)}
    store = Store(out / "measured")
    store.create(fresh=False)
    failed, ends_s = [], time.monotonic() + minutes * 60
    finished: list[Cell] = []
    for cell in cells:
        key = f"{device}-{cell_key(cell, digests[cell.group], False)}"
        if not store.has(cell, key):
            if time.monotonic() > ends_s:
                continue
            outcome = _for_real(cell, key, store, device, models or out / "models")
            if outcome.error:
                failed.append(outcome)
                continue
        finished.append(cell)
    if finished:
        _, facts = write_summary(store, finished, load_prices(grid.study.experiment, grid.study.document))
        write_by_function(store, finished, facts)
        write_report(load(out / "predicted"), load(out / "measured"), out)
    return Ran(out, tuple(failed), bool(finished), len(cells) - len(finished) - len(failed))


def _for_real(cell: Cell, key: str, store: Store, device: str, models: Path) -> Outcome:
    stderr().print(f"for real: {cell.folder}", markup=False)
    workload = workload_of(cell.settings["workload"], cell.base_dir)
    parts = parts_of(cell, workload)
    del parts["stepwise"], parts["failures"]
    folders, adapters = prepare(parts["functions"], models)
    try:
        real = RealRun(**parts, models=folders, adapters=adapters, device=device)
        record = real.run(cell.settings["horizon_s"])
    except (SimloraError, RuntimeError) as error:
        return Outcome(cell, str(error))
    facts = {**record.facts, "duration_s": cell.settings["workload"]["duration_s"], **real.facts()}
    store.put(cell, key, replace(record, facts=facts))
    return Outcome(cell)

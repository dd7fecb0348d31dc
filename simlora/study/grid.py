"""The grid: systems x scenarios x sweep points x seeds, as plain data that any process can run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simlora.cluster.config import ClusterConfig
from simlora.cluster.failures import Failure
from simlora.cluster.machines import Machines, load_machines
from simlora.entities import Function
from simlora.study.document import Document
from simlora.study.experiment import Experiment, Scenario, Study
from simlora.study.faults import refusal
from simlora.study.functions import Row, check_fit, make_functions, with_slo
from simlora.study.generated import table_rows
from simlora.study.systems import Resolved, beside, check_gpus, check_rates, resolve_systems
from simlora.systems import SystemConfig
from simlora.systems.config import parse_system

Group = tuple[str, str, int]


@dataclass(frozen=True)
class Cell:
    """One run. ``settings`` is all it depends on besides code and the content of the files that it names."""

    system: str
    scenario: str
    point: str
    seed: int
    settings: Mapping[str, Any]
    base_dir: str

    @property
    def folder(self) -> Path:
        """Where its results lie below ``cells/``."""
        return Path(self.system, self.scenario, self.point, str(self.seed))

    @property
    def group(self) -> Group:
        """What it shares with the cells it is compared with: scenario, point and seed, hence its workload."""
        return self.scenario, self.point, self.seed

    @property
    def config(self) -> SystemConfig:
        """The system's policies and mechanism facts."""
        return parse_system(self.settings["system"], f'system "{self.system}"')

    @property
    def cluster(self) -> ClusterConfig:
        """The machines."""
        found = ClusterConfig.model_validate(self.settings["cluster"])
        return found.with_profiles(lambda name: beside(name, Path(self.base_dir)))

    @property
    def failures(self) -> list[Failure]:
        """What fails."""
        return [Failure.model_validate(one) for one in self.settings["failures"]]

    @property
    def functions(self) -> list[Function]:
        """The functions table with the SLOs that count for this system."""
        return make_functions(self.settings["functions"], Path(self.base_dir, self.settings["functions_dir"]))

    @property
    def machines(self) -> tuple[Machines, ...]:
        """The machines under the system's engine, with what was measured of them."""
        base_dir = Path(self.base_dir)
        profile, engine = self.settings["profile"], self.settings["system"]["engine"]
        return load_machines(self.cluster, beside(profile, base_dir), beside(engine, base_dir))

    def with_gpus(self, gpus: int) -> Cell:
        """The same run with only the cluster's first ``gpus`` GPUs, under the name that says so."""
        name = named_with(self.system, [gpus])
        system = {**self.settings["system"], "name": name}
        system["limits"] = {**system["limits"], "gpus": gpus}
        return replace(self, system=name, settings={**self.settings, "system": system})


OF_GPUS = re.compile(r" \((\d+) GPUs?\)$")


def named_with(system: str, gpus: Sequence[int]) -> str:
    """The name of a system with only so many GPUs; of several numbers the range."""
    low, high = min(gpus), max(gpus)
    return f"{system} ({low} GPU{'s' if low > 1 else ''})" if low == high else f"{system} ({low} to {high} GPUs)"


def full_name(system: str) -> str:
    """The name of a system with all GPUs, from that of the same with a stated number."""
    return OF_GPUS.sub("", system)


def gpus_in(system: str) -> int | None:
    """The number of GPUs that a system's name states, if it states one."""
    found = OF_GPUS.search(system)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Grid:
    """All cells of a study, those that share a workload side by side."""

    study: Study
    cells: tuple[Cell, ...]
    systems: Mapping[str, Mapping[str, Resolved]]

    @property
    def workloads(self) -> list[Cell]:
        """One cell for each distinct workload."""
        firsts: dict[Group, Cell] = {}
        for cell in self.cells:
            firsts.setdefault(cell.group, cell)
        return list(firsts.values())

    def in_order(self, cells: Sequence[Cell]) -> list[Cell]:
        """Cells in the order of the file; a system with fewer GPUs right behind the same with all."""
        place = {cell.folder: at for at, cell in enumerate(self.cells)}
        return sorted(cells, key=lambda cell: (place[replace(cell, system=full_name(cell.system)).folder], cell.system))


def build_grid(study: Study) -> Grid:
    """Resolve and check everything the study names; the first thing wrong is the :class:`SimloraError` raised."""
    systems: dict[str, dict[str, Resolved]] = {}
    cells: list[Cell] = []
    for point, experiment in study.points.items():
        systems[point] = resolve_systems(experiment, study.document)
        for index, scenario in enumerate(experiment.scenario):
            shared = _shared_settings(experiment, scenario, index, study.document)
            settings = {
                name: _settings(shared, system, experiment, study.document) for name, system in systems[point].items()
            }
            for seed in experiment.seed_list:
                for name, own in settings.items():
                    seeded = {**own, "seed": seed, "workload": {**own["workload"], "seed": seed}}
                    cells.append(Cell(name, scenario.name, point, seed, seeded, str(study.base_dir)))
    return Grid(study, tuple(cells), systems)


def _shared_settings(experiment: Experiment, scenario: Scenario, index: int, document: Document) -> dict[str, Any]:
    """What all systems of a scenario have in common."""
    table = scenario.functions or experiment.functions
    key = ("scenario", index, "functions") if scenario.functions else ("functions",)
    with document.at(*key):
        rows, folder = table_rows(table, document.path.parent)
    cluster = _cluster(experiment, scenario, index, document)
    for at, failure in enumerate(scenario.failure):
        with document.at("scenario", index, "failure", at):
            failure.check(cluster, [row["function"] for row in rows])
    return {
        "cluster": cluster.model_dump(mode="json"),
        "failures": [failure.model_dump(mode="json") for failure in scenario.failure],
        "functions": rows,
        "functions_dir": str(folder),
        "profile": experiment.profile,
        "horizon_s": experiment.horizon_s,
        "workload": {
            "trace": scenario.trace,
            "lengths": scenario.lengths,
            "functions": [row["function"] for row in rows],
            "duration_s": scenario.duration_s,
            "rate_scale": scenario.rate_scale,
        },
    }


def _cluster(experiment: Experiment, scenario: Scenario, index: int, document: Document) -> ClusterConfig:
    values = experiment.cluster.overlaid(scenario.cluster)
    key = ("scenario", index, "cluster")
    try:
        with document.at(*key):
            return ClusterConfig.model_validate(values)
    except ValidationError as error:
        with document.at(*key):
            raise refusal(
                error, ClusterConfig, Document(Path(f"scenario.{scenario.name}.cluster"), values, {})
            ) from None


def _machines(cluster: ClusterConfig, profile: str, engine: str, document: Document) -> tuple[Machines, ...]:
    def found(name: str) -> str:
        return beside(name, document.path.parent)

    with document.at("cluster", "group"):
        return load_machines(cluster.with_profiles(found), found(profile), found(engine))


def _settings(
    shared: Mapping[str, Any], system: Resolved, experiment: Experiment, document: Document
) -> dict[str, Any]:
    folder = document.path.parent / shared["functions_dir"]
    rows: list[Row] = with_slo(shared["functions"], experiment.slo, system.profile, folder, document.where(("slo",)))
    cluster = ClusterConfig.model_validate(shared["cluster"])
    check_gpus(system, cluster.gpus, f'{document.where(("system",))}: system "{system.config.name}"')
    machines = _machines(cluster, shared["profile"], system.config.engine, document)
    check_rates(system, machines, experiment, document)
    with document.at("functions"):
        check_fit(rows, folder, machines, system.config.limits.gpus)
    return {**shared, "functions": rows, "system": system.config.model_dump(mode="json")}

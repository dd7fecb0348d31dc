"""The optimum of ServerlessLoRA's knapsack, by integer programming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from simlora.actions import Start
from simlora.policies.preloading.knapsack import Knapsack, Lacking, Rates
from simlora.policies.preloading.room import Room
from simlora.policies.registry import register
from simlora.views import ClusterView, ContainerView, GpuView

BYTES = 1e9
"""Sizes are in GB in the program, so that a solver's tolerances are small beside them."""


class _Item(NamedTuple):
    """One more stage of a function in a container, and its column in the program."""

    lacking: Lacking
    container: ContainerView
    stage: str
    column: int


class _Program:
    """Maximise value @ x over x in {0, 1} with rows of coefficients @ x <= limit."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._rows: list[tuple[dict[int, float], float]] = []

    def column(self, value: float) -> int:
        self._values.append(value)
        return len(self._values) - 1

    def at_most(self, coefficients: dict[int, float], limit: float) -> None:
        self._rows.append((coefficients, limit))

    def implies(self, one: int, other: int) -> None:
        """``one`` is taken only where ``other`` is."""
        self.at_most({one: 1.0, other: -1.0}, 0.0)

    def solve(self, node_limit: int, time_limit_s: float) -> tuple[list[bool], bool]:
        """Which columns are taken, and whether that is proved to be the best; none if nothing was found in time."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array

        places = [(row, column) for row, (coefficients, _) in enumerate(self._rows) for column in coefficients]
        data = [value for coefficients, _ in self._rows for value in coefficients.values()]
        shape = len(self._rows), len(self._values)
        matrix = coo_array((data, tuple(np.array(places).T)), shape=shape).tocsr()
        values = np.array(self._values)
        found = milp(
            -values / (values.max() or 1.0),
            integrality=np.ones(len(values), np.int64),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, ub=[limit for _, limit in self._rows]),
            options={"mip_rel_gap": 0.0, "node_limit": node_limit, "time_limit": time_limit_s},
        )
        taken = [False] * len(values) if found.x is None else (found.x > 0.5).tolist()
        return taken, found.status == 0


@register("preloading", "pckp-exact")
@dataclass
class PckpExact(Knapsack):
    """The stages that are worth most together, found by branch and bound (scipy's ``milp``, HiGHS).

    The same items, values and constraints as ``pckp``, and any idle container for any function. ``node_limit`` bounds
    the search of one plan; what is best by then is done, and ``proved`` says whether it is the optimum.
    ``time_limit_s`` bounds it by the clock, on which decisions then depend: for studies of the solver alone.
    """

    node_limit: int = 10_000
    time_limit_s: float = math.inf
    proved: bool = field(default=True, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.node_limit < 1 or self.time_limit_s <= 0:
            raise ValueError("node_limit must be at least 1 and time_limit_s more than 0")

    def _fill(self, lacking: Sequence[Lacking], rates: Rates, view: ClusterView) -> list[Start]:
        program = _Program()
        items = [item for one in lacking for item in self._items(program, one, rates, view)]
        if not items:
            return []
        loads = self._loads(program, items, rates)
        self._capacities(program, items, loads)
        taken, self.proved = program.solve(self.node_limit, self.time_limit_s)
        return self._starts([item for item in items if taken[item.column]])

    def _items(self, program: _Program, one: Lacking, rates: Rates, view: ClusterView) -> list[_Item]:
        """A chain of stages in every container the function could go to, of which it goes to one."""
        items: list[_Item] = []
        firsts: dict[int, float] = {}
        by_id = [view.idle_containers[id_] for id_ in sorted(view.idle_containers)]
        wide = [container for container in by_id if len(container.gpus) == one.function.backbone.tensor_parallel]
        for container in [one.partial.container] if one.partial else wide:
            before = -1
            for stage in self._missing(one.partial):
                loads = self._loads_for_all(one.function, stage, container.gpu)
                column = program.column(0.0 if loads else self._value(one.function, stage, container.gpu, rates))
                if before < 0:
                    firsts[column] = 1.0
                else:
                    program.implies(column, before)
                items.append(_Item(one, container, stage, column))
                before = column
        if firsts:
            program.at_most(firsts, 1.0)
        return items

    def _loads(self, program: _Program, items: Sequence[_Item], rates: Rates) -> dict[int, _Item]:
        """A column for each shared backbone and GPU that lacks it: taken exactly if one of its mappers is."""
        mappers: dict[tuple[int, str], list[_Item]] = {}
        for item in items:
            if self._loads_for_all(item.lacking.function, item.stage, item.container.gpu):
                key = item.container.gpu.index, item.lacking.function.backbone.name
                mappers.setdefault(key, []).append(item)
        loads: dict[int, _Item] = {}
        for mapping in mappers.values():
            first = mapping[0]
            load = program.column(self._value(first.lacking.function, first.stage, first.container.gpu, rates))
            for item in mapping:
                program.implies(item.column, load)
            program.at_most({load: 1.0} | {item.column: -1.0 for item in mapping}, 0.0)
            loads[load] = first
        return loads

    def _capacities(self, program: _Program, items: Sequence[_Item], loads: dict[int, _Item]) -> None:
        """What is free in each container and on each GPU."""
        hosts: dict[int, tuple[ContainerView, dict[int, float]]] = {}
        devices: dict[int, tuple[GpuView, dict[int, float]]] = {}
        for item in items:
            function, container, gpu = item.lacking.function, item.container, item.container.gpu
            if host_bytes := self._estimates.stage_host_bytes(function, item.stage):
                hosts.setdefault(container.id, (container, {}))[1][item.column] = host_bytes / BYTES
            device_bytes = self._estimates.stage_device_bytes(function, item.stage, gpu)
            if device_bytes and not self._loads_for_all(function, item.stage, gpu):
                for each in container.gpus:
                    devices.setdefault(each.index, (each, {}))[1][item.column] = device_bytes / BYTES
        for load, item in loads.items():
            load_bytes = self._estimates.stage_device_bytes(item.lacking.function, item.stage, item.container.gpu)
            for each in item.container.gpus:
                devices.setdefault(each.index, (each, {}))[1][load] = load_bytes / BYTES
        for container, sizes in hosts.values():
            program.at_most(sizes, container.free_bytes / BYTES)
        for gpu, sizes in devices.values():
            program.at_most(sizes, gpu.free_bytes / BYTES)

    def _starts(self, taken: Sequence[_Item]) -> list[Start]:
        """One start per function, up to its deepest stage; bytes beyond a capacity by a solver's tolerance are not."""
        room = Room(self._estimates)
        upto: dict[int, _Item] = {}
        cut_short: dict[int, _Item] = {}
        for item in taken:
            index, function = item.lacking.function.index, item.lacking.function
            fits = index not in cut_short and room.take(function, item.stage, item.container)
            (upto if fits else cut_short)[index] = item
        why = "worth most together" if self.proved else "the best found within the search's limits"
        return [self._start(item.lacking, item.container, item.stage, why) for item in upto.values()]

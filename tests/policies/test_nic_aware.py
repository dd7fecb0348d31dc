"""Placement in pipelines: in worlds in which the rule wants one, and what its contract does not admit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from simlora.actions import Placement
from simlora.entities import Function
from simlora.policies.placement import NicAware
from simlora.testing.contracts.placement import check_pipeline
from simlora.testing.estimates import TableEstimates
from simlora.testing.worlds import World, make_world

SEEDS = range(400)


def wanting(parts: int) -> Iterator[tuple[World, Function, Placement | None]]:
    """Worlds, functions with an SLO that so many nodes just keep where their ways are free, and the policy's answer."""
    for seed in SEEDS:
        world = replace(make_world(random.Random(seed)), estimates=TableEstimates(shared=False))
        policy = NicAware(setup_s=0.0)
        policy.bind(world.context())
        per_s = max(node.fetch_per_s for node in world.view.nodes)
        for function in world.view.functions if per_s else ():
            places = world.view.places(function.backbone.tensor_parallel)
            slo_s = function.backbone.weights_bytes / parts / per_s * 1.001
            hurried = replace(function, slo_ttft_s=slo_s)
            yield world, hurried, policy.place(hurried, places, world.view) if places else None


def test_every_part_has_a_node_and_room_of_its_own() -> None:
    answers = [(world, function, answer) for world, function, answer in wanting(2) if answer and answer.pipeline]
    assert len(answers) > 5
    for world, function, answer in answers:
        check_pipeline(answer, function, world)
        node = answer.gpu.node
        assert not node.caches(function.backbone.name)
        assert not node.stores(function.backbone.name)
        assert answer.pipeline[0].free_bytes == max(gpu.free_bytes for gpu in answer.pipeline[0].node.gpus)


def test_no_pipeline_where_one_node_does_or_none_would() -> None:
    for parts in (1, 3):
        assert not any(answer.pipeline for _, _, answer in wanting(parts) if answer), "there are two nodes at most"


def test_the_contract_rejects_parts_without_room_on_one_node_or_of_what_is_shared() -> None:
    rejected = dict.fromkeys(("on one node", "does not fit", "can't be split"), 0)
    for world, function, answer in wanting(2):
        gpus = world.view.gpus
        if answer is None or function.backbone.tensor_parallel > 1:
            continue
        for estimates, pipeline in (
            (TableEstimates(shared=False), [answer.gpu]),
            (
                TableEstimates(shared=False, context_bytes=10**12),
                [g for g in gpus if g.node is not answer.gpu.node][:1],
            ),
            (TableEstimates(), gpus),
        ):
            if pipeline:
                with pytest.raises(AssertionError) as error:
                    check_pipeline(
                        Placement(answer.gpu, pipeline=pipeline), function, replace(world, estimates=estimates)
                    )
                rejected[next(what for what in rejected if what in str(error.value))] += 1
    assert all(rejected.values()), rejected

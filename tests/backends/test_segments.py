"""The decoding batch: who ends when, one-token requests, prompts in chunks, leaving and coming back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import simpy

from simlora.backends.base import PrefillChunk, Progress
from simlora.backends.decoding import Decoding
from simlora.backends.gpu_clock import GpuClock
from simlora.backends.segments import SimulatedRun
from simlora.entities import QueuedRequest
from simlora.latency.contention import TimeSlice
from simlora.testing.scenario import make_functions
from simlora.testing.steps import ConstantSteps

FUNCTION = make_functions("llama-2-7b")[0]
FAR = 1 << 40


class Batch:
    """A batch on its own GPU; prefill takes 1 s, a decode step 0.1 s."""

    def __init__(self, *output_tokens: int, as_one: bool = False):
        self.env = simpy.Environment()
        self.clock = GpuClock(self.env, TimeSlice(), stepwise=False)
        self.model = ConstantSteps(0.1, prefill_s=1.0)
        self.decoding = Decoding(output_tokens, as_one, {})
        self.requests = [QueuedRequest(i, FUNCTION, 0.0, 50, n) for i, n in enumerate(output_tokens)]
        self.steps = 0

    def prompt(self, index: int, tokens: int = 50, past: int = 0) -> PrefillChunk:
        return PrefillChunk(self.requests[index], tokens, past, tokens + past == 50)

    def start(self, prefill: Sequence[PrefillChunk], at_most: int = FAR) -> SimulatedRun:
        run = SimulatedRun(self.env, self.model, self.decoding, prefill, at_most, 1, 16)
        run.start(self.clock, self.count)
        return run

    def count(self, steps: int) -> None:
        self.steps += steps

    def run(self, *prefill: PrefillChunk, at_most: int = FAR) -> tuple[int, list[int], float]:
        """Steps done, who finished, and when."""
        done = self.start(prefill, at_most).done
        progress = self.env.run(until=done)
        assert isinstance(progress, Progress)
        return progress.steps, [request.index for request in progress.finished], round(self.env.now, 9)


def test_a_request_has_one_token_from_its_prefill_and_one_from_each_step() -> None:
    assert Batch(4).run(Batch(4).prompt(0)) == (4, [0], 1.3)


def test_a_request_of_one_token_ends_with_its_prefill() -> None:
    batch = Batch(1, 3)
    assert batch.run(batch.prompt(0), batch.prompt(1)) == (1, [0], 1.0)
    assert batch.run() == (2, [1], 1.2)


def test_each_leaves_at_its_own_end() -> None:
    batch = Batch(3, 5, 3)
    assert batch.run(*map(batch.prompt, range(3))) == (3, [0, 2], 1.2)
    assert batch.decoding.context_tokens == 50 + 3
    assert batch.run() == (2, [1], 1.4)
    assert batch.decoding.context_tokens == 0


def test_a_batch_that_ends_as_one_lets_nobody_go_before_its_last() -> None:
    batch = Batch(3, 5, 1, as_one=True)
    assert batch.run(*map(batch.prompt, range(3))) == (5, [2, 0, 1], 1.4)
    assert batch.decoding.context_tokens == 0


def test_a_bounded_run_goes_on_where_it_stopped() -> None:
    batch = Batch(10)
    assert batch.run(batch.prompt(0), at_most=4) == (4, [], 1.3)
    assert batch.run(at_most=4) == (4, [], 1.7)
    assert batch.run(at_most=4) == (2, [0], 1.9)
    assert batch.steps == 10


def test_a_prompt_in_chunks_joins_with_its_last_while_the_others_decode() -> None:
    batch = Batch(8, 2)
    batch.run(batch.prompt(0), at_most=1)
    assert batch.run(batch.prompt(1, 30), at_most=1) == (1, [], 2.0)
    assert batch.run(batch.prompt(1, 20, past=30)) == (2, [1], 3.1)
    assert batch.run() == (4, [0], 3.5)


def test_a_chunk_alone_is_one_step_though_nobody_decodes() -> None:
    batch = Batch(5)
    assert batch.run(batch.prompt(0, 30)) == (1, [], 1.0)


def test_one_who_ends_in_the_step_that_prefills_another_leaves_then() -> None:
    batch = Batch(2, 9)
    batch.run(batch.prompt(0), at_most=1)
    assert batch.run(batch.prompt(1)) == (1, [0], 2.0)


def test_first_tokens_come_when_the_prefilling_step_ends() -> None:
    batch = Batch(5)
    progress = batch.env.run(until=batch.start([batch.prompt(0)]).done)
    assert isinstance(progress, Progress)
    assert progress.first_token_s == pytest.approx(1.0)


def test_one_who_left_comes_back_with_what_it_had() -> None:
    """Ten tokens: four before it left, then a prompt that holds them, whose prefill yields the fifth."""
    batch = Batch(10, 30)
    batch.run(batch.prompt(0), batch.prompt(1), at_most=4)
    batch.decoding.leave(batch.requests[0])
    assert batch.decoding.context_tokens == 54
    back = QueuedRequest(0, FUNCTION, 0.0, 54, 6)
    assert batch.run(PrefillChunk(back, 54, 0, True)) == (6, [0], 2.8)
    assert batch.decoding.context_tokens == 50 + 4 + 6


def test_one_who_leaves_twice_has_the_sum_of_both_stays() -> None:
    batch = Batch(10)
    batch.run(batch.prompt(0), at_most=3)
    batch.decoding.leave(batch.requests[0])
    again = QueuedRequest(0, FUNCTION, 0.0, 53, 7)
    batch.run(PrefillChunk(again, 53, 0, True), at_most=2)
    batch.decoding.leave(again)
    third = QueuedRequest(0, FUNCTION, 0.0, 55, 5)
    assert batch.run(PrefillChunk(third, 55, 0, True))[:2] == (5, [0])


def test_a_stopped_run_tells_the_steps_it_did() -> None:
    batch = Batch(50)
    run = batch.start([batch.prompt(0)])
    batch.env.timeout(1.55).callbacks.append(lambda timer: run.stop())
    progress = batch.env.run(until=run.done)
    assert isinstance(progress, Progress)
    assert (progress.steps, progress.finished, round(batch.env.now, 9)) == (7, [], 1.6)
    assert batch.run() == (43, [0], 5.9)

"""What a process was asked, as the engine waits for it: events of the wall clock's environment."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from math import nan
from typing import Any, cast

import simpy

from simlora.backends.base import PrefillChunk, Progress
from simlora.backends.decoding import Decoding
from simlora.backends.torch_gpu.process import Worker
from simlora.clock import WallClock


class Work:
    """Something a process was asked: implements :class:`simlora.backends.base.Task`."""

    def __init__(self, env: WallClock, future: Future[Any]):
        self._began_s = env.now
        self._env = env
        self.done = env.event()
        env.when_done(future).callbacks.append(self._over)

    def _over(self, event: simpy.Event) -> None:
        if isinstance(event.value, Exception):
            event.defused = True
            self.done.fail(event.value)
        else:
            self.done.succeed(self._env.now - self._began_s)

    def stop(self) -> None:
        """It goes on to its end; nobody waits for it."""
        self.done.defused = True


class TorchRun:
    """Steps of a process's batch: implements :class:`simlora.backends.base.RunTask`."""

    def __init__(
        self,
        env: WallClock,
        worker: Worker,
        number: int,
        decoding: Decoding,
        prefill: Sequence[PrefillChunk],
        steps: int,
        future: Future[Any],
    ):
        self.done = env.event()
        self._env = env
        self._worker = worker
        self._number = number
        self._decoding = decoding
        self._prefill = prefill
        self._steps = steps
        env.when_done(future).callbacks.append(self._over)

    def stop(self) -> None:
        if self._steps > 1:
            self._worker.stop_run(self._number)

    def abandon(self) -> None:
        """Whatever becomes of it, nobody waits."""
        self.done.defused = True

    def _over(self, event: simpy.Event) -> None:
        if isinstance(event.value, Exception):
            event.defused = True
            self.done.fail(event.value)
            return
        self._stepped(*cast(tuple[int, float], event.value))

    def _stepped(self, steps: int, first_s: float) -> None:
        first_token_s = self._env.at_s(first_s) if self._prefill else nan
        finished = self._decoding.stepped(self._prefill, steps)
        self.done.succeed(Progress(steps, finished, first_token_s))

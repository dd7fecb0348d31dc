"""A process that works for the engine: asked one thing after another, answering through futures."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair
from typing import Any, NamedTuple

from simlora.backends.base import WorkFailedError

LOOK_S = 0.2
"""How often a silent process is looked after."""
QUIT_S = 5.0
"""Time to end in before it is killed."""
GONE_S = 60.0
"""Time that the driver may take to clear up behind a process that was killed."""
ALLOCATOR_SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
SHARED_MEMORY = Path("/dev/shm")
AUTHKEY = os.urandom(32)
"""Lets the processes of one run, and no others, hand each other memory."""


def environment() -> dict[str, str]:
    """Of a process that shares memory: without settings of torch's allocator, whose expandable segments other processes
    can map only where they may look into each other (pytorch issue 165685)."""
    return {name: value for name, value in os.environ.items() if name not in ALLOCATOR_SETTINGS}


class _Asked(NamedTuple):
    what: str
    future: Future[Any]
    deadline_s: float


class Worker:
    """A child process running :mod:`simlora.backends.torch_gpu.worker` on ``device``; ``gone`` says why it ended."""

    def __init__(self, device: str, name: str):
        self.name = name
        ours, theirs = socketpair()
        self._stops, their_stops = socketpair()
        fds = theirs.fileno(), their_stops.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simlora.backends.torch_gpu.worker", *map(str, fds), device],
            pass_fds=fds,
            env={**environment(), "SIMLORA_AUTHKEY": AUTHKEY.hex(), "PYTHONWARNINGS": "ignore"},
            start_new_session=True,
        )
        theirs.close()
        their_stops.close()
        self._pipe = Connection(ours.detach())
        self.gone: Future[str] = Future()
        self._asked: deque[_Asked] = deque()
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name=name, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, what: str, limit_s: float, **how: Any) -> Future[Any]:
        """Have it do ``what``; the future fails with :class:`WorkFailedError` if it can't, dies, or takes too long."""
        future: Future[Any] = Future()
        with self._lock:
            self._asked.append(_Asked(what, future, time.monotonic() + limit_s))
        try:
            self._pipe.send((what, how))
        except OSError:
            self._all_fail()
        return future

    def stop_run(self, number: int) -> None:
        """End the run of this number at its next step; one that is over already is not affected."""
        try:
            self._stops.send(number.to_bytes(8))
        except OSError:
            self._all_fail()

    def _listen(self) -> None:
        """Until it is gone: answers to futures; a process that outstays a limit is killed."""
        try:
            while True:
                if self._pipe.poll(LOOK_S):
                    self._answer(*self._pipe.recv())
                elif self._asked and time.monotonic() > self._asked[0].deadline_s:
                    self._process.kill()
        except (EOFError, OSError):
            self._all_fail()

    def _answer(self, good: bool, value: Any) -> None:
        with self._lock:
            asked = self._asked.popleft()
        if good:
            asked.future.set_result(value)
        else:
            asked.future.set_exception(WorkFailedError(f"{self.name}: {asked.what}: {value}"))

    def _all_fail(self) -> None:
        with self._lock:
            asked, self._asked = list(self._asked), deque()
            late = asked and time.monotonic() > asked[0].deadline_s
            why = f"{asked[0].what} took too long and was killed" if late else "its process ended"
            if not self.gone.done():
                self.gone.set_result(f"{self.name}: {why}")
        for what, future, _ in asked:
            future.set_exception(WorkFailedError(f"{self.name}: {what}: {why}"))

    def end(self) -> None:
        """Have it quit, and see to it that it does, without waiting for it here."""
        self.ask("quit", QUIT_S)
        threading.Thread(target=self._see_it_end, daemon=True).start()

    def _see_it_end(self) -> None:
        try:
            self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it now, and wait until it is gone."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GONE_S)
        # Counters of the tensors it had exported, which only a process that ends by itself removes.
        for counters in SHARED_MEMORY.glob(f"torch_{self.pid}_*"):
            counters.unlink(missing_ok=True)

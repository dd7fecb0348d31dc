"""What the engine asks of a back-end. Every call returns at once; ``done`` fires when the work is.

Only a back-end knows true durations and how many tokens a request will produce (design law 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import simpy

from simlora.cluster.hardware import Node
from simlora.cluster.processes import BackboneProcess, Instance
from simlora.entities import Artifact, Function, QueuedRequest, Tier
from simlora.errors import SimloraError
from simlora.latency.engines import Stage


class PrefillChunk(NamedTuple):
    """``tokens`` new ones of a request, ``past`` of which are in KV already; the last chunk yields a token."""

    request: QueuedRequest
    tokens: int
    past: int
    last: bool


class Progress(NamedTuple):
    """What a run did: engine steps, and the requests that produced their last token in the final one.

    ``first_token_s``: when the prefill of its first step ended (NaN if it had none).
    """

    steps: int
    finished: Sequence[QueuedRequest]
    first_token_s: float


class WorkFailedError(SimloraError):
    """A process died, hung, or could not do what it was asked."""


class Task(Protocol):
    """Work under way. The value of ``done`` is its seconds, or for a run its :class:`Progress`.

    Work that cannot be done fails ``done`` with :class:`WorkFailedError`.
    """

    @property
    def done(self) -> simpy.Event: ...
    def stop(self) -> None:
        """A run ends at its next step boundary; anything else at once, and nobody hears of its ``done``."""
        ...


class RunTask(Task, Protocol):
    """Steps under way."""

    def abandon(self) -> None:
        """Its process is gone: it ends at once, and nobody hears of its ``done``."""
        ...


Lost = Callable[[Instance | BackboneProcess, str], None]
"""Who is told that a process has ended of its own accord, and why."""


class Backend(Protocol):
    """Where work is done; ``runs`` and ``steps`` count what it has done so far."""

    runs: int
    steps: int

    def report_to(self, lost: Lost) -> None:
        """Whom to tell of processes that end without having been told to."""
        ...

    def spoil(self, function: Function, loads: int | None) -> None:
        """The next so many loads of the function's adapter fail (``None``: all of them), as of a corrupt file."""
        ...

    def stage(self, instance: Instance, stage: Stage, artifact: Artifact | None, source: Tier | None) -> Task:
        """One step of a cold start; ``source``: the tier its bytes come from.

        Without an artifact, a stage that usually moves one only maps the shared copy.
        """
        ...

    def stand(self, instance: Instance, stages: Sequence[Stage]) -> None:
        """An engine that is always on has all these stages behind it when the clock begins."""
        ...

    def load_backbone(self, process: BackboneProcess, stage: Stage, checkpoint: Artifact, source: Tier) -> Task:
        """The weights into a backbone process, once for all who map them."""
        ...

    def fetch(self, artifact: Artifact, node: Node) -> Task:
        """From the remote store to the storage of a node."""
        ...

    def load_adapter(self, instance: Instance, function: Function, source: Tier) -> Task:
        """Into a slot of an engine that serves many functions."""
        ...

    def set_mode(self, instance: Instance, merged: Function | None) -> Task:
        """Between two runs: take out the adapter that is merged into the weights, if any, and merge this one, if any.

        While one is merged only its requests run; those of others pause.
        """
        ...

    def run(self, instance: Instance, prefill: Sequence[PrefillChunk], at_most: int) -> RunTask:
        """Steps over the running batch: the first also prefills, then all decode.

        It ends when a request finishes (or all, where a batch ends as one), after ``at_most`` steps, or when stopped.
        """
        ...

    def serve_alone(self, instance: Instance) -> None:
        """Between two runs: it has the whole model now, and its steps no longer go over the GPUs of a pipeline."""
        ...

    def leave(self, instance: Instance, request: QueuedRequest) -> None:
        """The request leaves the running batch; what it has produced so far is kept."""
        ...

    def forget(self, request: QueuedRequest) -> None:
        """What it has produced so far is lost: it starts over."""
        ...

    def drop(self, instance: Instance, stages: Sequence[Stage]) -> None:
        """What these stages brought leaves an idle instance; nobody waits for it."""
        ...

    def end(self, instance: Instance) -> None:
        """The instance's process is gone."""
        ...

    def end_backbone(self, process: BackboneProcess) -> None:
        """Nobody maps the backbone any more, and its process is gone."""
        ...

"""What happened. One row type per event, in the past tense; policies observe them, results record the rare ones."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from simlora.entities import Backbone, Function


class CauseKind(StrEnum):
    """Changes a plan policy can ask to be woken by; the ones it does not name cost nothing."""

    STARTED = "started"
    ARRIVED = "arrived"
    BATCH_ENDED = "batch_ended"
    BECAME_IDLE = "became_idle"
    MEMORY_FREED = "memory_freed"
    LOAD_FINISHED = "load_finished"
    FAILED = "failed"
    GPU_RETURNED = "gpu_returned"
    WOKEN = "woken"


class Cause(NamedTuple):
    """One change: what kind, and the function or instance it concerns."""

    kind: CauseKind
    function: Function | None = None
    instance: int = -1


class InstanceStarted(NamedTuple):
    """A process was created for a function (or, with ``function=None``, for all functions of a backbone)."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    container: int
    on_demand: bool
    why: str


class StageFinished(NamedTuple):
    """A cold-start stage ended after ``seconds``; ``source`` names the tier its bytes came from, if it moved any."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    stage: str
    seconds: float
    bytes: int
    source: str
    on_demand: bool


class InstanceEvicted(NamedTuple):
    """An idle instance was taken back to before ``stage``."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    stage: str
    bytes: int
    why: str


class PipelineFormed(NamedTuple):
    """A process just created is to serve with a part of its model, further ones on ``helpers`` (GPUs) with the rest."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    helpers: tuple[int, ...]


class PipelineGathered(NamedTuple):
    """An instance that served with a part of its model has loaded the rest, after ``seconds`` beside its steps.

    From its next step on it serves alone, and the processes that ran the other ``parts`` end.
    """

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    seconds: float
    bytes: int
    source: str
    parts: int


class InstanceStopped(NamedTuple):
    """A process ended and freed all it held."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    why: str


class BackboneLoaded(NamedTuple):
    """A backbone process has its weights; the seconds are those of the load alone."""

    at_s: float
    backbone: Backbone
    gpu: int
    seconds: float
    bytes: int
    source: str


class BackboneEvicted(NamedTuple):
    """A backbone process ended and freed its weights."""

    at_s: float
    backbone: Backbone
    gpu: int
    bytes: int
    why: str


class AdapterLoaded(NamedTuple):
    """An engine has an adapter on its device after ``seconds``; ``ahead``: no running request was waiting for it."""

    at_s: float
    instance: int
    function: Function
    gpu: int
    seconds: float
    bytes: int
    source: str
    ahead: bool


class AdapterEvicted(NamedTuple):
    """An adapter that no request used left the device memory of an engine."""

    at_s: float
    instance: int
    function: Function
    gpu: int
    bytes: int
    why: str


class RequestRejected(NamedTuple):
    """A request was turned away."""

    at_s: float
    function: Function
    request: int
    why: str


class RequestsPreempted(NamedTuple):
    """Requests left a running batch so that the others' KV could grow."""

    at_s: float
    instance: int
    gpu: int
    requests: tuple[int, ...]
    why: str


class InstanceFailed(NamedTuple):
    """A process died or could not do its work; its end follows, and what becomes of its requests."""

    at_s: float
    instance: int
    function: Function | None
    gpu: int
    why: str


class BackboneFailed(NamedTuple):
    """A backbone process died; the ends of all that mapped it follow, then its own."""

    at_s: float
    backbone: Backbone
    gpu: int
    why: str


class AdapterFailed(NamedTuple):
    """An engine could not load an adapter; it goes on without the request that wanted it."""

    at_s: float
    instance: int
    function: Function
    gpu: int
    why: str


class GpuLost(NamedTuple):
    """A GPU is gone, and all that was on it: until it is back it is in no view."""

    at_s: float
    gpu: int
    why: str


class GpuReturned(NamedTuple):
    """A lost GPU is back, with nothing on it."""

    at_s: float
    gpu: int


class StoreChanged(NamedTuple):
    """The remote store gives every node ``factor`` of its usual rate from now on."""

    at_s: float
    factor: float


class WorkLost(NamedTuple):
    """An instance failed with a request that had been bound to it for ``lost_s``; what becomes of it follows."""

    at_s: float
    function: Function
    request: int
    instance: int
    gpu: int
    lost_s: float
    why: str


class RequestRetried(NamedTuple):
    """It waits at the front end again, to start over."""

    at_s: float
    function: Function
    request: int
    why: str


class RequestFailed(NamedTuple):
    """It is given up, its work having failed."""

    at_s: float
    function: Function
    request: int
    why: str


Event = (
    InstanceStarted
    | StageFinished
    | InstanceEvicted
    | PipelineFormed
    | PipelineGathered
    | InstanceStopped
    | BackboneLoaded
    | BackboneEvicted
    | AdapterLoaded
    | AdapterEvicted
    | RequestsPreempted
    | RequestRejected
    | InstanceFailed
    | BackboneFailed
    | AdapterFailed
    | GpuLost
    | GpuReturned
    | StoreChanged
    | WorkLost
    | RequestRetried
    | RequestFailed
)

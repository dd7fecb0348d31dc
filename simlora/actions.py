"""What a policy may say. Actions are imperative, carry no behaviour, and are checked by the engine before they act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from simlora.entities import Backbone, Function, QueuedRequest, Tier

if TYPE_CHECKING:
    from simlora.views import ContainerView, GpuView, InstanceView, PlaceView


class Binding(StrEnum):
    """When work is bound to an instance: each request as it arrives, or a formed batch as it is dispatched."""

    ON_ARRIVAL = "arrival"
    ON_DISPATCH = "dispatch"


# ---------------------------------------------------------------------------------------------- batching


class Dispatch(NamedTuple):
    """A change of the running batch (or, with no instance yet, the batch that now wants one).

    ``load`` names adapters to load beside the batch, for requests that will join later. ``chunk_tokens`` bounds the
    tokens of one engine step (chunked prefill); ``ask_again_after_steps`` asks for another look even if nothing
    changes. ``merge`` names the adapter that is merged into the weights from now on: its requests run at the speed of
    the bare backbone, those of others pause. ``None``: adapters are applied beside it.
    """

    admit: Sequence[QueuedRequest]
    preempt: Sequence[QueuedRequest] = ()
    chunk_tokens: int | None = None
    ask_again_after_steps: int | None = None
    merge: Function | None = None
    load: Sequence[Function] = ()
    why: str = ""


class Wait(NamedTuple):
    """Nothing to do before ``until_s`` (``None``: before something changes)."""

    until_s: float | None = None


# ---------------------------------------------------------------------------------------------- routing


class ToInstance(NamedTuple):
    """Bind the work to this instance, which may still be starting."""

    instance: InstanceView
    why: str = ""


class ColdStart(NamedTuple):
    """Start a new instance for this work, where the placement policy says."""

    why: str = ""


class Hold(NamedTuple):
    """Leave the work in its queue until something that concerns its function changes."""

    why: str = ""


class Reject(NamedTuple):
    """Turn the work away; each of its requests ends as ``rejected``."""

    why: str = ""


Route = ToInstance | ColdStart | Hold | Reject


# ---------------------------------------------------------------------------------------------- placement and plans


class Placement(NamedTuple):
    """Where an instance goes: a GPU, and an idle container there to reuse (``None``: create one).

    One of a backbone that is split needs more: ``others`` of the same place, in its order. With a ``pipeline`` of GPUs
    on other nodes each of them, and the instance's own, loads one equal part of the model, so that it serves sooner,
    every step going over all of them; once the instance has loaded the rest it serves alone and they are free again.
    """

    gpu: GpuView
    container: ContainerView | None = None
    others: Sequence[GpuView] = ()
    pipeline: Sequence[GpuView] = ()

    @property
    def gpus(self) -> tuple[GpuView, ...]:
        """All GPUs, the first one first."""
        return (self.gpu, *self.others)

    @classmethod
    def at(cls, place: PlaceView | ContainerView, container: ContainerView | None = None) -> Placement:
        """All GPUs of a place, or of a container."""
        first, *others = place.gpus
        return cls(first, container, tuple(others))


class Start(NamedTuple):
    """Start an instance of ``function`` ahead of demand and take it as far as stage ``upto``.

    ``function=None`` starts an engine that serves every function of ``backbone`` in one process.
    ``instance`` advances one that exists instead of creating another.
    """

    function: Function | None
    backbone: Backbone
    placement: Placement
    upto: str
    instance: InstanceView | None = None
    why: str = ""


class Stop(NamedTuple):
    """End an idle instance and free all it holds."""

    instance: InstanceView
    why: str = ""


class Evict(NamedTuple):
    """Take an idle instance back to before ``stage``; ``to=Tier.HOST`` keeps a copy in its container's host memory."""

    instance: InstanceView
    stage: str
    to: Tier | None = None
    why: str = ""


class EvictBackbone(NamedTuple):
    """Drop the backbone process of ``backbone`` on ``gpu``, which nobody may have mapped."""

    gpu: GpuView
    backbone: Backbone
    why: str = ""


class LoadAdapter(NamedTuple):
    """Load the adapter of ``function`` into an engine that serves it, beside whatever it runs."""

    instance: InstanceView
    function: Function
    why: str = ""


class DropAdapter(NamedTuple):
    """Drop an adapter that no running request uses from the device memory of an engine."""

    instance: InstanceView
    function: Function
    why: str = ""


class Migrate(NamedTuple):
    """Take a request that waits or runs on ``source`` to another engine that serves it; its KV is recomputed there."""

    request: QueuedRequest
    source: InstanceView
    to: InstanceView
    why: str = ""


PlanAction = Start | Stop | Evict | EvictBackbone | LoadAdapter | DropAdapter | Migrate
Eviction = Stop | Evict | EvictBackbone


class Plan(NamedTuple):
    """What to do now, and when to ask again even if nothing changes."""

    actions: Sequence[PlanAction] = ()
    wake_at_s: float | None = None


# ---------------------------------------------------------------------------------------------- memory


class Demand(NamedTuple):
    """Bytes that must become free on a GPU; ``keep`` is the instance that asks and must not be touched."""

    need_bytes: int
    gpu: GpuView
    keep: InstanceView | None


class AdapterDemand(NamedTuple):
    """Bytes that unused adapters of an engine must give up, 0 if it is only a matter of tidying up.

    ``idle`` maps the adapters that may leave to the bytes each frees, the one used least recently first; together they
    free enough.
    """

    at: InstanceView
    need_bytes: int
    idle: Mapping[Function, int]


class Preempt(NamedTuple):
    """Requests that leave the running batch so that the others' KV can grow; they prefill again later.

    They wait where they ran, or with ``anew`` at the front end, from where they are routed like newcomers.
    """

    victims: Sequence[QueuedRequest]
    anew: bool = False
    why: str = ""

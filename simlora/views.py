"""What a policy may see: read-only Protocols over the cluster's state.

A view shows facts and queues, never true durations or output lengths (design law 2). Everything indexed here is
kept up to date as it changes, so that looking costs what is looked at and not the size of the cluster (law 9).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from simlora.entities import Backbone, Function, QueuedRequest, Tier


class InstanceState(StrEnum):
    """The three states of a function's process that a policy can meet, and its end."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    STOPPED = "stopped"


class ReadyQueues(Protocol):
    """Requests that wait, by function, and over all in the order they came; only functions with a request appear."""

    @property
    def by_function(self) -> Mapping[Function, deque[QueuedRequest]]: ...
    def in_order(self) -> Iterator[QueuedRequest]: ...
    def __len__(self) -> int: ...


class RunningRequest(Protocol):
    """A request in a running batch."""

    @property
    def request(self) -> QueuedRequest: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def prefill_left(self) -> int: ...


class NodeView(Protocol):
    """A host; ``fetch_per_s``: bytes per second that one more fetch would now get of its way to the remote store."""

    @property
    def index(self) -> int: ...
    @property
    def gpus(self) -> Sequence[GpuView]: ...
    @property
    def fetch_per_s(self) -> float: ...
    @property
    def storage_wait_s(self) -> float:
        """Seconds of reading already queued on this node's storage, at its nominal rate."""
        ...

    def caches(self, checkpoint: str) -> bool:
        """Whether the node's host cache holds this checkpoint."""
        ...

    def stores(self, artifact: str) -> bool:
        """Whether the node's storage holds it; otherwise it comes from the remote store first."""
        ...


class GpuView(Protocol):
    """A GPU: its memory, who is on it (who runs a part for one elsewhere is starting throughout), its backbones."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str:
        """Its model, by the name that the hardware catalogue and price lists give it."""
        ...

    @property
    def node(self) -> NodeView: ...
    @property
    def reserved(self) -> bool:
        """Whether it is paid for all the time, whatever is on it."""
        ...

    @property
    def capacity_bytes(self) -> int: ...
    @property
    def free_bytes(self) -> int: ...
    @property
    def active_batches(self) -> int: ...
    @property
    def neighbours(self) -> Sequence[GpuView]:
        """The other GPUs behind its PCIe switch: what they load takes from what it can."""
        ...

    @property
    def instances(self) -> Mapping[int, InstanceView]: ...
    @property
    def containers(self) -> Mapping[int, ContainerView]: ...
    @property
    def backbones(self) -> Mapping[Backbone, BackboneView]: ...


class PlaceView(Protocol):
    """A GPU, or several of one node that together hold an instance; ``gpu`` is the first."""

    @property
    def gpu(self) -> GpuView: ...
    @property
    def gpus(self) -> Sequence[GpuView]: ...


class BackboneView(Protocol):
    """A backbone process: one copy of the weights on one GPU, mapped by functions of several instances.

    That of a backbone over several GPUs is the same one on each of them, ``bytes`` being those on each.
    """

    @property
    def backbone(self) -> Backbone: ...
    @property
    def bytes(self) -> int: ...
    @property
    def loaded(self) -> bool: ...
    @property
    def mapped_by(self) -> int: ...
    @property
    def in_use(self) -> bool:
        """Whether a mapper runs, starts or has work bound; if not, it would be unmapped once what is idle has left."""
        ...


class ContainerView(Protocol):
    """A sandbox on a host with a view of one GPU, or of several, and a host-memory limit; ``gpu`` is the first."""

    @property
    def id(self) -> int: ...
    @property
    def gpu(self) -> GpuView: ...
    @property
    def gpus(self) -> Sequence[GpuView]: ...
    @property
    def free_bytes(self) -> int: ...
    @property
    def instances(self) -> Mapping[int, InstanceView]: ...


class InstanceView(Protocol):
    """A function's process (``function=None``: an engine that serves every function of its backbone)."""

    @property
    def id(self) -> int: ...
    @property
    def function(self) -> Function | None: ...
    @property
    def backbone(self) -> Backbone: ...
    @property
    def gpu(self) -> GpuView:
        """The first of its GPUs."""
        ...

    @property
    def gpus(self) -> Sequence[GpuView]:
        """All of them; each holds an equal part of the backbone and of KV."""
        ...

    @property
    def container(self) -> ContainerView: ...
    @property
    def state(self) -> InstanceState: ...
    @property
    def done(self) -> Mapping[str, int]:
        """Start-up stages it has behind it, with the device bytes each holds on each of its GPUs."""
        ...

    @property
    def ready(self) -> bool:
        """Every stage is done: the next request is warm."""
        ...

    @property
    def bound(self) -> int:
        """Requests bound to it that wait."""
        ...

    @property
    def queue(self) -> ReadyQueues:
        """Those requests, by function."""
        ...

    @property
    def running(self) -> Mapping[int, RunningRequest]:
        """The running batch by request index, in the order of admission."""
        ...

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens of the running batch that are still to be computed."""
        ...

    @property
    def device_bytes(self) -> int:
        """Bytes of each of its GPUs that it holds."""
        ...

    @property
    def kv_free_bytes(self) -> int:
        """Bytes for KV of requests that are not running; adapters nobody uses make room for it where they share it."""
        ...

    @property
    def merged(self) -> Function | None:
        """The function whose adapter is merged into the weights; requests of others pause."""
        ...

    @property
    def adapters(self) -> Mapping[Function, int]:
        """Adapters that have a place on the device: requests of the running batch that use each."""
        ...

    @property
    def loading(self) -> Mapping[Function, object]:
        """Those of them that are still on their way."""
        ...

    @property
    def planned_loads(self) -> Mapping[Function, None]:
        """Adapters that a plan had loaded and that get a place at the next step boundary, if there is one then."""
        ...

    @property
    def adapter_room_bytes(self) -> int:
        """Bytes where its adapters lie that are free or that adapters nobody uses take."""
        ...

    def adapter_tier(self, function: Function) -> Tier | None:
        """Where it has the adapter itself: device, host memory or, as far as it knows, nowhere."""
        ...

    @property
    def adapter_slots(self) -> int:
        """Adapters it can hold at once."""
        ...

    @property
    def last_used_s(self) -> float:
        """When it last ran a batch; its start if it never did."""
        ...

    @property
    def has_run(self) -> bool: ...


class ClusterView(Protocol):
    """The whole cluster, as far as policies may see it."""

    @property
    def now_s(self) -> float: ...
    @property
    def functions(self) -> Sequence[Function]: ...
    @property
    def nodes(self) -> Sequence[NodeView]: ...
    @property
    def gpus(self) -> Sequence[GpuView]: ...
    @property
    def idle_containers(self) -> Mapping[int, ContainerView]:
        """Containers in which nothing runs or starts for work; pre-loads may be under way in them."""
        ...

    def changed_since(self, mark: int) -> tuple[int, Sequence[GpuView]]:
        """A mark for the next time, and the GPUs on which anything may have changed since ``mark``; since 0, all."""
        ...

    def places(self, gpus: int) -> Sequence[PlaceView]:
        """Where an instance on so many GPUs can go: each GPU, or blocks of GPUs of one node, none in two of them."""
        ...

    def instances_of(self, function: Function) -> Mapping[int, InstanceView]:
        """Instances that can serve ``function``, starting ones included, in the order they were started."""
        ...

    def waiting(self, function: Function) -> int:
        """Requests of ``function`` in the front-end queue."""
        ...

    def running(self, function: Function) -> int:
        """Requests of ``function`` bound to an instance and not finished."""
        ...

    def ongoing(self, function: Function) -> int:
        """Requests that wait or are bound and not finished: of ``function``, or where one engine serves all functions
        of a backbone, of all of them."""
        ...


def pinned_adapters(at: InstanceView) -> dict[Function, None]:
    """Adapters that can't leave an engine now: in use by its running batch, or on their way."""
    loading = at.loading
    return {function: None for function, users in at.adapters.items() if users or function in loading}

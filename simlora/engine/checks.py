"""Every decision is checked before it acts (design law 3). A bad one raises, naming the policy; none is repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_
from typing import Any, NoReturn

from simlora.actions import Dispatch, Evict, EvictBackbone, Eviction, Placement, Start, Stop
from simlora.cluster.cluster import Cluster
from simlora.cluster.processes import Instance
from simlora.cluster.queues import Queues
from simlora.engine.estimates import ProfileEstimates
from simlora.entities import ArtifactKind, Backbone, Function, QueuedRequest, Tier
from simlora.errors import PolicyError
from simlora.views import InstanceState, NodeView


def refuse(policy: Any, now_s: float, what: str) -> NoReturn:
    """Raise :class:`PolicyError` for an answer the engine must refuse."""
    raise PolicyError(f"{type(policy).__name__} at {now_s:.6f} s: {what}")


def check_until(policy: Any, until_s: float | None, now_s: float) -> None:
    """A time to look again lies in the future (design law 6)."""
    if until_s is not None and not until_s > now_s:
        refuse(policy, now_s, f"told to wait until {until_s} s, which is not in the future")


def check_formed(policy: Any, batch: Dispatch, front: Queues, now_s: float) -> Function:
    """A batch formed of what waits at the front end: of one function, each request once. Its function."""
    admit = batch.admit
    if not admit:
        refuse(policy, now_s, "dispatched an empty batch; Wait() says that there is nothing to do")
    function = admit[0].function
    _check_waiting(policy, admit, front, now_s)
    for request in admit:
        if request.function is not function:
            refuse(policy, now_s, "one batch holds requests of several functions")
    return function


def _check_waiting(policy: Any, admit: Sequence[QueuedRequest], queues: Queues, now_s: float) -> None:
    if _leads(admit, queues):
        return
    waiting = {request.index for queue in queues.by_function.values() for request in queue}
    for request in admit:
        if request.index not in waiting:
            refuse(policy, now_s, f"admits {request}, which does not wait here or is named twice")
        waiting.remove(request.index)


def _leads(admit: Sequence[QueuedRequest], queues: Queues) -> bool:
    """Whether these are the first of one queue, in order: the usual case, checked without a look at all who wait."""
    queue = queues.by_function.get(admit[0].function, ()) if admit else ()
    return len(admit) <= len(queue) and all(map(is_, admit, queue))


def check_admission(policy: Any, at: Instance, decision: Dispatch, batch_ends_as_one: bool, now_s: float) -> None:
    """Who joins and leaves the running batch of an instance."""
    _check_waiting(policy, decision.admit, at.queue, now_s)
    for request in decision.preempt:
        if request.index not in at.running:
            refuse(policy, now_s, f"preempts {request}, which does not run on {at}")
    if not decision.admit and not at.running:
        refuse(
            policy, now_s, f"dispatches nothing to {at}, which runs nothing; Wait() says that there is nothing to do"
        )
    if decision.admit and at.running and batch_ends_as_one:
        refuse(policy, now_s, f"admits to the running batch of {at}, which ends as one")
    if decision.merge is not None:
        _check_merge(policy, at, decision, decision.merge, batch_ends_as_one, now_s)
    for value in (decision.chunk_tokens, decision.ask_again_after_steps):
        if value is not None and value < 1:
            refuse(policy, now_s, f"chunk_tokens and ask_again_after_steps must be at least 1 (found {value})")


def _check_merge(
    policy: Any, at: Instance, decision: Dispatch, merge: Function, batch_ends_as_one: bool, now_s: float
) -> None:
    """An adapter to merge is served there, some request of it runs, and no other joins."""
    if not isinstance(merge, Function) or not at.serves(merge):
        refuse(policy, now_s, f"merges the adapter of {merge}, which {at} does not serve")
    if batch_ends_as_one:
        refuse(policy, now_s, f"merges the adapter of {merge.id} on {at}, whose batch ends as one")
    leaving = [request.index for request in decision.preempt]
    stays = [running.request for index, running in at.running.items() if index not in leaving]
    for request in decision.admit:
        if request.function is not merge:
            refuse(policy, now_s, f"admits {request} while the adapter of {merge.id} is merged")
    if not decision.admit and all(request.function is not merge for request in stays):
        refuse(policy, now_s, f"merges the adapter of {merge.id} on {at}, of which nothing runs there")


def check_route_to(policy: Any, instance: Any, function: Function, cluster: Cluster) -> Instance:
    """The instance exists and serves the function."""
    found: Instance | None = cluster.instances_of(function).get(getattr(instance, "id", -1))
    if found is None or found is not instance:
        refuse(policy, cluster.now_s, f"routes {function.id} to {instance}, which does not serve it")
    return found


def check_placement(policy: Any, placement: Placement, backbone: Backbone, cluster: Cluster) -> None:
    """The GPUs are a place for this backbone; the container is idle and there; a pipeline's are on other nodes."""
    if not isinstance(placement, Placement):
        refuse(policy, cluster.now_s, f"a place is a Placement or None (found {placement!r})")
    container, gpus = placement.container, placement.gpus
    cluster.every_place(backbone.tensor_parallel)
    try:
        place = cluster.place_of(gpus)
    except (AttributeError, KeyError):
        refuse(policy, cluster.now_s, f"places on {_named(gpus)}, which is not a place of this cluster")
    if len(gpus) != backbone.tensor_parallel:
        what = f"{backbone.name}, which goes on {backbone.tensor_parallel} GPUs, on {place}"
        refuse(policy, cluster.now_s, f"places {what}")
    for gpu in place.gpus:
        if gpu.lost:
            refuse(policy, cluster.now_s, f"places on {gpu}, which is lost")
    nodes: list[NodeView] = [place.gpu.node]
    for other in placement.pipeline:
        if other not in cluster.gpus or other.node in nodes or other.kind != place.gpu.kind:
            what = f"{other}, which is not a GPU of this cluster in service, of the same kind and on a node of its own"
            refuse(policy, cluster.now_s, f"has a part of what {place} is to serve run on {what}")
        nodes.append(other.node)
    if container is not None and (container.id not in cluster.idle_containers or container.gpus != place.gpus):
        refuse(policy, cluster.now_s, f"places in {container}, which is not an idle container of {place}")


def _named(gpus: Sequence[Any]) -> str:
    return " and ".join(map(repr, gpus))


def check_start(policy: Any, start: Start, estimates: ProfileEstimates, cluster: Cluster) -> None:
    """A planned start: of what the system runs, with a stage that exists and lies ahead of a free instance.

    On a reserved GPU every stage can be done ahead.
    """
    now_s, instance = cluster.now_s, start.instance
    if estimates.one_for_all is not (start.function is None):
        wants = "engines that serve all functions of a backbone" if estimates.one_for_all else "one function each"
        refuse(policy, now_s, f"starts a process for {start.function}; processes of this system serve {wants}")
    check_placement(policy, start.placement, start.backbone, cluster)
    if start.placement.pipeline:
        refuse(policy, now_s, f"starts a process for {start.function} in a pipeline; only those on demand have one")
    stages = estimates.stages if start.placement.gpu.reserved else estimates.preloadable
    if start.upto not in stages:
        refuse(policy, now_s, f'starts up to "{start.upto}"; what can be done ahead is {", ".join(stages)}')
    if start.function is not None and start.function.backbone is not start.backbone:
        refuse(policy, now_s, f"starts {start.function.id} with {start.backbone.name}, which is not its backbone")
    if instance is not None:
        check_free(policy, instance, cluster)
        if start.placement.container is not instance.container:
            refuse(policy, now_s, f"takes {instance} further in {start.placement.container}, which it is not in")
        if start.upto in instance.done:
            refuse(policy, now_s, f'takes {instance} to stage "{start.upto}", which it has behind it')


def check_free(policy: Any, instance: Any, cluster: Cluster) -> None:
    """The instance exists, is idle and has no work bound."""
    found = instance.gpu.instances.get(instance.id)
    if found is not instance or instance.state is not InstanceState.IDLE or instance.bound:
        refuse(policy, cluster.now_s, f"touches {instance}, which is {instance.state} with {instance.bound} bound")


def check_eviction(
    policy: Any, eviction: Eviction, stages: Sequence[str], keep: Instance | None, cluster: Cluster
) -> None:
    """What leaves is idle and not what was to be kept; a backbone is mapped by nobody."""
    if not isinstance(eviction, Stop | Evict | EvictBackbone):
        refuse(policy, cluster.now_s, f"evicts {eviction!r}; allowed: Stop, Evict, EvictBackbone")
    if isinstance(eviction, EvictBackbone):
        process = eviction.gpu.backbones.get(eviction.backbone)
        if process is None or process.mapped_by or not process.loaded:
            refuse(
                policy, cluster.now_s, f"evicts {eviction.backbone.name} from {eviction.gpu}, which is absent or in use"
            )
        return
    check_free(policy, eviction.instance, cluster)
    if eviction.instance is keep:
        refuse(policy, cluster.now_s, f"evicts {keep}, for whose sake room was to be made")
    if isinstance(eviction, Evict) and eviction.to is not None:
        _check_spill(policy, eviction, stages, cluster)
    if isinstance(eviction, Evict) and eviction.stage not in eviction.instance.done:
        refuse(policy, cluster.now_s, f'takes {eviction.instance} back to before "{eviction.stage}", which is not done')


def check_engine(policy: Any, at: Any, function: Any, cluster: Cluster) -> Instance:
    """It exists and serves the function beside others."""
    gpu = next((gpu for gpu in cluster.gpus if gpu is getattr(at, "gpu", None)), None)
    found: Instance | None = gpu.instances.get(at.id) if gpu is not None else None
    if found is None or found is not at:
        refuse(policy, cluster.now_s, f"names {at}, which is not an instance of this cluster")
    if found.function is not None or not any(f is function and found.serves(f) for f in cluster.functions):
        refuse(policy, cluster.now_s, f"handles the adapter of {function} on {found}, no engine that serves it")
    return found


def check_load(policy: Any, at: Instance, function: Function, left_bytes: int, cluster: Cluster) -> None:
    """An adapter to load ahead: its engine is up, serves it and has room, and it is neither there nor on its way."""
    check_engine(policy, at, function, cluster)
    if not at.ready:
        refuse(policy, cluster.now_s, f"loads the adapter of {function.id} into {at}, which is still starting")
    if function in at.adapters or function in at.planned_loads:
        refuse(policy, cluster.now_s, f"loads the adapter of {function.id}, which {at} holds or is loading")
    if left_bytes < 0:
        refuse(policy, cluster.now_s, f"loads the adapter of {function.id}, for which {at} has no room")


def check_leaving(
    policy: Any, leaving: Sequence[Function], idle: Mapping[Function, int], need_bytes: int, now_s: float
) -> None:
    """Adapters that may leave, each once, and enough of them."""
    freed_bytes = 0
    for function in leaving:
        if function not in idle:
            refuse(policy, now_s, f"names the adapter of {function}, which is absent, in use or on its way")
        freed_bytes += idle[function]
    if len(dict.fromkeys(leaving)) < len(leaving):
        refuse(policy, now_s, "names an adapter twice")
    if freed_bytes < need_bytes:
        refuse(policy, now_s, f"names adapters of {freed_bytes} bytes where {need_bytes} are needed")


def check_keep(policy: Any, kept: Any, stages: Sequence[str], now_s: float) -> None:
    """A stage that exists, and a time that has not passed."""
    if not isinstance(kept, tuple) or len(kept) != 2 or kept[0] not in stages:
        refuse(policy, now_s, f"keeps {kept!r}; allowed is (stage, time), the stages are {', '.join(stages)}")
    if not isinstance(kept[1], int | float) or not kept[1] >= now_s:
        refuse(policy, now_s, f'keeps "{kept[0]}" until {kept[1]!r} s, which has passed')


def _check_spill(policy: Any, eviction: Evict, stages: Sequence[str], cluster: Cluster) -> None:
    """What leaves for host memory is an adapter that leaves the device, and fits its container."""
    instance, function = eviction.instance, eviction.instance.function
    leaving = stages[stages.index(eviction.stage) :] if eviction.stage in stages else ()
    if eviction.to is not Tier.HOST or function is None or ArtifactKind.ADAPTER not in leaving:
        refuse(
            policy,
            cluster.now_s,
            f"moves {instance} from {eviction.stage} on to {eviction.to}; only adapters go to host",
        )
    if function.adapter.bytes > instance.container.free_bytes:
        refuse(policy, cluster.now_s, f"moves the adapter of {instance} to {instance.container}, which lacks memory")


def check_answer(policy: Any, answer: Any, kind: type, call: str, now_s: float) -> None:
    """The answer is of the kind that the role's Protocol says."""
    if not isinstance(answer, kind):
        refuse_answer(policy, answer, (kind,), call, now_s)


def refuse_answer(policy: Any, answer: Any, kinds: Sequence[type], call: str, now_s: float) -> NoReturn:
    """The answer is of none of the kinds that the role's Protocol says."""
    refuse(policy, now_s, f"{call} must answer {' or '.join(kind.__name__ for kind in kinds)} (found {answer!r})")

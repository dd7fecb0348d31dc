"""What is left in containers and on GPUs while a plan is being drawn up."""

from __future__ import annotations

from collections.abc import Mapping

from simlora.entities import ArtifactKind, Function
from simlora.policies.estimates import Estimates
from simlora.views import ClusterView, ContainerView, PlaceView

IN_CONTAINER: Mapping[str, int] = {ArtifactKind.CONTAINER: 0}


class Room:
    """Free bytes less what the plan has taken so far; a shared backbone is paid for once per GPU."""

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates
        self._host: dict[int, int] = {}
        self._device: dict[int, int] = {}
        self._processes: dict[int, int] = {}
        self._loading: dict[tuple[int, str], None] = {}

    def processes(self, container: ContainerView) -> int:
        """Processes in the container, planned ones included."""
        return len(container.instances) + self._processes.get(container.id, 0)

    def add_process(self, container: ContainerView) -> None:
        """Count one more planned process."""
        self._processes[container.id] = self._processes.get(container.id, 0) + 1

    def fits(self, function: Function, container: ContainerView) -> bool:
        """Whether the whole start of the function would fit on each GPU of the container."""
        need_bytes = self._estimates.start_bytes(function, IN_CONTAINER, container.gpu)
        return all(need_bytes <= gpu.free_bytes - self._device.get(gpu.index, 0) for gpu in container.gpus)

    def take(self, function: Function, stage: str, container: ContainerView) -> bool:
        """Set aside what ``stage`` needs in the container and on its GPUs; False, taking nothing, if it doesn't fit."""
        first = container.gpu
        host = self._host.get(container.id, 0) + self._estimates.stage_host_bytes(function, stage)
        load = (first.index, function.backbone.name)
        shared = stage in self._estimates.shared_stages
        more = 0 if shared and load in self._loading else self._estimates.stage_device_bytes(function, stage, first)
        device = {gpu.index: self._device.get(gpu.index, 0) + more for gpu in container.gpus}
        if host > container.free_bytes or any(device[gpu.index] > gpu.free_bytes for gpu in container.gpus):
            return False
        if shared and function.backbone not in first.backbones:
            self._loading[load] = None
        self._host[container.id] = host
        self._device |= device
        return True


class Free:
    """Device bytes that are free on each GPU, less what a plan of new containers has taken so far."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._bytes = {gpu.index: gpu.free_bytes for gpu in view.gpus}

    def at(self, place: PlaceView) -> int:
        """On each GPU of a place."""
        return min(self._bytes[gpu.index] for gpu in place.gpus)

    def most(self, function: Function) -> PlaceView | None:
        """The place for the function with the most; ``None`` if the cluster has none for it."""
        places = self._view.places(function.backbone.tensor_parallel)
        return min(places, key=lambda place: (-self.at(place), place.gpu.index), default=None)

    def take(self, place: PlaceView, size_bytes: int) -> bool:
        """Set so much aside on each GPU of a place; False, taking nothing, if it does not fit."""
        if size_bytes > self.at(place):
            return False
        for gpu in place.gpus:
            self._bytes[gpu.index] -= size_bytes
        return True

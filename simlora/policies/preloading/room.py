"""What is left in containers and on GPUs while a plan is being drawn up."""

from __future__ import annotations

from collections.abc import Mapping

from simlora.entities import ArtifactKind, Function
from simlora.policies.estimates import Estimates
from simlora.views import ContainerView, GpuView

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

    def fits(self, function: Function, gpu: GpuView) -> bool:
        """Whether the whole start of the function would fit on the GPU."""
        taken = self._device.get(gpu.index, 0)
        return self._estimates.start_bytes(function, IN_CONTAINER, gpu) <= gpu.free_bytes - taken

    def take(self, function: Function, stage: str, container: ContainerView) -> bool:
        """Set aside what ``stage`` needs in the container and on its GPU; False, taking nothing, if it does not fit."""
        gpu = container.gpu
        host = self._host.get(container.id, 0) + self._estimates.stage_host_bytes(function, stage)
        device = self._device.get(gpu.index, 0)
        load = (gpu.index, function.backbone.name)
        shared = stage in self._estimates.shared_stages
        if not shared or load not in self._loading:
            device += self._estimates.stage_device_bytes(function, stage, gpu)
        if host > container.free_bytes or device > gpu.free_bytes:
            return False
        if shared and function.backbone not in gpu.backbones:
            self._loading[load] = None
        self._host[container.id], self._device[gpu.index] = host, device
        return True

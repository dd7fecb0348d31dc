"""Placement: the GPU, and perhaps the idle container there, in which a new instance starts.

What fits is judged first by free memory, then by what would be free if every idle instance and unmapped backbone left:
then the offloading policy decides who does. Host memory of a container that is taken over is not looked at, since all
processes in it end.
"""

from simlora.policies.placement.by_room import BackboneAffinity, IdleContainerFirst, MostFree, StorageAware
from simlora.policies.placement.nic_aware import NicAware
from simlora.policies.placement.pcie_aware import PcieAware

__all__ = ["BackboneAffinity", "IdleContainerFirst", "MostFree", "NicAware", "PcieAware", "StorageAware"]

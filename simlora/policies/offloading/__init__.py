"""Offloading: what must leave a GPU so that a start or a batch fits."""

from simlora.policies.offloading.clairvoyant import Belady
from simlora.policies.offloading.greedy_dual import GreedyDual
from simlora.policies.offloading.light_first import LightFirst
from simlora.policies.offloading.value_density import ValueDensity
from simlora.policies.offloading.whole import LeastRecentlyUsed, NoOffloading

__all__ = ["Belady", "GreedyDual", "LeastRecentlyUsed", "LightFirst", "NoOffloading", "ValueDensity"]

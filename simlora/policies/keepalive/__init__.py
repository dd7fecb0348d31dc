"""Keep-alive: how long an instance that has become idle keeps what it has."""

from simlora.policies.keepalive.break_even import BreakEven
from simlora.policies.keepalive.clairvoyant import NextCall
from simlora.policies.keepalive.constant import Fixed, Forever, NoKeepAlive, UnlessReserved
from simlora.policies.keepalive.histogram import HybridHistogram
from simlora.policies.keepalive.rainbowcake import RainbowCake

__all__ = [
    "BreakEven",
    "Fixed",
    "Forever",
    "HybridHistogram",
    "NextCall",
    "NoKeepAlive",
    "RainbowCake",
    "UnlessReserved",
]

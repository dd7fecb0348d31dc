"""The environment of a run: SimPy's, with the time as a plain attribute because it is read ten times per event."""

from __future__ import annotations

import simpy


class VirtualTime(simpy.Environment):
    """SimPy's environment; ``now`` is a slot instead of a property, and SimPy's own ``_now`` another name of it."""

    __slots__ = ("now",)

    now: float

    def __init__(self) -> None:
        super().__init__()
        # SimPy does this for itself, but not for what is derived from it.
        for maker in ("event", "process", "timeout"):
            setattr(self, maker, getattr(self, maker))


VirtualTime._now = VirtualTime.now

"""Links that loads share: storage of a node, its way to the remote store, a GPU's bus.

A load over several links runs at the least of what each of them gives it; what it leaves unused on the others is not
redistributed (assumption). ``fair`` links divide their capacity evenly, ``fifo`` links serve one load at a time. A
change re-rates only the loads on the links that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Literal

import simpy

Discipline = Literal["fair", "fifo"]


class Link:
    """``bytes_per_s`` divided among the transfers in flight, in the order they began."""

    __slots__ = ("bytes_per_s", "discipline", "name", "transfers")

    def __init__(self, name: str, bytes_per_s: float, discipline: Discipline = "fair"):
        self.name = name
        self.bytes_per_s = bytes_per_s
        self.discipline = discipline
        self.transfers: list[Transfer] = []

    def set_rate(self, bytes_per_s: float) -> None:
        """From now on this many bytes per second, which may be none."""
        self.bytes_per_s = bytes_per_s
        for transfer in list(self.transfers):
            transfer.re_rate()

    def share_per_s(self, transfer: Transfer) -> float:
        """Bytes per second this link gives to one of its transfers now."""
        if self.discipline == "fifo":
            return self.bytes_per_s if self.transfers[0] is transfer else 0.0
        return self.bytes_per_s / len(self.transfers)

    def backlog_s(self, now_s: float) -> float:
        """Seconds at full capacity for all that is still to come over this link."""
        return sum(transfer.left_bytes(now_s) for transfer in self.transfers) / self.bytes_per_s


class Transfer:
    """Bytes on their way over ``links``, at no more than ``cap_per_s``; ``arrived`` is called with the last of them."""

    __slots__ = ("_arrived", "_env", "_left", "_rate", "_since_s", "_timer", "cap_per_s", "links")

    def __init__(
        self,
        env: simpy.Environment,
        size_bytes: int,
        links: Sequence[Link],
        cap_per_s: float,
        arrived: Callable[[], None],
    ):
        self._env = env
        self._arrived = arrived
        self.links = links
        self.cap_per_s = cap_per_s
        self._left = float(size_bytes)
        self._rate = 0.0
        self._since_s = env.now
        self._timer: simpy.Event | None = None
        for link in links:
            link.transfers.append(self)
        self._re_rate_all()

    def left_bytes(self, now_s: float) -> float:
        """Bytes not yet arrived."""
        return max(0.0, self._left - self._rate * (now_s - self._since_s))

    def stop(self) -> None:
        """Give up: what has arrived is discarded, and ``arrived`` is never called."""
        self._timer = None
        self._leave()

    def _leave(self) -> None:
        for link in self.links:
            link.transfers.remove(self)
        self._re_rate_all()

    def _re_rate_all(self) -> None:
        touched: dict[Transfer, None] = {}
        for link in self.links:
            touched.update(dict.fromkeys(link.transfers))
        for transfer in touched:
            transfer.re_rate()

    def re_rate(self) -> None:
        """A link it is on gives more or less than before."""
        now_s = self._env.now
        rate = min((link.share_per_s(self) for link in self.links), default=inf)
        rate = min(rate, self.cap_per_s)
        if rate == self._rate and self._timer is not None:
            return
        self._left, self._since_s, self._rate = self.left_bytes(now_s), now_s, rate
        self._timer = None
        if rate > 0:
            self._timer = self._env.timeout(self._left / rate)
            self._timer.callbacks.append(self._end)

    def _end(self, timer: simpy.Event) -> None:
        if timer is self._timer:
            self._left, self._timer = 0.0, None
            self._leave()
            self._arrived()

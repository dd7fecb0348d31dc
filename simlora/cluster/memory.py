"""One memory with exact accounting: never above capacity, never freed twice (design law 8)."""

from __future__ import annotations

from collections.abc import Sequence


class AccountingError(RuntimeError):
    """Bytes were taken that are not there, or given back that were not taken: a fault of the engine."""


class Memory:
    """``free_bytes`` of ``capacity_bytes``."""

    __slots__ = ("capacity_bytes", "free_bytes", "name")

    def __init__(self, name: str, capacity_bytes: int):
        self.name = name
        self.capacity_bytes = capacity_bytes
        self.free_bytes = capacity_bytes

    @property
    def used_bytes(self) -> int:
        return self.capacity_bytes - self.free_bytes

    def take(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not free."""
        if not 0 <= size_bytes <= self.free_bytes:
            raise AccountingError(f"{self.name}: {size_bytes} bytes wanted, {self.free_bytes} free")
        self.free_bytes -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not in use."""
        if not 0 <= size_bytes <= self.capacity_bytes - self.free_bytes:
            raise AccountingError(f"{self.name}: {size_bytes} bytes given back, {self.used_bytes} in use")
        self.free_bytes += size_bytes

    def check(self, held_bytes: int) -> None:
        """Raises :class:`AccountingError` unless what is in use is what its holders say they hold."""
        if self.used_bytes != held_bytes:
            raise AccountingError(f"{self.name}: {self.used_bytes} bytes in use, but {held_bytes} held")


class Alike:
    """Memories of which equal amounts are taken and given back, all at once: those of the GPUs that share an instance.

    Free is what is free in every one of them.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Memory]):
        self._parts = parts

    @property
    def capacity_bytes(self) -> int:
        return min(part.capacity_bytes for part in self._parts)

    @property
    def free_bytes(self) -> int:
        return min(part.free_bytes for part in self._parts)

    @property
    def used_bytes(self) -> int:
        return max(part.used_bytes for part in self._parts)

    def take(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not free in each."""
        for part in self._parts:
            part.take(size_bytes)

    def give(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not in use in each."""
        for part in self._parts:
            part.give(size_bytes)

"""One memory with exact accounting: never above capacity, never freed twice (design law 8)."""

from __future__ import annotations


class AccountingError(RuntimeError):
    """Bytes were taken that are not there, or given back that were not taken: a fault of the engine."""


class Memory:
    """``used_bytes`` of ``capacity_bytes``, with totals so that conservation can be checked at the end."""

    __slots__ = ("capacity_bytes", "free_bytes", "freed_bytes", "name", "peak_bytes", "taken_bytes")

    def __init__(self, name: str, capacity_bytes: int):
        self.name = name
        self.capacity_bytes = capacity_bytes
        self.free_bytes = capacity_bytes
        self.peak_bytes = 0
        self.taken_bytes = 0
        self.freed_bytes = 0

    @property
    def used_bytes(self) -> int:
        return self.capacity_bytes - self.free_bytes

    def take(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not free."""
        if not 0 <= size_bytes <= self.free_bytes:
            raise AccountingError(f"{self.name}: {size_bytes} bytes wanted, {self.free_bytes} free")
        self.free_bytes -= size_bytes
        self.taken_bytes += size_bytes
        used = self.capacity_bytes - self.free_bytes
        if used > self.peak_bytes:
            self.peak_bytes = used

    def give(self, size_bytes: int) -> None:
        """Raises :class:`AccountingError` if that much is not in use."""
        if not 0 <= size_bytes <= self.capacity_bytes - self.free_bytes:
            raise AccountingError(f"{self.name}: {size_bytes} bytes given back, {self.used_bytes} in use")
        self.free_bytes += size_bytes
        self.freed_bytes += size_bytes

    def check(self) -> None:
        """Conservation: taken = freed + in use."""
        if self.taken_bytes != self.freed_bytes + self.used_bytes:
            raise AccountingError(
                f"{self.name}: {self.taken_bytes} taken, {self.freed_bytes} freed, {self.used_bytes} used"
            )

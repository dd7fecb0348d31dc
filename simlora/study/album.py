"""A folder of pictures in which a run finds again what runs drew, so that it takes away no picture of anyone else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simlora.plotting.style import Picture

KINDS = ("pdf", "png", "csv")


@dataclass(frozen=True)
class Album:
    """Pictures in ``folder``; its file ``drawn.txt`` lists the names of those added."""

    folder: Path

    @property
    def _list(self) -> Path:
        return self.folder / "drawn.txt"

    def clear(self) -> None:
        """Remove the pictures that were added, and nothing else."""
        names = self._list.read_text(encoding="utf-8").splitlines() if self._list.is_file() else []
        for name in names:
            for kind in KINDS:
                (self.folder / f"{Path(name).name}.{kind}").unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)

    def add(self, picture: Picture, name: str) -> None:
        """Save a picture, listed before it is drawn: one that is interrupted is found again, too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._list.open("a", encoding="utf-8") as names:
            names.write(f"{name}\n")
        picture.save(self.folder / name)

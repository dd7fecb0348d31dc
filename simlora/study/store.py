"""The folder of results on disk: which cells are finished, and how one gets there without a half-written trace of it.

``cells/`` holds the runs of the experiment as it was last run. Finished runs it no longer names, and those that only
served to find a number of GPUs, lie in ``spare/`` in the same layout and are used again when they are asked for.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simlora.errors import ConfigError
from simlora.study.grid import Cell

DONE = "done"
PARTIAL = ".partial"


class Writable(Protocol):
    """What a run returns, as far as it is kept."""

    def write(self, folder: Path) -> None: ...


@contextmanager
def one_message(folder: Path) -> Iterator[None]:
    """A full disk or an unwritable folder as one message; what was finished stays."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror or str(error)
        raise ConfigError(f"{error.filename or folder}: {reason}; what was finished before stays readable") from error


@dataclass(frozen=True)
class Store:
    """The results folder ``out``."""

    out: Path

    def check(self) -> None:
        """Raise :class:`ConfigError` where the folder can be neither made nor written to."""
        with one_message(self.out):
            there = next(path for path in (self.out, *self.out.absolute().parents) if path.exists())
        if not there.is_dir():
            raise ConfigError(f"{self.out}: results need a folder, and {there} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ConfigError(f"{self.out}: nothing can be written in {there}")

    def create(self, fresh: bool) -> None:
        """Make the folder, remove what an interrupted run left half-written, and with ``fresh`` all earlier runs."""
        with one_message(self.out):
            for name in ("cells", "spare"):
                if fresh:
                    shutil.rmtree(self.out / name, ignore_errors=True)
            shutil.rmtree(self.out / PARTIAL, ignore_errors=True)
            (self.out / "cells").mkdir(parents=True, exist_ok=True)

    def folder(self, cell: Cell) -> Path:
        """Where a cell's results are once it is finished."""
        return self.out / "cells" / cell.folder

    def holds(self, cell: Cell, key: str) -> bool:
        """Whether a run of the cell with this very key is finished, be it spare."""
        return key in (_key(self.folder(cell)), _key(self.out / "spare" / cell.folder))

    def has(self, cell: Cell, key: str) -> bool:
        """Whether a run of the cell with this very key is finished; one lying spare is put in its place."""
        spare = self.out / "spare" / cell.folder
        if _key(self.folder(cell)) != key and _key(spare) == key:
            with one_message(self.out):
                _replace(spare, self.folder(cell))
        return _key(self.folder(cell)) == key

    def put(self, cell: Cell, key: str, record: Writable) -> None:
        """Write a finished run so that it appears whole or not at all."""
        partial = self.out / PARTIAL / f"{os.getpid()}"
        with one_message(self.out):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            record.write(partial)
            (partial / DONE).write_text(f"{key}\n", encoding="utf-8")
            _replace(partial, self.folder(cell))

    def keep_only(self, cells: Iterable[Cell]) -> None:
        """Put aside every finished run that is not one of ``cells``."""
        wanted = {self.folder(cell): None for cell in cells}
        with one_message(self.out):
            for done in sorted((self.out / "cells").glob(f"*/*/*/*/{DONE}")):
                if done.parent not in wanted:
                    _replace(done.parent, self.out / "spare" / done.parent.relative_to(self.out / "cells"))
            shutil.rmtree(self.out / PARTIAL, ignore_errors=True)
            _remove_empty(self.out / "cells")


def _key(folder: Path) -> str:
    try:
        return (folder / DONE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()

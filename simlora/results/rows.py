"""A table that grows while a run lasts and goes to Parquet in the end: one chunk in memory, the rest in a file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from simlora.errors import SimloraError

ROW_GROUP = 32_768
"""Rows of a chunk, and of a row group of what is written."""


def write_parquet(table: pa.Table, path: Path) -> None:
    """The whole table, in row groups."""
    pq.write_table(table, path, row_group_size=ROW_GROUP, **_options(table.schema))


def _options(schema: pa.Schema) -> dict[str, Any]:
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return {"use_dictionary": words, "compression": "zstd", "compression_level": 1}


class Rows:
    """Chunks of rows of one schema, in order, each but the last of :data:`ROW_GROUP` or a few more."""

    def __init__(self) -> None:
        self._last: pa.Table | None = None
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def append(self, chunk: pa.Table) -> None:
        """What was appended before leaves memory for a temporary file; :class:`SimloraError` where that can't grow."""
        if self._last is not None:
            self._spill(self._last)
        self._last = chunk

    def _spill(self, chunk: pa.Table) -> None:
        try:
            if self._writer is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until the rows are forgotten
                self._writer = pq.ParquetWriter(self._file, chunk.schema, **_options(chunk.schema))
            self._writer.write_table(chunk)
        except OSError as error:
            what = "has no room for what a run records; TMPDIR names another folder"
            raise SimloraError(f"{tempfile.gettempdir()}: {what} ({error.strerror or error})") from error

    def _closed(self) -> IO[bytes] | None:
        """The file, complete and at its beginning; ``None`` if one chunk is all there is."""
        if self._file is not None:
            if self._last is not None:
                self._spill(self._last)
                self._writer.close()
                self._last = None
            self._file.seek(0)
        return self._file

    def table(self) -> pa.Table:
        """All of them at once."""
        file = self._closed()
        return self._last if file is None else pq.read_table(file).unify_dictionaries()

    def write(self, path: Path) -> None:
        """To a Parquet file."""
        file = self._closed()
        if file is None:
            write_parquet(self._last, path)
        else:
            with path.open("wb") as target:
                shutil.copyfileobj(file, target)

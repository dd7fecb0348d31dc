"""Columns of a result table as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simlora.errors import TraceError, did_you_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """A numeric column, as it is stored; :class:`TraceError` if the table has no such column."""
    return np.asarray(_column(table, name).to_numpy(zero_copy_only=False))


class Words(NamedTuple):
    """A column of few distinct words: ``words[codes[i]]`` is row i's."""

    codes: Ints
    words: Sequence[str]

    def are(self, *wanted: str) -> Bools:
        """Which rows hold one of the words wanted."""
        return np.isin(self.codes, [code for code, word in enumerate(self.words) if word in wanted])

    def table(self, values: dict[str, float]) -> Floats:
        """Row by row the value of its word; 0 for a word that has none."""
        return np.array([values.get(word, 0.0) for word in self.words] or [0.0])[self.codes]


def words(table: pa.Table, name: str) -> Words:
    """A column of strings, dictionary-encoded or not."""
    column = _column(table, name)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if column.num_chunks == 0:
        return Words(np.empty(0, np.int64), [])
    whole = column.unify_dictionaries().combine_chunks()
    array = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return Words(np.asarray(array.indices, np.int64), array.dictionary.to_pylist())


def _column(table: pa.Table, name: str) -> Any:
    if name not in table.column_names:
        raise TraceError(f'no column "{name}"{did_you_mean(name, table.column_names)}')
    return table.column(name)

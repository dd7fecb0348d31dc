"""Rows that leave memory while a run lasts: what is read and written is what was appended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simlora.entities import Function
from simlora.errors import SimloraError
from simlora.events import InstanceStopped
from simlora.results.recorder import BUSY, INSTANCE, USAGE, Recorder
from simlora.results.rows import ROW_GROUP, Rows, write_parquet
from simlora.testing.scenario import make_functions, make_workload

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.dictionary(pa.int32(), pa.string()))])


def chunk(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    words = pa.array([f"word {n % 7}" for n in numbers], pa.string()).dictionary_encode()
    return pa.Table.from_arrays([numbers, words], schema=SCHEMA)


@pytest.mark.parametrize("counts", [[0], [5], [ROW_GROUP], [ROW_GROUP, 0], [ROW_GROUP, ROW_GROUP, 3]])
def test_what_was_appended_is_read_and_written(counts: Sequence[int], tmp_path: Path) -> None:
    rows, whole = Rows(), chunk(0, sum(counts))
    for first, count in zip(np.cumsum([0, *counts]).tolist(), counts, strict=False):
        rows.append(chunk(first, count))
    for _ in range(2):
        assert rows.table().to_pylist() == whole.to_pylist()
        assert rows.table().schema == SCHEMA
        rows.write(tmp_path / "rows.parquet")
        assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == whole.to_pylist()
    write_parquet(whole, tmp_path / "whole.parquet")
    layout = [pq.ParquetFile(tmp_path / f"{name}.parquet").metadata for name in ("rows", "whole")]
    sizes = [[m.row_group(n).num_rows for n in range(m.num_row_groups) if m.row_group(n).num_rows] for m in layout]
    assert sizes[0] == sizes[1]


def recorded(functions: Sequence[Function], rows: int) -> Recorder:
    recorder = Recorder(1, functions)
    for n in range(rows):
        recorder.usage(INSTANCE, n, 0, 0, BUSY, float(n), n + 1.0, n, 0)
        recorder.event(InstanceStopped(float(n), n, functions[0], 0, "over"))
    return recorder


def test_a_long_record_is_whole_and_little_of_it_is_in_memory() -> None:
    functions = make_functions("llama-2-7b")
    rows = 2 * ROW_GROUP + 10
    recorder = recorded(functions, rows)
    assert len(recorder._usage) == 10 * USAGE.size
    assert recorder._usage_rows._last is not None
    assert recorder._usage_rows._last.num_rows == ROW_GROUP
    _, usage, events = recorder.tables(make_workload([(0.0, 0, 10, 10)]))
    assert usage.table()["id"].to_pylist() == events.table()["instance"].to_pylist() == list(range(rows))
    assert set(usage.table()["function"].to_pylist()) == {"f0"}


def test_a_full_disk_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simlora.results.rows.tempfile.TemporaryFile", full)
    rows = Rows()
    rows.append(chunk(0, 3))
    with pytest.raises(SimloraError, match=r"TMPDIR names another folder \(No space left on device\)"):
        rows.append(chunk(3, 3))

"""Parquet by pyarrow: rows as records, and what is missing or damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hornbook.data.sources.files import TextFile
from hornbook.data.sources.parquet import parquet_records, text_bytes
from hornbook.errors import DataError


def test_rows_are_records_and_columns_are_chosen(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    table = pa.table({"n": list(range(3000)), "text": [f"name {i}" for i in range(3000)]})
    pq.write_table(table, path, row_group_size=700)
    file = TextFile(path)
    assert list(parquet_records(file)) == table.to_pylist()
    assert next(iter(parquet_records(file, ["text"]))) == {"text": "name 0"}
    assert text_bytes(file) > 3000 * len("name ")
    path.write_bytes(b"PAR1 but damaged PAR1")
    with pytest.raises(DataError, match=r"a\.parquet: not valid Parquet"):
        list(parquet_records(file))
    with pytest.raises(DataError, match=r"in an archive is not read; unpack"):
        list(parquet_records(TextFile(path, "b.parquet")))


def test_without_pyarrow_the_install_line_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'hornbook\[parquet\]'"):
        list(parquet_records(TextFile(tmp_path / "a.parquet")))

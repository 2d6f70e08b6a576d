"""The records of a Parquet file, a few at a time (pyarrow, the extra `parquet`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hornbook.data.sources.files import TextFile
from hornbook.data.sources.records import Record
from hornbook.errors import DataError

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

ROWS = 1024  # read at a time


def parquet_records(file: TextFile, columns: list[str] | None = None) -> Iterator[Record]:
    """The rows of a Parquet file as records. columns: those that are read, None for all.

    Raises DataError where pyarrow is missing or the file is no Parquet.
    """
    with _opened(file) as table:
        try:
            for batch in table.iter_batches(batch_size=ROWS, columns=columns):
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: cannot be read ({error}); make or fetch it again") from None


def text_bytes(file: TextFile) -> int:
    """Bytes of all its columns, uncompressed, as the file says. Raises as `parquet_records`."""
    with _opened(file) as table:
        groups = range(table.metadata.num_row_groups)
        return sum(int(table.metadata.row_group(i).total_byte_size) for i in groups)


def _opened(file: TextFile) -> ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            f"{file}: reading Parquet takes pyarrow, which is not installed: pip install "
            "'hornbook[parquet]'"
        ) from None
    if file.member:
        raise DataError(f"{file}: Parquet in an archive is not read; unpack it first")
    try:
        return pq.ParquetFile(file.path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{file}: not valid Parquet ({error}); make or fetch it again") from None

"""Texts of any source: which files, in what format, and that all of them read alike."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from hornbook.config import DataConfig
from hornbook.data.limits import Limits
from hornbook.data.sources.source import Source, open_source, open_stdin, without_null
from hornbook.errors import DataError

LINES = "emma\r\nolivia\nava\n"


def read(source: Source, chunk: int = 7) -> tuple[str, str]:
    """The text, and the sha256 that it is known by."""
    digest = hashlib.sha256()
    text = source.read(chunk, on_bytes=digest.update)
    return "".join(text), digest.hexdigest()


def opened(path: Path, *others: Path, **fields: str) -> Source:
    return open_source(path, DataConfig.parse({"corpus": str(path), **fields}, "data"), others)


def test_a_packed_file_is_known_by_the_bytes_of_its_text(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(LINES.encode())
    packed.write_bytes(gzip.compress(LINES.encode()))
    assert read(opened(plain)) == read(opened(packed))
    assert read(opened(plain))[1] == hashlib.sha256(LINES.encode()).hexdigest()
    assert (opened(plain).described, opened(packed).described) == ("", "unpacked (gz)")


def test_several_files_have_a_null_character_between_them(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name}1\n{name}2")
    folder, files = opened(tmp_path), opened(tmp_path / "b.txt", tmp_path / "a.txt")
    assert read(folder)[0] == "a1\na2\0b1\nb2"
    assert read(files)[0] == "b1\nb2\0a1\na2"
    assert folder.described == files.described == "2 files"
    (tmp_path / "c.txt").write_bytes(b"a\0b")
    with pytest.raises(DataError, match=r"null"):
        list(opened(tmp_path / "b.txt", tmp_path / "c.txt").read(64))
    with pytest.raises(DataError, match=r"place: found a null character.*--encoding"):
        list(without_null(["a\0"], "place"))


def test_records_of_every_format_read_alike(tmp_path: Path) -> None:
    texts = ["emma,\n17", 'said "no"', "æ"]
    rows = [{"id": i, "text": text} for i, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    quoted = "\n".join(f'{i};"{t.replace(chr(34), 2 * chr(34))}"' for i, t in enumerate(texts))
    (tmp_path / "a.csv").write_bytes(f"id;text\n{quoted}\n".encode("latin-1"))
    (tmp_path / "a.tsv").write_text(quoted.replace(";", "\t"))
    found = [
        read(opened(tmp_path / "a.jsonl")),
        read(opened(tmp_path / "a.json")),
        read(opened(tmp_path / "a.csv", encoding="latin-1")),
        read(opened(tmp_path / "a.tsv", header="no", field="2")),
    ]
    assert found == [(("\0".join([*texts, ""])), found[0][1])] * 4
    assert opened(tmp_path / "a.csv", encoding="latin-1").described == (
        "CSV, the documents are in the column 'text'"
    )
    assert opened(tmp_path / "a.json").described == "JSON, the documents are in the field 'text'"


def test_parquet_reads_alike(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2], "o": [{"t": "emma\n1"}, {"t": "ava"}]}), path)
    source = opened(path)
    assert (read(source)[0], source.field) == ("emma\n1\0ava\0", "o.t")
    assert source.fits(1 << 20, 64)
    assert not source.fits(2, 64)


def test_a_format_is_requested_and_mixed_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\nemma\n")
    (tmp_path / "b.txt").write_text("ava\n")
    (tmp_path / "c.txt").write_text("mia\n")
    with pytest.raises(DataError, match=r"2 files of text, 1 file of CSV, expected .*--glob"):
        opened(tmp_path)
    assert read(opened(tmp_path / "a.csv", format="text"))[0] == "name\nemma\n"
    assert opened(tmp_path / "b.txt", format="csv", header="no").field == "1"
    with pytest.raises(DataError, match=r"found the field 'x', but a file of text has none"):
        opened(tmp_path / "b.txt", field="x")


@pytest.mark.parametrize("n", [1, 2])
def test_whether_a_text_fits_is_told_by_its_unpacked_size(tmp_path: Path, n: int) -> None:
    paths = [tmp_path / f"{i}.txt.gz" for i in range(n)]
    for path in paths:
        path.write_bytes(gzip.compress(b"a" * 1000))
    source = opened(paths[0], *paths[1:])
    assert source.fits(1000 * n + 1, 64)
    assert not source.fits(1000 * n, 64)
    assert not Source.of(paths[0]).fits(10, 64)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(LINES)
    source = opened(path)
    before = source.state()
    source.refuse_changed(before)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=r"a\.txt: has changed while it was read"):
        source.refuse_changed(before)


def test_line_ends_are_counted_over_all_files(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(LINES.encode())
    text = opened(tmp_path).read(Limits().chunk)
    assert "\r" not in "".join(text)
    assert (text.crlf, text.n_bytes) == (2, 2 * len("emma\nolivia\nava\n") + 1)


@pytest.mark.parametrize(
    ("raw", "described"),
    [
        (
            b'{"text": "emma"}\n{"text": "ava"}\n',
            "JSON lines, the documents are in the field 'text'",
        ),
        (
            b'\xef\xbb\xbf[\n {"text": "emma"}, {"text": "ava"}]',
            "JSON, the documents are in the field",
        ),
        (b"[a list]\n{emma}\n", ""),
    ],
)
def test_json_that_is_piped_in_is_recognized(raw: bytes, described: str, tmp_path: Path) -> None:
    path = tmp_path / "piped.txt"
    path.write_bytes(raw)
    source = open_stdin(path, DataConfig(corpus="-"))
    assert source.described.startswith(described)
    assert source.described.endswith("; recognized by how it begins") is bool(described)
    if described:
        assert read(source)[0] == "emma\0ava\0"
    assert open_stdin(path, DataConfig(corpus="-", format="text")).described == ""


def test_rows_with_known_columns_are_prompts_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    path.write_text("Question,Answer\n2+2?,4\n3+3?,6\n5+5?,\n")
    source = opened(path)
    expected = (
        "CSV, prompts in 'Question' and answers in 'Answer', of which the answers are learned"
    )
    assert source.described == expected
    assert read(source)[0] == "2+2?\n\x024\x003+3?\n\x026\x00"
    text = opened(path, field="Question")
    assert read(text)[0] == "2+2?\x003+3?\x005+5?\x00"
    with pytest.raises(
        DataError, match=r"no column 'x', of 'Question\+x'; there are:\n  --column Q"
    ):
        opened(path, field="Question+x")

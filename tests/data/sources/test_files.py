"""Which files are read, of folders and archives too, and what cannot be unpacked."""

from __future__ import annotations

import gzip
import sys
import zipfile
from pathlib import Path

import pytest

from hornbook.data.sources.files import TextFile, find_files, state_of
from hornbook.errors import DataError

TEXT = "emma\nolivia\n" * 200


def read(file: TextFile, size: int = 7) -> str:
    return b"".join(file.chunks(size)).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    for name in ("b.txt", "a.md", "sub/c.md", ".git/config", "sub/.hidden"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    (path / "picture.png").write_bytes(b"\x89PNG\0\0")
    (path / "wide.txt").write_bytes("name".encode("utf-16"))
    return path


def test_a_folder_is_read_in_the_order_of_names_without_what_is_hidden_or_no_text(
    folder: Path,
) -> None:
    files, notes = find_files([folder])
    assert [str(f.path.relative_to(folder)) for f in files] == [
        "a.md", "b.txt", "sub/c.md", "wide.txt"
    ]  # fmt: skip
    assert notes == [f"1 file of another kind than text left out: {folder}/picture.png"]


def test_hidden_files_are_read_only_where_a_pattern_names_them(folder: Path) -> None:
    (folder / ".git" / "a.md").write_text("emma")
    assert ".git" not in " ".join(map(str, find_files([folder], "**/*.md")[0]))
    files, _ = find_files([folder], ".git/*.md")
    assert [file.path.name for file in files] == ["a.md"]


@pytest.mark.parametrize("glob", ["**/*.md", "*.md"])
def test_a_glob_chooses_files_at_any_depth(folder: Path, glob: str) -> None:
    files, notes = find_files([folder], glob)
    assert [f.path.name for f in files] == ["a.md", "c.md"]
    assert not notes
    with pytest.raises(DataError, match=r"no file that matches '\*\.rst' in it.*--glob"):
        find_files([folder], "*.rst")


def test_an_archive_is_read_member_by_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/2.txt", TEXT)
        archive.writestr("d/1.jsonl", "{}")
        archive.writestr("__MACOSX/d/1.txt", "x")
    files, _ = find_files([path])
    assert [f.member for f in files] == ["d/1.jsonl", "d/2.txt"]
    assert read(files[1]) == TEXT
    assert (files[0].ending, files[1].size) == ("jsonl", len(TEXT))
    assert files[1].holds(len(TEXT), 64)
    assert not files[1].holds(len(TEXT) + 1, 64)


def test_gzip_is_unpacked_and_its_size_is_that_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "names.jsonl.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    file = TextFile(path)
    assert read(file) == TEXT
    assert file.ending == "jsonl"
    assert file.holds(len(TEXT), 64)
    assert not file.holds(len(TEXT) + 1, 64)


def test_zstandard_is_unpacked(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="the extra zst is not installed")
    path = tmp_path / "names.txt.zst"
    half = TEXT[: len(TEXT) // 2].encode()
    packed = zstandard.compress(half)
    path.write_bytes(packed + packed)  # two frames, as `zstd` appends them
    assert read(TextFile(path)) == TEXT
    path.write_bytes(packed[:-9])
    with pytest.raises(DataError, match=r"names\.txt\.zst: damaged, or not zst"):
        read(TextFile(path))
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"damaged, or not zst"):
        read(TextFile(path))


def test_without_zstandard_the_install_line_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.zst").write_bytes(b"x")
    with pytest.raises(DataError, match=r"pip install 'hornbook\[zst\]'"):
        read(TextFile(tmp_path / "a.zst"))


CUT_OFF = gzip.compress(TEXT.encode(), mtime=0)[:-20]


@pytest.mark.parametrize("name", ["a.gz", "a.zip"])
@pytest.mark.parametrize("raw", [b"", b"no archive", CUT_OFF], ids=["empty", "other", "cut off"])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str, raw: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    try:
        files, _ = find_files([path])
        assert read(files[0]) == "" == raw.decode()  # an empty file is no damaged one
    except DataError as error:
        assert str(error).startswith(f"{path}: damaged, or not {name[2:]} (")  # noqa: PT017


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.txt", TEXT)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag of an encrypted member, in its header and in the directory
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"1\.txt: cannot be read .*unpack it first"):
        read(TextFile(path, "1.txt", len(TEXT)))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: no such file"):
        find_files([tmp_path / "gone.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: found no text in it"):
        find_files([tmp_path / "empty"])


def test_the_state_of_files_changes_with_them(folder: Path) -> None:
    files, _ = find_files([folder])
    before = state_of(files)
    (folder / "a.md").write_text("longer than it was")
    assert state_of(files) != before

"""Folders of the cache are there whole or not at all; damage is seen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hornbook.config import DataConfig, TokenizerConfig
from hornbook.data.cache import (
    ABANDONED,
    SAMPLE_BYTES,
    SAMPLED_WHOLE,
    CacheError,
    cache_directory,
    fingerprint,
    remove_folder,
    whole_folder,
)
from hornbook.data.corpora import CORPORA
from hornbook.data.training_data import load_training_data


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_directory() == Path(os.environ["HORNBOOK_CACHE"])
    if sys.platform == "linux":
        monkeypatch.delenv("HORNBOOK_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache_directory() == tmp_path / ".cache" / "hornbook"


def test_without_a_home_there_is_no_cache_and_no_folder_named_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words_file: Path
) -> None:
    pwd = pytest.importorskip("pwd")

    def no_entry(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for name in ("HOME", "HORNBOOK_CACHE", "XDG_CACHE_HOME", "HORNBOOK_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(CacheError, match=r"no home directory.*HORNBOOK_CACHE"):
        cache_directory()
    data = load_training_data(DataConfig(corpus=str(words_file)), TokenizerConfig())
    assert data.train.n_targets
    assert all(known.path() is None or known.url == "" for known in CORPORA.values())
    assert set(tmp_path.iterdir()) == before


def test_a_tilde_in_a_variable_is_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An env file of a container is not read by a shell, which would expand it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HORNBOOK_CACHE", "~/kept")
    assert cache_directory() == tmp_path / "kept"
    monkeypatch.setenv("HORNBOOK_DATA", "~/texts")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "shakespeare.txt").write_text("to be")
    assert CORPORA["shakespeare"].path() == tmp_path / "texts" / "shakespeare.txt"


def write_half(folder: Path) -> None:
    (folder / "file").write_text("half")
    raise KeyError


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "tokens" / "a"
    with pytest.raises(KeyError), whole_folder(path) as partial:
        write_half(partial)
    assert not list(path.parent.iterdir())
    with whole_folder(path) as partial:
        (partial / "file").write_text("whole")
        assert not path.exists()
    assert (path / "file").read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_two_may_write_the_same_folder_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with whole_folder(path) as first, whole_folder(path) as second:
        assert first != second
        (first / "file").write_text("equal")
        (second / "file").write_text("equal")
    assert (path / "file").read_text() == "equal"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_abandoned_long_ago_is_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "x.1-a.partial", tmp_path / "x.2-b.partial"
    for folder in (old, new):
        folder.mkdir()
    long_ago = new.stat().st_mtime - ABANDONED - 60
    os.utime(old, (long_ago, long_ago))
    with whole_folder(tmp_path / "a"):
        assert not old.exists()
        assert new.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(CacheError, match=r"cannot be written \(Not a directory\).*free some space"),
        whole_folder(tmp_path / "file" / "tokens" / "a"),
    ):
        pass


def test_removing_a_folder_that_another_process_has_removed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    remove_folder(tmp_path / "a")
    remove_folder(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, 5000, 10**6])
def test_a_fingerprint_shows_what_was_cut_zeroed_or_replaced(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    raw = bytes(range(1, 251)) * (size // 250 + 1)
    path.write_bytes(raw)
    before = fingerprint(path)
    for damaged in (raw[:-1], bytes(len(raw)), raw[::-1]):
        path.write_bytes(damaged)
        assert fingerprint(path) != before
    path.write_bytes(raw)
    assert fingerprint(path) == before


@pytest.mark.parametrize("size", [1, SAMPLE_BYTES + 1, SAMPLED_WHOLE - 1, SAMPLED_WHOLE])
def test_a_fingerprint_of_a_small_file_covers_every_byte(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    before = fingerprint(path)
    for i in {0, size // 2, *range(SAMPLE_BYTES - 1, size, SAMPLE_BYTES), size - 1}:
        path.write_bytes(bytes(i) + b"x" + bytes(size - i - 1))
        assert fingerprint(path) != before

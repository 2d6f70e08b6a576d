"""A text is found by its fingerprint, whatever its name is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hornbook.data.finding import find_text, fingerprint_of, folders_of_texts

TEXT = b"emma\nolivia\nava\n"
SHA256 = hashlib.sha256(TEXT).hexdigest()


def test_a_text_is_found_in_the_first_folder_that_has_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        (folder / "deep").mkdir(parents=True)
    (first / "same size.txt").write_bytes(TEXT.upper())
    (first / "deep" / "below.txt").write_bytes(TEXT)
    (second / "another name").write_bytes(TEXT)
    places = [tmp_path / "none", Path("\0"), first, second]
    assert find_text(SHA256, len(TEXT), places) == second / "another name"
    assert find_text(SHA256, len(TEXT), [first]) is None
    (first / "link").symlink_to(second / "another name")
    found = find_text(SHA256, len(TEXT), places)
    assert found == first / "link"
    assert fingerprint_of(found) == SHA256


def test_the_working_directory_and_fetched_corpora_are_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HORNBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "names").write_bytes(TEXT)  # also a name of the registry
    found = find_text(SHA256, len(TEXT), folders_of_texts())
    assert found == tmp_path / "names"
    assert found.is_absolute()
    assert [f.name for f in folders_of_texts()] == ["", "data", "cache"]

"""The registry of known texts, and paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.config import DataConfig
from hornbook.data.corpora import CORPORA, load_corpus
from hornbook.errors import DataError

Write = Callable[[str, bytes | str], Path]


def test_the_names_of_the_package_are_what_they_were() -> None:
    corpus = load_corpus(DataConfig(corpus="names"))
    assert len(set(corpus.documents)) == len(corpus.documents) == 29_910
    assert corpus.sha256 == CORPORA["names"].sha256


def test_an_unknown_name_and_an_empty_one_are_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'shakespeare'"):
        load_corpus(DataConfig(corpus="shakespear"))
    with pytest.raises(DataError, match="expected a name or the path"):
        load_corpus(DataConfig(corpus=""))


def test_a_changed_file_of_the_registry_is_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("names.txt", "emma\nolivia\n")
    monkeypatch.setenv("HORNBOOK_DATA", str(tmp_path))
    with pytest.raises(DataError, match="not the makemore-names of the registry"):
        load_corpus(DataConfig(corpus="makemore-names"))


def test_what_cannot_be_fetched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HORNBOOK_DATA", raising=False)
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("hornbook.data.corpora.urllib.request.urlopen", _no_network)
    with pytest.raises(DataError, match=r"could not be fetched.*HORNBOOK_DATA.*`names`"):
        load_corpus(DataConfig(corpus="shakespeare"))
    assert not (tmp_path / "cache").exists()


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no route")


@pytest.mark.parametrize(
    ("file", "dataset"), [("names.txt", "makemore-names"), ("data/input.txt", "shakespeare")]
)
def test_a_file_of_the_notes_that_is_not_there_names_the_dataset(
    file: str, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"no such file; the notes' text is .*'{dataset}'"):
        load_corpus(DataConfig(corpus=file))


def test_a_text_in_place_of_a_path_is_told_to_be_saved() -> None:
    with pytest.raises(
        DataError, match=r"corpus: found a text that begins with 'emma.*save it into"
    ):
        load_corpus(DataConfig(corpus="emma\nolivia\n" * 200))

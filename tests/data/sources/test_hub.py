"""Datasets of Hugging Face: what is fetched, which part is read, and what is said without a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.sources.hub import fetch_dataset, name_on_hub
from hornbook.errors import DataError

NAMES = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("na", "ra", "to")]


def config(name: str = "hf:someone/names", **fields: str) -> DataConfig:
    return DataConfig.parse({"corpus": name, **fields}, "data")


def test_the_training_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra hub is missing")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.csv").write_text("name\n" + "\n".join(NAMES))
    (tmp_path / "data/test-0.csv").write_text("name\nzzz\n")
    (tmp_path / "LICENSE.txt").write_text("all rights")
    asked: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    corpus = load_corpus(config())
    assert (asked["name"], asked["repo_type"]) == ("someone/names", "dataset")
    assert corpus.documents == tuple(NAMES)
    assert (corpus.name, corpus.source) == ("someone-names", "hf:someone/names")
    assert load_corpus(config(glob="*test*.csv", kind="documents", header="no")).n_documents == 2
    (tmp_path / "data/train-0.csv").unlink()
    assert fetch_dataset(config())[1].glob == "*.csv*"
    (tmp_path / "data/test-0.csv").unlink()
    (tmp_path / "LICENSE.txt").unlink()
    with pytest.raises(DataError, match=r"hf:someone/names: found no file of text"):
        load_corpus(config())


@pytest.mark.parametrize(
    "name",
    [
        "hf://someone/names", "hf://datasets/someone/names", "someone/names",
        "https://huggingface.co/datasets/someone/names", "huggingface.co/someone/names/",
    ],
)  # fmt: skip
def test_other_ways_to_write_it_are_answered_with_ours(name: str) -> None:
    with pytest.raises(DataError, match=r" hf:someone/names$"):
        load_corpus(config(name))


def test_a_path_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_on_hub("owner/v1.5-a") == name_on_hub("hf.co/owner/v1.5-a") == "owner/v1.5-a"
    for name in ("a/b/c", "../names", "/a/b", "names", "hf://a/b/c", "./a", "texts/book.txt"):
        assert name_on_hub(name) == ""
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert name_on_hub("runs/gone") == ""


@pytest.mark.parametrize("name", ["hf:someone/names", "hf:a b", "hf:"])
def test_without_a_network_what_to_do_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra hub is missing")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"^hf:.*could not be fetched .*hf:OWNER/NAME"):
        load_corpus(config(name))


def test_without_the_library_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DataError, match=r"pip install 'hornbook\[hub\]'"):
        fetch_dataset(config())

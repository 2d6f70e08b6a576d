"""All that a run needs of its text, made once; and runs on texts that are not held in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hornbook
from hornbook.config import DataConfig, TokenizerConfig
from hornbook.data.limits import LIMITS
from hornbook.data.reading import TextReader
from hornbook.data.training_data import load_training_data
from hornbook.errors import ConfigError
from tests.data.texts import BOTTLES, NAMES

Write = Callable[[str, bytes | str], Path]


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_the_parts_are_those_of_the_split(kind: str, write: Write) -> None:
    path = write("t.txt", "\n\n".join(NAMES) if kind == "documents" else BOTTLES)
    data = load_training_data(DataConfig(corpus=str(path), kind=kind), TokenizerConfig())
    assert np.array_equal(data.train.tokens, data.split.part("train", data.tokenizer).tokens)
    assert data.validation is data.split.part("val", data.tokenizer)
    assert data.notes == (*data.corpus.notes, *data.split.notes)
    assert len(data.notes) == (kind == "documents")


def test_a_text_in_memory_is_read_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[Path] = []
    begin = TextReader.__init__

    def counted(self: TextReader, path: Path, *args: Any, **how: Any) -> None:
        readers.append(path)
        begin(self, path, *args, **how)

    monkeypatch.setattr(TextReader, "__init__", counted)
    load_training_data(
        DataConfig(corpus=str(write("t.txt", BOTTLES)), kind="stream"), TokenizerConfig(kind="byte")
    )
    assert len(readers) == 1


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize(
    ("model", "tokenizer"), [("gpt", "char"), ("mlp", "char"), ("ngram", "char"), ("gpt", "bpe")]
)
def test_a_text_that_is_not_in_memory_is_trained_on(
    kind: str,
    model: str,
    tokenizer: str,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("corpora", "limits"):
        limits = replace(LIMITS, in_memory=0, chunk=300, excerpt=400)
        monkeypatch.setattr(f"hornbook.data.{module}.LIMITS", limits)
    path = write("t.txt", "\n".join(NAMES) if kind == "documents" else BOTTLES)
    sizes: dict[str, Any] = {"model": {}, "data": {"kind": kind, "validation_tokens": 100}}
    if tokenizer == "bpe":
        sizes["tokenizer"] = {"kind": "bpe", "vocab_size": 280}
    if model == "gpt":
        sizes["model"] = {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24}
    if model != "ngram":
        sizes["training"] = {"steps": 2, "batch_size": 4, "eval_count": 1, "sample_count": 1}
    out = tmp_path / "run"
    run = hornbook.train(str(path), model=model, precision="fp32", settings=sizes, out=out)
    assert 50 < run.report["validation"]["tokens"] < 150
    assert "by an excerpt of the training part" in run.report["novelty"]["verdict"]
    assert run.evaluate("val").nats == pytest.approx(run.report["validation"]["nats"])
    other = write("other.txt", "\n".join(NAMES[:50]) if kind == "documents" else BOTTLES[:2000])
    mapped = run.evaluate(corpus=other)
    monkeypatch.setattr("hornbook.data.corpora.LIMITS", LIMITS)
    held = run.evaluate(corpus=other)
    assert held.nats == pytest.approx(mapped.nats, rel=1e-5)
    assert held.tokens == mapped.tokens


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_the_tokenizer_of_another_text(kind: str, write: Write, tmp_path: Path) -> None:
    path = write("t.txt", "\n".join(f"{name} {name}" for name in NAMES * 3))
    config = DataConfig(corpus=str(path), kind=kind)
    first = load_training_data(config, TokenizerConfig(kind="bpe", vocab_size=280))
    (tmp_path / "run").mkdir()
    first.tokenizer.save(tmp_path / "run" / "tokenizer.json")
    setting = str(tmp_path / "run")
    again = load_training_data(config, TokenizerConfig(kind=setting))
    assert again.tokenizer.to_json() == first.tokenizer.to_json()
    assert np.array_equal(again.train.tokens, first.train.tokens)
    other = load_training_data(
        DataConfig(corpus=str(write("u.txt", BOTTLES)), kind="stream"),
        TokenizerConfig(kind=setting),
    )
    assert other.tokenizer.end_id is None
    assert other.tokenizer.vocab_size == first.tokenizer.vocab_size
    with pytest.raises(ConfigError, match=r"vocab_size: found 300, expected 2\d\d"):
        load_training_data(config, TokenizerConfig(kind=setting, vocab_size=300))


@pytest.mark.parametrize("large", [False, True], ids=["held in memory", "read in pieces"])
@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_merges_are_learned_from_the_training_part_alone(
    kind: str, large: bool, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        for module in ("corpora", "limits"):
            limits = replace(LIMITS, in_memory=0, chunk=300, excerpt=400)
            monkeypatch.setattr(f"hornbook.data.{module}.LIMITS", limits)
    lines = [f"{name} {i}" for i, name in enumerate(NAMES)]
    held_out = set(lines[len(lines) * 92 // 100 :])  # the last fifth of a stream is
    if kind == "documents":  # which are held out depends on how many there are alone
        order = list(range(len(lines)))
        random.Random(42).shuffle(order)
        held_out = {lines[i] for i in order[len(lines) * 8 // 10 :]}
    marked = [f"{line} zqzqzq" if line in held_out else line for line in lines]
    config = DataConfig(corpus=str(write("t.txt", "\n".join(marked))), kind=kind, test=0.1)
    tokenizer = TokenizerConfig(kind="bpe", vocab_size=320)
    data = load_training_data(config, tokenizer)
    symbols = [data.tokenizer.symbol(i) for i in range(data.tokenizer.vocab_size)]
    assert "zqzqzq" in data.tokenizer.decode(data.validation.tokens)
    assert "zqzqzq" not in data.tokenizer.decode(data.train.tokens)
    assert not [s for s in symbols if "zq" in s]
    assert [s for s in symbols if len(s) > 2]
    changed = [line.replace("zq", "xw") for line in marked]
    other = DataConfig(corpus=str(write("o.txt", "\n".join(changed))), kind=kind, test=0.1)
    assert load_training_data(other, tokenizer).tokenizer.to_json() == data.tokenizer.to_json()

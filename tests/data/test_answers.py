"""Parts and batches of prompts with answers: only predictions of answers are trained and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.config import DataConfig
from hornbook.data.batches import IGNORE, DocumentBatches, Draw, WindowBatches
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import read_corpus
from hornbook.data.limits import Limits
from hornbook.data.part import Part
from hornbook.data.sources.source import open_source
from hornbook.data.split import split_corpus
from hornbook.metrics.loss import evaluate, mean_nats, summarize, token_nats
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import Tokenizer, build_tokenizer
from tests.data.texts import FROM_FILE, FROM_MEMORY

PAIRS = [(f"{a}+{b}=", f"{a + b}") for a in range(12) for b in range(12)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    lines = [json.dumps({"prompt": p, "completion": c}) for p, c in PAIRS]
    path.write_text("\n".join(lines))
    return path


def parts(path: Path, limits: Limits) -> tuple[Tokenizer, dict[str, Part]]:
    config = DataConfig(corpus=str(path))
    corpus = read_corpus(open_source(path, config), limits=limits)
    tokenizer = build_tokenizer(
        "char", corpus.alphabet, documents=True, document_end=corpus.document_end
    )
    split = split_corpus(corpus, config, tokenizer)
    return tokenizer, {n: split.part(n, tokenizer) for n in ("train", "validation", "test")}


@pytest.mark.parametrize("limits", [FROM_MEMORY, FROM_FILE])
def test_the_parts_know_which_tokens_are_of_answers(path: Path, limits: Limits) -> None:
    tokenizer, found = parts(path, limits)
    together = []
    for part in found.values():
        assert part.answers is not None
        assert part.scored is not None
        assert part.n_scored == int(part.scored.sum()) == part.n_bytes
        documents = tokenizer.decode_documents(part.tokens)
        expected = "".join(text.partition("=")[2] + "\0" for text in documents)
        assert tokenizer.decode_lines(part.tokens[part.answers]) == expected
        together += part.prompts(tokenizer, 10_000)
    assert sorted(together) == sorted(PAIRS)


def test_both_ways_of_reading_hold_the_same_pairs(path: Path) -> None:
    (_, one), (tokenizer, other) = parts(path, FROM_MEMORY), parts(path, FROM_FILE)
    for name in one:
        pairs = [sorted(p[name].prompts(tokenizer, 10_000)) for p in (one, other)]
        assert pairs[0] == pairs[1]


def test_a_subset_keeps_its_answers(path: Path) -> None:
    tokenizer, found = parts(path, FROM_MEMORY)
    part = found["train"].subset(200, tokenizer)
    assert part.answers is not None
    assert len(part.answers) == len(part.tokens)
    assert set(part.prompts(tokenizer, 1000)) < set(PAIRS)
    assert part.n_bytes == part.n_scored


@pytest.mark.parametrize("build", [DocumentBatches, WindowBatches])
def test_batches_score_answers_alone_and_each_of_them(
    path: Path, build: Callable[[Part, int, Draw], DocumentBatches | WindowBatches]
) -> None:
    _, found = parts(path, FROM_MEMORY)
    part = found["train"]
    batches = build(part, 12, Draw(batch_size=4, seed=3))
    steps = -(-batches.items_per_epoch // 4)
    scored = 0
    for step in range(batches.items_per_epoch // 4):
        _, targets = batches.batch(step)
        assert (targets != IGNORE).any()
        scored += int((targets != IGNORE).sum())
    assert part.scored is not None
    assert abs(scored - part.n_scored) <= 4 * 12 * (steps * 4 > batches.items_per_epoch)
    everything = build(part, 12, Draw(batch_size="all", seed=3)).batch(0)[1]
    assert int((everything != IGNORE).sum()) == part.n_scored


def test_a_piece_without_an_answer_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    line = json.dumps({"prompt": "ab" * 40, "completion": "ba"})
    path.write_text("\n".join([line] * 30))
    _, found = parts(path, FROM_MEMORY)
    batches = DocumentBatches(found["train"], 16, Draw(batch_size=1, seed=0))
    for step in range(batches.items_per_epoch):
        assert (batches.batch(step)[1] != IGNORE).any()


def test_losses_are_means_over_answers(path: Path) -> None:
    tokenizer, found = parts(path, FROM_MEMORY)
    part = found["validation"]
    torch.manual_seed(0)
    model = build_model(
        model_config({"name": "bigram"}), tokenizer.vocab_size, tokenizer.end_id
    ).eval()
    nats = token_nats(model, part)
    bare = token_nats(model, Part(part.tokens, part.starts, True, part.n_bytes))
    assert part.scored is not None
    np.testing.assert_array_equal(nats, np.where(part.scored, bare, 0.0))
    result = evaluate(model, part)
    assert result.nats == pytest.approx(bare[part.scored].mean())
    assert result.tokens == part.n_scored
    assert result.units == len(part.starts) - 1
    assert mean_nats(model, [part, part]) == pytest.approx(result.nats)
    assert result.standard_error == summarize(bare * part.scored, part, 1).standard_error


def test_documents_are_shown_without_marks(path: Path) -> None:
    corpus = load_corpus(DataConfig(corpus=str(path)))
    assert corpus.documents[:2] == ("0+0=0", "0+1=1")
    assert set(corpus.alphabet) == set("0123456789+=")
    assert corpus.n_in_documents == sum(len(p + c) for p, c in PAIRS)
    assert corpus.answers
    assert "\x02" not in corpus.text + "".join(corpus.pieces())
    assert "\x02" in "".join(corpus.pieces(marked=True))

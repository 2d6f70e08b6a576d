"""Losses over a part: every token once, whatever the batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hornbook.data.part import Part
from hornbook.errors import DataError
from hornbook.generate.decoder import rows_at_once
from hornbook.generate.tuning import MAX_LOGITS
from hornbook.metrics.loss import (
    BATCH_LOGITS,
    evaluate,
    likeliest_tokens,
    score,
    scored_logits,
    scored_rows,
    summarize,
    token_nats,
)
from hornbook.tokenizers import build_tokenizer
from tests.conftest import WORDS, tiny_model


@pytest.mark.parametrize("name", ["gpt", "mlp", "lstm", "ngram"])
@torch.inference_mode()
def test_losses_of_documents_are_those_of_each_alone(name: str, words: Part) -> None:
    model = tiny_model(name, vocab_size=int(words.tokens.max()) + 1)
    expected = []
    for first, last in zip(words.starts[:-1], words.starts[1:], strict=True):
        ids = torch.from_numpy(words.tokens[first : last + 1].astype(np.int64))
        logits = model(ids[None, :-1])[0]
        expected.append(F.cross_entropy(logits, ids[1:], reduction="none"))
    for batch_tokens in (1, 64, 1 << 14):
        found = token_nats(model, words, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found, torch.cat(expected), rtol=2e-5, atol=1e-6)


def test_an_evaluation_of_equal_losses_is_known(words: Part) -> None:
    nats = np.full(words.n_targets, math.log(8))
    found = summarize(nats, words, 16)
    assert found.nats == pytest.approx(math.log(8))
    assert found.perplexity == pytest.approx(8)
    assert found.bits_per_byte == pytest.approx(3)  # a byte a character, and one for each end
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    assert found.units == len(WORDS)


def test_the_standard_error_is_that_of_drawing_documents_again(words: Part) -> None:
    draw = np.random.default_rng(0)
    nats = draw.exponential(size=words.n_targets)
    sizes = np.diff(words.starts)
    sums = np.add.reduceat(nats, words.starts[:-1])
    again = draw.integers(0, len(sizes), (20_000, len(sizes)))
    means = sums[again].sum(1) / sizes[again].sum(1)
    found = summarize(nats, words, 16).standard_error
    assert found is not None
    assert found * math.sqrt((len(sizes) - 1) / len(sizes)) == pytest.approx(means.std(), rel=0.05)


def test_scores_add_up_to_the_evaluation(words: Part) -> None:
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    model = tiny_model("gpt", vocab_size=tokenizer.vocab_size)
    scores = score(model, tokenizer, WORDS)
    found = evaluate(model, words)
    assert sum(s.total for s in scores) / sum(s.tokens for s in scores) == pytest.approx(
        found.nats, rel=1e-5
    )
    for text, one in zip(WORDS, scores, strict=True):
        assert "".join(one.symbols[:-1]) == text
        assert sum(one.token_nats) == pytest.approx(one.total)
    assert score(model, tokenizer, []) == []
    with pytest.raises(DataError, match="unknown characters"):
        score(model, tokenizer, ["Ω"])


def test_the_likeliest_tokens_of_each_position(model_name: str, words: Part) -> None:
    model = tiny_model(model_name, vocab_size=int(words.tokens.max()) + 1)
    nats, tokens, log_p = likeliest_tokens(model, words, 100)
    assert np.array_equal(nats, token_nats(model, words))
    assert tokens.shape == log_p.shape == (words.n_targets, model.vocab_size)
    assert (np.diff(log_p, axis=1) <= 0).all()
    own = log_p[tokens == words.tokens[1:, None]]
    np.testing.assert_allclose(own, -nats, atol=1e-5)
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, atol=1e-4)


@pytest.mark.parametrize("vocab_size", [300, 60_000])
def test_what_is_scored_at_once_is_what_was_estimated_for_the_vocabulary(vocab_size: int) -> None:
    model = tiny_model("gpt2", vocab_size=vocab_size, end_id=None)
    part = Part(np.zeros(10_001, np.uint16), np.array([0, 10_000]), False, 10_000)
    sizes = [ids.numel() for _, _, ids, _ in scored_rows(model, part)]
    estimate = scored_logits(model, part.n_targets)
    assert 0.9 * estimate <= max(sizes) * vocab_size <= 1.1 * estimate
    assert max(sizes) * vocab_size <= BATCH_LOGITS
    assert (len(sizes) == 1) == (vocab_size == 300)
    assert rows_at_once(model, 10) * vocab_size <= MAX_LOGITS

"""The best n-grams of a text, and a mixture with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hornbook.data.part import Part
from hornbook.metrics.counts import (
    HIGHEST,
    mix_with_counts,
    mixed_nats,
    nats_by_order,
    paired,
    search_counts,
    search_order,
)
from hornbook.metrics.loss import token_nats
from hornbook.models.ngram import NGram, NGramConfig
from hornbook.tokenizers import Tokenizer, build_tokenizer


def documents(n: int, seed: int) -> list[str]:
    draw = np.random.default_rng(seed)
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    return ["".join(draw.choice(parts, draw.integers(1, 5))) for _ in range(n)]


def parts_of(kind: str) -> tuple[Part, Part, Tokenizer]:
    """A training and a validation part."""
    texts = documents(300, 1), documents(80, 2)
    if kind == "documents":
        tokenizer = build_tokenizer("char", "abeiklmortu", documents=True)
        train, other = (Part.of_documents(t, tokenizer) for t in texts)
    else:
        tokenizer = build_tokenizer("char", "abeiklmortu ", documents=False)
        train, other = (Part.of_stream(" ".join(t), tokenizer, before=" ") for t in texts)
    return train, other, tokenizer


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_every_order_is_what_its_model_says(kind: str) -> None:
    train, other, tokenizer = parts_of(kind)
    found = list(nats_by_order(train, other, tokenizer.vocab_size, 6))
    assert len(found) == 6
    for order, nats in enumerate(found, 1):
        model = NGram(NGramConfig(order=order), tokenizer.vocab_size, tokenizer.end_id)
        model.fit(torch.from_numpy(train.tokens.astype("int64")), torch.from_numpy(train.starts))
        np.testing.assert_allclose(nats, token_nats(model, other), rtol=1e-4, atol=1e-5)


def test_the_best_order_is_found() -> None:
    train, other, tokenizer = parts_of("documents")
    found = search_counts(train, other, tokenizer)
    assert found.loss == min(found.losses) == found.losses[found.order - 1]
    assert found.nats.mean() == pytest.approx(found.loss)
    assert 2 <= found.order <= len(found.losses) <= HIGHEST
    assert found.share == 1
    assert found.to_json()["order"] == found.order


def test_a_large_text_is_counted_in_part() -> None:
    train, other, tokenizer = parts_of("documents")
    found = search_counts(train, other, tokenizer, train.n_targets // 4)
    assert found.share == pytest.approx(0.25, abs=0.03)
    assert found.loss > search_counts(train, other, tokenizer).loss


def test_documents_shorter_than_the_order_end_the_search() -> None:
    tokenizer = build_tokenizer("char", "ab", documents=True)
    part = Part.of_documents(["a", "b"], tokenizer)
    assert len(list(nats_by_order(part, part, tokenizer.vocab_size))) == 3


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_the_best_order_is_found_in_the_training_part_alone(kind: str) -> None:
    train, _, tokenizer = parts_of(kind)
    found = search_order(train, tokenizer)
    assert found.of == train.n_targets
    assert 0.85 < found.share < 0.95  # nine tenths are counted
    assert len(found.nats) == pytest.approx(0.1 * train.n_targets, rel=0.2)  # and one is predicted
    if kind == "stream":
        n = train.n_targets - train.n_targets // 10
        counted, held_back = (
            Part(train.tokens[a : b + 1], np.array([0, b - a]), False, 1)
            for a, b in ((0, n), (n, train.n_targets))
        )
    else:
        chosen = np.arange(len(train.starts) - 1) % 10 == 9
        counted, held_back = train.units(~chosen, tokenizer), train.units(chosen, tokenizer)
    again = search_counts(counted, held_back, tokenizer)
    assert found.losses == again.losses


def test_of_a_large_text_a_part_is_counted_to_find_the_order() -> None:
    train, _, tokenizer = parts_of("documents")
    found = search_order(train, tokenizer, train.n_targets // 3)
    assert 0.2 < found.share < 0.35


def test_models_that_err_differently_are_better_together() -> None:
    _, other, _ = parts_of("documents")
    n, draw = other.n_targets, np.random.default_rng(0)
    sure, unsure = np.full(n, 0.1), np.full(n, 2.5)
    first = draw.random(n) < 0.5
    model, counts = np.where(first, sure, unsure), np.where(first, unsure, sure)
    found = mix_with_counts(model, counts, other)
    assert found.worthwhile
    assert 0.4 <= found.weight <= 0.6
    assert found.loss == pytest.approx(mixed_nats(model, counts, 0.5).mean(), abs=0.02)
    assert found.gain == pytest.approx(min(model.mean(), counts.mean()) - found.loss)
    assert sum(found.to_json()["weights"]) == pytest.approx(1)
    # the same twice: nothing is gained
    assert not mix_with_counts(model, model, other).worthwhile
    # a model without any use
    assert not mix_with_counts(np.full(n, 9.0), counts, other).worthwhile


def test_a_weight_is_not_measured_on_the_text_it_was_fitted_to() -> None:
    """Where the halves ask for opposite weights, each is measured with that of the other."""
    _, other, _ = parts_of("stream")
    n = other.n_targets
    half = np.arange(n) < n // 2
    model, counts = np.where(half, 0.1, 3.0), np.where(half, 3.0, 0.1)
    fitted = min(mixed_nats(model, counts, weight).mean() for weight in (0.05, 0.5, 0.95))
    assert mix_with_counts(model, counts, other).loss > fitted + 0.5


def test_differences_are_paired_by_document() -> None:
    _, other, _ = parts_of("documents")
    hard = np.random.default_rng(3).random(other.n_targets) * 10
    difference, error = paired(hard + 0.1, hard, other)
    assert difference == pytest.approx(0.1)
    assert error < 1e-6
    assert math.isfinite(error)

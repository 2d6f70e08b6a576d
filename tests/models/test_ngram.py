"""N-grams against dictionaries of counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from hornbook.data.part import Part
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import build_tokenizer

WORDS = ("emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "noah", "liam", "otto") * 3


def fitted(**fields: Any) -> tuple[LanguageModel, list[list[int]]]:
    """A model fitted to WORDS, and their ids with the end id on both sides."""
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    model = build_model(model_config({"name": "ngram", **fields}), tokenizer.vocab_size, 0)
    part = Part.of_documents(WORDS, tokenizer)
    tokens = torch.from_numpy(part.tokens.astype(np.int64))
    model.fit(tokens, torch.from_numpy(part.starts))
    return model, [[0, *tokenizer.encode(word).tolist(), 0] for word in WORDS]


def probabilities(model: LanguageModel, context: list[int]) -> np.ndarray:
    return model(torch.tensor([context]))[0, -1].exp().double().numpy()


@pytest.mark.parametrize("k", [0.0, 0.5])
def test_add_k_is_counts_plus_k(k: float) -> None:
    model, words = fitted(order=3, smoothing="add-k", k=k)
    pairs = Counter((tuple(w[max(0, i - 2) : i]), w[i]) for w in words for i in range(1, len(w)))
    contexts = Counter(context for context, _ in pairs.elements())
    for word in words[:10]:
        for i in range(1, len(word)):
            context = tuple(word[max(0, i - 2) : i])
            found = probabilities(model, word[:i])
            counts = np.array([pairs[context, c] for c in range(model.vocab_size)])
            expected = (counts + k) / (contexts[context] + k * model.vocab_size)
            np.testing.assert_allclose(found, expected, atol=1e-6)


def kneser_ney(words: list[list[int]], vocab: int, order: int) -> Any:
    """Interpolated modified Kneser-Ney by its definition: Chen and Goodman 1999, section 3."""
    counts = []  # for each length of context: how often, or after how many different tokens
    for length in range(order):
        grams: Counter[tuple[int, ...]] = Counter()
        for w in words:
            for i in range(length, len(w)):
                if i > 0:  # the first end id is not predicted
                    grams[tuple(w[i - length : i + 1])] += 1
        counts.append(grams)
    for length in range(order - 1):
        preceded: Counter[tuple[int, ...]] = Counter(g[1:] for g in counts[length + 1])
        # nothing precedes a gram that begins with the start of a document
        counts[length] = Counter({g: preceded[g] or n for g, n in counts[length].items()})
    discounts = []
    for grams in counts:
        n = [sum(c == r for c in grams.values()) for r in range(1, 5)]
        if not n[0] * n[1]:
            discounts.append((0.5, 0.75, 0.9))
            continue
        y = n[0] / (n[0] + 2 * n[1])
        d = (
            1 - 2 * y * n[1] / n[0],
            2 - 3 * y * n[2] / n[1],
            3 - 4 * y * n[3] / n[2] if n[2] else 1.5,
        )
        discounts.append(
            tuple(float(np.clip(x, 0.05, m)) for x, m in zip(d, (0.95, 1.95, 2.95), strict=True))
        )

    def p(context: tuple[int, ...], token: int) -> float:
        grams, discount = counts[len(context)], discounts[len(context)]
        seen = {g[-1]: n for g, n in grams.items() if g[:-1] == context}
        lower = 1 / vocab if not context else p(context[1:], token)
        if not seen:
            return lower
        total = sum(seen.values())
        freed = sum(discount[min(n, 3) - 1] for n in seen.values()) / total
        n = seen.get(token, 0)
        return (n - discount[min(n, 3) - 1] if n else 0) / total + freed * lower

    return p


def test_kneser_ney_is_its_definition() -> None:
    model, words = fitted(order=4, smoothing="kneser-ney")
    p = kneser_ney(words, model.vocab_size, 4)
    for word in (*words[:10], [0, 1, 2, 3, 4, 5, 6], [0, 7, 7, 7, 7]):
        for i in range(1, len(word)):
            context = tuple(word[max(0, i - 3) : i])
            expected = [p(context, token) for token in range(model.vocab_size)]
            np.testing.assert_allclose(probabilities(model, word[:i]), expected, atol=1e-6)


@pytest.mark.parametrize("smoothing", ["kneser-ney", "add-k"])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_probabilities_sum_to_1_whatever_the_context(smoothing: str, order: int) -> None:
    model, _ = fitted(order=order, smoothing=smoothing)
    torch.manual_seed(0)
    ids = torch.randint(model.vocab_size, (20, 9))
    torch.testing.assert_close(model(ids).exp().sum(-1), torch.ones(20, 9))


def test_frequent_contexts_of_a_large_vocabulary_are_looked_up_in_pieces() -> None:
    """What follows 600 contexts, of 3,000 tokens each, is more than is looked up at once."""
    model = build_model(model_config({"name": "ngram", "order": 2}), 3000, None)
    tokens = torch.stack([torch.zeros(2999, dtype=torch.int64), torch.arange(1, 3000)]).T.flatten()
    model.fit(tokens, torch.tensor([0, len(tokens) - 1]))
    ids = torch.zeros(2, 300, dtype=torch.int64)
    ids[1, 100:] = 7
    together = model(ids)
    one_by_one = {token: model(torch.full((1, 1), token))[0, 0] for token in (0, 7)}
    for row, token in ((together[0], 0), (together[1, :100], 0), (together[1, 100:], 7)):
        assert torch.equal(row, one_by_one[token].expand(len(row), -1))


def test_memory_of_counting_is_bounded_by_its_tables() -> None:
    model, documents = fitted(order=4)
    n_tokens = sum(len(ids) - 1 for ids in documents)
    held = sum(t.nbytes for t in model.state_dict().values())
    assert held < model.fit_bytes(n_tokens)
    assert model.fit_bytes(2 * n_tokens) == 2 * model.fit_bytes(n_tokens)

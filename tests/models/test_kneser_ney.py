"""Counts that leave one token out, against counting again without it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from hornbook.errors import RunError
from hornbook.models.blocks import BLOCKS
from hornbook.models.kneser_ney import KneserNey
from hornbook.models.registry import build_model, model_config

V = 5
Sequences = list[list[int]]


def sequences(*, documents: bool) -> Sequences:
    """Forty documents with the end id on both sides, or one stream."""
    rng = np.random.default_rng(1)
    if not documents:
        return [rng.integers(0, V, 300).tolist()]
    lengths = rng.integers(1, 8, 40)
    return [[0, *rng.integers(1, V, n).tolist(), 0] for n in lengths]


def fitted(texts: Sequences, order: int, *, documents: bool) -> KneserNey:
    config = model_config({"name": "hybrid", "order": order})
    model = KneserNey(config, order, V, 0 if documents else None)
    model.fit(*as_part(texts))
    return model


def as_part(texts: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens, each document's last one being the first of the next, and the starts."""
    tokens = [token for text in texts for token in text[:-1]] + [texts[-1][-1]]
    starts = np.cumsum([0, *(len(text) - 1 for text in texts)])
    return torch.tensor(tokens), torch.from_numpy(starts)


class Definition:
    """Interpolated modified Kneser-Ney by its definition, without the predictions `left_out` (text,
    position); the discounts are those of a model."""

    def __init__(self, texts: Sequences, model: KneserNey, left_out: set[tuple[int, int]]) -> None:
        self.order = model.order
        self.discounts = [model.get_buffer(f"discounts_{k}").tolist() for k in range(model.order)]
        self.counts: list[Counter[tuple[int, ...]]] = []
        for length in range(model.order):
            grams: Counter[tuple[int, ...]] = Counter()
            for t, text in enumerate(texts):
                for i in range(max(1, length), len(text)):
                    if (t, i) not in left_out:
                        grams[tuple(text[i - length : i + 1])] += 1
            self.counts.append(grams)
        for length in range(model.order - 1):
            preceded: Counter[tuple[int, ...]] = Counter(g[1:] for g in self.counts[length + 1])
            own = self.counts[length]
            self.counts[length] = Counter({g: preceded[g] or n for g, n in own.items()})

    def p(self, context: tuple[int, ...], token: int) -> float:
        shorter = self.p(context[1:], token) if context else 1 / V
        discount = self.discounts[len(context)]
        seen = {g[-1]: n for g, n in self.counts[len(context)].items() if g[:-1] == context}
        if not seen:
            return shorter
        n, total = seen.get(token, 0), sum(seen.values())
        freed = sum(discount[min(c, 3)] for c in seen.values()) / total
        return (n - discount[min(n, 3)]) / total + freed * shorter


@pytest.mark.parametrize(
    ("documents", "order"), [(True, 1), (True, 2), (True, 4), (False, 2), (False, 4)]
)
def test_what_is_left_out_is_not_counted(documents: bool, order: int) -> None:
    """The predicted token of documents, its block of a stream."""
    texts = sequences(documents=documents)
    model = fitted(texts, order, documents=documents)
    rng = np.random.default_rng(2)
    for _ in range(25):
        t = int(rng.integers(len(texts)))
        i = int(rng.integers(1, len(texts[t])))
        left_out = {(t, i)} if documents else {(t, j) for j in block_of(texts[t], i)}
        without = Definition(texts, model, left_out)
        ids = torch.tensor([texts[t][:i]])
        targets = torch.full_like(ids, -1)
        targets[0, -1] = texts[t][i]
        found = model.training_logits(ids, targets)[0, -1].exp().double().numpy()
        context = tuple(texts[t][max(0, i - order + 1) : i])
        expected = [without.p(context, token) for token in range(V)]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def block_of(text: list[int], i: int) -> range:
    """The positions of the block of a stream that the prediction of position i is in."""
    n = len(text) - 1
    begins = [-(-n * block // BLOCKS) + 1 for block in range(BLOCKS + 1)]
    block = next(b for b in range(BLOCKS) if begins[b] <= i < begins[b + 1])
    return range(begins[block], begins[block + 1])


def test_loaded_counts_leave_out_the_token_alone() -> None:
    """Blocks are known where the text was counted."""
    texts = sequences(documents=False)
    model = fitted(texts, 3, documents=False)
    loaded = KneserNey(model.config, 3, V, None)
    loaded.load_weights(model.state_dict())
    ids, targets = torch.tensor([texts[0][:-1]]), torch.tensor([texts[0][1:]])
    torch.testing.assert_close(loaded(ids), model(ids))
    one = loaded.training_logits(ids, targets)
    without = Definition(texts, model, {(0, 7)})
    found = one[0, 6].exp().double().numpy()
    expected = [without.p(tuple(texts[0][5:7]), token) for token in range(V)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not torch.allclose(one, model.training_logits(ids, targets))


def test_every_target_of_a_batch_is_left_out_by_itself() -> None:
    """Of packed documents each prediction is as in a row of its own, with one target."""
    texts = sequences(documents=True)
    model = fitted(texts, 4, documents=True)
    tokens, _ = as_part(texts[:6])
    together = model.training_logits(tokens[None, :-1], tokens[None, 1:])[0]
    at = 0
    for text in texts[:6]:
        for i in range(1, len(text)):
            targets = torch.full((1, i), -1)
            targets[0, -1] = text[i]
            alone = model.training_logits(torch.tensor([text[:i]]), targets)[0, -1]
            torch.testing.assert_close(together[at], alone)
            at += 1


@pytest.mark.parametrize("documents", [True, False])
def test_without_targets_it_is_the_ngram(documents: bool) -> None:
    texts = sequences(documents=documents)
    model = fitted(texts, 4, documents=documents)
    config = model_config({"name": "ngram", "order": 4})
    ngram = build_model(config, V, 0 if documents else None)
    ngram.fit(*as_part(texts))
    torch.manual_seed(0)
    ids = torch.randint(V, (20, 9))
    torch.testing.assert_close(model(ids), ngram(ids))
    if documents:
        none = torch.full_like(ids, -1)
        torch.testing.assert_close(model.training_logits(ids, none), ngram(ids))


def test_a_text_that_was_counted_is_predicted_as_one_that_was_not() -> None:
    """The loss with each token left out is that of another text of the same kind, about; with the token
    itself counted it is far lower."""
    rng = np.random.default_rng(0)
    follows = rng.dirichlet(np.full(V, 0.3), (V, V))

    def text(n: int) -> list[int]:
        ids = [0, 0]
        for _ in range(n):
            ids.append(int(rng.choice(V, p=follows[ids[-2], ids[-1]])))
        return ids

    seen, other = text(2000), text(2000)
    model = fitted([seen], 6, documents=False)

    def nats(log_p: torch.Tensor, ids: list[int]) -> float:
        return float(-log_p[0].gather(1, torch.tensor(ids)[1:, None]).mean())

    ids, targets = torch.tensor([seen[:-1]]), torch.tensor([seen[1:]])
    left_out, counted = nats(model.training_logits(ids, targets), seen), nats(model(ids), seen)
    unseen = nats(model(torch.tensor([other[:-1]])), other)
    assert counted < left_out - 0.1
    assert abs(left_out - unseen) < 0.05


def test_only_what_was_counted_is_saved_and_the_rest_follows_from_it() -> None:
    texts = sequences(documents=True)
    model = fitted(texts, 4, documents=True)
    other = KneserNey(model.config, 4, V, 0)
    other.load_weights(model.state_dict())
    for (name, a), (_, b) in zip(model.named_buffers(), other.named_buffers(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("pairs_2", lambda t: t.flip(0)),
        ("pairs_3", lambda t: t + 10**6),
        ("raw_1", lambda t: t - t),
        ("raw_1", lambda t: t[:-1]),
        ("keys_2", lambda t: t[:0]),
        ("keys_2", lambda t: -t),
    ],
)
def test_tables_that_are_no_counts_of_a_text_are_refused(table: str, change: object) -> None:
    model = fitted(sequences(documents=True), 4, documents=True)
    weights = dict(model.state_dict())
    assert callable(change)
    weights[table] = change(weights[table])
    with pytest.raises(RunError, match="weights do not fit the model"):
        model.load_weights(weights)


def test_memory_of_counting_is_bounded_by_its_tables() -> None:
    texts = sequences(documents=True)
    model = fitted(texts, 4, documents=True)
    n_tokens = sum(len(text) - 1 for text in texts)
    assert sum(t.nbytes for t in model.buffers()) < model.fit_bytes(n_tokens)

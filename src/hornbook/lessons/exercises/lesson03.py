"""The exercises of lesson 3: language models by counting."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise

ALPHABET = ".abcde"
IDS = {character: i for i, character in enumerate(ALPHABET)}


def count_bigrams(words: list[str], ids: dict[str, int]) -> Tensor:
    """(V, V) int64."""
    N = torch.zeros((len(ids), len(ids)), dtype=torch.int64)
    for word in words:
        for first, second in pairwise(f".{word}."):
            N[ids[first], ids[second]] += 1
    return N


def probabilities(N: Tensor, k: float) -> Tensor:
    """(V, V) -> (V, V): every row adds up to 1."""
    smoothed = N + k
    return smoothed / smoothed.sum(1, keepdim=True)


def loss_of_words(words: list[str], P: Tensor, ids: dict[str, int]) -> float:
    """Nats per character."""
    total, n = 0.0, 0
    for word in words:
        for first, second in pairwise(f".{word}."):
            total -= P[ids[first], ids[second]].log().item()
            n += 1
    return total / n


def count_trigrams(words: list[str], ids: dict[str, int]) -> Tensor:
    """(V, V, V) int64."""
    N = torch.zeros((len(ids),) * 3, dtype=torch.int64)
    for word in words:
        characters = f"..{word}."
        for first, second, third in zip(characters, characters[1:], characters[2:], strict=False):
            N[ids[first], ids[second], ids[third]] += 1
    return N


def best_smoothing(train: Tensor, dev: Tensor, ks: list[float]) -> float:
    """The k with the lowest loss on dev."""

    def loss(k: float) -> float:
        p = (train + k) / (train + k).sum(-1, keepdim=True)
        return -(dev * p.log()).sum().item() / dev.sum().item()

    return min(ks, key=loss)


def _words(generator: torch.Generator, n: int = 12) -> list[str]:
    """Random words of different lengths, one of a single letter."""
    lengths = [1, *torch.randint(1, 6, (n - 1,), generator=generator).tolist()]
    letters = (torch.randint(1, len(ALPHABET), (x,), generator=generator) for x in lengths)
    return ["".join(ALPHABET[i] for i in word.tolist()) for word in letters]


def _counted(words: list[str], order: int, starts: str, end: str = ".") -> Tensor:
    """By `torch.bincount` of the ids of each window as one number."""
    base = len(ALPHABET)
    windows = []
    for word in words:
        ids = [IDS[c] for c in f"{starts}{word}{end}"]
        windows += [ids[i : i + order] for i in range(len(ids) - order + 1)]
    places = torch.tensor(windows).reshape(-1, order)
    keys = (places * base ** torch.arange(order - 1, -1, -1)).sum(1)
    return torch.bincount(keys, minlength=base**order).reshape((base,) * order)


def _check_count_bigrams(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    words = _words(generator)
    expected = _counted(words, 2, ".")
    mistakes = {
        "no word has an end: put a '.' after each": _counted(words, 2, ".", end=""),
        "no word has a beginning: put a '.' before each": _counted(words, 2, ""),
        "'.' is missing before and after each word": _counted(words, 2, "", end=""),
        "rows and columns are swapped: the first character is the row": expected.T,
        "each pair is there once; += 1 counts it every time": (expected > 0).long(),
    }
    found = candidate(words, IDS)
    yield compare("the counts", found, expected, mistakes=mistakes, rtol=0, atol=0)


def _check_probabilities(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    N = torch.randint(0, 9, (6, 6), generator=generator)
    k = torch.rand(1, generator=generator).item() + 0.5
    smooth = N.double() + k
    expected = torch.diag(1 / (smooth @ torch.ones(6, dtype=torch.float64))) @ smooth
    mistakes = {
        "each column adds up to 1: sum along dimension 1": smooth / smooth.sum(0),
        "the sums are broadcast along the wrong dimension: keepdim=True": smooth / smooth.sum(1),
        "the whole table adds up to 1: each row should": smooth / smooth.sum(),
        "the sums are those before k was added": smooth / N.sum(1, keepdim=True),
        "k is not added": N / N.sum(1, keepdim=True),
        "k is added after dividing": N / N.sum(1, keepdim=True) + k,
    }
    given = N.clone()
    found = candidate(given, k)
    yield compare("the probabilities", found, expected, mistakes=mistakes)
    yield compare("N afterwards", given, N)


def _check_loss_of_words(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    words = _words(generator)
    P = torch.rand(6, 6, generator=generator, dtype=torch.float64) + 0.1
    P /= P.sum(1, keepdim=True)
    N = _counted(words, 2, ".")
    total, n = -(N * P.log()).sum().item(), int(N.sum())
    means = [-(M * P.log()).sum() / M.sum() for M in (_counted([w], 2, ".") for w in words)]
    mistakes = {
        "the sign: turn it, so that smaller is better": -total / n,
        "this is the sum; divide by the number of bigrams": total,
        "this is divided by the number of words; divide by that of bigrams": total / len(words),
        "the bigrams with '.' are missing: put one before and one after each word": -(
            (_counted(words, 2, "", "") * P.log()).sum().item() / sum(map(len, words))
        ),
        "the '.' at the end counts as well": total / (n - len(words)),
        "the last bigram of each word, with '.', is missing": -(
            _counted(words, 2, ".", "") * P.log()
        )
        .sum()
        .item()
        / (n - len(words)),
        "this is the average of the words' averages; a long word should count for more": torch.stack(
            means
        )
        .mean()
        .item(),
        "this is in bits; natural logs are in nats": total / n / 0.6931471805599453,
    }
    yield compare("the loss", candidate(words, P, IDS), total / n, mistakes=mistakes)


def _check_count_trigrams(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    words = _words(generator)
    expected = _counted(words, 3, "..")
    found = candidate(words, IDS)
    mistakes = {
        "the first character is never predicted: put two '.' before each word": _counted(
            words, 3, "."
        ),
        "no word has an end: put a '.' after it": _counted(words, 3, "..", end=""),
        "with two '.' at the end, one too many is predicted": _counted(words, 3, "..", end=".."),
        "the dimensions are in another order": expected.permute(2, 1, 0),
    }
    yield compare("the counts", found, expected, mistakes=mistakes, rtol=0, atol=0)


def _nats(train: Tensor, dev: Tensor, k: float, dim: int) -> float:
    """The sum over dev, of counts divided by their sums along a dimension, which may be a wrong one."""
    p = (train + k) / (train + k).sum(dim, keepdim=True)
    return -(dev * p.log()).sum().item()


def _check_best_smoothing(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    p = (1.5 * torch.randn(16, 4, generator=generator)).softmax(-1)
    sizes = torch.arange(1, 17) ** 2  # contexts of different frequencies
    train, dev = (
        torch.stack(
            [
                torch.bincount(torch.multinomial(row, n, True, generator=generator), minlength=4)
                for row, n in zip(p, many, strict=True)
            ]
        ).reshape(4, 4, 4)
        for many in (sizes.tolist(), sizes.flip(0).tolist())
    )
    ks = [0.01, 0.03, 0.1, 0.3, 0.5, 0.8, 1.2, 2.0, 5.0, 20.0, 100.0]
    losses = {}
    for k in ks:
        logits = (train.double() + k).log().reshape(16, 4)  # cross-entropy normalizes the rows
        rows = dev.double().reshape(16, 4)
        losses[k] = torch.nn.functional.cross_entropy(
            logits, rows / rows.sum(1, keepdim=True), reduction="none"
        )
        losses[k] = (losses[k] * rows.sum(1)).sum()
    expected = min(losses, key=lambda k: losses[k].item())
    found = candidate(train.clone(), dev.clone(), ks)
    yield holds("one of ks", found in ks, f"found {found!r}, expected one of {ks}")
    mistakes = {"the smallest k is the best on train itself; measure on dev": ks[0]}
    for d in (0, 1):
        advice = (
            f"the probabilities of the third character add up to 1: sum along dimension -1, not {d}"
        )
        mistakes[advice] = min(ks, key=partial(_nats, train, dev, dim=d))
    yield compare("the best k", found, expected, mistakes=mistakes)


EXERCISES = [
    Exercise(
        "3.1",
        "count_bigrams",
        title="Count bigrams",
        hint='Put "." on both sides of a word, and go through the pairs of neighbors: zip(text, '
        "text[1:]). torch.zeros(..., dtype=torch.int64) makes the table.",
        solution=count_bigrams,
        check=_check_count_bigrams,
    ),
    Exercise(
        "3.2",
        "probabilities",
        title="Smoothed probabilities",
        hint="Make a new tensor N + k, and divide it by its sums along dimension 1, kept as a column: "
        "keepdim=True.",
        solution=probabilities,
        check=_check_probabilities,
    ),
    Exercise(
        "3.3",
        "loss_of_words",
        title="The loss",
        hint="Add up -log of the probability of every bigram of every word, count the bigrams, and "
        "divide once, at the end.",
        solution=loss_of_words,
        check=_check_loss_of_words,
    ),
    Exercise(
        "3.4",
        "count_trigrams",
        title="A trigram",
        hint='With text = ".." + word + ".", zip(text, text[1:], text[2:]) goes through all windows of '
        "three.",
        solution=count_trigrams,
        check=_check_count_trigrams,
    ),
    Exercise(
        "3.5",
        "best_smoothing",
        title="Smoothing by the dev set",
        hint="For each k: p = (train + k) divided by its sums along the last dimension; the loss on "
        "dev is -(dev * p.log()).sum() / dev.sum(). Return the k of the smallest.",
        solution=best_smoothing,
        check=_check_best_smoothing,
    ),
]

"""The exercises of lesson 12: comparing honestly. N documents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise


def standard_error(losses: Tensor) -> float:
    """Of the mean of independent losses, (N,)."""
    return (losses.std() / math.sqrt(len(losses))).item()


def loss_and_error(nats: Tensor, tokens: Tensor) -> tuple[float, float]:
    """The loss per token and its standard error by document, from (N,) and (N,)."""
    n = len(nats)
    loss = nats.sum() / tokens.sum()
    squares = (nats - loss * tokens).square().sum()
    error = (n / (n - 1) * squares).sqrt() / tokens.sum()
    return loss.item(), error.item()


def paired_difference(nats_a: Tensor, nats_b: Tensor, tokens: Tensor) -> tuple[float, float]:
    """A's loss per token less B's, and its standard error, (N,) each."""
    return loss_and_error(nats_a - nats_b, tokens)


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of several p-values are significant together."""
    m = len(p_values)
    significant = [False] * m
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if p_values[i] >= level / (m - rank):
            break
        significant[i] = True
    return significant


def bits_per_byte(nats: float, text: str) -> float:
    """The bits of a text, divided by its bytes in UTF-8."""
    return nats / math.log(2) / len(text.encode("utf-8"))


def copies(
    samples: Sequence[str], train: Sequence[str], held_out: Sequence[str]
) -> tuple[float, float]:
    """The share of samples in the training part, and that expected by chance."""
    known, new = set(train), set(held_out)
    copied = sum(text in known for text in samples) / len(samples)
    matching = sum(text in new for text in samples) / len(samples)
    return copied, matching * len(known) / len(new)


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


def _number(what: str, found: Any, expected: Any, mistakes: Mapping[str, Any]) -> Comparison:
    """`compare` of numbers, which mistakes are as well."""
    return compare(
        what, found, float(expected), mistakes={k: float(v) for k, v in mistakes.items()}
    )


def _check_standard_error(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n = _whole(generator, 5, 12)
    losses = 2 + torch.rand(n, generator=generator, dtype=torch.float64)
    variance = ((losses - losses.mean()) ** 2).sum() / (n - 1)
    mistakes = {
        "this is the standard deviation of the losses; divide it by the root of N": variance.sqrt(),
        "this is the variance of the mean; take its root": variance / n,
        "the standard deviation is divided by N; divide it by the root of N": variance.sqrt() / n,
        "std() divides by N - 1 already; divide it by the root of N": (variance / (n - 1)).sqrt(),
        "this is the variance divided by the root of N; take the standard deviation": variance
        / math.sqrt(n),
        "the variance divides by N; divide by N - 1": (variance * (n - 1) / n / n).sqrt(),
    }
    expected = (variance / n).sqrt().item()
    yield _number(f"of {n} losses", candidate(losses.clone()), expected, mistakes)


def _documents(generator: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
    """The nats and tokens of documents of different lengths."""
    tokens = torch.randint(2, 12, (n,), generator=generator)
    hardness = 1.5 + torch.rand(n, generator=generator, dtype=torch.float64)
    return hardness * tokens, tokens


def _error(nats: Tensor, tokens: Tensor) -> Tensor:
    """The standard error of a ratio of sums (Cochran 1977, 2.11)."""
    n, ratio = len(nats), nats.sum() / tokens.sum()
    variance = (nats - ratio * tokens).square().sum() / (n - 1)
    return (variance / n).sqrt() / tokens.double().mean()


def _two(found: Any, what: str) -> Comparison:
    pair = isinstance(found, tuple | list) and len(found) == 2
    return holds("two results", pair, f"expected two numbers: {what}")


def _check_loss_and_error(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n = _whole(generator, 8, 20)
    nats, tokens = _documents(generator, n)
    each = nats / tokens
    found = candidate(nats.clone(), tokens.clone())
    yield _two(found, "loss and standard error")
    mistakes = {
        "this is the mean of the documents' losses; divide all nats by all tokens": each.mean(),
        "these are nats per document; divide by all tokens": nats.mean(),
    }
    loss = nats.sum() / tokens.sum()
    yield _number("the loss", found[0], loss.item(), mistakes)
    error = _error(nats, tokens)
    mistakes = {
        "this is the error of the mean of the documents' losses; long documents weigh more": (
            each.std() / math.sqrt(n)
        ),
        "this is the error of the nats per document; subtract loss * tokens from the nats of each": (
            nats.std() / math.sqrt(n) / tokens.double().mean()
        ),
        "this is the error of the nats per document; the loss is per token": nats.std()
        / math.sqrt(n),
        "the factor N / (N - 1) is missing": error * math.sqrt((n - 1) / n),
        "the factor N / (N - 1) belongs inside the root": error * math.sqrt(n / (n - 1)),
        "this is in nats per document; divide by the mean number of tokens": error
        * tokens.double().mean(),
        "tokens are taken as units; documents are": (nats - loss * tokens).std()
        / tokens.sum().sqrt(),
    }
    yield _number("its error", found[1], error.item(), mistakes)


def _check_paired_difference(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    n = _whole(generator, 8, 20)
    a, tokens = _documents(generator, n)
    b = 0.9 * a + 0.1 * tokens * torch.rand(n, generator=generator, dtype=torch.float64)
    found = candidate(a.clone(), b.clone(), tokens.clone())
    yield _two(found, "difference and standard error")
    difference = (a - b).sum() / tokens.sum()
    mistakes: dict[str, Any] = {
        "this is B's loss less A's; it is to be positive where A's is higher": -difference,
        "this is the mean of the documents' differences; divide all nats by all tokens": (
            ((a - b) / tokens).mean()
        ),
    }
    yield _number("the difference", found[0], difference.item(), mistakes)
    apart = math.hypot(_error(a, tokens), _error(b, tokens))
    mistakes = {
        "the errors of both models are added up as if they had read different documents; take the "
        "error of the differences": apart,
        "the factor N / (N - 1) is missing": _error(a - b, tokens) * math.sqrt((n - 1) / n),
        "the errors of both models are subtracted; take the error of the differences": (
            _error(a, tokens) - _error(b, tokens)
        ),
        "this is in nats per document; divide by the mean number of tokens": (a - b).std()
        / math.sqrt(n),
        "subtract from each difference what is expected of it, the difference per token times its "
        "tokens": (a - b).std() / math.sqrt(n) / tokens.double().mean(),
        "the error is of the mean of the documents' differences": (
            ((a - b) / tokens).std() / math.sqrt(n)
        ),
        "these are the errors of two means of the documents' losses, as if the documents were not the "
        "same; take the error of the differences": math.hypot(
            (a / tokens).std() / math.sqrt(n), (b / tokens).std() / math.sqrt(n)
        ),
    }
    yield _number("its error", found[1], _error(a - b, tokens).item(), mistakes)


def _check_holm(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    level = 0.05
    m = _whole(generator, 4, 8)
    # by rank: two that pass, one that does not, and one after it that would pass by itself
    ranked = [0.2 * level / m, 0.9 * level / (m - 1), 1.05 * level / (m - 2)]
    later = [1.02 * ranked[2], *(level * (0.5 + i) for i in range(m))]
    ranked += later[: m - 3]
    order = torch.randperm(m, generator=generator).tolist()
    p_values = [ranked[i] for i in order]
    found = candidate(list(p_values), level)
    is_list = isinstance(found, list | tuple) and len(found) == m
    yield holds("a boolean each", is_list, f"expected a list of {m} booleans")
    expected = [rank < 2 for rank in order]
    steps = [p < level / (m - rank) for p, rank in zip(p_values, order, strict=True)]
    wrong = {
        "nothing is corrected: each is compared with the level itself": [
            p < level for p in p_values
        ],
        "each is compared with level / m (Bonferroni); the second smallest only has to be below "
        "level / (m - 1)": [p < level / m for p in p_values],
        "stop at the first that is not significant: all larger ones are not either": steps,
        "the result is in the order of size; keep that of p_values": sorted(expected, reverse=True),
    }
    in_order = [p < level / (m - i) for i, p in enumerate(p_values)]
    wrong["go through the p-values by size, the smallest first, not in the order of the list"] = (
        in_order
    )
    by_size = [p < level / (m - i) for i, p in enumerate(sorted(p_values))]
    wrong["the result is in the order of size, and does not stop at the first that fails"] = by_size
    answer = [bool(x) for x in found]
    shown = [float(f"{p:.4f}") for p in p_values]
    for advice, mistake in wrong.items():
        if answer == mistake != expected:
            yield holds(f"significant of {shown}", False, advice)
    for p, got, right in zip(shown, answer, expected, strict=True):
        if got != right:
            yield holds(f"{p} of {shown}", False, f"found {got}, expected {right}")
    yield compare(f"significant of {shown}", answer, expected)
    tied = candidate([level / 2, level / 2 + 1e-9], level)
    otherwise = "the smaller one is not below level / 2, so none is; stop at the first that fails"
    yield holds("two of at least level / 2", not any(map(bool, tied)), otherwise)


def _check_bits_per_byte(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    letters = "abcdé语🙂 "
    n = _whole(generator, 8, 20)
    text = "".join(letters[_whole(generator, 0, len(letters))] for _ in range(n)) + "é语"
    nats = 10 + 30 * float(torch.rand(1, generator=generator))
    n_bytes = len(text.encode())
    mistakes = {
        "this is per character; divide by the bytes, len(text.encode())": nats
        / math.log(2)
        / len(text),
        "these are nats per byte; divide by log 2": nats / n_bytes,
        "nats are divided by log 2, not multiplied": nats * math.log(2) / n_bytes,
        "these are all bits; divide by the bytes": nats / math.log(2),
        "a sum of nats is turned into bits by division by log 2; it needs no further logarithm": (
            math.log2(nats) / n_bytes
        ),
        "these are bits per bit; divide by the bytes": nats / math.log(2) / n_bytes / 8,
        "math.log10 is not the logarithm that belongs to nats": nats / math.log10(2) / n_bytes,
    }
    expected = nats * math.log2(math.e) / n_bytes
    yield _number(f"of {text!r}", candidate(nats, text), expected, mistakes)


def _check_copies(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    def words(n: int, length: int) -> list[str]:
        return ["".join("abc"[_whole(generator, 0, 3)] for _ in range(length)) for _ in range(n)]

    train = words(60, 4)  # of 81 possible ones, several of them twice or more
    held_out = [word for word in words(40, 4) if word not in train] or ["dddd"]
    samples = [*words(30, 4), *train[:5], *held_out[:2]]
    found = candidate(list(samples), list(train), list(held_out))
    yield _two(found, "the share of copies and the share expected by chance")
    known, new = sorted(set(train)), sorted(set(held_out))
    n = len(samples)
    copied = sum(samples.count(word) for word in known) / n
    matching = sum(samples.count(word) for word in new) / n
    different = len(set(samples) & set(known)) / len(set(samples))
    mistakes = {
        "each sample counts, also where the same was drawn before": different,
        "this is a number of samples; divide it by their number": copied * n,
        "this is the share of the training part that was written": len(set(samples) & set(known))
        / len(known),
    }
    chance = matching * len(known) / len(new)
    mistakes["this is what goes beyond chance; return the share of copies itself"] = copied - chance
    yield _number("the share of copies", found[0], copied, mistakes)
    mistakes = {
        "this is the share of held-out texts; the training part is larger, scale it": matching,
        "the sizes of the parts are counted with repetitions; take different texts": matching
        * len(train)
        / len(held_out),
        "the sizes are the wrong way round": matching * len(new) / len(known),
    }
    mistakes["the training part is not four times as large here; take the sizes of the lists"] = (
        4 * matching
    )
    yield _number("the share expected by chance", found[1], chance, mistakes)


EXERCISES = [
    Exercise(
        "12.1",
        "standard_error",
        title="The standard error of a mean",
        hint="losses.std() divides by N - 1 already. Divide it by the square root of N, len(losses).",
        solution=standard_error,
        check=_check_standard_error,
    ),
    Exercise(
        "12.2",
        "loss_and_error",
        title="Loss and error by document",
        hint="The loss is nats.sum() / tokens.sum(). The squares of nats - loss * tokens, summed, "
        "times N / (N - 1); the root of that, divided by all tokens.",
        solution=loss_and_error,
        check=_check_loss_and_error,
    ),
    Exercise(
        "12.3",
        "paired_difference",
        title="A paired difference",
        hint="The differences nats_a - nats_b are numbers like any other: put them where exercise "
        "12.2 has the nats.",
        solution=paired_difference,
        check=_check_paired_difference,
    ),
    Exercise(
        "12.4",
        "holm",
        title="Holm's correction",
        hint="Go through the positions in the order of their p-values: sorted(range(m), key=lambda "
        "i: p_values[i]). At rank 0, 1, 2, ... the limit is level / (m - rank). Break at the "
        "first that is not below it.",
        solution=holm,
        check=_check_holm,
    ),
    Exercise(
        "12.5",
        "bits_per_byte",
        title="Bits per byte",
        hint="A bit is log 2 = 0.693 nats, so there are more bits than nats. len(text.encode()) is "
        "the number of bytes.",
        solution=bits_per_byte,
        check=_check_bits_per_byte,
    ),
    Exercise(
        "12.6",
        "copies",
        title="Copies beyond chance",
        hint="Make sets of the training part and the held-out part. Count samples, not different "
        "samples. Scale the share of held-out hits by len(known) / len(new).",
        solution=copies,
        check=_check_copies,
    ),
]

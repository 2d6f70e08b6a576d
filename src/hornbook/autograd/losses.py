"""Loss functions of lists of Values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from hornbook.autograd.value import Value


def squared_error(predictions: Sequence[Value], targets: Sequence[Any]) -> Value:
    """Sum of (prediction - target)^2, the notes' loss. Raises ValueError for unequal lengths."""
    _same_length("squared_error", predictions, targets)
    return _total([(p - t) ** 2 for p, t in zip(predictions, targets, strict=True)])


def hinge(scores: Sequence[Value], labels: Sequence[Any]) -> Value:
    """Mean of max(0, 1 - label * score), labels -1 and 1. Raises ValueError for unequal lengths."""
    _same_length("hinge", scores, labels)
    return _total([(1 - y * s).relu() for s, y in zip(scores, labels, strict=True)]) / len(scores)


def cross_entropy(logits: Sequence[Value], target: int) -> Value:
    """-ln softmax(logits)[target] of one example, in nats.

    The largest logit is subtracted first, so that no exponent is positive and none overflows. It is
    a plain number, because it cancels out of the gradient softmax(logits) - one_hot(target).
    Raises ValueError for a target that is not an index of the logits.
    """
    if not 0 <= target < len(logits):
        raise ValueError(
            f"cross_entropy: target={target}, expected an index from 0 to {len(logits) - 1}"
        )
    largest = reduce(Value.max, logits).data
    shifted = [logit - largest for logit in logits]
    return _total([x.exp() for x in shifted]).log() - shifted[target]


def _total(terms: Sequence[Value]) -> Value:
    return reduce(Value.__add__, terms)


def _same_length(name: str, predictions: Sequence[Value], targets: Sequence[Any]) -> None:
    if len(predictions) != len(targets) or not len(targets):
        raise ValueError(
            f"{name}: {len(predictions)} predictions for {len(targets)} targets, "
            "expected as many of each, and at least one"
        )

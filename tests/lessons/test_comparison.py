"""An answer beside what was expected, in words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from hornbook.autograd import Value
from hornbook.lessons.comparison import compare, holds
from hornbook.lessons.messages import _translation

T = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
WIDE = torch.arange(6.0).view(2, 3)


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (T.clone(), T, "exact"),
        (T + torch.tensor([[0.0, 0.0], [1e-5, 0.0]]), T, "approximately equal: the largest "
         "difference is 1e-05 at [1, 0]"),
        (2, 2, "exact"),
        (Value(2.0), 2.0, "exact"),
        (torch.tensor([2.0]), 2.0, "exact"),
        (math.inf, math.inf, "exact"),
        (torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, 1.0 + 1e-7]), "approximately"),
        ([1, 2.0], [1.0, 2.0], "exact"),
        ((1.0, 2.0), [1.0, 2.0], "exact"),
        (["a", "b"], ["a", "b"], "exact"),
        ("abc", "abc", "exact"),
        ({"a": 1}, {"a": 1}, "exact"),
    ],
)  # fmt: skip
def test_right_answers(found: Any, expected: Any, words: str) -> None:
    result = compare("it", found, expected)
    assert result.right, result.words
    assert result.words.startswith(words)
    assert _translation(result.words, "zh")


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (None, T, "found None, expected a tensor of shape (2, 2); does the function return"),
        ([1.0], T, "found a list of length 1, expected a tensor of shape (2, 2)"),
        (3, T, "found an int, expected a tensor"),
        (T.T[:1], T, "found shape (1, 2), expected (2, 2)"),
        (T[None], T, "found shape (1, 2, 2), expected (2, 2); the numbers are right"),
        (T[:1].T + 1, T[:1] + 1, "found shape (2, 1), expected (1, 2); the numbers are right"),
        (WIDE.T, WIDE, "found shape (3, 2), expected (2, 3); this is the transpose"),
        (T.long(), T, "found int64, expected float32"),
        (T + 1, T, "the largest difference is 1 at [0, 0] (found 2, expected 1); 4 of 4 differ"),
        (T.where(T < 3, 0.0), T, "the largest difference is 4 at [1, 1] (found 0, expected 4); "
         "2 of 4 differ"),
        (T.where(T < 4, math.nan), T, "found nan at [1, 1], expected 4"),
        (math.nan, 1.0, "found nan, expected 1"),
        (math.inf, 1.0, "the largest difference is inf (found inf, expected 1)"),
        ("1", 1.0, "found a str, expected a number"),
        (1.5, 1.0, "the largest difference is 0.5 (found 1.5, expected 1)"),
        ([1.0], [1.0, 2.0], "found 1 items, expected 2"),
        ([1.0, None], [1.0, 2.0], "found None, expected a float"),
        (["a", "c"], ["a", "b"], "found 'c' at position 1, expected 'b'"),
        (1, ["a"], "found an int, expected a list of length 1"),
        (1, "a", "found an int, expected a str"),
        ("ab", "abc", "found 'ab', expected 'abc'"),
    ],
)  # fmt: skip
def test_wrong_answers(found: Any, expected: Any, words: str) -> None:
    result = compare("it", found, expected)
    assert not result.right
    assert result.words.startswith(words)
    assert _translation(result.words, "zh")


def test_a_known_mistake_is_told_what_it_is() -> None:
    mistakes = {"the sign is wrong": -T, "of another shape": T[0]}
    assert compare("it", -T, T, mistakes=mistakes).words.endswith("; the sign is wrong")
    assert compare("it", T + 1, T, mistakes=mistakes).words.endswith("4 of 4 differ")
    assert compare("it", T.clone(), T, mistakes={"never": T}).right


def test_a_property_holds_or_not() -> None:
    assert holds("it", torch.tensor(True), "no").words == "correct"
    assert holds("it", 0, "it is too small") == compare("it", 1, 1).__class__(
        "it", False, "it is too small"
    )

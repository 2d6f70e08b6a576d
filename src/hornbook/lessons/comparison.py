"""An answer beside what was expected: exact, approximately equal, or how far off and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hornbook.autograd import Value

RTOL, ATOL = 1e-4, 1e-6  # float32 after a few sums; a wrong formula is off by far more


@dataclass(frozen=True)
class Comparison:
    """What was compared, whether it is right, and in words how near it is or what is wrong."""

    what: str
    right: bool
    words: str


def holds(what: str, right: object, otherwise: str) -> Comparison:
    """A comparison with a property. otherwise: what to tell the learner where it does not hold."""
    return Comparison(what, bool(right), "correct" if right else otherwise)


def compare(
    what: str,
    found: Any,
    expected: Any,
    *,
    mistakes: Mapping[str, Any] | None = None,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> Comparison:
    """Compares an answer with what is right: numbers, tensors, lists of numbers, or anything with `==`.

    A tensor is expected where `expected` is one; a number where it is a number, for which a tensor of
    one number or a `Value` of the scalar engine will do. Close means |found - expected| at most
    atol + rtol |expected|, everywhere.
    mistakes: wrong answers that are common, by what to tell whoever gives them.
    """
    words = _wrong_kind(found, expected)
    if words:
        return Comparison(what, False, words)
    right, words = _nearness(found, expected, rtol, atol)
    for advice, mistake in (mistakes or {}).items():
        if (
            not right
            and not _wrong_kind(found, mistake)
            and _nearness(found, mistake, rtol, atol)[0]
        ):
            return Comparison(what, False, f"{words}; {advice}")
    return Comparison(what, right, words)


def _wrong_kind(found: Any, expected: Any) -> str:
    """What is wrong with the type or the shape of an answer, in words; empty where nothing is."""
    if found is None:
        return f"found None, expected {_kind(expected)}; does the function return its result?"
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor):
            return f"found {_kind(found)}, expected {_kind(expected)}"
        if found.shape != expected.shape:
            return (
                f"found shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
                + _same_numbers(found, expected)
            )
        if found.is_floating_point() != expected.is_floating_point():
            return f"found {found.dtype}, expected {expected.dtype}".replace("torch.", "")
        return ""
    if _is_number(expected):
        return "" if _is_number(found) else f"found {_kind(found)}, expected a number"
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, (list, tuple)):
            return f"found {_kind(found)}, expected {_kind(expected)}"
        if len(found) != len(expected):
            return f"found {len(found)} items, expected {len(expected)}"
        return next((w for w in map(_wrong_kind, found, expected) if w), "")
    if not isinstance(found, type(expected)):
        return f"found {_kind(found)}, expected {_kind(expected)}"
    return ""


def _nearness(found: Any, expected: Any, rtol: float, atol: float) -> tuple[bool, str]:
    """Whether an answer of the right kind is right, and how near it is."""
    a, b = _numbers(found), _numbers(expected)
    if a is None or b is None:
        if found == expected:
            return True, "exact"
        return False, _first_difference(found, expected)
    a = a.reshape(b.shape)  # a number may come as a tensor of one
    if torch.equal(a, b):
        return True, "exact"
    off = (a - b).abs()
    bad = off.isnan() & ~(a.isnan() & b.isnan())
    off = torch.where(a == b, 0.0, off)  # infinity less itself is no number
    at = int((bad if bad.any() else off).flatten().to(torch.float64).argmax())
    place = _index(at, b)
    if bad.any():
        return False, f"found {a.flatten()[at]:.6g}{place}, expected {b.flatten()[at]:.6g}"
    largest = f"the largest difference is {off.max():.2g}{place}"
    if torch.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
        return True, f"approximately equal: {largest}"
    pair = f"found {a.flatten()[at]:.6g}, expected {b.flatten()[at]:.6g}"
    n = int((~torch.isclose(a, b, rtol=rtol, atol=atol)).sum())
    share = f"; {n} of {b.numel()} differ" if b.numel() > 1 else ""
    return False, f"{largest} ({pair}){share}"


def _numbers(value: Any) -> Tensor | None:
    """A tensor, a number or a list of numbers in float64; None for anything else."""
    if isinstance(value, Tensor):
        return value.detach().to(torch.float64)
    if _is_number(value):
        return torch.tensor(_number(value), dtype=torch.float64)
    if isinstance(value, (list, tuple)) and value and all(map(_is_number, value)):
        return torch.tensor([_number(x) for x in value], dtype=torch.float64)
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    return isinstance(value, (int, float, Value))


def _number(value: Any) -> float:
    return float(value.item() if isinstance(value, Tensor) else value)


def _kind(value: Any) -> str:
    """The type of a value in words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of length {len(value)}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _same_numbers(found: Tensor, expected: Tensor) -> str:
    """A remark where only the shape is wrong."""
    if found.numel() == expected.numel():
        a, b = found.detach().double(), expected.detach().double()
        if torch.allclose(a.flatten(), b.flatten(), rtol=RTOL, atol=ATOL):
            return "; the numbers are right"
        if a.dim() == 2 and a.T.shape == b.shape and torch.allclose(a.T, b, rtol=RTOL, atol=ATOL):
            return "; this is the transpose"
    return ""


def _first_difference(found: Any, expected: Any) -> str:
    if isinstance(expected, (list, tuple, str)) and isinstance(found, (list, tuple, str)):
        for i, (a, b) in enumerate(zip(found, expected, strict=False)):
            if a != b:
                return f"found {a!r} at position {i}, expected {b!r}"
    return f"found {found!r}, expected {expected!r}"


def _index(at: int, tensor: Tensor) -> str:
    """` at [1, 2]` for the position of an entry in a tensor; empty for a single number."""
    if not tensor.dim():
        return ""
    index = []
    for size in reversed(tensor.shape):
        index.append(at % size)
        at //= size
    return f" at {index[::-1]}"

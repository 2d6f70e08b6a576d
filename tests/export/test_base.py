from __future__ import annotations

import torch

from hornbook.export.base import Check, relative_difference, spread


def test_differences_are_relative_to_the_spread_and_leave_constants_out() -> None:
    logits = torch.randn(3, 4, 5)
    assert relative_difference(logits, logits + 7.0) < 1e-6
    assert relative_difference(10 * logits, 10 * logits + 7.0) < 1e-6
    moved = logits.clone()
    moved[0, 0, 0] += 0.1
    assert abs(relative_difference(logits, moved) - 0.08 / spread(logits)) < 1e-5


def test_a_check_says_what_it_found() -> None:
    assert str(Check("x 1.0", "tokens of a text", True)) == "x 1.0: tokens of a text: equal"
    assert "NOT equal" in str(Check("x 1.0", "logits", False, 0.5))

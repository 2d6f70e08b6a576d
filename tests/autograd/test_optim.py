"""Optimizers take torch's steps."""

from __future__ import annotations

import pytest
import torch

from hornbook.autograd import SGD, Adam, Value


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (lambda p: SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (lambda p: Adam(p, 0.1), lambda p: torch.optim.Adam(p, 0.1)),
        (
            lambda p: Adam(p, 0.02, betas=(0.7, 0.8), eps=1e-3),
            lambda p: torch.optim.Adam(p, 0.02, betas=(0.7, 0.8), eps=1e-3),
        ),
    ],
)
def test_optimizers_take_torchs_steps(ours, theirs) -> None:
    x, y = Value(1.5), Value(-0.5)
    t = torch.tensor([1.5, -0.5], dtype=torch.float64, requires_grad=True)
    optimizer, reference = ours([x, y]), theirs([t])
    for _ in range(20):
        optimizer.zero_grad()
        (x**4 + (x * y - 1) ** 2).backward()
        optimizer.step()
        reference.zero_grad()
        (t[0] ** 4 + (t[0] * t[1] - 1) ** 2).backward()
        reference.step()
        assert [x.data, y.data] == pytest.approx(t.tolist(), rel=1e-10)


def test_optimizers_refuse_bad_settings() -> None:
    for make in (SGD, Adam):
        with pytest.raises(ValueError, match=f"{make.__name__}: no parameters"):
            make([], 0.1)
        with pytest.raises(ValueError, match="lr=0, expected a number above 0"):
            make([Value(1.0)], 0)
    with pytest.raises(ValueError, match="momentum=1"):
        SGD([Value(1.0)], 0.1, momentum=1)
    with pytest.raises(ValueError, match="betas="):
        Adam([Value(1.0)], betas=(0.9, 1.0))

"""Dropout by random bytes: the share, the mean and the gradient of the usual one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hornbook.layers import dropout
from hornbook.layers.dropout import LEVELS, Dropout, drop_out, random_bytes


def test_bytes_are_uniform_and_independent() -> None:
    drawn = random_bytes(torch.Size((1 << 14, 8)), np.random.SFC64(0))
    counts = drawn.flatten().bincount(minlength=LEVELS).double()
    expected = drawn.numel() / LEVELS
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert 160 < chi2 < 370  # 255 degrees of freedom: beyond 4.2 standard deviations either way
    bits = (drawn[..., None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten(1).double()
    correlation = torch.corrcoef(bits.T) - torch.eye(64)
    assert float(correlation.abs().max()) < 5 / (1 << 14) ** 0.5


@pytest.mark.parametrize("p", [0.001, 0.1, 0.2, 0.5, 0.999])
def test_a_share_p_is_dropped_and_the_mean_is_kept(p: float) -> None:
    torch.manual_seed(0)
    mask = drop_out(torch.ones(1000, 999, dtype=torch.float64), p)
    share = float((mask == 0).double().mean())
    assert share == pytest.approx(p, abs=1 / LEVELS)
    assert len(mask.unique()) == 2
    spread = (share / (1 - share) / mask.numel()) ** 0.5
    assert float(mask.mean()) == pytest.approx(1, abs=5 * spread)


def test_gradients_pass_where_values_do() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, requires_grad=True)
    layer = Dropout(0.3)
    out = layer(x)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(out, x * x.grad)


@pytest.mark.parametrize("dtypes", [["float64"] * 2, ["bfloat16", "float32"]])
def test_added_to_something_in_the_same_pass_and_in_pieces(
    dtypes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropout, "PIECE", 16)
    torch.manual_seed(0)
    x, onto = (torch.randn(3, 7, 5, dtype=getattr(torch, d)).requires_grad_() for d in dtypes)
    towards = torch.randn(3, 7, 5).to(onto.dtype)
    layer, results = Dropout(0.3), []
    for together in (True, False):
        torch.manual_seed(1)
        given = x.transpose(0, 1).contiguous().transpose(0, 1)
        out = layer(given, onto) if together else onto + layer(given)
        results.append((out, *torch.autograd.grad((out * towards).sum(), [x, onto])))
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        bound = 1e-12 if one.dtype == torch.float64 else 0.02
        torch.testing.assert_close(one, other, atol=bound, rtol=0)
    assert torch.equal(layer.eval()(x, onto), onto + x)


def test_it_can_be_differentiated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout, "PIECE", 16)

    def dropped(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return drop_out(x.square(), 0.3, x).square()

    x = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(dropped, (x,))
    torch.autograd.gradgradcheck(dropped, (x,))


def test_off_in_evaluation_and_plain_is_torchs_own() -> None:
    x = torch.randn(4, 6)
    layer = Dropout(0.4)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
    layer.train().plain = True
    torch.manual_seed(1)
    found = layer(x)
    torch.manual_seed(1)
    assert torch.equal(found, F.dropout(x, 0.4))


def test_the_same_seed_drops_the_same() -> None:
    x = torch.randn(10, 10)
    layer = Dropout(0.5)
    outs = []
    for _ in range(2):
        torch.manual_seed(3)
        outs.append(layer(x))
    assert torch.equal(*outs)

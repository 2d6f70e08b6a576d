"""Dropout by random bytes: the share, the mean and the gradient of the textbook."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hornbook.kernels.dropout import LEVELS, CpuDropout, CpuResidualDropout, dropout, random_bytes


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
    mask = dropout(torch.ones(1000, 999, dtype=torch.float64), p)
    share = float((mask == 0).double().mean())
    assert share == pytest.approx(p, abs=1 / LEVELS)
    assert len(mask.unique()) == 2
    spread = (share / (1 - share) / mask.numel()) ** 0.5
    assert float(mask.mean()) == pytest.approx(1, abs=5 * spread)


def test_gradients_pass_where_values_do() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, requires_grad=True)
    out = CpuDropout(0.3)(x)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(out, x * x.grad)


@pytest.mark.parametrize("dtypes", [["float64"] * 2, ["bfloat16", "float32"]])
def test_added_to_the_stream_in_one_pass_and_in_chunks(dtypes: list[str]) -> None:
    torch.manual_seed(0)
    branch, x = (torch.randn(3, 7, 5, dtype=getattr(torch, d)).requires_grad_() for d in dtypes)
    towards = torch.randn(3, 7, 5, dtype=torch.promote_types(branch.dtype, x.dtype))
    results = []
    for one_pass in (True, False):
        torch.manual_seed(1)
        given = branch.transpose(0, 1).contiguous().transpose(0, 1)
        out = (
            dropout(given, 0.3, x, chunk=16) if one_pass else x + dropout(given, 0.3, chunk=1 << 10)
        )
        results.append((out, *torch.autograd.grad((out * towards).sum(), [branch, x])))
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        bound = 1e-12 if one.dtype == torch.float64 else 0.02
        torch.testing.assert_close(one, other, atol=bound, rtol=0)


def test_the_residual_layer_adds_the_dropped_branch() -> None:
    x, branch = torch.randn(2, 10, 10)
    torch.manual_seed(2)
    out = CpuResidualDropout(0.4)(x, branch)
    torch.manual_seed(2)
    torch.testing.assert_close(out, x + CpuDropout(0.4)(branch))


def test_its_gradient_is_right_and_cannot_be_differentiated_again() -> None:
    def dropped(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return dropout(x.square(), 0.3, x, chunk=16).square()

    x = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(dropped, (x,))
    (first,) = torch.autograd.grad(dropped(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):  # rather than a wrong number
        first.sum().backward()


def test_it_is_off_in_evaluation_and_for_a_share_of_0() -> None:
    x, branch = torch.randn(2, 4, 6)
    assert torch.equal(CpuDropout(0.4).eval()(x), x)
    assert torch.equal(CpuDropout(0.0)(x), x)
    assert torch.equal(CpuResidualDropout(0.4).eval()(x, branch), x + branch)


def test_the_seed_of_torch_decides_the_mask() -> None:
    x = torch.randn(10, 10)
    outs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        outs.append(CpuDropout(0.5)(x))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])

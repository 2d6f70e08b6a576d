"""The notes' from-scratch layers against torch.nn's: forward, running statistics, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hornbook.errors import ConfigError
from hornbook.layers.basic import (
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Linear,
    Sequential,
    Tanh,
    calibrate_batchnorm,
)

SHAPES = [(32, 6), (8, 5, 6)]  # (B, C) and (B, T, C)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def gradients(out: Tensor, cotangent: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(out, inputs, cotangent)


def close(ours: object, torchs: object, atol: float = 1e-12) -> None:
    torch.testing.assert_close(ours, torchs, atol=atol, rtol=0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    ours, theirs = Linear(6, 4, bias).double(), nn.Linear(6, 4, bias).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.T)
        if ours.bias is not None:
            ours.bias.normal_()
            theirs.bias.copy_(ours.bias)
    x = randn(*shape).requires_grad_()
    cotangent = randn(*shape[:-1], 4)
    close(ours(x), theirs(x))
    mine = gradients(ours(x), cotangent, x, *ours.parameters())
    other = gradients(theirs(x), cotangent, x, *theirs.parameters())
    close([mine[0], mine[1].T, *mine[2:]], list(other))


def test_linear_keeps_the_variance() -> None:
    torch.manual_seed(0)
    layer = Linear(400, 500)
    assert layer(torch.randn(300, 400)).var().item() == pytest.approx(1, abs=0.03)
    assert layer.bias is not None
    assert not layer.bias.any()


def paired_norms(dim: int, biased: bool) -> tuple[BatchNorm1d, nn.BatchNorm1d]:
    ours = BatchNorm1d(dim, momentum=0.1, biased=biased).double()
    theirs = nn.BatchNorm1d(dim, momentum=0.1).double()
    with torch.no_grad():
        ours.gamma.copy_(randn(dim))
        ours.beta.copy_(randn(dim))
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)
    return ours, theirs


@pytest.mark.parametrize("shape", SHAPES)
def test_batchnorm_by_the_biased_variance_is_that_of_torch(shape: tuple[int, ...]) -> None:
    ours, theirs = paired_norms(6, biased=True)
    for _ in range(5):
        x = (3 * randn(*shape) + 2).requires_grad_()
        flat = x.reshape(-1, 6)
        cotangent = randn(*shape)
        out, other = ours(x), theirs(flat).view(shape)
        close(out, other)
        close(
            gradients(out, cotangent, x, ours.gamma, ours.beta),
            gradients(other, cotangent, x, theirs.weight, theirs.bias),
        )
    close(ours.running_mean, theirs.running_mean)
    close(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    close(ours(x), theirs(x.reshape(-1, 6)).view(shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_batchnorm_of_the_notes_is_that_of_torch_rescaled(shape: tuple[int, ...]) -> None:
    # dividing by the variance over n - 1 in place of n: a factor sqrt((n - 1) / n), another eps
    ours, theirs = paired_norms(6, biased=False)
    n = 32 if len(shape) == 2 else 40
    theirs.eps = ours.eps * (n - 1) / n
    x = (3 * randn(*shape) + 2).requires_grad_()
    scale = ((n - 1) / n) ** 0.5
    plain = (theirs(x.reshape(-1, 6)).view(shape) - theirs.bias) * scale + theirs.bias
    cotangent = randn(*shape)
    out = ours(x)
    close(out, plain)
    close(
        gradients(out, cotangent, x, ours.gamma, ours.beta),
        gradients(plain, cotangent, x, theirs.weight, theirs.bias),
    )
    close(ours.running_mean, theirs.running_mean)
    close(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    theirs.eps = ours.eps
    close(ours(x), theirs(x.reshape(-1, 6)).view(shape))


def test_batchnorm_can_be_differentiated_twice() -> None:
    ours, _ = paired_norms(3, biased=False)
    torch.autograd.gradgradcheck(ours, randn(5, 3).requires_grad_())


def test_batchnorm_of_one_example_says_what_to_do() -> None:
    layer = BatchNorm1d(3)
    with pytest.raises(ConfigError, match="batch of one example"):
        layer(torch.randn(1, 3))
    layer.eval()
    assert layer(torch.randn(1, 3)).isfinite().all()


def test_embedding() -> None:
    ours, theirs = Embedding(7, 3).double(), nn.Embedding(7, 3).double()
    theirs.load_state_dict(ours.state_dict())
    ids = torch.randint(7, (4, 5))
    cotangent = randn(4, 5, 3)
    close(ours(ids), ours.weight[ids])
    close(
        gradients(ours(ids), cotangent, ours.weight),
        gradients(theirs(ids), cotangent, theirs.weight),
    )


def test_tanh_and_its_gradient() -> None:
    x = randn(4, 5).requires_grad_()
    out = Tanh()(x)
    close(out, nn.Tanh()(x))
    close(gradients(out, torch.ones_like(x), x)[0], 1 - out**2)


def test_flatten_consecutive_joins_even_and_odd_positions() -> None:
    # the notes: the same as cat([e[:, ::2], e[:, 1::2]], dim=2)
    e = torch.randn(4, 8, 10)
    assert torch.equal(FlattenConsecutive(2)(e), torch.cat([e[:, ::2], e[:, 1::2]], dim=2))
    assert torch.equal(FlattenConsecutive(8)(e), e.view(4, 80))  # a single position is squeezed


def test_sequential_runs_its_layers_and_holds_their_parameters() -> None:
    first, second = Linear(3, 4), Linear(4, 2)
    net = Sequential([first, Tanh(), second])
    x = torch.randn(5, 3)
    assert torch.equal(net(x), second(torch.tanh(first(x))))
    assert list(net.parameters()) == [*first.parameters(), *second.parameters()]


def test_calibration_in_pieces_is_that_of_the_whole_at_once() -> None:
    torch.manual_seed(0)
    net = Sequential([Linear(3, 5, False), BatchNorm1d(5), Tanh(), Linear(5, 4), BatchNorm1d(4)])
    net = net.double()
    x = 2 * randn(101, 3) + 1
    calibrate_batchnorm(net, net, lambda: x.split(17))
    assert net.training  # left as it was
    first, norm, _, last, end = net.layers
    before = first(x)
    close(norm.running_mean, before.mean(0))
    close(norm.running_var, before.var(0))
    hidden = torch.tanh(
        (before - before.mean(0)) / (before.var(0) + norm.eps).sqrt() * norm.gamma + norm.beta
    )
    close(end.running_mean, last(hidden).mean(0))
    close(end.running_var, last(hidden).var(0))
    # and so evaluation gives what a training step on everything at once gives
    everything = net(x)
    calibrate_batchnorm(net, net, lambda: x.split(17))
    close(net.eval()(x), everything)

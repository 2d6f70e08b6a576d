"""The notes' layers, written from scratch: the parts of their MLP and WaveNet.

`Linear`, `BatchNorm1d`, `Tanh`, `Embedding`, `FlattenConsecutive` and `Sequential` behave as in
the notes ("Activation, gradient, BatchNorm" and "WaveNet") and are modules, so that they are saved,
moved and trained like all others. `parameters()` is a list, so that a loop can go over it again and
again. They keep no `.out`, which would hold each activation until the next call: forward hooks see
it, and the layers of `hornbook.notes` keep it for pasted cells.

B batch, T time, C channels, N examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.errors import ConfigError

ONE_EXAMPLE = (
    "batchnorm: found a batch of one example, which has no variance; expected 2 or more "
    "(--training.batch-size), or another norm (--model.norm layernorm)"
)


class Layer(nn.Module):
    """A layer whose parameters are a list, as in the notes."""

    def parameters(self, recurse: bool = True) -> list[nn.Parameter]:  # type: ignore[override]
        """A list. An iterator would be used up by counting, and the loop after it train nothing."""
        return list(super().parameters(recurse))


class Linear(Layer):
    """x W + b, (..., fan_in) -> (..., fan_out).

    W (fan_in, fan_out) begins as N(0, 1 / fan_in), which keeps the variance from layer to layer
    (Kaiming with a gain of 1), and b as 0.
    """

    def __init__(self, fan_in: int, fan_out: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_in, fan_out) / fan_in**0.5)
        self.bias = nn.Parameter(torch.zeros(fan_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The product, plus the bias if there is one."""
        out = x @ self.weight
        return out if self.bias is None else out + self.bias


class BatchNorm1d(Layer):
    """Unit variance for each channel over batch and time, (B, C) or (B, T, C) -> the same.

    In training by the mean and variance of the batch, in evaluation by their running averages
    (`momentum` is the weight of the newest). Ioffe and Szegedy 2015.

    biased: the notes divide by the unbiased variance (over n - 1), the paper and
        torch.nn.BatchNorm1d by the biased one (over n). The running variance is unbiased in all.
    Raises ConfigError for a batch of one value per channel in training: it has no variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, dim: int, eps: float = 1e-5, momentum: float = 0.1, *, biased: bool = False
    ) -> None:
        super().__init__()
        self.eps, self.momentum, self.biased = eps, momentum, biased
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """gamma (x - mean) / sqrt(variance + eps) + beta; in training updates the averages."""
        x = x.to(self.gamma.dtype)  # bf16 is too coarse for a variance
        if not self.training:
            scale = self.gamma / (self.running_var + self.eps).sqrt()
            return (x - self.running_mean) * scale + self.beta
        n = x.numel() // x.shape[-1]
        if n < 2:
            raise ConfigError(ONE_EXAMPLE)
        y, mean, variance = self.normalize(x.reshape(n, -1))
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
        return y.view_as(x)

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (N, C) normalized by its own statistics, its mean and unbiased variance, (C,) each."""
        n, mean = len(x), x.mean(0)
        centered = x - mean
        variance = centered.square().sum(0) / (n - 1)
        divisor = variance * (n - 1) / n if self.biased else variance
        return centered / (divisor + self.eps).sqrt() * self.gamma + self.beta, mean, variance


def build_norm(kind: str, dim: int, momentum: float) -> list[nn.Module]:
    """The layers of a norm: a batchnorm, a layernorm, or none."""
    if kind == "batchnorm":
        return [BatchNorm1d(dim, momentum=momentum)]
    return [nn.LayerNorm(dim)] if kind == "layernorm" else []


class Tanh(Layer):
    """tanh(x), whose gradient 1 - tanh(x)^2 vanishes where it saturates."""

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return torch.tanh(x)


class Embedding(Layer, nn.Embedding):
    """A row of the table for each id, (...) int64 -> (..., C); N(0, 1).

    A subclass of torch's so that the optimizer knows an embedding from a matrix.
    """

    def forward(self, ids: Tensor) -> Tensor:
        """weight[ids], the same as one-hot rows times the table."""
        # the gradient of weight[ids] itself is summed in no fixed order on several threads
        return F.embedding(ids, self.weight)


class FlattenConsecutive(Layer):
    """`n` neighbors in time side by side, (B, T, C) -> (B, T / n, C n), or (B, C n) if T = n."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: Tensor) -> Tensor:
        """A view of x."""
        B, T, C = x.shape  # noqa: N806
        x = x.view(B, T // self.n, C * self.n)
        return x.squeeze(1) if x.shape[1] == 1 else x


class Sequential(Layer):
    """One layer after the other."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """The output of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x


@torch.no_grad()
def calibrate_batchnorm(
    net: nn.Module, run: Callable[[Tensor], Tensor], inputs: Callable[[], Iterable[Tensor]]
) -> None:
    """Sets the running statistics of each BatchNorm1d of `net` to those over all inputs at once.

    The notes' calibration at the end of training, in batches: `inputs()` yields them and `run` puts
    each through the net, once for each BatchNorm1d, since the input of a later one depends on those
    before it. Variance over n - 1.
    """
    was_training = net.training
    net.eval()
    for norm in [module for module in net.modules() if isinstance(module, BatchNorm1d)]:
        n, total, squares = (
            0,
            torch.zeros_like(norm.running_mean),
            torch.zeros_like(norm.running_var),
        )

        def collect(module: nn.Module, args: tuple[Tensor]) -> None:
            nonlocal n, total, squares
            x = args[0].flatten(0, -2).double()
            n += len(x)
            total, squares = total.to(x) + x.sum(0), squares.to(x) + x.square().sum(0)

        with norm.register_forward_pre_hook(collect):
            for batch in inputs():
                run(batch)
        mean = total / n
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((squares - n * mean.square()) / (n - 1))
    net.train(was_training)

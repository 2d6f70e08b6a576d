"""Step for step: the library against the notes' loops written out, float64, 50 steps.

Both sides begin from the same weights and see the same batches. The library goes through its own
configuration, batches and `OptimizerStep`, with its textbook layers and with the kernels installed; the
other side is the notes' algorithm in plain tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.config import merge, presets
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import OptimizerStep
from hornbook.kernels import install
from hornbook.layers.basic import BatchNorm1d
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, parse_run_config
from hornbook.tokenizers import build_tokenizer

STEPS = 50
WORDS = ("emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "noah", "liam", "otto",
         "zoe", "maximilian", "christopher", "jo", "penelope", "alexandria")  # fmt: skip
TEXT = "".join(f"{i} green bottles,\n\nhanging on the wall. " for i in range(40))

Rate = Callable[[int], float]


@pytest.fixture(params=[False, True], ids=["layers", "kernels"])
def library(request: pytest.FixtureRequest) -> Callable[..., OptimizerStep]:
    """Builds the library's step, with textbook layers or with kernels."""
    return partial(build_step, kernels=request.param)


def build_step(
    preset: Callable[[], presets.Nested],
    part: Part,
    vocab: int,
    end_id: int | None,
    *,
    kernels: bool,
    **model: object,
) -> OptimizerStep:
    config = parse_run_config(merge(preset(), {"model": model, "training": {"steps": STEPS}}))
    torch.manual_seed(0)
    net = build_model(config.model, vocab, end_id).double().train()
    if kernels:
        install(net)
    training = config.training
    draw = Draw(batch_size=training.batch_size, seed=training.seed, sampling=training.sampling)
    batches = build_batches(part, net.examples, net.context_length, draw)
    return OptimizerStep(net, batches, config)


def names() -> tuple[Part, dict[str, int]]:
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    letters = sorted(set("".join(WORDS)))
    return Part.of_documents(WORDS, tokenizer), {
        ".": 0,
        **{c: i + 1 for i, c in enumerate(letters)},
    }


def build_dataset(stoi: dict[str, int], block_size: int) -> tuple[Tensor, Tensor]:
    """The notes' examples."""
    X, Y = [], []  # noqa: N806
    for w in WORDS:
        context = [0] * block_size
        for ch in w + ".":
            X.append(context)
            Y.append(stoi[ch])
            context = [*context[1:], stoi[ch]]
    return torch.tensor(X), torch.tensor(Y)


def drawn(step: OptimizerStep, i: int) -> Tensor:
    return torch.from_numpy(np.concatenate([items for _, items in step.batches.items(i)]))


def copies(model: LanguageModel) -> list[Tensor]:
    return [p.detach().clone().requires_grad_() for p in model.parameters()]


def descend(parameters: list[Tensor], loss: Tensor, lr: float) -> None:
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data += -lr * p.grad


def notes_rate(i: int) -> float:
    return 0.1 if i < STEPS // 2 else 0.01


def assert_same(step: OptimizerStep, textbook: Iterator[Tensor], parameters: list[Tensor]) -> None:
    """Runs both sides side by side and compares every loss, then every weight."""
    for i, loss in enumerate(textbook):
        assert abs(step(i)[0].item() - loss.item()) < 1e-10, i
    assert i == STEPS - 1
    own = list(step.model.parameters())
    torch.testing.assert_close(own, [p.detach() for p in parameters], atol=1e-10, rtol=0)


@pytest.mark.parametrize("init", ["scaled", "naive"])
def test_mlp(library: Callable[..., OptimizerStep], init: str) -> None:
    part, stoi = names()
    step = library(presets.notes_mlp, part, len(stoi), 0, init=init)
    parameters = C, W1, b1, W2, b2 = copies(step.model)  # noqa: N806
    assert [tuple(p.shape[1:]) for p in parameters] == [(10,), (200,), (), (len(stoi),), ()]
    X, Y = build_dataset(stoi, 3)  # noqa: N806

    def textbook() -> Iterator[Tensor]:
        for i in range(STEPS):
            ix = drawn(step, i)
            emb = C[X[ix]]
            h = torch.tanh(emb.view(-1, 30) @ W1 + b1)
            logits = h @ W2 + b2
            loss = F.cross_entropy(logits, Y[ix])
            descend(parameters, loss, notes_rate(i))
            yield loss

    assert_same(step, textbook(), parameters)


def test_batchnorm_mlp(library: Callable[..., OptimizerStep]) -> None:
    """The notes' first BatchNorm: standard deviations, no eps, a thousandth of each batch.

    They average its deviations, the library its variances, as their later class does.
    """
    part, stoi = names()
    step = library(presets.notes_mlp_bn, part, len(stoi), 0)
    (norm,) = (m for m in step.model.modules() if isinstance(m, BatchNorm1d))
    norm.eps = 0.0
    parameters = C, W1, bngain, bnbias, W2, b2 = copies(step.model)  # noqa: N806
    X, Y = build_dataset(stoi, 3)  # noqa: N806
    mean_running = torch.zeros(1, 200, dtype=torch.float64)
    var_running = torch.ones_like(mean_running)

    def textbook() -> Iterator[Tensor]:
        nonlocal mean_running, var_running
        for i in range(STEPS):
            ix = drawn(step, i)
            hpreact = C[X[ix]].view(32, -1) @ W1
            bnmeani = hpreact.mean(0, keepdim=True)
            bnstdi = hpreact.std(0, keepdim=True)
            hpreact = bngain * (hpreact - bnmeani) / bnstdi + bnbias
            with torch.no_grad():
                mean_running = 0.999 * mean_running + 0.001 * bnmeani
                var_running = 0.999 * var_running + 0.001 * bnstdi**2
            loss = F.cross_entropy(torch.tanh(hpreact) @ W2 + b2, Y[ix])
            descend(parameters, loss, notes_rate(i))
            yield loss

    assert_same(step, textbook(), parameters)
    torch.testing.assert_close(norm.running_mean, mean_running[0], atol=1e-10, rtol=0)
    torch.testing.assert_close(norm.running_var, var_running[0], atol=1e-10, rtol=0)


class PlainBatchNorm:
    """The notes' class."""

    def __init__(self, gamma: Tensor, beta: Tensor) -> None:
        self.gamma, self.beta = gamma, beta
        self.mean, self.var = torch.zeros_like(gamma), torch.ones_like(gamma)

    def __call__(self, x: Tensor) -> Tensor:
        dim = 0 if x.ndim == 2 else (0, 1)
        xmean, xvar = x.mean(dim, keepdim=True), x.var(dim, keepdim=True)
        with torch.no_grad():
            self.mean = 0.9 * self.mean + 0.1 * xmean
            self.var = 0.9 * self.var + 0.1 * xvar
        return self.gamma * ((x - xmean) / torch.sqrt(xvar + 1e-5)) + self.beta


def assert_same_statistics(model: LanguageModel, plain: list[PlainBatchNorm]) -> None:
    norms = [m for m in model.modules() if isinstance(m, BatchNorm1d)]
    for norm, other in zip(norms, plain, strict=True):
        torch.testing.assert_close(norm.running_mean, other.mean.flatten(), atol=1e-10, rtol=0)
        torch.testing.assert_close(norm.running_var, other.var.flatten(), atol=1e-10, rtol=0)


def test_deep_batchnorm_mlp(library: Callable[..., OptimizerStep]) -> None:
    part, stoi = names()
    step = library(presets.notes_mlp_deep, part, len(stoi), 0)
    parameters = copies(step.model)
    C, weights = parameters[0], parameters[1::3]  # noqa: N806
    norms = [PlainBatchNorm(*pair) for pair in zip(parameters[2::3], parameters[3::3], strict=True)]
    assert len(weights) == len(norms) == 6
    X, Y = build_dataset(stoi, 3)  # noqa: N806

    def textbook() -> Iterator[Tensor]:
        for i in range(STEPS):
            ix = drawn(step, i)
            x = C[X[ix]].view(32, -1)
            for weight, norm in zip(weights[:-1], norms[:-1], strict=True):
                x = torch.tanh(norm(x @ weight))
            loss = F.cross_entropy(norms[-1](x @ weights[-1]), Y[ix])
            descend(parameters, loss, 0.1 if i < round(0.75 * STEPS) else 0.01)
            yield loss

    assert_same(step, textbook(), parameters)
    assert_same_statistics(step.model, norms)


def test_wavenet(library: Callable[..., OptimizerStep]) -> None:
    part, stoi = names()
    step = library(presets.notes_wavenet, part, len(stoi), 0)
    parameters = copies(step.model)
    C, weights, (W, b) = parameters[0], parameters[1:-2:3], parameters[-2:]  # noqa: N806
    norms = [
        PlainBatchNorm(*pair) for pair in zip(parameters[2:-2:3], parameters[3:-2:3], strict=True)
    ]
    assert len(weights) == len(norms) == 3
    X, Y = build_dataset(stoi, 8)  # noqa: N806

    def textbook() -> Iterator[Tensor]:
        for i in range(STEPS):
            ix = drawn(step, i)
            x = C[X[ix]]  # (32, 8, 24)
            for weight, norm in zip(weights, norms, strict=True):
                x = torch.cat([x[:, ::2], x[:, 1::2]], dim=2)
                if x.shape[1] == 1:
                    x = x.squeeze(1)
                x = torch.tanh(norm(x @ weight))
            loss = F.cross_entropy(x @ W + b, Y[ix])
            descend(parameters, loss, notes_rate(i))
            yield loss

    assert_same(step, textbook(), parameters)
    assert_same_statistics(step.model, norms)


def test_gpt(library: Callable[..., OptimizerStep]) -> None:
    """The notes' GPT, head by head, and their AdamW written out; without dropout."""
    B, T, C, n_head, n_layer = 8, 16, 24, 3, 2  # noqa: N806
    tokenizer = build_tokenizer("char", TEXT, documents=False)
    part = Part.of_stream(TEXT, tokenizer)
    ids = torch.from_numpy(part.tokens.astype(np.int64))

    def small() -> presets.Nested:
        return merge(presets.notes_gpt(), {"training": {"batch_size": B}})

    step = library(
        small, part, tokenizer.vocab_size, None, context_length=T, n_layer=n_layer,
        n_head=n_head, n_embd=C, dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    P = {  # noqa: N806
        name: p.detach().clone().requires_grad_() for name, p in step.model.named_parameters()
    }

    def layer_norm(x: Tensor, name: str) -> Tensor:
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(var + 1e-5) * P[f"{name}.weight"] + P[f"{name}.bias"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ P[f"{name}.weight"].T + P[f"{name}.bias"]

    def model(x: Tensor) -> Tensor:
        tril = torch.tril(torch.ones(T, T))
        x = P["token_embedding.weight"][x] + P["position_embedding.weight"][torch.arange(T)]
        for layer in range(n_layer):
            block = f"blocks.{layer}"
            y = layer_norm(x, f"{block}.ln1")
            size = C // n_head
            q, k, v = P[f"{block}.attn.qkv.weight"].split(C)  # rows of head after head
            heads = []
            for h in range(n_head):
                rows = slice(h * size, (h + 1) * size)
                wei = (y @ q[rows].T) @ (y @ k[rows].T).transpose(-2, -1) * size**-0.5
                wei = F.softmax(wei.masked_fill(tril == 0, float("-inf")), dim=-1)
                heads.append(wei @ (y @ v[rows].T))
            x = x + linear(torch.cat(heads, dim=-1), f"{block}.attn.proj")
            y = torch.relu(linear(layer_norm(x, f"{block}.ln2"), f"{block}.mlp.0"))
            x = x + linear(y, f"{block}.mlp.2")
        return linear(layer_norm(x, "ln_f"), "head")

    def textbook() -> Iterator[Tensor]:
        m = {name: torch.zeros_like(p) for name, p in P.items()}
        v = {name: torch.zeros_like(p) for name, p in P.items()}
        lr, beta1, beta2, decay = 3e-4, 0.9, 0.999, 0.01  # torch.optim.AdamW's own
        for i in range(STEPS):
            at = drawn(step, i)
            x = torch.stack([ids[a : a + T] for a in at.tolist()])
            y = torch.stack([ids[a + 1 : a + T + 1] for a in at.tolist()])
            loss = F.cross_entropy(model(x).view(B * T, -1), y.view(B * T))
            for p in P.values():
                p.grad = None
            loss.backward()
            for name, p in P.items():
                g = p.grad
                m[name] = beta1 * m[name] + (1 - beta1) * g
                v[name] = beta2 * v[name] + (1 - beta2) * g**2
                mhat, vhat = m[name] / (1 - beta1 ** (i + 1)), v[name] / (1 - beta2 ** (i + 1))
                p.data -= lr * decay * p.data
                p.data -= lr * mhat / (torch.sqrt(vhat) + 1e-8)
            yield loss

    first = step.gradients(0).item()
    assert first == pytest.approx(math.log(tokenizer.vocab_size), abs=0.1)
    assert_same(step, textbook(), list(P.values()))

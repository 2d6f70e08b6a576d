"""Cells of the notes, pasted: with hornbook's names they do what they do with their own."""

from __future__ import annotations

import copy
import random
import re

import pytest
import torch
from torch.nn import functional as F

from hornbook import notes
from hornbook.models import gpt, gpt2
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.notes import (
    MLP,
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    LessonModel,
    Linear,
    Sequential,
    Tanh,
    Value,
)


def examples() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    X = torch.randint(0, 9, (64, 4))  # noqa: N806
    return X, X.sum(1) % 9


def test_the_loop_over_the_parameters_of_a_sequential_trains() -> None:
    """The notes, "WaveNet": the parameters are counted, then given a gradient, then changed."""
    Xb, Yb = examples()  # noqa: N806
    torch.manual_seed(42)
    model = Sequential([
        Embedding(9, 6),
        FlattenConsecutive(2), Linear(12, 20, bias=False), BatchNorm1d(20), Tanh(),
        FlattenConsecutive(2), Linear(40, 20, bias=False), BatchNorm1d(20), Tanh(),
        Linear(20, 9),
    ])  # fmt: skip
    with torch.no_grad():
        model.layers[-1].weight *= 0.1
    parameters = model.parameters()
    assert sum(p.nelement() for p in parameters) == 9 * 6 + 240 + 40 + 800 + 40 + 189
    for p in parameters:
        p.requires_grad = True
    lossi = []
    for _ in range(60):
        logits = model(Xb)
        loss = F.cross_entropy(logits, Yb)
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            assert p.grad is not None
            p.data -= 0.5 * p.grad
        lossi.append(loss.item())
    assert lossi[-1] < 0.5 * lossi[0]
    for layer in model.layers:
        if isinstance(layer, BatchNorm1d):
            layer.training = False
    assert model(Xb[:1]).shape == (1, 9)


def test_every_layer_keeps_its_output_and_the_gradient_of_it() -> None:
    """The notes, "SUMMARY + PYTORCHIFYING": layers in a list, `retain_grad` on each output."""
    Xb, Yb = examples()  # noqa: N806
    C = torch.randn((9, 6))  # noqa: N806
    layers = [Linear(24, 20, bias=False), BatchNorm1d(20), Tanh(), Linear(20, 9), BatchNorm1d(9)]
    with torch.no_grad():
        layers[-1].gamma *= 0.1
        for layer in layers[:-1]:
            if isinstance(layer, Linear):
                layer.weight *= 5 / 3
    parameters = [C] + [p for layer in layers for p in layer.parameters()]
    for p in parameters:
        p.requires_grad = True
    emb = C[Xb]
    x = emb.view(emb.shape[0], -1)
    for layer in layers:
        x = layer(x)
        assert layer.out is x
    loss = F.cross_entropy(x, Yb)
    for layer in layers:
        layer.out.retain_grad()
    loss.backward()
    assert all(layer.out.grad is not None and layer.out.grad.any() for layer in layers)
    assert all(isinstance(layer.parameters(), list) for layer in layers)
    assert copy.deepcopy(layers[0])(Xb.float().repeat(1, 6)).shape == (64, 20)


NOTES_NEURONS = """
class Neuron:

  def __init__(self, nin):
    self.w = [Value(random.uniform(-1,1)) for _ in range(nin)]
    self.b = Value(random.uniform(-1,1))

  def __call__(self, x):
    act = sum((wi*xi for wi, xi in zip(self.w, x)), self.b)
    out = act.tanh()
    return out

  def parameters(self):
    return self.w + [self.b]

class Layer:

  def __init__(self, nin, nout):
    self.neurons = [Neuron(nin) for _ in range(nout)]

  def __call__(self, x):
    outs = [n(x) for n in self.neurons]
    return outs[0] if len(outs) == 1 else outs

  def parameters(self):
    return [p for neuron in self.neurons for p in neuron.parameters()]

class MLP:

  def __init__(self, nin, nouts):
    sz = [nin] + nouts
    self.layers = [Layer(sz[i], sz[i+1]) for i in range(len(nouts))]

  def __call__(self, x):
    for layer in self.layers:
      x = layer(x)
    return x

  def parameters(self):
    return [p for layer in self.layers for p in layer.parameters()]
"""
XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def test_the_notes_network_begins_and_learns_as_theirs() -> None:
    scope = {"Value": Value, "random": random}
    exec(NOTES_NEURONS, scope)

    def losses(make: type) -> list[float]:
        random.seed(1337)
        n, found = make(3, [4, 4, 1]), []
        for _ in range(20):
            ypred = [n(x) for x in XS]
            loss = sum((yout - ygt) ** 2 for ygt, yout in zip(YS, ypred, strict=True))
            for p in n.parameters():
                p.grad = 0.0
            loss.backward()
            for p in n.parameters():
                p.data += -0.1 * p.grad
            found.append(loss.data)
        return found

    ours = losses(MLP)
    assert ours == losses(scope["MLP"])  # type: ignore[arg-type]
    assert ours[-1] < 0.2 * ours[0]


class NotesBigram(torch.nn.Module):
    """The notes' BigramLanguageModel."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.token_embedding_table = torch.nn.Embedding(vocab_size, vocab_size)

    def forward(
        self, idx: torch.Tensor, targets: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        logits = self.token_embedding_table(idx)
        if targets is None:
            return logits, None
        B, T, C = logits.shape  # noqa: N806
        logits = logits.view(B * T, C)
        return logits, F.cross_entropy(logits, targets.view(B * T))

    def generate(self, idx: torch.Tensor, max_new_tokens: int) -> torch.Tensor:
        for _ in range(max_new_tokens):
            logits, _ = self.forward(idx)
            probs = F.softmax(logits[:, -1, :], dim=-1)
            idx = torch.cat((idx, torch.multinomial(probs, num_samples=1)), dim=1)
        return idx


def model_of(name: str, **fields: object) -> LanguageModel:
    return build_model(model_config({"name": name, **fields}), 65, None)


def test_a_lesson_model_is_called_and_generates_as_the_notes_bigram() -> None:
    bigram, theirs = model_of("bigram"), NotesBigram(65)
    theirs.token_embedding_table.weight.data.copy_(bigram.weight.data)
    ours = LessonModel(bigram)
    xb, yb = torch.randint(65, (4, 8)), torch.randint(65, (4, 8))
    idx = torch.zeros((1, 1), dtype=torch.long)
    found = []
    for m in (ours, theirs):
        logits, loss = m(xb, yb)
        torch.manual_seed(1337)
        found.append((logits, loss, m(xb)[0], m.generate(idx, max_new_tokens=100)))
    for mine, other in zip(*found, strict=True):
        torch.testing.assert_close(mine, other, atol=0, rtol=0)
    assert found[0][0].shape == (32, 65)
    assert ours(xb)[1] is None


def test_a_lesson_model_takes_one_target_for_each_context() -> None:
    m = LessonModel(model_of("bigram"))
    xb = torch.randint(65, (4, 8))
    logits, loss = m(xb, xb[:, 0])
    assert logits.shape == (4, 65)
    torch.testing.assert_close(loss, F.cross_entropy(m(xb)[0][:, -1], xb[:, 0]))


def test_a_lesson_model_trains_by_the_notes_loop_and_generates_past_the_context() -> None:
    torch.manual_seed(0)
    m = LessonModel(
        model_of("gpt", context_length=8, n_layer=1, n_head=2, n_kv_head=2, n_embd=16, n_hidden=24)
    )
    parameters = m.parameters()
    assert sum(p.numel() for p in parameters) == m.model.n_parameters
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    xb = torch.arange(32).view(4, 8)
    lossi = []
    for _ in range(20):
        _, loss = m(xb, xb + 1)
        assert loss is not None
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        lossi.append(loss.item())
    assert lossi[-1] < 0.7 * lossi[0]
    assert m.generate(torch.zeros((2, 1), dtype=torch.long), max_new_tokens=20).shape == (2, 21)


def test_what_the_contract_leaves_out_is_named() -> None:
    xb = torch.zeros(1, 2, dtype=torch.long)
    with pytest.raises(TypeError, match=r"hornbook\.notes\.LessonModel"):
        model_of("bigram")(xb, xb)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("BigramLanguageModel", r"LessonModel\(model\) of a bigram"),
        ("GPTLanguageModel", r"LessonModel\(model\) of a gpt2"),
        ("GPTConfig", "GPT2Config"),
    ],
)
def test_a_name_that_is_elsewhere_is_told(name: str, where: str) -> None:
    with pytest.raises(ImportError, match=rf"hornbook\.notes has no {name}: .*{where}"):
        exec(f"from hornbook.notes import {name}")


def test_the_places_that_are_told_exist() -> None:
    for told in notes._ELSEWHERE.values():
        for name in re.findall(r"hornbook\.models\.gpt2\.(\w+)", told):
            assert hasattr(gpt2, name)
    assert not hasattr(notes, "unheard_of")


@pytest.mark.parametrize("make", [gpt.GPTConfig, gpt2.GPT2Config])
def test_block_size_is_named(make: type) -> None:
    with pytest.raises(ValueError, match=r"block_size: no such field.*context_length"):
        make(block_size=8)


def test_a_block_needs_a_configuration_and_an_input() -> None:
    """As in the notes' `Block(...)(x)`: causal, from position 0, as inside its model."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 32)
    modern = gpt.GPTConfig(n_embd=32, n_head=4, n_kv_head=2, n_hidden=24)
    for block in (gpt.Block(modern), gpt2.Block(gpt2.GPT2Config(n_embd=32, n_head=4)).eval()):
        whole = block(x)
        assert whole.shape == x.shape
        torch.testing.assert_close(block(x[:, :3]), whole[:, :3])  # none sees what follows
    attention = gpt.CausalSelfAttention(modern)
    assert attention(x).shape == x.shape
    assert not torch.allclose(attention(x), attention(x.flip(1)).flip(1))  # positions matter

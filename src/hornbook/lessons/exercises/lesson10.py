"""The exercises of lesson 10: a GPT. B batch, T positions, C channels, V vocabulary."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.lessons.comparison import Comparison, compare, holds
from hornbook.lessons.exercise import Exercise
from hornbook.models.registry import build_model, model_config

Batch = tuple[Tensor, Tensor]


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each position to mean 0 and variance 1 over its channels, then weight and bias."""
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def count_parameters(V: int, T: int, C: int, n_layer: int) -> int:
    """The parameters of the lesson's GPT."""
    tables = V * C + T * C
    attention = 3 * C * C + (C * C + C)  # queries, keys and values have no bias
    mlp = (C * 4 * C + 4 * C) + (4 * C * C + C)
    norms = 2 * 2 * C
    return tables + n_layer * (attention + mlp + norms) + 2 * C + (C * V + V)


def generate(model: Any, ids: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """The ids (B, T) and n drawn tokens, (B, T + n)."""
    for _ in range(n):
        logits = model(ids[:, -model.context_length :])[:, -1]  # (B, V)
        drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, drawn], dim=1)
    return ids


def addition_example(a: int, b: int) -> Batch:
    """Tokens of a sum and the tokens after them, -1 in the question; (8,) each."""
    text = f"{a:02d}+{b:02d}={f'{a + b:03d}'[::-1]}"
    ids = torch.tensor(["0123456789+=".index(character) for character in text])
    x, y = ids[:-1], ids[1:].clone()
    y[: text.index("=")] = -1  # position 5 reads "=", and predicts the first digit of the answer
    return x, y


def masked_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log p over targets that are not -1."""
    scored = targets >= 0
    log_p = logits[scored].log_softmax(-1)  # (N, V)
    return -log_p[torch.arange(len(log_p)), targets[scored]].mean()


def fine_tune(pretrained: nn.Module, batches: Sequence[Batch], lr: float) -> nn.Module:
    """A copy of a model, trained by one step of AdamW for each batch."""
    model = copy.deepcopy(pretrained)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for x, y in batches:
        loss: Any = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


def _check_layer_norm(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, C = (_whole(generator, 3, 7) + i for i in (0, 4, 8))
    x = 3 * torch.randn(B, T, C, generator=generator) + 2
    x[0, 0] *= 1e-3  # where the small number matters
    weight, bias = torch.randn(2, C, generator=generator)

    def norm(dim: Any, unbiased: bool = False, eps: float = 1e-5) -> Tensor:
        variance = x.var(dim, keepdim=True, unbiased=unbiased)
        return (x - x.mean(dim, keepdim=True)) / torch.sqrt(variance + eps)

    mistakes = {
        "the variance is the unbiased one; LayerNorm divides by C, not by C - 1": norm(-1, True)
        * weight
        + bias,
        "this normalizes over the batch; LayerNorm takes the channels of each position": norm(0)
        * weight
        + bias,
        "this normalizes over batch and positions, as BatchNorm does": norm((0, 1)) * weight + bias,
        "this normalizes over the positions; LayerNorm takes the channels": norm(1) * weight + bias,
        "weight and bias are missing": norm(-1),
        "this divides by the variance; divide by its root": (x - x.mean(-1, True))
        / (x.var(-1, keepdim=True, unbiased=False) + 1e-5)
        * weight
        + bias,
        "the 1e-5 is missing": norm(-1, eps=0.0) * weight + bias,
        "the 1e-5 belongs inside the root": (x - x.mean(-1, True))
        / (x.std(-1, keepdim=True, unbiased=False) + 1e-5)
        * weight
        + bias,
        "the variance divides by C - 1, and the 1e-5 belongs inside the root": (
            (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + 1e-5) * weight + bias
        ),
    }
    expected = F.layer_norm(x, (C,), weight, bias)
    found = candidate(x.clone(), weight.clone(), bias.clone())
    yield compare("the result", found, expected, mistakes=mistakes, atol=1e-5)


def _check_count_parameters(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    V, T, n_layer = _whole(generator, 20, 90), _whole(generator, 8, 40), _whole(generator, 1, 5)
    C = 4 * _whole(generator, 2, 9)
    sizes = {"n_layer": n_layer, "n_head": 2, "n_embd": C, "context_length": T}
    expected = build_model(model_config({"name": "gpt2", **sizes}), V, None).n_parameters
    mistakes = {
        "queries, keys and values have no bias": expected + 3 * C * n_layer,
        "the head has a bias for each token": expected - V,
        "the linear layers of the MLP have biases, 4 C and C": expected - 5 * C * n_layer,
        "the layer that mixes the heads (proj) has a bias": expected - C * n_layer,
        "the layer that mixes the heads (proj) is missing": expected - (C * C + C) * n_layer,
        "each block has two LayerNorms, with weight and bias": expected - 4 * C * n_layer,
        "a LayerNorm has a weight and a bias": expected - 2 * C * n_layer - C,
        "the last LayerNorm is missing": expected - 2 * C,
        "the table of positions is missing": expected - T * C,
        "the head is a layer of its own, beside the table of tokens": expected - V * C - V,
    }
    found = candidate(V, T, C, n_layer)
    what = f"V={V}, T={T}, C={C}, n_layer={n_layer}"
    yield compare(what, found, expected, mistakes=mistakes, rtol=0.0, atol=0.0)


class _Random(nn.Module):
    """A model of random logits, which depend on the whole context; it refuses longer ones."""

    def __init__(self, V: int, T: int, generator: torch.Generator) -> None:
        super().__init__()
        self.context_length = T
        self.table = torch.randn(T, V, V, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.context_length:
            raise ValueError(
                f"found a row of {ids.shape[1]} tokens, expected at most {self.context_length}"
            )
        position = torch.arange(ids.shape[1])
        return self.table[position, ids].cumsum(1)


def _check_generate(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    V, T, n = 11, 5, 12
    model, seed = _Random(V, T, generator), _whole(generator, 0, 1 << 30)
    start = torch.randint(V, (3, 2), generator=generator)

    def drawn(choose: Any, end: bool = True) -> Tensor:
        own, ids = torch.Generator().manual_seed(seed), start
        for _ in range(n):
            context = ids[:, -T:] if end else ids[:, :T]
            ids = torch.cat([ids, choose(model(context), own)], dim=1)
        return ids

    def draw(logits: Tensor, own: torch.Generator, at: int = -1) -> Tensor:
        return torch.multinomial(F.softmax(logits[:, at], -1), 1, generator=own)

    greedy = "these are the likeliest tokens; draw them by torch.multinomial"
    mistakes = {
        greedy: drawn(lambda logits, own: logits[:, -1].argmax(-1, keepdim=True)),
        "these follow the first position; take the logits of the last one": drawn(
            lambda logits, own: draw(logits, own, 0)
        ),
        "these always follow the first tokens; crop to the last ones": drawn(draw, end=False),
        "the softmax is along the batch; it is along the last dimension": drawn(
            lambda logits, own: torch.multinomial(logits[:, -1].softmax(0), 1, generator=own)
        ),
    }
    given = torch.Generator().manual_seed(seed)
    found = candidate(model, start.clone(), n, given)
    if isinstance(found, Tensor) and found.shape != (3, 2 + n):
        shape = f"found shape {tuple(found.shape)}, expected (3, {2 + n})"
        advice = "return the given tokens and all new ones; crop only what the model reads"
        yield holds(f"{n} tokens after rows of 2", False, f"{shape}; {advice}")
    used = not torch.equal(given.get_state(), torch.Generator().manual_seed(seed).get_state())
    if isinstance(found, Tensor) and not used and not torch.equal(found, mistakes[greedy]):
        yield holds("the generator", False, "it was not used; give it to torch.multinomial")
    yield compare(f"{n} tokens after rows of 2", found, drawn(draw), mistakes=mistakes)


def _check_addition_example(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    for low, high in ((0, 10), (50, 100), (0, 100)):
        a, b = _whole(generator, low, high), _whole(generator, low, high)
        digits = [a // 10, a % 10, 10, b // 10, b % 10, 11]
        answer = [(a + b) % 10, (a + b) // 10 % 10, (a + b) // 100]
        x = torch.tensor([*digits, *answer[:2]])
        unmasked = torch.tensor([*digits[1:], *answer])
        found = candidate(a, b)
        pair = isinstance(found, tuple | list) and len(found) == 2
        yield holds("two results", pair, "expected two tensors: x and y")
        forward = {
            "the digits of the sum are not reversed": [*digits, *answer[:0:-1]],
            "the whole text is reversed; reverse the digits of the sum alone": [
                *answer,
                *digits[:0:-1],
            ],
            "it is masked as well: y shares its memory, so mask a copy (y.clone())": [
                digits[0],
                *[-1] * 5,
                *answer[:2],
            ],
        }
        wrong = {name: torch.tensor(value) for name, value in forward.items()}
        if isinstance(found[0], Tensor) and len(found[0].shape) == 1 and len(found[0]) < 8:
            advice = "each number has two digits and the sum three; write zeros in front"
            short = f"found {len(found[0])} tokens, expected 8; {advice}"
            yield holds(f"x of {a} + {b}", False, short)
        yield compare(f"x of {a} + {b}", found[0], x, mistakes=wrong)
        mistakes = {
            "the question is not masked": unmasked,
            "position 5 reads '=' and predicts the first digit of the answer: it is scored": (
                torch.tensor([-1] * 6 + answer[1:])
            ),
            "y is the token after each position: shift it by one": torch.tensor(
                [-1] * 6 + answer[:2]
            ),
            "the '=' belongs to the question": torch.tensor([-1] * 4 + [11, *answer]),
        }
        yield compare(
            f"y of {a} + {b}", found[1], torch.tensor([-1] * 5 + answer), mistakes=mistakes
        )


def _check_masked_loss(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    B, T, V = 3, _whole(generator, 4, 9), 12
    logits = torch.randn(B, T, V, generator=generator)
    targets = torch.randint(V, (B, T), generator=generator)
    targets[:, :-2] = torch.where(
        torch.rand(B, T - 2, generator=generator) < 0.5, -1, targets[:, :-2]
    )
    targets[0, 0] = -1
    flat = logits.flatten(0, 1), targets.flatten()
    nats = F.cross_entropy(*flat, ignore_index=-1, reduction="none")
    per_row = nats.view(B, T).sum(1) / (targets >= 0).sum(1)
    mistakes = {
        "the sum is divided by all positions; divide by the scored ones": nats.mean(),
        "this is the sum; take the mean": nats.sum(),
        "positions with -1 are scored, as if their target were the last token": F.cross_entropy(
            flat[0], flat[1] % V
        ),
        "positions with -1 are scored, as if their target were token 0": F.cross_entropy(
            flat[0], flat[1].clamp(min=0)
        ),
        "positions whose target is token 0 are left out; only -1 is not scored": nats[
            flat[1] > 0
        ].mean(),
        "this is a mean of each row's mean; rows with fewer answers weigh too much": per_row.mean(),
    }
    expected = F.cross_entropy(*flat, ignore_index=-1)
    yield compare(
        "the loss", candidate(logits.clone(), targets.clone()), expected, mistakes=mistakes
    )


def _check_fine_tune(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
    V, lr = 7, 0.01
    model = nn.Sequential(nn.Embedding(V, 8), nn.Linear(8, V))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    batches = [
        (
            torch.randint(V, (4, 5), generator=generator),
            torch.randint(V, (4, 5), generator=generator),
        )
        for _ in range(4)
    ]

    def trained(
        *, zero: bool = True, steps: int = 4, lr: float = lr, anew: bool = False
    ) -> list[Tensor]:
        own = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(own.parameters(), lr=lr)
        for x, y in batches[:steps]:
            if anew:
                optimizer = torch.optim.AdamW(own.parameters(), lr=lr)
            if zero:
                optimizer.zero_grad()
            loss: Any = F.cross_entropy(own(x).flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()
        return list(own.parameters())

    def flat(parameters: Any) -> Tensor:
        return torch.cat([p.detach().flatten() for p in parameters])

    before, expected = flat(model.parameters()), flat(trained())
    mistakes = {
        "the gradients of earlier batches are still there; call zero_grad": flat(
            trained(zero=False)
        ),
        "the weights are the pretrained ones; is there a step for each batch, and does the optimizer "
        "have the parameters of the copy?": before,
        "each step has a new optimizer, which has forgotten the gradients before it; make one before "
        "the loop": flat(trained(anew=True)),
        "the learning rate is not lr, but AdamW's own": flat(trained(lr=1e-3)),
        "only the first batch was trained on": flat(trained(steps=1)),
    }
    found = candidate(model, batches, lr)
    yield holds("a model", isinstance(found, nn.Module), "expected the new model as the result")
    kept = torch.equal(flat(model.parameters()), before)
    yield holds("the pretrained model", kept, "it was changed; train a copy (copy.deepcopy)")
    yield compare("the new weights", flat(found.parameters()), expected, mistakes=mistakes)


EXERCISES = [
    Exercise(
        "10.1",
        "layer_norm",
        title="LayerNorm",
        hint="Mean and variance along dimension -1 with keepdim=True; x.var(-1, keepdim=True, "
        "unbiased=False) divides by C. Weight and bias of shape (C,) fit (B, T, C) as they are.",
        solution=layer_norm,
        check=_check_layer_norm,
    ),
    Exercise(
        "10.2",
        "count_parameters",
        title="How many parameters?",
        hint="A linear layer from a to b channels has a b weights, and b biases unless bias=False. A "
        "LayerNorm has 2 C. Heads only cut the C channels into pieces.",
        solution=count_parameters,
        check=_check_count_parameters,
    ),
    Exercise(
        "10.3",
        "generate",
        title="Generate",
        hint="In a loop: crop to ids[:, -model.context_length:], take the logits of the last "
        "position, softmax, draw, and append with torch.cat along dimension 1. What is returned "
        "is not cropped.",
        solution=generate,
        check=_check_generate,
    ),
    Exercise(
        "10.4",
        "addition_example",
        title="A sum as an example",
        hint="Make the text first: f'{a:02d}' has two digits, and [::-1] reverses a string. Position "
        "5 reads '=' and has to predict the first digit of the answer, so 5 targets are masked.",
        solution=addition_example,
        check=_check_addition_example,
    ),
    Exercise(
        "10.5",
        "masked_loss",
        title="A masked loss",
        hint="scored = targets >= 0 is a mask (B, T); logits[scored] is (N, V), with N scored "
        "positions. Or: F.cross_entropy(..., ignore_index=-1) on flattened logits and targets.",
        solution=masked_loss,
        check=_check_masked_loss,
    ),
    Exercise(
        "10.6",
        "fine_tune",
        title="Fine-tune",
        hint="copy.deepcopy(pretrained) is a model with the same weights that shares none of them. "
        "Then the training loop of the lesson, with the given batches.",
        solution=fine_tune,
        check=_check_fine_tune,
    ),
]

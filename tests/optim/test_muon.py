"""Muon: orthogonal updates for hidden matrices, AdamW's for the rest."""

from __future__ import annotations

import pytest
import torch

from hornbook.config import OptimConfig
from hornbook.models.registry import MODELS, build_model
from hornbook.optim import build_optimizer
from hornbook.optim.muon import orthogonalize
from tests.conftest import tiny_model


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_orthogonalized_matrices_keep_directions_and_lose_sizes(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape) * torch.tensor([1.0, 100.0, 1e-3])[:, None, None]
    found = orthogonalize(matrices)
    singular = torch.linalg.svdvals(found)
    assert singular.min() > 0.3
    assert singular.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    exact = u @ v
    cosine = (found * exact).sum((1, 2)) / (found.norm(dim=(1, 2)) * exact.norm(dim=(1, 2)))
    assert cosine.min() > 0.95


def test_each_matrix_is_updated_as_if_alone() -> None:
    torch.manual_seed(1)
    matrices = torch.randn(4, 6, 10)
    alone = torch.cat([orthogonalize(m[None]) for m in matrices])
    torch.testing.assert_close(orthogonalize(matrices), alone)


def test_muon_takes_hidden_matrices_and_adamw_the_rest() -> None:
    config = OptimConfig(name="muon", learning_rate=0.01, muon_learning_rate=0.05, weight_decay=0)
    model = tiny_model("gpt")
    model.zero_grad()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    reference = tiny_model("gpt")
    for p, q in zip(model.parameters(), reference.parameters(), strict=True):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    optimizer = build_optimizer(model, config, model.output)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group.get("scale", 1.0)
    optimizer.step()
    adamw = build_optimizer(
        reference, config.model_copy(update={"name": "adamw"}), reference.output
    )
    adamw.step()
    for (name, p), q in zip(model.named_parameters(), reference.parameters(), strict=True):
        if name.startswith("blocks") and p.ndim == 2:
            rows, columns = p.shape
            assert p.grad is not None
            expected = orthogonalize(p.grad[None])[0] * max(1, rows / columns) ** 0.5
            torch.testing.assert_close(p.detach(), before[name] - 0.05 * expected)
        else:
            torch.testing.assert_close(p.detach(), q.detach())


@pytest.mark.parametrize("tied", [False, True])
def test_muon_takes_no_matrix_whose_rows_or_columns_are_tokens(model_name: str, tied: bool) -> None:
    vocab = 13  # no other size of a small model
    model = tiny_model(model_name, vocab)
    if model.fitted or not MODELS[model_name].trained:
        return
    if tied and "tie_embeddings" in type(model.config).model_fields:
        config = model.config.model_copy(update={"tie_embeddings": True})
        model = build_model(config, vocab, 0)
    optimizer = build_optimizer(model, OptimConfig(name="muon"), model.output)
    by_muon = {id(p) for g in optimizer.param_groups if g["muon"] for p in g["params"]}
    of_output = {id(p) for p in model.output.parameters()} if model.output is not None else set()
    for name, parameter in model.named_parameters():
        of_tokens = vocab in parameter.shape or "embedding" in name or id(parameter) in of_output
        assert (id(parameter) in by_muon) == (parameter.ndim == 2 and not of_tokens), name

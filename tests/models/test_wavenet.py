"""The WaveNet: its two forms are one function."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.config import presets
from hornbook.errors import ConfigError
from hornbook.layers.basic import BatchNorm1d
from hornbook.layers.documents import windows
from hornbook.models.registry import build_model, model_config
from hornbook.models.wavenet import WaveNet

VOCAB = 27


def wavenet(end_id: int | None = 0, **fields: Any) -> WaveNet:
    """With running statistics as after training."""
    torch.manual_seed(0)
    model = build_model(model_config({"name": "wavenet", **fields}), VOCAB, end_id)
    assert isinstance(model, WaveNet)
    for module in model.modules():
        if isinstance(module, BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.double().eval()


def test_the_notes_parameters() -> None:
    assert wavenet(**presets.notes_wavenet()["model"]).n_parameters == 76_579


@pytest.mark.parametrize("context", [2, 8, 16])
@pytest.mark.parametrize(
    "form", [{"norm": "batchnorm"}, {"norm": "layernorm"}, {"norm": "none"}, {"residual": True}]
)
@pytest.mark.parametrize("kind", ["document", "packed", "inside", "stream"])
def test_dilated_convolutions_are_the_hierarchy_over_windows(
    kind: str, form: dict[str, Any], context: int
) -> None:
    """The hierarchy sees each window by itself, padded with the id that starts it."""
    end_id = None if kind == "stream" else 0
    model = wavenet(end_id, context_length=context, n_embd=5, n_hidden=9, **form)
    ids = torch.randint(1, VOCAB, (3, 40))
    if kind == "document":
        ids[:, 0] = 0
    if kind == "packed":  # starts close to and far from each other, and twice in a row
        ids[0, [0, 1, 4, 30]] = ids[1, [0, 20, 21]] = ids[2, [0, 39]] = 0
    if kind == "inside":  # the row begins inside a document
        ids[:, 17] = 0
    each = windows(ids, context, end_id)  # (B, T, context)
    hierarchy = model.next_logits(each.flatten(0, 1)).view(3, 40, VOCAB)
    torch.testing.assert_close(model(ids), hierarchy, atol=1e-12, rtol=0)


def test_it_sees_the_context_and_nothing_before_it() -> None:
    model = wavenet(None, context_length=8)
    ids = torch.randint(1, VOCAB, (1, 20))
    logits = model(ids)[0, -1]
    for back in range(1, 13):
        changed = ids.clone()
        changed[0, -back] = changed[0, -back] % (VOCAB - 1) + 1
        same = torch.equal(model(changed)[0, -1], logits)
        assert same == (back > 8), back


def test_batchnorm_is_over_batch_and_time() -> None:
    model = wavenet(context_length=4, n_embd=3, n_hidden=5).train()
    ids = torch.randint(1, VOCAB, (16, 4))
    first, norm = model.levels[0].layers[:2]
    norm.momentum = 1.0  # the running statistics become those of the batch
    model.next_logits(ids)
    pairs = model.embedding(ids).view(16 * 2, 6) @ first.weight
    torch.testing.assert_close(norm.running_mean, pairs.mean(0))
    torch.testing.assert_close(norm.running_var, pairs.var(0))


def test_a_context_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ConfigError, match="power of 2"):
        model_config({"name": "wavenet", "context_length": 12})

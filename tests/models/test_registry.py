"""The one suite that every model of the registry passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.data.part import Part
from hornbook.errors import ConfigError, RunError
from hornbook.files import read_tensors, write_tensors
from hornbook.metrics.loss import batch_loss, token_nats
from hornbook.models.registry import MODELS, model_config
from tests.conftest import tiny_model

VOCAB = 12
# documents of 3 and 4 symbols in one row, then the beginning of a third
PACKED = torch.tensor([[0, 3, 4, 5, 0, 7, 3, 1, 9, 0, 2, 2]])


def test_logits_have_the_shape_and_dtype_of_the_contract(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    for batch, length in ((1, 1), (3, 7), (2, 16)):
        logits = model(torch.randint(VOCAB, (batch, length)))
        assert logits.shape == (batch, length, VOCAB)
        assert logits.dtype == torch.float32
        assert not logits.isnan().any()


def test_a_later_token_never_changes_an_earlier_logit(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    ids = torch.randint(1, VOCAB, (2, 12))
    before = model(ids)
    for place in range(1, 12):
        changed = ids.clone()
        changed[:, place] = (changed[:, place] + 3) % VOCAB  # sometimes the end of a document
        torch.testing.assert_close(model(changed)[:, :place], before[:, :place])


def test_the_last_token_does_change_the_logits_after_it(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    ids = torch.randint(1, VOCAB, (1, 6))
    changed = ids.clone()
    changed[:, -1] = changed[:, -1] % (VOCAB - 1) + 1
    assert (model(ids)[:, -1] - model(changed)[:, -1]).abs().max() > 1e-4


@pytest.mark.usefixtures("two_threads")
def test_gradients_are_always_the_same_on_several_threads(model_name: str) -> None:
    """A table whose rows they add up in no fixed order would tell two runs apart."""
    model = tiny_model(model_name, VOCAB).train()
    if model.fitted or not MODELS[model_name].trained:
        return
    torch.manual_seed(0)
    ids, targets = torch.randint(VOCAB, (2, 1000, 16))
    gradients = []
    for _ in range(3):
        model.zero_grad()
        batch_loss(model, ids, targets).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for others in gradients[1:]:
        assert all(torch.equal(a, b) for a, b in zip(gradients[0], others, strict=True))


def test_a_document_in_company_is_predicted_as_if_alone(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    together = model(PACKED)
    for first, last in ((0, 4), (4, 9), (9, 12)):
        alone = model(PACKED[:, first:last])
        torch.testing.assert_close(together[:, first:last], alone, atol=2e-5, rtol=1e-4)


def test_next_logits_are_those_of_the_last_place(model_name: str) -> None:
    for end_id in (0, None):
        model = tiny_model(model_name, VOCAB, end_id)
        for ids in (PACKED[:, :3], PACKED[:, 4:9], PACKED[:, :1]):
            torch.testing.assert_close(model.next_logits(ids), model(ids)[:, -1])


def test_weights_saved_and_loaded_give_the_same_logits(model_name: str, tmp_path: Path) -> None:
    model = tiny_model(model_name, VOCAB)
    write_tensors(tmp_path / "w.safetensors", model.state_dict())
    entry = MODELS[model_name]
    fresh = entry.model(model.config, VOCAB, 0)
    fresh.load_weights(read_tensors(tmp_path / "w.safetensors"))
    torch.testing.assert_close(fresh.eval()(PACKED), model(PACKED), atol=0, rtol=0)


def test_weights_of_another_size_are_refused(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    weights = dict(model.state_dict())
    name = next(iter(weights))
    with pytest.raises(RunError, match="weights do not fit"):
        model.load_weights({n: w for n, w in weights.items() if n != name})
    with pytest.raises(RunError, match="weights do not fit"):
        model.load_weights({**weights, name: weights[name].to(torch.float64)[None]})


def test_a_batch_can_be_learned_by_heart(model_name: str, words: Part) -> None:
    tokens = torch.from_numpy(words.tokens.astype(np.int64))
    model = tiny_model(model_name, int(tokens.max()) + 1)
    if model.fitted:
        model.fit(tokens, torch.from_numpy(words.starts))
        assert token_nats(model, words).mean() < 1.6  # of ln(14) = 2.6: n-grams of 3, smoothed
        return
    a, b = words.tokens[0:6], words.tokens[5:13]  # emma, olivia
    ids = torch.from_numpy(np.concatenate([a[:-1], b[:-1]]).astype(np.int64))[None]
    targets = torch.from_numpy(np.concatenate([a[1:], b[1:]]).astype(np.int64))[None]
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.0)
    for _ in range(150):
        optimizer.zero_grad()
        loss = batch_loss(model, ids, targets)
        loss.backward()
        optimizer.step()
    # a bigram cannot tell what follows the second of equal symbols
    floor = 0.8 if model.context_length == 1 else 0.25
    if not MODELS[model_name].trained:  # half of this mixture is counts that have seen nothing
        floor = 1.2
    assert loss.item() < floor


@pytest.mark.parametrize("documents", [True, False])
def test_evaluation_does_not_depend_on_the_batches(
    model_name: str, words: Part, documents: bool
) -> None:
    vocab = int(words.tokens.max()) + 1
    part = words
    if not documents:
        tokens = words.tokens[words.tokens > 0]
        part = Part(tokens, np.array([0, len(tokens) - 1]), False, len(tokens) - 1)
    model = tiny_model(model_name, vocab, 0 if documents else None)
    small = token_nats(model, part, batch_tokens=16)
    large = token_nats(model, part, batch_tokens=1 << 20)
    assert small.shape == (part.n_targets,)
    np.testing.assert_allclose(small, large, atol=2e-5)


def test_evaluation_predicts_each_document_from_its_start(model_name: str, words: Part) -> None:
    model = tiny_model(model_name, int(words.tokens.max()) + 1)
    nats = token_nats(model, words)
    first, last = words.starts[2], words.starts[3]
    ids = torch.from_numpy(words.tokens[first : last + 1].astype(np.int64))[None]
    with torch.inference_mode():
        log_p = model(ids[:, :-1]).log_softmax(-1)[0]
    expected = -log_p.gather(1, ids[0, 1:, None])[:, 0]
    np.testing.assert_allclose(nats[first:last], expected.numpy(), atol=2e-5)


def test_rows_beyond_the_context_are_refused_or_slide(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB)
    ids = torch.randint(1, VOCAB, (1, model.context_length + 5))
    if not model.sliding:
        with pytest.raises(ValueError, match="expected at most"):
            model(ids)
        return
    tail = model(ids[:, -model.context_length :])[:, -1]
    torch.testing.assert_close(model(ids)[:, -1], tail)


def test_configurations_refuse_what_they_do_not_know(model_name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.n_layerz: no such field"):
        model_config({"name": model_name, "n_layerz": 2})


def test_an_unknown_model_is_told_what_is_near() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gpt2'"):
        model_config({"name": "gtp2"})

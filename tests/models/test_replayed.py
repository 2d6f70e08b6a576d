"""The next place by recorded operations: what the model itself gives, wherever it stands."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from hornbook.models import replayed
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.models.replayed import Recordings

VOCAB, CONTEXT = 12, 12
SMALL = {"context_length": CONTEXT, "n_layer": 2, "n_head": 2, "n_embd": 8}
GPT = {**SMALL, "name": "gpt", "n_kv_head": 2, "n_hidden": 12}
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {**SMALL, "name": "gpt2"},
    "gpt": GPT,
    "groups": {**GPT, "n_kv_head": 1},
    "tied": {**GPT, "tie_embeddings": True},
    "pairs and convolution": {**GPT, "pair_embedding": True, "conv_kernel": 3},
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayed, "AFTER", 2)


def made(settings: dict[str, Any], end_id: int | None = None) -> LanguageModel:
    torch.manual_seed(1)
    model = build_model(model_config(settings), VOCAB, end_id).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def recordings(model: LanguageModel) -> Recordings:
    return replayed._recordings[model]


@pytest.mark.parametrize("end_id", [None, 0])
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
@torch.inference_mode()
def test_each_place_has_the_logits_of_the_whole_row(
    settings: dict[str, Any], end_id: int | None
) -> None:
    model = made(settings, end_id)
    ids = torch.randint(1, VOCAB, (1, 40))
    if end_id is not None:
        ids[0, 0] = end_id
    logits, state = model.start(ids[:, :1])
    seen = 1
    for t in range(1, 40):
        logits = model.step(ids[:, t], state)
        seen = CONTEXT // 2 if seen == CONTEXT else seen + 1
        if end_id is None or t < CONTEXT:  # past it a row does not begin with the end id
            torch.testing.assert_close(logits, model.next_logits(ids[:, t + 1 - seen : t + 1]))
        assert state.length == seen
    assert any(run is not None for run in recordings(model).runs.values())


@torch.inference_mode()
def test_texts_in_turns_and_weights_that_move() -> None:
    model = made(MODELS["pairs and convolution"])
    texts = torch.randint(VOCAB, (3, 1, 11))
    states = [model.start(text[:, :4])[1] for text in texts]
    for t in range(4, 11):
        for text, state in zip(texts, states, strict=True):
            found = model.step(text[:, t], state)
            torch.testing.assert_close(found, model.next_logits(text[:, : t + 1]))
    assert recordings(model).runs
    next(model.parameters()).mul_(2)
    state = model.start(texts[0][:, :9])[1]
    found = model.step(texts[0][:, 9], state)
    torch.testing.assert_close(found, model.next_logits(texts[0][:, :10]))


@torch.inference_mode()
def test_rows_side_by_side_are_read_as_before() -> None:
    model = made(GPT)
    ids = torch.randint(VOCAB, (2, 11))
    _, state = model.start(ids[:, :1])
    for t in range(1, 11):
        torch.testing.assert_close(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))
    assert model not in replayed._recordings


@pytest.mark.parametrize("fault", ["refused", "wrong"])
@torch.inference_mode()
def test_what_cannot_be_recorded_is_read_as_any_other(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(function: Any, *examples: Any) -> Any:
        if fault == "refused":
            raise RuntimeError("torch cannot")
        return lambda *tensors: function(*tensors) + 0.01

    monkeypatch.setattr(replayed, "record", record)
    model = made(GPT)
    ids = torch.randint(VOCAB, (1, 11))
    _, state = model.start(ids[:, :1])
    for t in range(1, 11):
        torch.testing.assert_close(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))
    assert list(recordings(model).runs.values()) == [None]


def read_on(model: LanguageModel, length: int = 11) -> None:
    """Reads a row on and compares each place with the whole row."""
    ids = torch.randint(VOCAB, (1, length))
    _, state = model.start(ids[:, :1])
    for t in range(1, length):
        found, expected = model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def other_weights(model: LanguageModel) -> None:
    new = {name: 2 * t for name, t in model.state_dict().items()}
    model.load_state_dict(new, assign=True)


def other_memory(model: LanguageModel) -> None:
    for parameter in model.parameters():
        parameter.data = 2 * parameter.data


def other_layout(model: LanguageModel) -> None:
    for parameter in model.parameters():
        if parameter.dim() == 2 and parameter.shape[0] == parameter.shape[1]:
            parameter.data = parameter.data.t()


def other_values(model: LanguageModel) -> None:
    for parameter in model.parameters():
        parameter.mul_(2)


def other_head(model: LanguageModel) -> None:
    model.head = torch.nn.Linear(8, VOCAB, bias=False).double()


def a_hook(model: LanguageModel) -> None:
    model.output.register_forward_hook(lambda module, args, out: out + 1)


@pytest.mark.parametrize("settings", [GPT, MODELS["gpt2"]], ids=["gpt", "gpt2"])
@pytest.mark.parametrize(
    "change",
    [
        other_weights,
        other_memory,
        other_layout,
        other_values,
        other_head,
        a_hook,
        lambda m: m.float(),
        lambda m: m.float().double(),
    ],
    ids=["weights", "memory", "layout", "values", "head", "hook", "float", "float and back"],
)
@torch.inference_mode()
def test_a_model_that_is_changed_is_recorded_anew(settings: dict[str, Any], change: Any) -> None:
    model = made(settings)
    read_on(model)
    assert recordings(model).runs
    change(model)
    read_on(model)


@pytest.mark.parametrize(
    "change",
    [other_memory, other_values, lambda m: m.float().double()],
    ids=["memory", "values", "float and back"],
)
@torch.no_grad()
def test_a_model_that_is_changed_within_a_text(change: Any) -> None:
    model = made(MODELS["gpt2"])
    ids = torch.randint(VOCAB, (1, 8))
    read_on(model)
    _, state = model.start(ids[:, :1])
    for t in range(1, 7):
        model.step(ids[:, t], state)
    other = copy.deepcopy(state)
    change(model)
    found = model.step(ids[:, 7], state)
    other.append(ids[:, 7])
    torch.testing.assert_close(found, model.read(ids[:, 7:], other), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_half_precision_is_recorded() -> None:
    model = made(GPT).to(torch.bfloat16)
    _, state = model.start(torch.zeros(1, 1, dtype=torch.int64))
    for t in range(1, 11):
        model.step(torch.tensor([t % VOCAB]), state)
    assert any(recordings(model).runs.values())


def test_texts_in_threads() -> None:
    def write(model: LanguageModel) -> None:
        with torch.inference_mode():
            read_on(model)

    models = [made(GPT), made(MODELS["gpt2"])]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, model) for model in models * 4]:
            done.result()
    assert not torch.fx._symbolic_trace.is_fx_tracing()
    assert all(recordings(model).runs for model in models)


@torch.inference_mode()
def test_a_process_records_so_many_and_then_reads_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hornbook.kernels.graph.MOST", 1)
    models = [made(GPT) for _ in range(3)]
    for model in models:
        read_on(model)
    runs = [run for model in models for run in recordings(model).runs.values()]
    assert sum(run is not None for run in runs) == 1

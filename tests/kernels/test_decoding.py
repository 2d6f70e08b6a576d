"""Steps by a traced graph and by sums: what the model itself returns, at every position."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from hornbook.kernels.decoding import Operations, ShortKVCache, StaticDecoder
from hornbook.kernels.graph import Scripts
from hornbook.layers.cache import Compaction, KVCache
from hornbook.models.base import DecodingState, LanguageModel
from hornbook.models.registry import build_model, model_config
from tests.conftest import tiny_model

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


def decoder_of(model: LanguageModel, scripts: Scripts | None = None) -> StaticDecoder:
    return StaticDecoder(model, after=2, scripts=scripts or Scripts())


def random_model(settings: dict[str, Any], end_id: int | None = None) -> LanguageModel:
    torch.manual_seed(1)
    model = build_model(model_config(settings), VOCAB, end_id).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def traced(model: LanguageModel) -> list[Operations | None]:
    """What has been traced of a model; None where that failed."""
    return list(StaticDecoder(model).traces.steps.values())


@pytest.mark.parametrize("end_id", [None, 0])
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
@torch.inference_mode()
def test_each_position_has_the_logits_of_the_whole_row(
    settings: dict[str, Any], end_id: int | None
) -> None:
    model = random_model(settings, end_id)
    ids = torch.randint(1, VOCAB, (1, 40))
    if end_id is not None:
        ids[0, 0] = end_id
    decoder = decoder_of(model)
    logits, state = decoder.start(ids[:, :1])
    seen = 1
    for t in range(1, 40):
        logits = decoder.step(ids[:, t], state)
        seen = CONTEXT // 2 if seen == CONTEXT else seen + 1
        if end_id is None or t < CONTEXT:  # past it a row does not begin with the end id
            torch.testing.assert_close(logits, model.next_logits(ids[:, t + 1 - seen : t + 1]))
        assert state.length == seen
    assert any(traced(model))


@torch.inference_mode()
def test_texts_in_turns_and_weights_that_move() -> None:
    model = random_model(MODELS["pairs and convolution"])
    texts = torch.randint(VOCAB, (3, 1, 11))
    decoder = decoder_of(model)
    states = [decoder.start(text[:, :4])[1] for text in texts]
    for t in range(4, 11):
        for text, state in zip(texts, states, strict=True):
            found = decoder.step(text[:, t], state)
            torch.testing.assert_close(found, model.next_logits(text[:, : t + 1]))
    assert any(traced(model))
    next(model.parameters()).mul_(2)
    state = decoder.start(texts[0][:, :9])[1]
    found = decoder.step(texts[0][:, 9], state)
    torch.testing.assert_close(found, model.next_logits(texts[0][:, :10]))


@torch.inference_mode()
def test_rows_side_by_side_are_the_models_own() -> None:
    model = random_model(GPT)
    decode(model, decoder_of(model), rows=2)
    assert traced(model) == []


@torch.inference_mode()
def test_the_last_row_of_a_batch_is_decoded_by_the_graph() -> None:
    model = random_model(MODELS["pairs and convolution"])
    decoder, ids = decoder_of(model), torch.randint(VOCAB, (3, 12))
    _, state = decoder.start(ids[:, :1])
    decoder.step(ids[:, 1], state)
    state.compact(Compaction.of(torch.tensor([False, True, False])))
    for t in range(2, 12):
        found = decoder.step(ids[1:2, t], state)
        torch.testing.assert_close(found, model.next_logits(ids[1:2, : t + 1]))
    assert any(traced(model))


@torch.no_grad()
def test_components_of_a_mixture_are_decoded_by_graphs() -> None:
    parts = [{"name": "ngram", "order": 3}, GPT]
    model = random_model({"name": "mixture", "components": parts, "weights": (0.3, 0.7)})
    decode(model, decoder_of(model))
    assert any(traced(model.components[1]))


class Failing(Scripts):
    def script(self, graph: Any, *examples: Any) -> Any:
        raise RuntimeError("torch cannot")


@torch.inference_mode()
def test_a_step_that_cannot_be_traced_is_the_models_own() -> None:
    model = random_model(GPT)
    decode(model, decoder_of(model, Failing()))
    assert traced(model) == [None]


@torch.no_grad()
def test_a_model_without_a_cache_of_keys_is_its_own(model_name: str) -> None:
    model = tiny_model(model_name, VOCAB, None).double()
    if model_name in ("gpt", "gpt2"):
        pytest.skip("has one")
    decode(model, decoder_of(model))


def decode(
    model: LanguageModel, decoder: StaticDecoder, *, rows: int = 1, length: int = 11
) -> None:
    """Decodes random rows and compares each position with the whole row."""
    ids = torch.randint(VOCAB, (rows, length))
    _, state = decoder.start(ids[:, :1])
    for t in range(1, length):
        found, expected = decoder.step(ids[:, t], state), model.next_logits(ids[:, : t + 1])
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
def test_a_changed_model_is_traced_anew(settings: dict[str, Any], change: Any) -> None:
    model = random_model(settings)
    decode(model, decoder_of(model))
    assert any(traced(model))
    change(model)
    decode(model, decoder_of(model))


@pytest.mark.parametrize(
    "change",
    [other_memory, other_values, lambda m: m.float().double()],
    ids=["memory", "values", "float and back"],
)
@torch.no_grad()
def test_a_model_that_is_changed_within_a_text(change: Any) -> None:
    model = random_model(MODELS["gpt2"])
    ids = torch.randint(VOCAB, (1, 8))
    decoder = decoder_of(model)
    decode(model, decoder)
    _, state = decoder.start(ids[:, :1])
    for t in range(1, 7):
        decoder.step(ids[:, t], state)
    other: DecodingState = copy.deepcopy(state)
    change(model)
    found = decoder.step(ids[:, 7], state)
    other.append(ids[:, 7])
    torch.testing.assert_close(found, model.read(ids[:, 7:], other), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_half_precision_is_traced() -> None:
    model = random_model(GPT).to(torch.bfloat16)
    decoder = decoder_of(model)
    _, state = decoder.start(torch.zeros(1, 1, dtype=torch.int64))
    for t in range(1, 11):
        decoder.step(torch.tensor([t % VOCAB]), state)
    assert any(traced(model))


def test_texts_in_threads() -> None:
    def write(model: LanguageModel) -> None:
        with torch.inference_mode():
            decode(model, decoder_of(model))

    models = [random_model(GPT), random_model(MODELS["gpt2"])]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, model) for model in models * 4]:
            done.result()
    assert not torch.fx._symbolic_trace.is_fx_tracing()
    assert all(any(traced(model)) for model in models)


@torch.inference_mode()
def test_beyond_the_limit_of_scripts_steps_are_the_models_own() -> None:
    scripts, models = Scripts(limit=1), [random_model(GPT) for _ in range(3)]
    for model in models:
        decode(model, decoder_of(model, scripts))
    assert sum(step is not None for model in models for step in traced(model)) == 1


@pytest.mark.parametrize("length", [1, 3, 30, 200])  # short and long take different paths
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_of_the_last_position_is_the_textbooks(length: int, groups: int) -> None:
    q = torch.randn(5, 4, 1, 16, dtype=torch.float64)
    keys, values = torch.randn(2, length, 5, groups, 16, dtype=torch.float64)
    found = ShortKVCache().attend_last(q, keys, values)
    expected = KVCache().attend_last(q, keys, values)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@torch.no_grad()
def test_the_caches_of_a_mixtures_components_are_the_short_ones() -> None:
    parts = [{"name": "ngram", "order": 3}, GPT]
    model = random_model({"name": "mixture", "components": parts, "weights": (0.3, 0.7)})
    _, state = StaticDecoder(model).start(torch.zeros(1, 1, dtype=torch.int64))
    assert isinstance(state.cache[1].cache[0], ShortKVCache)

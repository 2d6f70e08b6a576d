from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from hornbook.api import Run
from hornbook.export.base import relative_difference
from hornbook.export.compact import compact, restored
from hornbook.generate.decoder import prompt_ids
from hornbook.models.base import LanguageModel, Window
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import Tokenizer, build_tokenizer
from tests.conftest import BPE_PROMPTS, tiny_model
from tests.web.javascript import NO_SIMD, run_engine

V, LENGTH = 12, 50  # tokens; positions, three times the context of the small models


def tokenizer_of(model: LanguageModel) -> Tokenizer:
    documents = model.end_id is not None
    return build_tokenizer("char", "abcdefghijkl"[: V - documents], documents=documents)


def row(model: LanguageModel) -> list[int]:
    ids = torch.randint(1, V, (LENGTH,), generator=torch.Generator().manual_seed(1)).tolist()
    return [0, *ids[1:]] if model.end_id is not None else ids


@torch.inference_mode()
def stepped(model: LanguageModel, ids: list[int], window: Window) -> Tensor:
    logits, state = model.start(torch.tensor([ids[:1]]), window)
    return torch.cat([logits, *(model.step(torch.tensor([i]), state) for i in ids[1:])])


def difference(
    model: LanguageModel, window: Window = "half", dtype: str = "f32", **options: str
) -> float:
    weights = model.state_dict()
    ids = row(model)
    code = f"return engine.logits({ids}).map((x) => Array.from(x));"
    found = run_engine(model, tokenizer_of(model), code, window=window, dtype=dtype, **options)
    model.load_weights(restored(compact(weights, dtype), weights))
    return relative_difference(stepped(model, ids, window), torch.tensor(found))


@pytest.mark.parametrize("end_id", [0, None])
def test_every_model_has_the_logits_of_hornbook_past_its_context(
    model_name: str, end_id: int | None
) -> None:
    window: Window = "sliding" if end_id is None else "half"
    assert difference(tiny_model(model_name, V, end_id), window) < 1e-5


@pytest.mark.parametrize("model_name", ["gpt", "mlp", "lstm"])
def test_without_simd_the_logits_are_the_same(model_name: str) -> None:
    assert difference(tiny_model(model_name, V), before=NO_SIMD) < 1e-5


@pytest.mark.parametrize("dtype", ["f16", "q8_0"])
def test_weights_of_fewer_bytes_are_read_as_they_were_written(model_name: str, dtype: str) -> None:
    assert difference(tiny_model(model_name, V), dtype=dtype) < 1e-5


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "gpt", "n_layer": 1, "n_head": 4, "n_kv_head": 2, "n_embd": 24, "n_hidden": 20,
         "tie_embeddings": True, "context_length": 8, "rope_base": 100.0},
        {"name": "gpt", "n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 20, "n_hidden": 20,
         "context_length": 8, "qk_norm": False, "head_dim": 6},
        {"name": "gpt2", "n_layer": 1, "n_head": 3, "n_embd": 12, "context_length": 8,
         "activation": "gelu"},
        {"name": "gpt2", "n_layer": 1, "n_head": 3, "n_embd": 12, "context_length": 8, "n_hidden": 20,
         "activation": "gelu_tanh", "qkv_bias": True, "tie_embeddings": True, "norm_eps": 1e-3},
        {"name": "mlp", "n_embd": 5, "n_hidden": 9, "n_layer": 3, "norm": "batchnorm",
         "norm_logits": True, "dropout": 0.1, "activation": "selu"},
        {"name": "mlp", "n_embd": 5, "n_hidden": 9, "norm": "layernorm", "activation": "gelu"},
        {"name": "mlp", "n_embd": 5, "n_hidden": 9, "activation": "elu"},
        {"name": "mlp", "n_embd": 5, "n_hidden": 9, "activation": "leaky_relu"},
        {"name": "wavenet", "n_embd": 5, "n_hidden": 9, "norm": "layernorm", "dropout": 0.1},
        {"name": "wavenet", "n_embd": 5, "n_hidden": 9, "norm": "none", "residual": True},
        {"name": "lstm", "n_embd": 5, "n_hidden": 9, "n_layer": 2},
        {"name": "hybrid", "network": "gpt2", "order": 3, "n_layer": 1, "n_head": 2, "n_embd": 12,
         "context_length": 8},
        {"name": "ngram", "order": 1},
        {"name": "ngram", "order": 3, "smoothing": "add-k", "k": 0.5},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)  # fmt: skip
def test_forms_of_a_model_have_its_logits(fields: dict[str, object]) -> None:
    torch.manual_seed(2)
    model = build_model(model_config(fields), V, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer += torch.rand_like(buffer)
    if model.counted:
        tokens = torch.randint(1, V, (300,))
        tokens[::6] = 0
        tokens[-1] = 0
        model.fit(tokens, torch.nonzero(tokens == 0).flatten())
    assert difference(model.eval()) < 1e-5


@pytest.mark.parametrize("seed", [0, 3, 2**40 + 7])
def test_the_same_seed_writes_the_text_of_hornbook(
    names_run: Run, stream_run: Run, seed: int
) -> None:
    for run, prompt in ((names_run, "ma"), (stream_run, "green ")):
        options = {"maxTokens": 80, "temperature": 0.8, "topK": 12, "topP": 0.9, "minP": 0.02}
        code = f"""const texts = ["", "", ""];
            const settings = {{ n: 3, seed: {seed}n, ...{options} }};
            const {{ ids }} = engine.tokenizer.encode({prompt!r});
            for (const {{ sample, token }} of engine.generate(ids, settings))
              texts[sample] += token.text;
            return texts;"""
        found = run_engine(run.model, run.tokenizer, code)
        expected = run.sample(
            3,
            prompt=prompt,
            seed=seed,
            max_tokens=80,
            temperature=0.8,
            top_k=12,
            top_p=0.9,
            min_p=0.02,
        )
        assert [prompt + text for text in found] == [sample.text for sample in expected]


def test_a_typed_text_may_end_inside_of_a_token(bpe_run: Run) -> None:
    for prompt in BPE_PROMPTS:
        code = f"""const {{ ids }} = engine.tokenizer.encode({json.dumps(prompt)});
            const samples = [[], [], []];
            for (const {{ sample, token }} of
                engine.generate(
                  ids, {{ typed: true, n: 3, seed: 4n, maxTokens: 20, temperature: 0.5 }}))
              samples[sample].push(token);
            return samples.map((tokens) => {{
              const kept = ids.slice(0, ids.length - (tokens[0].replaces ?? 0));
              const texts = tokens.map((token) => token.text);
              return [engine.tokenizer.decode([...kept, ...tokens.map((token) => token.id)]), texts];
            }});"""
        found = run_engine(bpe_run.model, bpe_run.tokenizer, code)
        own = bpe_run.sample(3, prompt=prompt, seed=4, max_tokens=20, temperature=0.5)
        expected = [s.text for s in own]
        assert [text for text, _ in found] == expected
        for text, pieces in found:
            written = "".join(pieces)  # half of a character at the end is not yet
            assert text.endswith((written, f"{written}\ufffd"))


def test_surprisal_is_that_of_score(names_run: Run, stream_run: Run) -> None:
    for run, text in ((names_run, "emmanuelle"), (stream_run, "green bottles,\n\nhang")):
        code = f"""const {{ ids }} = engine.tokenizer.encode({text!r});
            return [...engine.score(ids)].map((token) => [token.text, token.bits]);"""
        found = run_engine(run.model, run.tokenizer, code)
        score = run.score(text)[0]
        assert "".join(piece for piece, _ in found) == text
        expected = [nats / math.log(2) for nats in score.token_nats[: len(text)]]
        assert [bits for _, bits in found] == pytest.approx(expected, abs=1e-4)


def test_the_tree_is_that_of_inspect(names_run: Run) -> None:
    from hornbook.figures.continuations import Continuation, most_probable_tree

    def ways(node: Continuation) -> set[tuple[str, float]]:
        if not node.children:
            return {
                ("".join(names_run.tokenizer.symbol(i) for i in node.ids[3:]), round(node.p, 5))
            }
        return set().union(*map(ways, node.children))

    code = """const walk = engine.tree(engine.tokenizer.encode("ma").ids, { leaves: 8, depth: 4 });
        let step = walk.next();
        while (!step.done) step = walk.next();
        const ways = (node, way) => node.children.length
          ? node.children.flatMap((child) => ways(child, way + (child.ended ? "." : child.label)))
          : [[way, Math.round(node.p * 1e5) / 1e5]];
        return ways(step.value, "");"""
    found = run_engine(names_run.model, names_run.tokenizer, code)
    assert {(way, p) for way, p in found} == ways(most_probable_tree(names_run, "ma", 8, 4))


def test_attention_is_that_of_inspect(names_run: Run) -> None:
    from hornbook.figures.attention import attention_maps

    code = """const { layers } = engine.attention(engine.tokenizer.encode("emma").ids);
        return layers.map((heads) => heads.map((rows) => rows.map((row) => Array.from(row))));"""
    found = run_engine(names_run.model, names_run.tokenizer, code)
    expected = attention_maps(names_run, prompt_ids(names_run.tokenizer, "emma"))
    assert len(found) == len(expected)
    for heads, maps in zip(found, expected, strict=True):
        for rows, weights in zip(heads, maps, strict=True):
            for t, own in enumerate(rows):
                assert own == pytest.approx(weights[t, : t + 1].tolist(), abs=1e-5)

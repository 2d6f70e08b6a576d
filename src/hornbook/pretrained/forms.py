"""The forms that other programs know a model by: Qwen3 and Llama are `gpt`, GPT-2 is `gpt2`.

A form has a table of the names of settings and one of the names of weights (`names.py`).
`from_huggingface` and `from_gguf` make settings and weights of hornbook of those in a file; what `gpt`
and `gpt2` cannot represent is refused. The way back is in `export/forms.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hornbook.config import ModelConfig
from hornbook.errors import ConfigError, RunError
from hornbook.models.registry import model_config
from hornbook.pretrained import names
from hornbook.pretrained.names import GPT2, LLAMA, QWEN3, Table

Weights = dict[str, Tensor]
Settings = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """How other programs name the settings and weights of a model.

    model: its name in the registry. architecture, model_type: in config.json. gguf: its name in GGUF
    files. settings: (own, Hugging Face's, GGUF's) names of each; "" where it has none. fixed: what
    config.json holds besides, of which a model here has one value only. defaults: what Hugging Face
    takes where config.json does not say. neighbors: in GGUF files rotary positions rotate channels 2i
    and 2i + 1 of a head, not i and i + D/2, so the rows of queries and keys have another order.
    """

    model: str
    architecture: str
    model_type: str
    gguf: str
    weights: Table
    settings: tuple[tuple[str, str, str], ...]
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    neighbors: bool = False


_GPT_SETTINGS = (
    ("context_length", "max_position_embeddings", "context_length"),
    ("n_embd", "hidden_size", "embedding_length"),
    ("n_layer", "num_hidden_layers", "block_count"),
    ("n_head", "num_attention_heads", "attention.head_count"),
    ("n_kv_head", "num_key_value_heads", "attention.head_count_kv"),
    ("n_hidden", "intermediate_size", "feed_forward_length"),
    ("head_dim", "head_dim", "attention.key_length"),
    ("head_dim", "head_dim", "attention.value_length"),
    ("norm_eps", "rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("rope_base", "rope_theta", "rope.freq_base"),
    ("tie_embeddings", "tie_word_embeddings", ""),
)
_GPT_DEFAULTS = {"rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "tie_word_embeddings": False}

QWEN3_FORM = Form(
    model="gpt",
    architecture="Qwen3ForCausalLM",
    model_type="qwen3",
    gguf="qwen3",
    weights=QWEN3,
    settings=_GPT_SETTINGS,
    fixed={"hidden_act": "silu", "attention_bias": False, "use_sliding_window": False},
    defaults={**_GPT_DEFAULTS, "head_dim": 128},
)

LLAMA_FORM = Form(
    model="gpt",
    architecture="LlamaForCausalLM",
    model_type="llama",
    gguf="llama",
    weights=LLAMA,
    settings=(*_GPT_SETTINGS, ("head_dim", "head_dim", "rope.dimension_count")),
    fixed={"hidden_act": "silu", "attention_bias": False, "mlp_bias": False},
    defaults=_GPT_DEFAULTS,
    neighbors=True,
)

GPT2_FORM = Form(
    model="gpt2",
    architecture="GPT2LMHeadModel",
    model_type="gpt2",
    gguf="gpt2",
    weights=GPT2,
    settings=(
        ("context_length", "n_positions", "context_length"),
        ("n_embd", "n_embd", "embedding_length"),
        ("n_layer", "n_layer", "block_count"),
        ("n_head", "n_head", "attention.head_count"),
        ("n_hidden", "n_inner", "feed_forward_length"),
        ("norm_eps", "layer_norm_epsilon", "attention.layer_norm_epsilon"),
        ("activation", "activation_function", ""),
        ("tie_embeddings", "tie_word_embeddings", ""),
    ),
    fixed={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
    defaults={
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
        "n_inner": None,
    },
)

FORMS = (QWEN3_FORM, LLAMA_FORM, GPT2_FORM)
ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new"}  # here -> Hugging Face's
OTHER_ACTIVATIONS = {"gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh"}
NO_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # tables in older files


def form_of(config: ModelConfig) -> Form | None:
    """The form of a model with these settings; None where other programs have no counterpart."""
    if config.name == "gpt":
        return QWEN3_FORM if getattr(config, "qk_norm", True) else LLAMA_FORM
    return GPT2_FORM if config.name == "gpt2" else None


def from_huggingface(
    config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[ModelConfig, Weights]:
    """The model of a config.json and its weights, as here. Raises RunError for what has none here."""
    architecture = (config.get("architectures") or ["none"])[0]
    form = next((f for f in FORMS if f.architecture == architecture), None)
    if form is None:
        raise RunError(
            f"config.json: architectures: found {architecture!r}, expected "
            f"{_one_of(f.architecture for f in FORMS)}"
        )
    _check_rest(config)
    for key, value in form.fixed.items():
        if config.get(key, value) != value:
            raise RunError(
                f"config.json: {key}: found {config[key]!r}, expected {value!r}, which is all that a "
                f"{form.model} of hornbook has"
            )
    found = {**form.defaults, **config, **_rotary(config)}
    if form.model == "gpt":
        if found.get("num_key_value_heads") is None:
            found["num_key_value_heads"] = found.get("num_attention_heads")
        if found.get("head_dim") is None and found.get("num_attention_heads"):
            found["head_dim"] = found.get("hidden_size", 0) // found["num_attention_heads"]
    elif found["n_inner"] is None:
        found["n_inner"] = 4 * found.get("n_embd", 0)
    if "activation_function" in found:
        found["activation_function"] = _activation(str(found["activation_function"]))
    settings = _settings(
        found, [(own, theirs) for own, theirs, _ in form.settings], "config.json: "
    )
    prefix = form.weights[0].huggingface.partition(".")[0] + "."
    bare = not any(name.startswith(prefix) for name in weights)  # saved without the head
    named = {
        f"{prefix}{name}" if bare and name != "lm_head.weight" else name: weight
        for name, weight in weights.items()
        if not name.endswith(NO_WEIGHTS)
    }
    return _own(form, settings, names.from_huggingface(form.weights, named))


def _check_rest(config: Mapping[str, Any]) -> None:
    """Raises RunError for what would change the logits, or would need code from the directory."""
    for key, what in (
        ("auto_map", "code of its own, which hornbook never runs"),
        ("quantization_config", "quantized weights"),
    ):
        if config.get(key):
            raise RunError(
                f"config.json: {key}: found it, which means {what}; expected a directory without"
            )
    if others := {str(t) for t in config.get("layer_types") or ()} - {"full_attention"}:
        raise RunError(
            f"config.json: layer_types: found {min(others)!r}, expected full attention in every layer"
        )


def _rotary(config: Mapping[str, Any]) -> Settings:
    """The base of rotary positions. Raises RunError for positions that are scaled."""
    found: Settings = {}
    for key in ("rope_scaling", "rope_parameters"):  # of version 4 of transformers, and of 5
        rope = config.get(key)
        if not isinstance(rope, Mapping):
            continue
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise RunError(
                f"config.json: rope_type: found {kind!r}, which scales rotary positions; expected "
                "'default'"
            )
        found |= {k: v for k, v in rope.items() if k in ("rope_theta", "partial_rotary_factor")}
    partial = found.pop("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    if partial != 1.0:
        raise RunError(f"config.json: partial_rotary_factor: found {partial!r}, expected 1.0")
    return found


def _activation(name: str) -> str:
    """Hugging Face's name of an activation of GPT-2 -> the one here. Raises RunError."""
    known = {theirs: own for own, theirs in ACTIVATIONS.items()} | OTHER_ACTIVATIONS
    if name not in known:
        raise RunError(
            f"config.json: activation_function: found {name!r}, expected {_one_of(known)}"
        )
    return known[name]


def from_gguf(
    fields: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[ModelConfig, Weights]:
    """The model of a GGUF file, by its fields and weights, as here; of GPT-2 with the approximation of
    GELU, which is what llama.cpp computes. Raises RunError for what has none here."""
    architecture = fields.get("general.architecture")
    form = next((f for f in FORMS if f.gguf == architecture), None)
    if form is None:
        raise RunError(
            f"general.architecture: found {architecture!r}, expected "
            f"{_one_of(f.gguf for f in FORMS)}"
        )
    found = {
        key.removeprefix(f"{form.gguf}."): value
        for key, value in fields.items()
        if key.startswith(f"{form.gguf}.")
    }
    if "rope_freqs.weight" in weights or found.get("rope.scaling.type", "none") != "none":
        raise RunError("found scaled rotary positions, expected those of one base")
    for key in ("expert_count", "attention.sliding_window"):
        if found.get(key):
            raise RunError(f"{form.gguf}.{key}: found {found[key]}, expected none")
    if form.model == "gpt":
        heads = found.get("attention.head_count")
        width = found.get("embedding_length", 0) // heads if isinstance(heads, int) and heads else 0
        found = {
            "rope.freq_base": 10_000.0,
            "attention.head_count_kv": heads,
            "attention.key_length": width,
            "attention.value_length": found.get("attention.key_length", width),
            "rope.dimension_count": found.get("attention.key_length", width),
            **found,
        }
    wanted = [(own, theirs) for own, _, theirs in form.settings if theirs]
    settings = _settings(found, wanted, f"{form.gguf}.")
    settings["tie_embeddings"] = "output.weight" not in weights
    if form.model == "gpt2":
        settings["activation"] = "gelu_tanh"
    own = names.from_gguf(form.weights, weights)
    if form.neighbors:
        reorder_heads(own, settings, _halves)
    return _own(form, settings, own)


def _settings(found: Mapping[str, Any], wanted: list[tuple[str, str]], place: str) -> Settings:
    """The values of settings under the names here. Raises RunError where one lacks or is twice."""
    settings: Settings = {}
    for own, theirs in wanted:
        value = found.get(theirs)
        if value is None:
            raise RunError(f"{place}{theirs}: found nothing, expected a value")
        if isinstance(value, float) and not math.isfinite(value):
            raise RunError(f"{place}{theirs}: found {value}, expected a number")
        if settings.setdefault(own, value) != value:
            raise RunError(f"{place}{theirs}: found {value}, expected {settings[own]}")
    return settings


def reorder_heads(
    weights: Weights, settings: Settings, order: Callable[[Tensor, int], Tensor]
) -> None:
    """Reorders the rows of queries and keys within each head, in place of what is in `weights`."""
    for i in range(settings["n_layer"]):
        for part, heads in (("q_proj", "n_head"), ("k_proj", "n_kv_head")):
            name = f"blocks.{i}.attention.{part}.weight"
            if name not in weights or weights[name].shape[0] % (2 * settings[heads]):
                raise RunError(f"{name}: found no rows of {settings[heads]} heads")
            weights[name] = order(weights[name], settings[heads])


def _halves(weight: Tensor, heads: int) -> Tensor:
    """Rows 2i and 2i + 1 of each head -> rows i and i + D/2."""
    turned = weight.reshape(heads, -1, 2, weight.shape[1]).transpose(1, 2)
    return turned.reshape(weight.shape).contiguous()


def neighbors(weight: Tensor, heads: int) -> Tensor:
    """Rows i and i + D/2 of each head -> rows 2i and 2i + 1."""
    turned = weight.reshape(heads, 2, -1, weight.shape[1]).transpose(1, 2)
    return turned.reshape(weight.shape).contiguous()


def _own(form: Form, settings: Settings, weights: Weights) -> tuple[ModelConfig, Weights]:
    """Settings and weights in a form -> those of the model here; defaults are left to it."""
    for name, weight in weights.items():
        if not weight.is_floating_point():
            kind = str(weight.dtype).removeprefix("torch.")
            raise RunError(f"{name}: found weights in {kind}, expected floating-point numbers")
    weights = {name: weight.float() for name, weight in weights.items()}
    embedding = weights.get("token_embedding.weight")
    tied = weights.pop("head.weight", embedding) if settings["tie_embeddings"] else None
    if tied is not None and embedding is not None and not torch.equal(tied, embedding):
        raise RunError(
            "tie_word_embeddings: found True, but the head has other weights than the embedding; "
            "where the head is right, set it to false in config.json"
        )
    if form.model == "gpt":
        settings["qk_norm"] = form is QWEN3_FORM
        if settings["head_dim"] * settings["n_head"] == settings["n_embd"]:
            del settings["head_dim"]
    else:
        if settings["n_hidden"] == 4 * settings["n_embd"]:
            del settings["n_hidden"]
        if math.isclose(settings["norm_eps"], 1e-5, rel_tol=1e-6):
            del settings["norm_eps"]
        biases = [n for n in weights if n.endswith("attn.qkv.bias")]
        settings["qkv_bias"] = any(bool(weights[name].any()) for name in biases)
        if not settings["qkv_bias"]:
            weights = {n: w for n, w in weights.items() if n not in biases}
        if not settings["tie_embeddings"] and embedding is not None:
            weights["head.bias"] = embedding.new_zeros(len(embedding))
    try:
        return model_config({"name": form.model, "dropout": 0.0, **settings}), weights
    except ConfigError as error:
        raise RunError(str(error)) from None


def _one_of(known: Any) -> str:
    *first, last = dict.fromkeys(known)
    return f"{', '.join(first)} or {last}"

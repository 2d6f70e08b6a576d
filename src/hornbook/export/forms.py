"""The forms that other programs know a model by: Qwen3 is `gpt`, GPT-2 is `gpt2`. Both ways.

A form has a table of the names of settings, one of the names of weights (`names.py`), and what has to
be done to the values. `portable` goes from a model here to the form, `from_huggingface` and `from_gguf`
back. Other modules ask for the form of a model and never which model it is.

Two things of the notes' GPT-2 have no place elsewhere, and are written as equal ones:

- **The bias of the head.** LayerNorm's bias comes before the head's weight W (V, C), so a bias b of the
  head is a bias d of the last LayerNorm with W d = b: exact where V <= C. Otherwise the model is made
  wider by one channel a head, which stays 0 until the last LayerNorm adds 1 to the first of them; its
  column of the head is then b. The LayerNorms do not see the new channels: all that is added to the
  stream is centered first, which they would do, and their epsilon and weights are scaled by the number
  of channels.
- **ReLU**, which llama.cpp's GPT-2 does not have. With a large S, gelu(S x) is S relu(x), so all that
  is added to the stream is multiplied by S, and each LayerNorm undoes it (`scaled_relu`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.errors import ConfigError, RunError
from hornbook.models.base import LanguageModel
from hornbook.models.registry import model_config
from hornbook.pretrained import names
from hornbook.pretrained.names import GPT2, QWEN3, Table
from hornbook.runs.directory import StoredRun

Weights = dict[str, Tensor]
Settings = dict[str, Any]

EXACT = 1e-5  # how far logits may be off by a folded bias, in nats
LAYER_NORM_EPS = 1e-5  # of torch, and so of `gpt2`


@dataclass(frozen=True)
class Form:
    """How other programs name the settings and weights of a model.

    model: its name in the registry. architecture, model_type: in config.json. gguf: its name in GGUF
    files. settings: (own, Hugging Face's, GGUF's) names of each; "" where it has none. fixed: what
    config.json holds besides, of which a model here has one value only.
    """

    model: str
    architecture: str
    model_type: str
    gguf: str
    weights: Table
    settings: tuple[tuple[str, str, str], ...]
    fixed: Mapping[str, Any]


QWEN3_FORM = Form(
    model="gpt",
    architecture="Qwen3ForCausalLM",
    model_type="qwen3",
    gguf="qwen3",
    weights=QWEN3,
    settings=(
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
    ),
    fixed={"hidden_act": "silu", "attention_bias": False, "use_sliding_window": False},
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
    ),
    fixed={"tie_word_embeddings": False, "scale_attn_weights": True},
)

FORMS = {form.model: form for form in (QWEN3_FORM, GPT2_FORM)}


@dataclass(frozen=True)
class Portable:
    """A model in a form that others know: settings and weights under the names here, in float32.

    model: whose logits those of the other program are compared with. part: its name in the run's model,
    "" where it is the whole. notes: what is not as in the run.
    """

    form: Form
    settings: Settings
    weights: Weights
    model: LanguageModel
    part: str = ""
    notes: tuple[str, ...] = ()


def portable(run: StoredRun) -> Portable:
    """A run in the form that others know. Raises ConfigError where there is none, and says what to do.

    Of a model with a part called "network" that predicts by itself, the network alone.
    """
    model, part, notes = run.model, "", []
    network = model.parts.get("network")
    if model.config.name not in FORMS and network is not None:
        notes.append(_network_alone(run))
        model, part = network, "network"
    _check(model)
    form = FORMS[model.config.name]
    settings = model.config.model_dump()
    weights = {name: w.detach().float().cpu() for name, w in model.state_dict().items()}
    if form is QWEN3_FORM:
        settings["head_dim"] = settings["n_embd"] // settings["n_head"]
    else:
        settings |= {"n_hidden": 4 * settings["n_embd"], "norm_eps": LAYER_NORM_EPS}
        settings, weights = _without_head_bias(settings, weights)
        for i in range(settings["n_layer"]):
            bias = torch.zeros(3 * settings["n_embd"])
            weights[f"blocks.{i}.attn.qkv.bias"] = bias
    return Portable(form, settings, weights, model, part, tuple(notes))


def _check(model: LanguageModel) -> None:
    """Raises ConfigError where other programs have no counterpart of a model."""
    name, config = model.config.name, model.config
    if name not in FORMS:
        parts = (
            "; its network is trained on its counts and does not predict without them (train one that "
            "does with --model.count-dropout 0.1)"
        )
        raise ConfigError(
            f"to: found a run of {name}, expected gpt or gpt2, the forms that other programs know"
            f"{parts if 'counts' in model.parts else ''}; html, onnx and numpy take every model"
        )
    for setting, plain in (("pair_embedding", False), ("conv_kernel", 1)):
        found = getattr(config, setting, plain)
        if found != plain:
            flag = f"--model.{setting.replace('_', '-')}"
            raise ConfigError(
                f"to: model.{setting} is {found}, which other programs do not have; export to html, "
                f"onnx or numpy, or train with {flag} {str(plain).lower()}"
            )


def _network_alone(run: StoredRun) -> str:
    """The sentence that says what is left behind, with both losses where the report has them."""
    report = run.report
    whole, alone = report.get("validation"), report.get("parts", {}).get("network")
    losses = ""
    if whole and alone:
        losses = f": {alone['nats']:.4f} nats per token instead of {whole['nats']:.4f}"
    return f"its network alone is exported, without its counts{losses}"


def to_huggingface(found: Portable) -> tuple[dict[str, Any], Weights]:
    """The settings of config.json that the form has, and the weights, by Hugging Face's names."""
    config = {
        "architectures": [found.form.architecture],
        "model_type": found.form.model_type,
        **{theirs: found.settings[own] for own, theirs, _ in found.form.settings},
        **found.form.fixed,
    }
    if "rope_theta" in config:  # version 4 reads it here, version 5 there
        config["rope_parameters"] = {"rope_type": "default", "rope_theta": config["rope_theta"]}
    return config, names.to_huggingface(found.form.weights, found.weights)


def to_gguf(found: Portable, scale: float) -> tuple[dict[str, Any], Weights]:
    """The fields of the architecture and the weights, by GGUF's names. scale: `scaled_relu`'s."""
    if found.settings.get("activation") == "relu":
        found = scaled_relu(found, scale)
    fields = {
        f"{found.form.gguf}.{theirs}": found.settings[own]
        for own, _, theirs in found.form.settings
        if theirs
    }
    return fields, names.to_gguf(found.form.weights, found.weights)


def from_huggingface(
    config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[ModelConfig, Weights]:
    """The model of a config.json and its weights, as here. Raises RunError for what has none here."""
    architecture = (config.get("architectures") or ["none"])[0]
    form = next((f for f in FORMS.values() if f.architecture == architecture), None)
    if form is None:
        known = " or ".join(f.architecture for f in FORMS.values())
        raise RunError(f"config.json: architectures: found {architecture!r}, expected {known}")
    for key, value in form.fixed.items():
        if config.get(key, value) != value:
            raise RunError(f"config.json: {key}: found {config[key]!r}, expected {value!r}")
    found = dict(config)
    if rope := config.get("rope_parameters") or config.get("rope_scaling"):
        if rope.get("rope_type", "default") != "default":
            raise RunError(
                f"config.json: rope_type: found {rope['rope_type']!r}, expected 'default'"
            )
        found |= {k: v for k, v in rope.items() if k == "rope_theta"}
    if found.get("n_inner", 0) is None:
        found["n_inner"] = 4 * found["n_embd"]
    try:
        settings = {own: found[theirs] for own, theirs, _ in form.settings}
    except KeyError as error:
        raise RunError(f"config.json: {error.args[0]}: found nothing, expected a value") from None
    return _own(form, settings, names.from_huggingface(form.weights, weights))


def from_gguf(
    fields: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[ModelConfig, Weights]:
    """The model of a GGUF file, by its fields and weights, as here; GPT-2 with GELU, which is all that
    these files know. Raises RunError for what has none here."""
    found = fields.get("general.architecture")
    form = next((f for f in FORMS.values() if f.gguf == found), None)
    if form is None:
        known = " or ".join(f.gguf for f in FORMS.values())
        raise RunError(f"general.architecture: found {found!r}, expected {known}")
    try:
        settings = {o: fields[f"{form.gguf}.{theirs}"] for o, _, theirs in form.settings if theirs}
    except KeyError as error:
        raise RunError(f"{error.args[0]}: found nothing, expected a value") from None
    if form is QWEN3_FORM:
        settings["tie_embeddings"] = "output.weight" not in weights
    else:
        settings["activation"] = "gelu"
    return _own(form, settings, names.from_gguf(form.weights, weights))


def _own(form: Form, settings: Settings, weights: Weights) -> tuple[ModelConfig, Weights]:
    """Settings and weights in a form -> those of the model here."""
    weights = {name: weight.float() for name, weight in weights.items()}
    expected: Settings = {}
    if form is QWEN3_FORM:
        expected["head_dim"] = settings["n_embd"] // settings["n_head"]
        if settings["tie_embeddings"]:
            weights.pop("head.weight", None)
    else:
        expected |= {"n_hidden": 4 * settings["n_embd"], "norm_eps": LAYER_NORM_EPS}
        for i in range(settings["n_layer"]):
            name = f"blocks.{i}.attn.qkv.bias"
            if weights.pop(name, torch.zeros(1)).any():
                raise RunError(f"{name}: found values other than 0, expected a model without it")
        weights["head.bias"] = torch.zeros(len(weights["token_embedding.weight"]))
    for own, value in expected.items():
        if not math.isclose(settings.pop(own), value, rel_tol=1e-6):
            raise RunError(f"{own}: expected {value}, the only value of a {form.model} here")
    try:
        return model_config({"name": form.model, **settings}), weights
    except ConfigError as error:
        raise RunError(str(error)) from None


def _without_head_bias(settings: Settings, weights: Weights) -> tuple[Settings, Weights]:
    """GPT-2 with equal logits and no bias of the head: see above."""
    weights = dict(weights)
    bias, head = weights.pop("head.bias").double(), weights["head.weight"].double()
    if not bias.any():
        return settings, weights
    added = torch.linalg.lstsq(head, bias[:, None], driver="gelsd").solution[:, 0].float()
    rounding = torch.finfo(torch.float32).eps * (head.abs() @ added.double().abs()).max()
    if (head @ added.double() - bias).abs().max() + rounding <= EXACT:
        weights["ln_f.bias"] = weights["ln_f.bias"] + added
        return settings, weights
    return _widened(settings, weights, bias.float())


def _widened(settings: Settings, weights: Weights, bias: Tensor) -> tuple[Settings, Weights]:
    """With one channel more for each head, one of which carries the bias (V,) of the head."""
    n_head, old = settings["n_head"], settings["n_embd"]
    n, dim = old + n_head, old // n_head
    shrink = old / n  # of a variance, by channels that are 0
    wide: Weights = {}
    for name, w in weights.items():
        if _writes_to_stream(name):  # the last dimension of embeddings, the first of linear layers
            axis = w.ndim - 1 if "embedding" in name else 0
            w = w - w.mean(axis, keepdim=True)
            pad = (0, n_head) if axis == w.ndim - 1 else (0, 0, 0, n_head)
            w = F.pad(w, pad)
        if name.endswith(("ln1.weight", "ln2.weight", "ln_f.weight")):
            w = F.pad(w * math.sqrt(shrink), (0, n_head))
        elif name.endswith(("ln1.bias", "ln2.bias", "ln_f.bias")):
            w = F.pad(w, (0, n_head))
        elif name.endswith("attn.qkv.weight"):  # scores are divided by the root of a wider head
            q, k, v = F.pad(w, (0, n_head)).view(3, n_head, dim, n)
            q = q * math.sqrt((dim + 1) / dim)
            w = F.pad(torch.stack([q, k, v]), (0, 0, 0, 1)).reshape(3 * n, n)
        elif name.endswith("attn.proj.weight"):
            w = F.pad(w.view(n, n_head, dim), (0, 1)).reshape(n, n)
        elif name.endswith(("mlp.0.weight", "head.weight")):
            w = F.pad(w, (0, n_head))
        wide[name] = w
    wide["ln_f.bias"][old] = 1.0
    wide["head.weight"][:, old] = bias
    return {**settings, "n_embd": n, "norm_eps": settings["norm_eps"] * shrink}, wide


def scaled_relu(found: Portable, scale: float) -> Portable:
    """GPT-2 with ReLU -> with GELU, for all that llama.cpp can tell apart: see above."""
    weights = {
        name: w * scale
        if (_writes_to_stream(name) and not name.endswith("mlp.2.weight"))
        or name.endswith(("mlp.0.weight", "mlp.0.bias"))
        else w
        for name, w in found.weights.items()
    }
    eps = found.settings["norm_eps"] * scale**2
    return replace(
        found, weights=weights, settings={**found.settings, "norm_eps": eps, "activation": "gelu"}
    )


def _writes_to_stream(name: str) -> bool:
    """Whether what a weight of GPT-2 computes is added to the stream."""
    return name.startswith(("token_embedding", "position_embedding")) or name.endswith(
        ("attn.proj.weight", "attn.proj.bias", "mlp.2.weight", "mlp.2.bias")
    )

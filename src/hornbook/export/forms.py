"""A run in the form that other programs know it by: `portable`, then `to_huggingface` or `to_gguf`.

The forms themselves, and the way back, are in `pretrained/forms.py`. Other modules ask for the form of
a model and never which model it is.

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
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.errors import ConfigError
from hornbook.models.base import LanguageModel
from hornbook.models.gpt import GPTConfig
from hornbook.models.gpt2 import GPT2Config
from hornbook.pretrained import names
from hornbook.pretrained.forms import (
    ACTIVATIONS,
    Form,
    Settings,
    Weights,
    form_of,
    neighbors,
    reorder_heads,
)
from hornbook.runs.directory import StoredRun

EXACT = 1e-5  # how far logits may be off by a folded bias, in nats


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
    if form_of(model.config) is None and network is not None:
        notes.append(_network_alone(run))
        model, part = network, "network"
    form = _form(model)
    settings = model.config.model_dump()
    weights = {name: w.detach().float().cpu() for name, w in model.state_dict().items()}
    if isinstance(model.config, GPTConfig):
        settings["head_dim"] = model.config.head_channels
    elif isinstance(model.config, GPT2Config):
        settings["n_hidden"] = model.config.hidden_channels
        if not settings["tie_embeddings"]:
            settings, weights = _without_head_bias(settings, weights)
        for i in range(settings["n_layer"]):
            bias = torch.zeros(3 * settings["n_embd"])
            weights.setdefault(f"blocks.{i}.attn.qkv.bias", bias)
    return Portable(form, settings, weights, model, part, tuple(notes))


def _form(model: LanguageModel) -> Form:
    """The form of a model. Raises ConfigError where other programs have no counterpart."""
    name, config = model.config.name, model.config
    form = form_of(config)
    if form is None:
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
    return form


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
    if "activation_function" in config:
        config["activation_function"] = ACTIVATIONS[config["activation_function"]]
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
    weights = dict(found.weights)
    if found.form.neighbors:
        reorder_heads(weights, found.settings, neighbors)
    return fields, names.to_gguf(found.form.weights, weights)


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
        elif name.endswith("attn.qkv.bias"):
            q, k, v = w.view(3, n_head, dim)
            q = q * math.sqrt((dim + 1) / dim)
            w = F.pad(torch.stack([q, k, v]), (0, 1)).reshape(3 * n)
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
    if "head.weight" not in weights:  # tied: the head is the embedding as it was
        weights["head.weight"] = found.weights["token_embedding.weight"]
    eps = found.settings["norm_eps"] * scale**2
    return replace(
        found, weights=weights, settings={**found.settings, "norm_eps": eps, "activation": "gelu"}
    )


def _writes_to_stream(name: str) -> bool:
    """Whether what a weight of GPT-2 computes is added to the stream."""
    return name.startswith(("token_embedding", "position_embedding")) or name.endswith(
        ("attn.proj.weight", "attn.proj.bias", "mlp.2.weight", "mlp.2.bias")
    )

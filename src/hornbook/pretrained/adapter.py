"""LoRA's matrices as `peft` reads them: adapter_config.json and adapter_model.safetensors.

The names are those of the model in Hugging Face's form, as `hornbook export --to hf` writes the base,
so that the adapter can be loaded on top of that directory. A layer's matrices are A (r, in) and
B (out, r) there too, also where the files of the form hold its weight transposed (GPT-2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from hornbook.config import FinetuningConfig
from hornbook.files import not_written, write_json, write_tensors
from hornbook.layers.lora import lora_weights
from hornbook.models.base import LanguageModel
from hornbook.pretrained.forms import form_of
from hornbook.pretrained.names import to_huggingface

ADAPTER = "adapter"  # the folder in a run directory
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # peft's, before the names of the model
PLAIN = {"pair_embedding": False, "conv_kernel": 1}  # of a model that other programs have


def has_adapter(model: LanguageModel) -> bool:
    """Whether other programs have this model, with the same matrices, so that its adapter fits there.

    A bias of the head, which they do not have, is written into other weights by the export of the base:
    that leaves the matrices as they are only where there are no more tokens than channels.
    """
    config = model.config
    plain = all(getattr(config, name, value) == value for name, value in PLAIN.items())
    if not plain or form_of(config) is None:
        return False
    bias = dict(model.named_parameters()).get("head.bias")
    if bias is None or not bias.any():
        return True
    return not bias.requires_grad and model.vocab_size <= int(getattr(config, "n_embd", 0))


def write_adapter(run: Path, model: LanguageModel, config: FinetuningConfig) -> None:
    """Writes the adapter of a model with LoRA into a run directory; nothing where other programs do not
    have the model. Raises RunError where it cannot be written."""
    if not has_adapter(model):
        return
    folder = run / ADAPTER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise not_written(folder, error) from None
    facts, tensors = adapter_of(model, config)
    write_json(folder / CONFIG, facts)
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})


def adapter_of(
    model: LanguageModel, config: FinetuningConfig
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What adapter_config.json says, and the tensors of adapter_model.safetensors.

    Weights besides LoRA's that were trained, because the vocabulary has grown, are whole in it.
    """
    form = form_of(model.config)
    assert form is not None
    table, tensors, names = form.weights, dict[str, Tensor](), list[str]()
    for name, (a, b) in lora_weights(model).items():
        (theirs,) = to_huggingface(table, {f"{name}.weight": a})
        theirs = theirs.removesuffix(".weight")
        tensors[f"{PREFIX}{theirs}.lora_A.weight"] = a
        tensors[f"{PREFIX}{theirs}.lora_B.weight"] = b
        names.append(theirs)
    whole = {
        name: p.detach()
        for name, p in model.named_parameters()
        if p.requires_grad and not name.endswith(("lora_A", "lora_B", "head.bias"))
    }
    for theirs, weight in to_huggingface(table, whole).items():
        tensors[PREFIX + theirs] = weight
    if whole and model.output is not None and len(whole) == 1:  # tied: there both are replaced
        tensors[f"{PREFIX}lm_head.weight"] = next(iter(whole.values())).clone()
    saved = sorted({n.rsplit(".", 2)[1] for n in tensors if ".lora_" not in n})
    facts = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": f"{Path(config.base).name}-hf",
        "r": config.lora_rank,
        "lora_alpha": config.scale * config.lora_rank,
        "lora_dropout": 0.0,
        "target_modules": sorted({name.rsplit(".", 1)[1] for name in names}),
        "modules_to_save": saved or None,
        "bias": "none",
        "fan_in_fan_out": any(row.turned for row in table),
        "inference_mode": True,
    }
    return facts, tensors

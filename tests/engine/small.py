"""Small steps for the tests of the engine: words, a model of few parameters, no plan."""

from __future__ import annotations

from typing import Any

import torch

from hornbook.config import Nested, RunConfig, merge
from hornbook.data.batches import Batches, Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.compiled import Form
from hornbook.engine.step import OptimizerStep
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, parse_run_config
from hornbook.tokenizers import build_tokenizer
from tests.conftest import WORDS

GPT: Nested = {
    "model": {
        "name": "gpt", "context_length": 16, "n_layer": 1, "n_head": 2, "n_kv_head": 2,
        "n_embd": 16, "n_hidden": 24, "dropout": 0.0,
    },
    "optim": {"name": "adamw", "learning_rate": 0.01, "warmup": 2},
    "training": {"steps": 40, "batch_size": 4},
}  # fmt: skip
MLP: Nested = {
    "model": {
        "name": "mlp", "context_length": 3, "n_embd": 6, "n_hidden": 20, "norm": "batchnorm",
        "dropout": 0.0,
    },
    "optim": {"name": "sgd", "learning_rate": 0.1, "schedule": "constant", "grad_clip": 0.0},
    "training": {"steps": 40, "batch_size": 16, "sampling": "random", "examples": "windows"},
}  # fmt: skip


def parts_of(*settings: Nested) -> tuple[LanguageModel, Batches, RunConfig]:
    """A model in training mode, batches of it on a few words, and the settings."""
    config = parse_run_config(merge(*settings))
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    part = Part.of_documents(WORDS * 3, tokenizer)
    torch.manual_seed(0)
    model = build_model(config.model, tokenizer.vocab_size, tokenizer.end_id).train()
    training = config.training
    draw = Draw(batch_size=training.batch_size, seed=7, sampling=training.sampling)
    examples = model.examples if training.examples == "auto" else training.examples
    return model, build_batches(part, examples, model.context_length, draw), config


def step_of(*settings: Nested, compiled: Form = "no", **arguments: Any) -> OptimizerStep:
    """An optimizer step of settings."""
    return OptimizerStep(*parts_of(*settings), compiled=compiled, **arguments)

"""Presets of the small models: bigram, bag of words, MLP, WaveNet and the recurrent ones."""

from __future__ import annotations

from typing import Any

from hornbook.config.sections import Nested


def bigram() -> Nested:
    """The neural bigram, trained on minibatches."""
    return {
        "model": {"name": "bigram"},
        "optim": {
            "learning_rate": 0.1,
            "schedule": "linear",
            "min_lr_ratio": 0.0,
            "weight_decay": 0.0,
            "grad_clip": 0.0,
        },
        "training": {"steps": 500, "batch_size": 4096, "examples": "windows"},
    }


def _falling(learning_rate: float, weight_decay: float = 0.1) -> dict[str, Any]:
    """AdamW; the learning rate falls linearly to 0."""
    return {
        "learning_rate": learning_rate,
        "schedule": "linear",
        "warmup": 40,
        "min_lr_ratio": 0.0,
        "weight_decay": weight_decay,
    }


def mlp_documents() -> Nested:
    """An MLP with a context of 8 characters, trained on large batches of windows."""
    return {
        "model": {
            "name": "mlp",
            "context_length": 8,
            "n_embd": 16,
            "n_hidden": 256,
            "dropout": 0.1,
        },
        "optim": _falling(0.01),
        "training": {"steps": 1200, "batch_size": 2048},
    }


def mlp_stream() -> Nested:
    """An MLP with a context of 16 characters."""
    return {
        "model": {"name": "mlp", "context_length": 16, "n_embd": 24, "n_hidden": 384},
        "optim": _falling(0.005),
        "training": {"steps": 2000, "batch_size": 2048},
    }


def wavenet_documents() -> Nested:
    """A WaveNet with a context of 16, trained on whole documents: each position is computed once."""
    return {
        "model": {
            "name": "wavenet",
            "context_length": 16,
            "n_embd": 32,
            "n_hidden": 128,
            "residual": True,
            "dropout": 0.05,
        },
        "optim": _falling(0.008),
        "training": {"steps": 1300, "batch_size": 32, "examples": "sequences"},
    }


def wavenet_stream() -> Nested:
    """A WaveNet with a context of 32 characters."""
    return {
        "model": {
            "name": "wavenet",
            "context_length": 32,
            "n_embd": 48,
            "n_hidden": 192,
            "residual": True,
        },
        "optim": _falling(0.004),
        "training": {"steps": 1500, "batch_size": 16, "examples": "sequences"},
    }


def recurrent(name: str, *, documents: bool) -> Nested:
    """rnn, lstm or gru: one layer of 128 units, on packed documents or pieces of a stream."""
    steps = {"rnn": 400, "lstm": 320, "gru": 320}[name]
    return {
        "model": {"name": name, "n_embd": 48, "n_hidden": 128},
        "optim": _falling(0.005 if name == "rnn" else 0.01),
        "training": {"steps": steps if documents else 2 * steps, "batch_size": 32},
    }


def bow(*, documents: bool) -> Nested:
    """A bag of words: few parameters, few steps."""
    return {
        "model": {"name": "bow", "n_embd": 48, "n_hidden": 192},
        "optim": _falling(0.01),
        "training": {"steps": 400 if documents else 1000, "batch_size": 32},
    }

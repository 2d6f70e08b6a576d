"""Presets of the notes: the models, optimizers, seeds and numbers of steps of the lectures."""

from __future__ import annotations

from hornbook.config.sections import Nested


def notes_bigram() -> Nested:
    """The notes' neural bigram: gradient descent on all 228,146 examples at 50, with 0.01 mean(W^2)."""
    return {
        "data": {"corpus": "makemore-names", "validation": 0.0, "test": 0.0},
        "model": {"name": "bigram"},
        "optim": {
            "name": "sgd",
            "learning_rate": 50.0,
            "schedule": "constant",
            "l2": 0.01,
            "grad_clip": 0.0,
        },
        "training": {
            "steps": 101,
            "batch_size": "all",
            "examples": "windows",
            "seed": 2147483647,
        },
    }


def _notes_sgd(*, seed: int = 2147483647, decay_start: float = 0.5) -> Nested:
    """What the notes' MLPs and WaveNet share: 200,000 steps of 32 examples, SGD at 0.1, then 0.01."""
    return {
        "data": {"corpus": "makemore-names"},
        "optim": {
            "name": "sgd",
            "learning_rate": 0.1,
            "schedule": "step_decay",
            "decay_start": decay_start,
            "grad_clip": 0.0,
        },
        "training": {
            "steps": 200_000,
            "batch_size": 32,
            "examples": "windows",
            "sampling": "random",
            "seed": seed,
        },
    }


def notes_mlp() -> Nested:
    """The notes' MLP: 3 x 10 channels, 200 hidden; `--model.init naive` is their first version."""
    return {
        "model": {"name": "mlp", "context_length": 3, "n_embd": 10, "n_hidden": 200},
        **_notes_sgd(),
    }


def notes_mlp_bn() -> Nested:
    """The notes' MLP with BatchNorm, with momentum 0.001."""
    mlp = notes_mlp()
    mlp["model"] |= {"norm": "batchnorm", "momentum": 0.001}
    return mlp


def notes_mlp_deep() -> Nested:
    """The notes' deep MLP: five hidden layers of 100, BatchNorm after each and after the last."""
    return {
        "model": {
            "name": "mlp",
            "context_length": 3,
            "n_embd": 10,
            "n_hidden": 100,
            "n_layer": 5,
            "norm": "batchnorm",
            "norm_logits": True,
            "gain": 1.0,
        },
        **_notes_sgd(decay_start=0.75),
    }


def notes_wavenet() -> Nested:
    """The notes' WaveNet: context 8, 24 channels, 128 hidden."""
    return {
        "model": {"name": "wavenet", "context_length": 8, "n_embd": 24, "n_hidden": 128},
        **_notes_sgd(seed=42),
    }


def notes_gpt() -> Nested:
    """The notes' GPT on Shakespeare: 5,000 steps of 64 x 256 characters, AdamW at 3e-4."""
    return {
        "data": {"corpus": "shakespeare"},
        "model": {
            "name": "gpt2",
            "context_length": 256,
            "n_layer": 6,
            "n_head": 6,
            "n_embd": 384,
            "dropout": 0.2,
            "attention_dropout": 0.2,
            "activation": "relu",
            "head_std": 0.02,
        },
        "optim": {
            "learning_rate": 3e-4,
            "schedule": "constant",
            "beta2": 0.999,
            "weight_decay": 0.01,
            "decayed": "all",
            "grad_clip": 0.0,
        },
        "training": {
            "steps": 5000,
            "batch_size": 64,
            "sampling": "random",
            "seed": 1337,
        },
    }

"""Presets of the two GPTs: for documents, for a stream, and larger ones for the lectures' texts."""

from __future__ import annotations

from typing import Any

from hornbook.config.layering import merge
from hornbook.config.sections import Nested


def _muon(learning_rate: float, muon_learning_rate: float) -> dict[str, Any]:
    """Muon and AdamW; the learning rate falls linearly to 0 over the last seven tenths of the steps."""
    return {
        "name": "muon",
        "learning_rate": learning_rate,
        "muon_learning_rate": muon_learning_rate,
        "schedule": "linear",
        "warmup": 40,
        "decay_start": 0.3,
        "min_lr_ratio": 0.0,
        "weight_decay": 0.1,
    }


def gpt_documents() -> Nested:
    """A small GPT for names, words, moves: about half a minute on two cores."""
    return {
        "model": {
            "name": "gpt",
            "context_length": 64,
            "n_layer": 3,
            "n_head": 2,
            "n_kv_head": 2,
            "n_embd": 64,
            "n_hidden": 192,
            "dropout": 0.05,
        },
        "optim": {**_muon(5e-3, 0.015), "beta2": 0.98},
        "training": {"steps": 540, "batch_size": 16},
    }


def gpt_names() -> Nested:
    """A larger GPT with pair embeddings for the names of the lectures: about two minutes."""
    longer: Nested = {"model": {"dropout": 0.13}, "training": {"steps": 1050}}
    return merge(gpt_pairs(), {"data": {"corpus": "makemore-names"}}, longer)


def gpt_pairs() -> Nested:
    """Four blocks of 128 channels and pair embeddings, which gain 0.015 nats on names."""
    return {
        "model": {
            "name": "gpt",
            "context_length": 64,
            "n_layer": 4,
            "n_head": 2,
            "n_kv_head": 2,
            "n_embd": 128,
            "n_hidden": 384,
            "dropout": 0.1,
            "pair_embedding": True,
        },
        "optim": {**_muon(5e-3, 0.02), "beta2": 0.98},
        "training": {"steps": 650, "batch_size": 24},
    }


def gpt_stream() -> Nested:
    """A GPT for a book or code: a few minutes on two cores."""
    return {
        "model": {
            "name": "gpt",
            "context_length": 128,
            "n_layer": 4,
            "n_head": 4,
            "n_kv_head": 4,
            "n_embd": 128,
            "n_hidden": 384,
            "dropout": 0.05,
        },
        "optim": _muon(5e-3, 0.02),
        "training": {"steps": 1200, "batch_size": 32},
    }


def gpt_shakespeare() -> Nested:
    """Six blocks of 160 channels with a short convolution: 1.42 nats, about 20 minutes on two cores."""
    longer: Nested = {
        "data": {"corpus": "shakespeare"},
        "model": {
            "context_length": 512,
            "n_layer": 6,
            "n_head": 5,
            "n_kv_head": 5,
            "n_embd": 160,
            "n_hidden": 480,
            "dropout": 0.15,
            "conv_kernel": 4,
        },
        "training": {"steps": 1200, "batch_size": 12},
    }
    return merge(gpt_stream(), longer)


def gpt2_documents() -> Nested:
    """The notes' GPT at makemore's size for names."""
    return {
        "model": {
            "name": "gpt2",
            "context_length": 64,
            "n_layer": 4,
            "n_head": 4,
            "n_embd": 64,
            "dropout": 0.0,
        },
        "optim": {"learning_rate": 2e-3, "warmup": 40, "weight_decay": 0.1},
        "training": {"steps": 450, "batch_size": 32},
    }


def gpt2_stream() -> Nested:
    """The notes' GPT at the size that nanoGPT suggests for a laptop: 4 x 128, context 64."""
    return {
        "model": {
            "name": "gpt2",
            "context_length": 64,
            "n_layer": 4,
            "n_head": 4,
            "n_embd": 128,
            "dropout": 0.0,
        },
        "optim": {"learning_rate": 1e-3, "warmup": 100, "weight_decay": 0.1},
        "training": {"steps": 2000, "batch_size": 12, "sampling": "random"},
    }

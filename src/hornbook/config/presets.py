"""Presets: functions that return a whole configuration as sections of fields.

`default` is what `hornbook train` uses for a model and a kind of text; the named ones are asked for
by `--preset`. The fields that a preset does not name have the defaults of their class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hornbook.config.layering import merge
from hornbook.config.sections import Nested
from hornbook.errors import ConfigError, did_you_mean


def default(model: str, *, documents: bool) -> Nested:
    """The settings of a model for a kind of text, where nothing else is asked for."""
    choices = _DOCUMENTS if documents else _STREAM
    preset = choices.get(model)
    return preset() if preset is not None else {"model": {"name": model}}


def named(name: str) -> Nested:
    """A preset by name. Raises ConfigError for an unknown one."""
    if name not in PRESETS:
        raise ConfigError(f"preset: found {name!r}, no such preset{did_you_mean(name, PRESETS)}")
    return PRESETS[name]()


def ladder(*, documents: bool) -> dict[str, Nested]:
    """The rungs of `hornbook ladder` by name, from counts to a GPT."""
    counts: dict[str, Nested] = {
        "counts-2": {"model": {"name": "ngram", "order": 2, "smoothing": "add-k", "k": 1.0}},
        "counts-4": {"model": {"name": "ngram", "order": 4}},
        "counts-6": {"model": {"name": "ngram", "order": 6}},
    }
    trained = {name: preset() for name, preset in (_DOCUMENTS if documents else _STREAM).items()}
    if documents:
        trained["gpt"] = gpt_pairs()
    else:
        trained["gpt2"] = gpt2_stream()  # the notes' own takes hours without a GPU
    return counts | trained


def _muon(learning_rate: float, muon_learning_rate: float) -> dict[str, Any]:
    """Muon and AdamW whose rates fall in a line from three tenths of the way on to nothing."""
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
    """Names, words, moves: a small GPT in about half a minute on two cores."""
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
    """A larger GPT with a table of pairs for the names of the lectures: about two minutes."""
    longer: Nested = {"model": {"dropout": 0.13}, "training": {"steps": 1050}}
    return merge(gpt_pairs(), {"data": {"corpus": "makemore-names"}}, longer)


def gpt_pairs() -> Nested:
    """Four blocks of 128 channels and the embedding of pairs, which is worth 0.015 nats on names."""
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
    """A book, code: a GPT that learns the shape of the text in a few minutes on two cores."""
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
    """Six blocks of 160 channels with a short convolution: 1.42 nats; some 20 minutes on two cores."""
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
    """The notes' GPT at the size that nanoGPT gives for a laptop: 4 x 128, context 64."""
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


def notes_gpt() -> Nested:
    """The notes' GPT on Shakespeare: 5,000 updates of 64 x 256 characters, AdamW at 3e-4."""
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


def bigram() -> Nested:
    """The neural bigram by small batches."""
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


def notes_bigram() -> Nested:
    """The notes' neural bigram: gradient descent on all 228,146 examples, step 50, 0.01 mean(W^2)."""
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
    """What the notes' MLPs and WaveNet share: 200,000 updates of 32 examples, SGD 0.1 then 0.01."""
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
    """The notes' MLP: 3 x 10 channels, 200 hidden; `--model.init naive` is their first one."""
    return {
        "model": {"name": "mlp", "context_length": 3, "n_embd": 10, "n_hidden": 200},
        **_notes_sgd(),
    }


def notes_mlp_bn() -> Nested:
    """The notes' MLP with BatchNorm, whose running statistics take a thousandth of each batch."""
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
    """The notes' WaveNet: 8 symbols, 24 channels, 128 hidden."""
    return {
        "model": {"name": "wavenet", "context_length": 8, "n_embd": 24, "n_hidden": 128},
        **_notes_sgd(seed=42),
    }


def _falling(learning_rate: float, weight_decay: float = 0.1) -> dict[str, Any]:
    """AdamW whose rate falls in a line from the beginning to nothing."""
    return {
        "learning_rate": learning_rate,
        "schedule": "linear",
        "warmup": 40,
        "min_lr_ratio": 0.0,
        "weight_decay": weight_decay,
    }


def mlp_documents() -> Nested:
    """An MLP that sees 8 symbols, by large batches of windows."""
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
    """An MLP that sees 16 symbols of a book."""
    return {
        "model": {"name": "mlp", "context_length": 16, "n_embd": 24, "n_hidden": 384},
        "optim": _falling(0.005),
        "training": {"steps": 2000, "batch_size": 2048},
    }


def wavenet_documents() -> Nested:
    """A WaveNet that sees 16 symbols, by whole names: a place is computed once, not in 16 windows."""
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
    """A WaveNet that sees 32 symbols of a book."""
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
    """rnn, lstm or gru: one layer of 128 units, along packed names or pieces of a book."""
    steps = {"rnn": 400, "lstm": 320, "gru": 320}[name]
    return {
        "model": {"name": name, "n_embd": 48, "n_hidden": 128},
        "optim": _falling(0.005 if name == "rnn" else 0.01),
        "training": {"steps": steps if documents else 2 * steps, "batch_size": 32},
    }


def bow(*, documents: bool) -> Nested:
    """A bag of words, which has little to learn."""
    return {
        "model": {"name": "bow", "n_embd": 48, "n_hidden": 192},
        "optim": _falling(0.01),
        "training": {"steps": 400 if documents else 1000, "batch_size": 32},
    }


_DOCUMENTS: dict[str, Callable[[], Nested]] = {
    "bigram": bigram,
    "bow": partial(bow, documents=True),
    "mlp": mlp_documents,
    "wavenet": wavenet_documents,
    "rnn": partial(recurrent, "rnn", documents=True),
    "lstm": partial(recurrent, "lstm", documents=True),
    "gru": partial(recurrent, "gru", documents=True),
    "gpt2": gpt2_documents,
    "gpt": gpt_documents,
}
_STREAM: dict[str, Callable[[], Nested]] = {
    "bigram": bigram,
    "bow": partial(bow, documents=False),
    "mlp": mlp_stream,
    "wavenet": wavenet_stream,
    "rnn": partial(recurrent, "rnn", documents=False),
    "lstm": partial(recurrent, "lstm", documents=False),
    "gru": partial(recurrent, "gru", documents=False),
    "gpt2": notes_gpt,
    "gpt": gpt_stream,
}
PRESETS: dict[str, Callable[[], Nested]] = {
    "gpt-documents": gpt_documents,
    "gpt-names": gpt_names,
    "gpt-pairs": gpt_pairs,
    "gpt-shakespeare": gpt_shakespeare,
    "gpt-stream": gpt_stream,
    "gpt2-stream": gpt2_stream,
    "notes-bigram": notes_bigram,
    "notes-gpt": notes_gpt,
    "notes-mlp": notes_mlp,
    "notes-mlp-bn": notes_mlp_bn,
    "notes-mlp-deep": notes_mlp_deep,
    "notes-wavenet": notes_wavenet,
    "mlp-documents": mlp_documents,
    "mlp-stream": mlp_stream,
    "wavenet-documents": wavenet_documents,
    "wavenet-stream": wavenet_stream,
}

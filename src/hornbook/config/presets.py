"""Presets: functions that return a whole configuration as sections of fields.

`default` is what `hornbook train` uses for a model and a kind of text; `named` returns those that
`--preset` names. Fields that a preset does not name keep the default of their class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hornbook.config.layering import merge
from hornbook.config.sections import Nested
from hornbook.errors import ConfigError, did_you_mean

DEFAULT_MODEL = "gpt"
EXPORTABLE = "gpt"  # the model that other software reads: Qwen3


def default(model: str, *, documents: bool) -> Nested:
    """The default settings of a model for documents or for a stream."""
    if model not in _DEFAULTS:
        return {"model": {"name": model}}
    for_documents, for_stream = _DEFAULTS[model]
    return for_documents() if documents else for_stream()


def named(name: str) -> Nested:
    """A preset by name. Raises ConfigError for an unknown one."""
    if name not in PRESETS:
        hint = did_you_mean(name, PRESETS, OTHER_NAMES)
        if name in _DEFAULTS:
            hint = f"; {name} is a model, and its defaults need no preset: give it as the model"
        raise ConfigError(f"preset: found {name!r}, no such preset{hint}")
    return PRESETS[name]()


def meant_by(name: str) -> str | None:
    """The preset that is called, or known as, `name`; None where there is none."""
    return name if name in PRESETS else OTHER_NAMES.get(name.lower())


def ladder(*, documents: bool) -> dict[str, Nested]:
    """The rungs of `hornbook ladder` by name, from counts to a GPT."""
    rungs: dict[str, Nested] = {
        "counts-2": {"model": {"name": "ngram", "order": 2, "smoothing": "add-k", "k": 1.0}},
        "counts-4": {"model": {"name": "ngram", "order": 4}},
        "counts-6": {"model": {"name": "ngram", "order": 6}},
    }
    trained = [model for model in _DEFAULTS if model != "hybrid"]  # which is two rungs as one
    rungs |= {model: default(model, documents=documents) for model in trained}
    if documents:
        rungs["gpt"] = gpt_pairs()
    else:
        rungs["gpt2"] = gpt2_stream()  # the notes' own takes hours without a GPU
    return rungs


# small models


def bigram() -> Nested:
    """The neural bigram, trained on minibatches."""
    optim = {"learning_rate": 0.1, "schedule": "linear", "min_lr_ratio": 0.0}
    return {
        "model": {"name": "bigram"},
        "optim": {**optim, "weight_decay": 0.0, "grad_clip": 0.0},
        "training": {"steps": 500, "batch_size": 4096, "examples": "windows"},
    }


def _small(model: dict[str, Any], learning_rate: float, **training: Any) -> Nested:
    """AdamW with a learning rate that falls linearly to 0."""
    optim = {"learning_rate": learning_rate, "schedule": "linear", "warmup": 40}
    return {
        "model": model,
        "optim": {**optim, "min_lr_ratio": 0.0, "weight_decay": 0.1},
        "training": training,
    }


def bow(*, steps: int) -> Nested:
    """A bag of words: few parameters, few steps."""
    model = {"name": "bow", "n_embd": 48, "n_hidden": 192}
    return _small(model, 0.01, steps=steps, batch_size=32)


def mlp_documents() -> Nested:
    """An MLP with a context of 8 characters, trained on large batches of windows."""
    model = {"name": "mlp", "context_length": 8, "n_embd": 16, "n_hidden": 256, "dropout": 0.1}
    return _small(model, 0.01, steps=1200, batch_size=2048)


def mlp_stream() -> Nested:
    """An MLP with a context of 16 characters."""
    model = {"name": "mlp", "context_length": 16, "n_embd": 24, "n_hidden": 384}
    return _small(model, 0.005, steps=2000, batch_size=2048)


def wavenet_documents() -> Nested:
    """A WaveNet with a context of 16, trained on whole documents: each position is computed once."""
    model = {"name": "wavenet", "context_length": 16, "n_embd": 32, "n_hidden": 128}
    model |= {"residual": True, "dropout": 0.05}
    return _small(model, 0.008, steps=1300, batch_size=32, examples="sequences")


def wavenet_stream() -> Nested:
    """A WaveNet with a context of 32 characters."""
    model = {"name": "wavenet", "context_length": 32, "n_embd": 48, "n_hidden": 192}
    model |= {"residual": True}
    return _small(model, 0.004, steps=1500, batch_size=16, examples="sequences")


def recurrent(name: str, *, steps: int) -> Nested:
    """rnn, lstm or gru: one layer of 128 units, on packed documents or pieces of a stream."""
    model = {"name": name, "n_embd": 48, "n_hidden": 128}
    return _small(model, 0.005 if name == "rnn" else 0.01, steps=steps, batch_size=32)


# GPTs


def _gpt(context_length: int, n_layer: int, n_head: int, n_embd: int, **other: Any) -> Any:
    """The sizes of a GPT: each head has its own keys, and hidden layers have 3 * n_embd units."""
    return {
        "name": "gpt",
        "context_length": context_length,
        "n_layer": n_layer,
        "n_head": n_head,
        "n_kv_head": n_head,
        "n_embd": n_embd,
        "n_hidden": 3 * n_embd,
        **other,
    }


def _muon(muon_learning_rate: float, **other: Any) -> Any:
    """Muon and AdamW; the learning rate falls linearly to 0 over the last seven tenths of the steps."""
    return {
        "name": "muon",
        "learning_rate": 5e-3,
        "muon_learning_rate": muon_learning_rate,
        "schedule": "linear",
        "warmup": 40,
        "decay_start": 0.3,
        "min_lr_ratio": 0.0,
        "weight_decay": 0.1,
        **other,
    }


def gpt_documents() -> Nested:
    """A small GPT for names, words, moves: about half a minute on two cores."""
    return {
        "model": _gpt(64, 3, 2, 64, dropout=0.05),
        "optim": _muon(0.015, beta2=0.98),
        "training": {"steps": 540, "batch_size": 16},
    }


def gpt_pairs() -> Nested:
    """Four blocks of 128 channels and pair embeddings, which gain 0.015 nats on names."""
    return {
        "model": _gpt(64, 4, 2, 128, dropout=0.1, pair_embedding=True),
        "optim": _muon(0.02, beta2=0.98),
        "training": {"steps": 650, "batch_size": 24},
    }


def gpt_names() -> Nested:
    """A larger GPT with pair embeddings for the names of the lectures: about two minutes."""
    longer: Nested = {"model": {"dropout": 0.13}, "training": {"steps": 1050}}
    return merge(gpt_pairs(), {"data": {"corpus": "makemore-names"}}, longer)


def gpt_stream() -> Nested:
    """A GPT for a book or code: a few minutes on two cores."""
    return {
        "model": _gpt(128, 4, 4, 128, dropout=0.05),
        "optim": _muon(0.02),
        "training": {"steps": 1200, "batch_size": 32},
    }


def _hybrid(gpt: Nested, **counts: Any) -> Nested:
    """Counts, and a GPT on top of them, trained as it is alone."""
    sizes = ("context_length", "n_layer", "n_head", "n_embd", "dropout")
    own = {name: gpt["model"][name] for name in sizes}
    return {**gpt, "model": {"name": "hybrid", "held_back": 0.05, **counts, **own}}


def hybrid_documents() -> Nested:
    """Counts of six tokens and a small GPT for names, words, moves; an eighth of the rows has no
    counts, so that the GPT can be sampled alone where the whole copies."""
    return _hybrid(gpt_documents(), order=6, count_dropout=0.125)


def hybrid_stream() -> Nested:
    """Counts of eight tokens and a GPT for a book or code: a few minutes on two cores."""
    return _hybrid(gpt_stream(), order=8)


def gpt_shakespeare() -> Nested:
    """Six blocks of 160 channels with a short convolution: 1.42 nats, about 20 minutes on two cores."""
    return {
        "data": {"corpus": "shakespeare"},
        "model": _gpt(512, 6, 5, 160, dropout=0.15, conv_kernel=4),
        "optim": _muon(0.02),
        "training": {"steps": 1200, "batch_size": 12},
    }


def _gpt2(n_embd: int, learning_rate: float, warmup: int, **training: Any) -> Nested:
    """The notes' GPT with four blocks of four heads and a context of 64."""
    model = {"name": "gpt2", "context_length": 64, "n_layer": 4, "n_head": 4, "n_embd": n_embd}
    return {
        "model": {**model, "dropout": 0.0},
        "optim": {"learning_rate": learning_rate, "warmup": warmup, "weight_decay": 0.1},
        "training": training,
    }


def gpt2_documents() -> Nested:
    """The notes' GPT at makemore's size for names."""
    return _gpt2(64, 2e-3, 40, steps=450, batch_size=32)


def gpt2_stream() -> Nested:
    """The notes' GPT at the size that nanoGPT suggests for a laptop: 4 x 128, context 64."""
    return _gpt2(128, 1e-3, 100, steps=2000, batch_size=12, sampling="random")


# the notes: models, optimizers, seeds, numbers of steps and ways of sampling of the lectures

_AS_IN_THE_NOTES = {"sampling": "torch", "window": "sliding"}


def notes_counts() -> Nested:
    """The notes' first bigram: counts plus one over all names."""
    return {
        "data": {"corpus": "makemore-names", "validation": 0.0, "test": 0.0},
        "model": {"name": "ngram", "order": 2, "smoothing": "add-k", "k": 1.0},
        "training": {"seed": 2147483647},
        "generation": _AS_IN_THE_NOTES,
    }


def notes_bigram() -> Nested:
    """The notes' neural bigram: gradient descent on all 228,146 examples at 50, with 0.01 mean(W^2)."""
    optim = {"name": "sgd", "learning_rate": 50.0, "schedule": "constant", "l2": 0.01}
    training = {"steps": 101, "batch_size": "all", "examples": "windows", "seed": 2147483647}
    return {
        "data": {"corpus": "makemore-names", "validation": 0.0, "test": 0.0},
        "model": {"name": "bigram"},
        "optim": {**optim, "grad_clip": 0.0},
        "training": training,
        "generation": _AS_IN_THE_NOTES,
    }


def notes_bigram_lm() -> Nested:
    """The notes' BigramLanguageModel: 10,000 steps of 4 x 8 characters of Shakespeare, AdamW."""
    optim = {"learning_rate": 1e-3, "schedule": "constant", "beta2": 0.999, "weight_decay": 0.01}
    training = {"steps": 10_000, "batch_size": 4, "row_length": 8, "examples": "sequences"}
    return {
        "data": {"corpus": "shakespeare"},
        "model": {"name": "bigram"},
        "optim": {**optim, "decayed": "all", "grad_clip": 0.0},
        "training": {**training, "sampling": "random", "seed": 1337},
        "generation": _AS_IN_THE_NOTES,
    }


def _notes(model: dict[str, Any], *, seed: int = 2147483647, decay_start: float = 0.5) -> Nested:
    """What the notes' MLPs and WaveNet share: 200,000 steps of 32 examples, SGD at 0.1, then 0.01."""
    optim = {"name": "sgd", "learning_rate": 0.1, "schedule": "step_decay"}
    training = {"steps": 200_000, "batch_size": 32, "examples": "windows", "sampling": "random"}
    return {
        "data": {"corpus": "makemore-names"},
        "model": model,
        "optim": {**optim, "decay_start": decay_start, "grad_clip": 0.0},
        "training": {**training, "seed": seed},
        "generation": _AS_IN_THE_NOTES,
    }


def notes_mlp() -> Nested:
    """The notes' MLP: 3 x 10 channels, 200 hidden; `--model.init naive` is their first version."""
    return _notes({"name": "mlp", "context_length": 3, "n_embd": 10, "n_hidden": 200})


def notes_mlp_bn() -> Nested:
    """The notes' MLP with BatchNorm, with momentum 0.001."""
    return merge(notes_mlp(), {"model": {"norm": "batchnorm", "momentum": 0.001}})


def notes_mlp_deep() -> Nested:
    """The notes' deep MLP: five hidden layers of 100, BatchNorm after each and after the last."""
    model = {"name": "mlp", "context_length": 3, "n_embd": 10, "n_hidden": 100, "n_layer": 5}
    model |= {"norm": "batchnorm", "norm_logits": True, "gain": 1.0}
    return _notes(model, decay_start=0.75)


def notes_wavenet() -> Nested:
    """The notes' WaveNet: context 8, 24 channels, 128 hidden."""
    model = {"name": "wavenet", "context_length": 8, "n_embd": 24, "n_hidden": 128}
    return _notes(model, seed=42)


def notes_gpt() -> Nested:
    """The notes' GPT on Shakespeare: 5,000 steps of 64 x 256 characters, AdamW at 3e-4."""
    model = {"name": "gpt2", "context_length": 256, "n_layer": 6, "n_head": 6, "n_embd": 384}
    model |= {"dropout": 0.2, "attention_dropout": 0.2, "activation": "relu", "head_std": 0.02}
    optim = {"learning_rate": 3e-4, "schedule": "constant", "beta2": 0.999, "weight_decay": 0.01}
    return {
        "data": {"corpus": "shakespeare"},
        "model": model,
        "optim": {**optim, "decayed": "all", "grad_clip": 0.0},
        "training": {"steps": 5000, "batch_size": 64, "sampling": "random", "seed": 1337},
        "generation": _AS_IN_THE_NOTES,
    }


Preset = Callable[[], Nested]
_DEFAULTS: dict[str, tuple[Preset, Preset]] = {  # model -> for documents, for a stream
    "bigram": (bigram, bigram),
    "bow": (partial(bow, steps=400), partial(bow, steps=1000)),
    "mlp": (mlp_documents, mlp_stream),
    "wavenet": (wavenet_documents, wavenet_stream),
    "rnn": (partial(recurrent, "rnn", steps=400), partial(recurrent, "rnn", steps=800)),
    "lstm": (partial(recurrent, "lstm", steps=320), partial(recurrent, "lstm", steps=640)),
    "gru": (partial(recurrent, "gru", steps=320), partial(recurrent, "gru", steps=640)),
    "gpt2": (gpt2_documents, notes_gpt),
    "gpt": (gpt_documents, gpt_stream),
    "hybrid": (hybrid_documents, hybrid_stream),
}
OTHER_NAMES = {"batch-norm": "notes-mlp-bn", "batchnorm": "notes-mlp-bn"}  # -> a preset
PRESETS: dict[str, Preset] = {
    "gpt-documents": gpt_documents,
    "gpt-names": gpt_names,
    "gpt-pairs": gpt_pairs,
    "gpt-shakespeare": gpt_shakespeare,
    "gpt-stream": gpt_stream,
    "gpt2-stream": gpt2_stream,
    "notes-bigram": notes_bigram,
    "notes-bigram-lm": notes_bigram_lm,
    "notes-counts": notes_counts,
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

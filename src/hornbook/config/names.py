"""The short names of settings, and those that other code has for them."""

from __future__ import annotations

SHORT_NAMES = {  # a name on the command line -> the setting
    "model": "model.name",
    "steps": "training.steps",
    "epochs": "training.epochs",
    "minutes": "training.minutes",
    "lr": "optim.learning_rate",
    "learning-rate": "optim.learning_rate",
    "batch-size": "training.batch_size",
    "context-length": "model.context_length",
    "block-size": "model.context_length",
    "layers": "model.n_layer",
    "device": "training.device",
    "seed": "training.seed",
    "precision": "training.precision",
    "threads": "training.threads",
    "reference": "training.reference",
    "deterministic": "training.deterministic",
    "parallel": "training.parallel",
    "patience": "training.patience",
    "probe-every": "training.probe_every",
    "tokenizer": "tokenizer.kind",
    "vocab-size": "tokenizer.vocab_size",
    "from": "finetuning.base",
    "lora": "finetuning.lora_rank",
    "replay": "finetuning.replay",
    "grow": "finetuning.grow",
    "unknown": "finetuning.unknown",
    "kind": "data.kind",
    "format": "data.format",
    "field": "data.field",
    "column": "data.field",
    "header": "data.header",
    "glob": "data.glob",
    "separator": "data.separator",
    "template": "data.template",
    "encoding": "data.encoding",
}
OTHER_NAMES = {  # a name in the notes and in other code, which is refused -> the one to use here
    "bs": "batch-size",
    "depth": "layers",
    "dtype": "precision",
    "iterations": "steps",
    "iters": "steps",
    "max-epochs": "epochs",
    "max-iters": "steps",
    "max-steps": "steps",
    "num-epochs": "epochs",
    "num-steps": "steps",
    "optimizer": "optim.name",
    "seq-len": "context-length",
    "sequence-length": "context-length",
    "time": "minutes",
    "train-steps": "steps",
}
OTHER_VALUES = {"gpu": "cuda"}  # a value that is refused -> the one that is meant


def setting_called(name: str) -> str:
    """The setting that has this short name, or has it in other code; empty where none has.

    >>> setting_called("max_iters"), setting_called("lr"), setting_called("steps_in_all")
    ('training.steps', 'optim.learning_rate', '')
    """
    name = name.replace("_", "-")
    name = OTHER_NAMES.get(name, name)
    return name if "." in name else SHORT_NAMES.get(name, "")

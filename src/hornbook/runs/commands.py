"""Commands that messages tell the user to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from hornbook.config import DataConfig, RunConfig, TokenizerConfig


def resume_command(path: str | Path, *flags: str) -> str:
    """What to type to resume a run.

    >>> resume_command("runs/my run", "--steps 300")
    "hornbook train --resume 'runs/my run' --steps 300"
    """
    return " ".join([f"hornbook train --resume {shlex.quote(str(path))}", *flags])


def mix_command(path: str | Path, order: int, weights: Sequence[float]) -> str:
    """What to type to mix a run with counts of its text.

    >>> mix_command("runs/names", 5, [0.6, 0.4])
    'hornbook mix runs/names --counts 5 --weights 0.6,0.4 --out runs/names-mixture'
    """
    run, out = shlex.quote(str(path)), shlex.quote(f"{path}-mixture")
    listed = ",".join(f"{weight:g}" for weight in weights)
    return f"hornbook mix {run} --counts {order} --weights {listed} --out {out}"


def counts_command(config: RunConfig, order: int) -> str:
    """What to type to count the text of a run with these settings, read and split as it was."""
    words = [
        "hornbook",
        "train",
        config.data.corpus,
        "--model",
        "ngram",
        "--model.order",
        str(order),
    ]
    for section, default in (("data", DataConfig()), ("tokenizer", TokenizerConfig())):
        for name, value in getattr(config, section).model_dump(exclude={"corpus"}).items():
            if value != getattr(default, name):
                words += [f"--{section}.{name.replace('_', '-')}", str(value)]
    return shlex.join(words)

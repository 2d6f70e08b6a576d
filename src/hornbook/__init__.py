"""hornbook: small language models, from letter counts to a GPT, on the computer you have.

    import hornbook
    run = hornbook.train("names", model="gpt", steps=500)
    run.sample(5, prompt="em"); run.score("emma"); run.evaluate("val")
    run = hornbook.load("runs/names-gpt")
    hornbook.compare([run, "runs/names-ngram"])  # printed as a table

Names are loaded on first use, so that `import hornbook` costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.api import (
        Run,
        compare,
        import_model,
        ladder,
        load,
        lr_find,
        mix,
        resume,
        sweep,
        train,
    )
    from hornbook.errors import ConfigError, DataError, HornbookError, RunError
    from hornbook.training.callbacks.base import Callback
    from hornbook.training.interrupts import Interrupted

from hornbook.version import __version__ as __version__

_HOMES = {
    "Callback": "hornbook.training.callbacks.base",
    "ConfigError": "hornbook.errors",
    "DataError": "hornbook.errors",
    "HornbookError": "hornbook.errors",
    "Interrupted": "hornbook.training.interrupts",
    "Run": "hornbook.api",
    "RunError": "hornbook.errors",
    "compare": "hornbook.api",
    "import_model": "hornbook.api",
    "ladder": "hornbook.api",
    "load": "hornbook.api",
    "lr_find": "hornbook.api",
    "mix": "hornbook.api",
    "resume": "hornbook.api",
    "sweep": "hornbook.api",
    "train": "hornbook.api",
}

__all__ = [
    "Callback",
    "ConfigError",
    "DataError",
    "HornbookError",
    "Interrupted",
    "Run",
    "RunError",
    "compare",
    "import_model",
    "ladder",
    "load",
    "lr_find",
    "mix",
    "resume",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hornbook' has no attribute {name!r}")
    import importlib

    from hornbook.machine import spin_briefly

    spin_briefly()
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value

"""Sizes of the GPT for the dial of minutes: what each promises, and the settings of a training of it.

What a size reaches after how many updates was measured on the names and on Shakespeare, and is kept
here as a law, loss = a + b * updates^-c (`benchmarks/budget.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """A size of the GPT: blocks, channels, heads, context in tokens, rows of a batch.

    law: a, b, c of the loss that it promises. short: updates below which it gains by higher rates.
    """

    n_layer: int
    n_embd: int
    n_head: int
    context_length: int
    batch_size: int
    law: tuple[float, float, float]
    short: int = 0

    def promised(self, updates: float) -> float:
        """The validation loss in nats after so many updates."""
        a, b, c = self.law
        return a + b * float(max(updates, 1.0) ** -c)


SIZES = {  # by the kind of text
    "documents": {
        "tiny": Size(2, 48, 2, 64, 16, (1.919, 6.80, 0.65), 1300),
        "small": Size(3, 64, 2, 64, 16, (1.868, 8.05, 0.65), 800),
        "medium": Size(4, 128, 2, 64, 24, (1.859, 4.88, 0.65)),
    },
    "stream": {
        "tiny": Size(2, 64, 2, 128, 8, (1.619, 28.16, 0.80), 1300),
        "small": Size(2, 96, 3, 128, 8, (1.532, 33.54, 0.80), 800),
        "medium": Size(3, 96, 3, 128, 12, (1.483, 27.63, 0.80), 800),
        "large": Size(4, 128, 4, 128, 12, (1.422, 29.97, 0.80)),
        "huge": Size(4, 192, 6, 128, 16, (1.375, 27.64, 0.80)),
    },
}


def dropout_for(epochs: float) -> float:
    """More of it the more often each token is seen."""
    for most, share in ((4, 0.0), (6, 0.05), (20, 0.1)):
        if epochs < most:
            return share
    return 0.2


def settings_of(size: Size, steps: int, epochs: float) -> dict[str, dict[str, Any]]:
    """A whole training of a size: `steps` updates that see each token `epochs` times."""
    short = steps < size.short
    return {
        "model": {
            "name": "gpt",
            "context_length": size.context_length,
            "n_layer": size.n_layer,
            "n_head": size.n_head,
            "n_kv_head": size.n_head,
            "n_embd": size.n_embd,
            "n_hidden": 3 * size.n_embd,
            "dropout": dropout_for(epochs),
        },
        "optim": {
            "name": "muon",
            "learning_rate": 0.02 if short else 5e-3,
            "muon_learning_rate": 0.03 if short else 0.02 if size.n_embd > 64 else 0.015,
            "schedule": "linear",
            "warmup": min(40, max(1, steps // 10)),
            "decay_start": 0.4,
            "min_lr_ratio": 0.0,
            "beta2": 0.98,
            "weight_decay": 0.1,
        },
        "training": {"steps": steps, "batch_size": size.batch_size},
    }


SMALLEST = {  # what a size decides on of the model, besides its context
    field: value
    for field, value in settings_of(SIZES["documents"]["tiny"], 1, 1.0)["model"].items()
    if field not in ("name", "dropout", "context_length")
}
SIZED = {*SMALLEST, "context_length"}

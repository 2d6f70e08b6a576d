"""What a network and a hybrid are expected to reach on a text, by the loss of counts on it.

The loss of counts is known before training (`metrics.counts.search_order`), and most of what makes one
text easier to predict than another is in it. So the laws are of the ratio of both losses,

    ratio = a + b * steps^-c            a, b of a model and size; c of a model and a kind of text

fitted to runs on texts of several kinds and lengths. benchmarks/README.md has the errors, also on texts
that were kept back from the fit.
"""

from __future__ import annotations

from typing import Literal

Trained = Literal["gpt", "hybrid"]

LAWS: dict[str, dict[Trained, dict[str, tuple[float, float, float]]]] = {  # kind -> model -> size
    "documents": {
        "hybrid": {
            "tiny": (0.963, 0.25, 0.5),
            "small": (0.958, 0.33, 0.5),
            "medium": (0.955, 0.30, 0.5),
        },
        "gpt": {
            "tiny": (0.967, 3.5, 0.65),
            "small": (0.941, 4.2, 0.65),
            "medium": (0.936, 2.6, 0.65),
        },
    },
    "stream": {
        "hybrid": {
            "tiny": (0.955, 0.28, 0.5),
            "small": (0.935, 0.55, 0.5),
            "medium": (0.92, 0.7, 0.5),
            "large": (0.90, 0.9, 0.5),
            "huge": (0.88, 1.2, 0.5),
        },
        "gpt": {
            "tiny": (1.067, 18.6, 0.80),
            "small": (1.010, 22.1, 0.80),
            "medium": (0.978, 18.2, 0.80),
            "large": (0.938, 19.8, 0.80),
            "huge": (0.907, 18.2, 0.80),
        },
    },
}


def expected_ratio(kind: str, model: Trained, size: str, steps: float) -> float:
    """The loss after so many steps by that of counts. kind: of the text."""
    a, b, c = LAWS[kind][model][size]
    ratio = a + b * float(max(steps, 1.0) ** -c)
    return min(1.0, ratio) if model == "hybrid" else ratio  # a hybrid begins as the counts

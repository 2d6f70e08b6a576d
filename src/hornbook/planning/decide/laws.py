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
LEAST_AHEAD = 0.01  # of its network a hybrid after as many steps; 0.02 and more in budget.jsonl

LAWS: dict[str, dict[Trained, dict[str, tuple[float, float, float]]]] = {  # kind -> model -> size
    "documents": {
        "hybrid": {
            "tiny": (0.9537, 0.5208, 0.60),
            "small": (0.9518, 0.5208, 0.60),
            "medium": (0.9490, 0.4084, 0.60),
        },
        "gpt": {
            "tiny": (0.9716, 3.4453, 0.65),
            "small": (0.9462, 4.0761, 0.65),
            "medium": (0.9415, 2.4699, 0.65),
        },
    },
    "stream": {
        "hybrid": {
            "tiny": (0.9393, 0.7245, 0.60),
            "small": (0.9359, 0.7245, 0.60),
            "medium": (0.9344, 0.5680, 0.60),
            "large": (0.9311, 0.5680, 0.60),
            "huge": (0.9282, 0.4780, 0.60),
        },
        "gpt": {
            "tiny": (1.0678, 18.5659, 0.80),
            "small": (1.0101, 22.1184, 0.80),
            "medium": (0.9780, 18.2220, 0.80),
            "large": (0.9376, 19.7598, 0.80),
            "huge": (0.9070, 18.2238, 0.80),
        },
    },
}


def expected_ratio(kind: str, model: Trained, size: str, steps: float) -> float:
    """The loss after so many steps by that of counts. kind: of the text.

    A hybrid begins as the counts, and is ahead of its network after as many steps.
    """
    a, b, c = LAWS[kind][model][size]
    ratio = a + b * float(max(steps, 1.0) ** -c)
    if model == "gpt":
        return ratio
    return min(1.0, ratio, expected_ratio(kind, "gpt", size, steps) - LEAST_AHEAD)

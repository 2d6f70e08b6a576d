"""Why attention divides its scores by the square root of the head size.

    python examples/attention_scaling.py [picture.png]

Queries and keys of unit variance have products of variance D (a sum of D products of variance 1). A
softmax of scores that wide is nearly one-hot: it copies one place instead of mixing, and next to no
gradient flows back through it. Divided by sqrt(D) the scores have variance 1 at any head size.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

print("loading PyTorch ...", file=sys.stderr, flush=True)  # takes seconds

import torch

from hornbook.figures import style

PLACES = 64  # each place chooses among so many
QUERIES = 500
SIZES = (4, 16, 64, 256)


def measure(head_size: int, scaled: bool) -> tuple[float, float, float, float]:
    """Of the scores the variance; over the queries the median of their largest weight, the entropy
    of their weights in nats, and the norm of the gradient that reaches their scores."""
    generator = torch.Generator().manual_seed(1337)
    q = torch.randn(QUERIES, head_size, generator=generator)
    k = torch.randn(PLACES, head_size, generator=generator)
    v = torch.randn(PLACES, generator=generator)
    scores = (q @ k.T) / (math.sqrt(head_size) if scaled else 1.0)
    scores.requires_grad_()
    weights = scores.softmax(-1)  # (queries, places)
    (weights @ v).sum().backward()
    entropy = -(weights * weights.clamp(min=1e-30).log()).sum(-1)
    gradient = scores.grad.norm(dim=-1)
    return (
        scores.var().item(),
        weights.max(-1).values.median().item(),
        entropy.median().item(),
        gradient.median().item(),
    )


@style.styled
def draw() -> style.Figure:
    """The largest weight and its gradient against the head size, unscaled and scaled."""
    figure, axes = style.panels([2.4, 2.4], sharex=True)
    for scaled, color in ((False, style.VERMILION), (True, style.BLUE)):
        rows = [measure(size, scaled) for size in SIZES]
        label = "scores / sqrt(head size)" if scaled else "scores as they are"
        axes[0].plot(SIZES, [row[1] for row in rows], "o-", color=color, label=label)
        axes[1].plot(SIZES, [row[3] for row in rows], "o-", color=color, label=label)
    axes[0].axhline(1 / PLACES, color=style.GRAY, ls=":", label=f"an even choice of {PLACES}")
    axes[0].set(ylim=(0, 1.05), ylabel="largest weight (median)", title="Why attention is scaled")
    axes[1].set(xscale="log", ylim=(0, None), xlabel="head size (channels, log)")
    axes[1].set_ylabel("gradient at the scores\n(norm, median)")
    axes[1].set_xticks(SIZES, [str(size) for size in SIZES])
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main(picture: Path) -> None:
    """Prints the table, unscaled beside scaled, and draws it."""
    print(f"{PLACES} places to choose among; an even choice has {math.log(PLACES):.2f} nats")
    print("head size  scaled   variance  largest weight  entropy  gradient")
    for head_size in SIZES:
        for scaled in (False, True):
            variance, largest, entropy, gradient = measure(head_size, scaled)
            word = "yes" if scaled else "no"
            print(
                f"{head_size:9d}  {word:6}  {variance:9.2f}  {largest:14.2f}  {entropy:7.2f}"
                f"  {gradient:8.3f}"
            )
    sys.stdout.flush()  # the picture takes a few seconds
    picture.write_bytes(draw().png())
    print(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "attention_scaling.png"))

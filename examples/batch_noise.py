"""Batch size and step noise: how far a batch's gradient lies from that of all examples.

    python examples/batch_noise.py [picture.png]

The deviation of a mean of n examples falls as 1 / sqrt(n): a batch four times as large halves the
noise. The MLP of the notes on names, measured at its beginning and after some steps, when the
gradient itself has become small and the same batch is noisier against it.
"""

from __future__ import annotations

import sys
from pathlib import Path

print("loading PyTorch ...", file=sys.stderr, flush=True)  # takes seconds

import torch
from torch import Tensor
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.batches import Draw, WindowBatches
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part
from hornbook.data.split import split_corpus
from hornbook.figures import style
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import build_tokenizer

SIZES = (4, 16, 64, 256, 1024)
EXAMPLES = 65_536  # that stand for all of them


def gradient(model: LanguageModel, ids: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the loss of some examples, as one vector."""
    model.zero_grad()
    F.cross_entropy(model.next_logits(ids), targets).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def noise(model: LanguageModel, part: Part, batches: int) -> list[float]:
    """For each batch size |g_batch - g| / |g|, root mean square over some batches."""
    whole = gradient(model, *WindowBatches(part, 3, Draw(batch_size=EXAMPLES, seed=1)).batch(0))
    found = []
    for size in SIZES:
        source = WindowBatches(part, 3, Draw(batch_size=size, seed=2))
        far = [(gradient(model, *source.batch(i)) - whole).norm() ** 2 for i in range(batches)]
        found.append((torch.stack(far).mean().sqrt() / whole.norm()).item())
    return found


@style.styled
def draw(lines: dict[str, list[float]]) -> style.Figure:
    """Noise against batch size, beside 1 / sqrt(n)."""
    figure, (axes,) = style.panels([3.4])
    colors = (style.BLUE, style.VERMILION)
    for (name, values), color in zip(lines.items(), colors, strict=True):
        axes.plot(SIZES, values, "o-", color=color, label=name)
        ideal = [values[0] * (SIZES[0] / size) ** 0.5 for size in SIZES]
        axes.plot(SIZES, ideal, ls=":", color=color, lw=1.2)
    axes.plot([], [], ls=":", color=style.GRAY, label="1 / sqrt(batch size)")
    axes.axhline(1, color=style.GRAY, lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel="batch size (examples, log)",
             ylabel="noise : gradient (log)", title="Step noise by batch size")  # fmt: skip
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.legend()
    return figure


def say(what: str) -> None:
    """What is being computed, on stderr: it takes a few seconds."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def main(picture: Path, steps: int = 500, batches: int = 40) -> dict[str, list[float]]:
    config = DataConfig(corpus="names")
    corpus = load_corpus(config)
    tokenizer = build_tokenizer("char", corpus.text, documents=True)
    part = split_corpus(corpus, config, tokenizer).part("train", tokenizer)
    say(f"gradients of {batches} batches of each size")
    torch.manual_seed(1337)
    model = build_model(model_config({"name": "mlp"}), tokenizer.vocab_size, tokenizer.end_id)
    lines = {"at the first step": noise(model, part, batches)}
    training = WindowBatches(part, 3, Draw(batch_size=32, seed=0))
    say(f"{steps} steps, then the same again")
    for step in range(steps):
        gradient(model, *training.batch(step))
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
    lines[f"after {steps} steps"] = noise(model, part, batches)
    for name, values in lines.items():
        print(f"{name}: " + ", ".join(f"{n}: {v:.2f}" for n, v in zip(SIZES, values, strict=True)))
    picture.write_bytes(draw(lines).png())
    print(picture)
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "batch_noise.png"))

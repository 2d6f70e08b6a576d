"""Initialization through depth: gradients that grow, that vanish, and that keep their size.

    python examples/initialization.py [picture.png]

The notes' deep network of five tanh layers at its first step, with weights of four sizes:

- naive, N(0, 1): outputs saturate in every layer, and gradients grow on the way back;
- too small, a gain of 0.5: outputs shrink from layer to layer, and gradients vanish on the way back;
- gain 5/3, divided by sqrt(fan_in): both keep their size;
- BatchNorm: both keep their size whatever the weights are.
"""

from __future__ import annotations

import sys
from pathlib import Path

print("loading PyTorch ...", file=sys.stderr, flush=True)  # takes seconds

import torch
from torch.nn import functional as F

from hornbook.config import DataConfig
from hornbook.data.batches import Draw, WindowBatches
from hornbook.data.corpora import load_corpus
from hornbook.data.split import split_corpus
from hornbook.figures import style
from hornbook.figures.activations import histogram
from hornbook.metrics.activations import judge_activations
from hornbook.metrics.probes import Probe
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import build_tokenizer

DEEP = {"name": "mlp", "n_layer": 5, "n_hidden": 100}
KINDS = {
    "naive: N(0, 1)": {"init": "naive", "norm": "none"},
    "too small: gain 0.5": {"init": "scaled", "norm": "none", "gain": 0.5},
    "gain 5/3": {"init": "scaled", "norm": "none"},
    "BatchNorm": {"init": "scaled", "norm": "batchnorm", "norm_logits": True},
}


def first_step(settings: dict[str, object]) -> tuple[float, Probe]:
    """The loss of one batch of names before any step, and what a probe saw."""
    config = DataConfig(corpus="names")
    corpus = load_corpus(config)
    tokenizer = build_tokenizer("char", corpus.text, documents=True)
    part = split_corpus(corpus, config, tokenizer).part("train", tokenizer)
    ids, targets = WindowBatches(part, 3, Draw(batch_size=512, seed=0)).batch(0)
    torch.manual_seed(1337)
    model = build_model(model_config({**DEEP, **settings}), tokenizer.vocab_size, tokenizer.end_id)
    with Probe(model.train()) as probe:
        loss = F.cross_entropy(model.next_logits(ids), targets)
        loss.backward()
    return loss.item(), probe


def backward_growth(probe: Probe) -> list[float]:
    """The standard deviation of the gradient at each layer, over that at the last one."""
    spread = [probe.gradients[key].std for key in probe.activations]
    return [std / spread[-1] for std in spread]


@style.styled
def draw(probes: dict[str, Probe]) -> style.Figure:
    """The activations of each kind, and below how their gradients change from layer to layer."""
    figure = style.Figure(figsize=(style.WIDTH, 8.2), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=[1, 1, 1.1])
    for i, (name, probe) in enumerate(probes.items()):
        panel = figure.add_subplot(grid[i // 2, i % 2])
        panel.set_yscale("log")
        colors = style.depth_colors(len(probe.activations))
        for number, units in enumerate(probe.activations.values(), 1):
            label = f"{number}: {units.outputs.std:.2f}, {units.saturated:.0%}"
            histogram(panel, units.outputs, colors[number - 1], label)
        panel.set(title=name, xlabel="output of the layer", xlim=(-1.05, 1.05), ylim=(0.02, 30))
        panel.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=2, fontsize=7.5,
            title="layer: standard deviation, saturated", title_fontsize=7.5,
        )  # fmt: skip
    for row in (0, 2):
        figure.axes[row].set_ylabel("density (log)")
    growth = figure.add_subplot(grid[2, :])
    colors = (style.VERMILION, style.PURPLE, style.BLUE, style.GREEN)
    for (name, probe), color in zip(probes.items(), colors, strict=True):
        values = backward_growth(probe)
        growth.plot(range(1, len(values) + 1), values, "o-", ms=4, color=color, label=name)
    growth.axhline(1.0, color=style.GRAY, lw=0.8, ls=":")
    growth.set(
        yscale="log", xticks=range(1, len(values) + 1), title="Gradients on their way back",
        xlabel="layer (gradients come from the right)",
        ylabel="standard deviation of the\ngradient / at the last layer",
    )  # fmt: skip
    style.plain_digits(growth.yaxis)
    growth.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=len(probes))
    return figure


def main(picture: Path) -> None:
    probes = {}
    for name, settings in KINDS.items():
        loss, probes[name] = first_step(settings)
        print(f"\n{name}: loss {loss:.2f}")
        for number, (key, units) in enumerate(probes[name].activations.items(), 1):
            print(
                f"  layer {number}: mean {units.outputs.mean:+.2f}, deviation {units.outputs.std:.2f},"
                f" saturated {units.saturated:5.1%}, gradient's deviation "
                f"{probes[name].gradients[key].std:.1e}"
            )
        print(f"  {judge_activations(probes[name].activations, first=True).text}")
        growth = backward_growth(probes[name])[0]
        print(f"  gradients at layer 1 are {growth:.2g} times those at layer 5")
    sys.stdout.flush()  # the picture takes a few seconds
    picture.write_bytes(draw(probes).png())
    print(f"\n{picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "initialization.png"))

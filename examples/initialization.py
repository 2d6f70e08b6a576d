"""Initialisation through depth: naive, gained, and BatchNorm, side by side.

    python examples/initialization.py [picture.png]

The notes' deep network of five tanh layers at its first update. Naive weights, N(0, 1), saturate
every layer, and gradients grow on the way back. Weights scaled by 5/3 / sqrt(fan_in) keep the spread;
BatchNorm makes it for any scale.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
    "gained: 5/3 / sqrt(fan_in)": {"init": "scaled", "norm": "none"},
    "BatchNorm": {"init": "scaled", "norm": "batchnorm", "norm_logits": True},
}


def first_update(settings: dict[str, object]) -> tuple[float, Probe]:
    """The loss of one batch of names before any update, and what a probe saw."""
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


@style.styled
def draw(probes: dict[str, Probe]) -> style.Figure:
    """Activations above, gradients below, one column a kind."""
    figure, axes = style.panels([2.3, 2.3], columns=len(probes), width=10.0)
    for column, (name, probe) in enumerate(probes.items()):
        top, bottom = axes[column], axes[column + len(probes)]
        top.set_yscale("log")
        bottom.set_yscale("log")
        colors = style.depth_colors(len(probe.activations))
        for number, (key, units) in enumerate(probe.activations.items(), 1):
            label = f"{number}: {units.saturated:.0%} saturated"
            histogram(top, units.outputs, colors[number - 1], label)
            gradient = probe.gradients[key]
            histogram(bottom, gradient, colors[number - 1], f"{number}: ± {gradient.std:.0e}")
        top.set(title=name, xlabel="output of the layer", ylim=(0.02, 15))
        bottom.set(xlabel="gradient (nats per unit)")
        bottom.locator_params(axis="x", nbins=3)
        bottom.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        for panel in (top, bottom):
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, fontsize=7.5)
    axes[0].set_ylabel("density (log)")
    axes[len(probes)].set_ylabel("density (log)")
    return figure


def main(picture: Path) -> None:
    probes = {}
    for name, settings in KINDS.items():
        loss, probes[name] = first_update(settings)
        print(f"\n{name}: loss {loss:.2f}")
        for number, (key, units) in enumerate(probes[name].activations.items(), 1):
            print(
                f"  layer {number}: mean {units.outputs.mean:+.2f}, deviation {units.outputs.std:.2f},"
                f" saturated {units.saturated:5.1%}, gradient's deviation "
                f"{probes[name].gradients[key].std:.1e}"
            )
        print(f"  {judge_activations(probes[name].activations, first=True).text}")
    sys.stdout.flush()  # the picture takes a few seconds
    picture.write_bytes(draw(probes).png())
    print(f"\n{picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "initialization.png"))

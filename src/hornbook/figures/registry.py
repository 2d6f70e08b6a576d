"""Every figure by name: what it is called, what draws it, and how to read it.

Each is a function of a run, some also of a text, that returns a matplotlib figure, or raises
DoesNotApplyError where it cannot be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hornbook.figures.activations import activations, first_activations, idle_units
from hornbook.figures.attention import attention
from hornbook.figures.bigrams import bigrams
from hornbook.figures.continuations import continuations
from hornbook.figures.copies import copies
from hornbook.figures.embeddings import embeddings
from hornbook.figures.losses import losses
from hornbook.figures.ratios import ratios
from hornbook.figures.receptive_field import receptive_field
from hornbook.figures.style import Figure
from hornbook.figures.surprisal import surprise
from hornbook.figures.units import hidden_states, neurons
from hornbook.runs.directory import StoredRun


@dataclass(frozen=True)
class Entry:
    """A figure of the page. reading: how to read it. reads_text: it is drawn for a given text."""

    title: str
    make: Callable[..., Figure]
    reading: str
    reads_text: bool = False

    def draw(self, run: StoredRun, text: str | None) -> Figure:
        """The figure of a run. Raises DoesNotApplyError."""
        return self.make(run, text) if self.reads_text else self.make(run)


FIGURES: dict[str, Entry] = {
    "losses": Entry(
        "Loss",
        losses,
        "Both curves should fall together. Where the validation loss rises while the training loss "
        "keeps falling, the model memorizes its text: use more text, a smaller model, dropout, or "
        "fewer steps. Where both are still falling at the end, train longer. A curve that jumps "
        "asks for a lower learning rate.",
    ),
    "copies": Entry(
        "Learned or memorized",
        copies,
        "Samples of a model that has learned are like held-out text: they copy spans of about the "
        "same length. Samples far to the right in spans are copies: use the weights of an earlier "
        "step, more text, or a smaller model.",
    ),
    "surprise": Entry(
        "Surprisal along a text",
        surprise,
        "Dark tokens surprised the model. Surprisal at the first tokens of a word is natural; "
        "surprisal where a reader has none shows what has not been learned.",
        True,
    ),
    "continuations": Entry(
        "What comes next",
        continuations,
        "Thick lines are probable. One thick line from end to end means that the model is certain, "
        "perhaps because it memorized the text; many thin lines mean that it has learned what is "
        "possible here. A lower temperature keeps samples to the thick lines.",
        True,
    ),
    "bigrams": Entry(
        "What follows what",
        bigrams,
        "Rows are tokens, columns the tokens that follow. Dark cells are frequent pairs (shades by "
        "square root). The last matrix should be almost white: orange pairs are expected too often, "
        "blue ones too rarely. Large errors there mean that the model has not even learned the "
        "bigram counts.",
    ),
    "embeddings": Entry(
        "Embeddings",
        embeddings,
        "Tokens that are used alike move together, vowels apart from consonants for instance. A "
        "cloud without order means too little training, or that the order is in other directions.",
    ),
    "first_activations": Entry(
        "Activations at the first step",
        first_activations,
        "Every layer should have the same width. Narrower from layer to layer: the initialization is "
        "too small; piled up at both ends of a tanh: it is too large. Scale weights by gain / "
        "sqrt(fan_in), 5/3 for tanh, or put BatchNorm before each.",
    ),
    "activations": Entry(
        "Activations and gradients",
        activations,
        "The outputs of the trained layers, and the gradients with respect to them. Gradients should "
        "have about the same width in all layers; where they shrink or grow towards the first layer, "
        "they vanish or explode: change the initialization, or use a norm or residual branches.",
    ),
    "idle_units": Entry(
        "Saturated and dead units",
        idle_units,
        "A saturated tanh passes on almost no gradient, a ReLU below 0 none. About half below 0 is "
        "normal for ReLU, GELU and SiLU, and a few per cent saturated for tanh. Units that are so "
        "on every example no longer learn: lower the learning rate or the first weights.",
    ),
    "ratios": Entry(
        "Updates against weights",
        ratios,
        "The upper lines should be near 1e-3. Much higher: lower the learning rate; much lower: raise "
        "it. A matrix far from the others has an initialization or a position in the network that "
        "does not fit it. The lines fall at the end with the learning rate.",
    ),
    "receptive_field": Entry(
        "Receptive field",
        receptive_field,
        "Each token of a text is changed in turn and the change of the prediction measured. Blank "
        "distances have no influence. Bars that fall off before the context ends: a shorter context "
        "would do. Bars that are still high at the end: a longer one may help.",
    ),
    "attention": Entry(
        "Attention",
        attention,
        "Row by row, what a token attends to: dark is much. Diagonals attend a fixed number of tokens "
        "back, columns to one important token, often the first where nothing else matters. Heads "
        "that are all alike are too many.",
        True,
    ),
    "hidden_states": Entry(
        "Hidden state along a text",
        hidden_states,
        "One line a unit. Long stripes remember something; checkerboards react to the last token "
        "only. If all units do that, the memory is short: try more units.",
        True,
    ),
    "neurons": Entry(
        "Units and what activates them",
        neurons,
        "The spans of text with the strongest outputs of the most selective units; the last token, in "
        "color, was just read. A unit whose spans have something in common has found a feature; one "
        "without a pattern shares its features with other units.",
    ),
}

"""Every figure by name: what it is called, what draws it, and how to read it.

Each is a function of a run, some of a text too, that returns a matplotlib figure; it raises
DoesNotApplyError where a run has nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hornbook.figures.copying import copies
from hornbook.figures.learning import (
    activations,
    first_activations,
    flow,
    idle_units,
    losses,
    lr_sweep,
    ratios,
)
from hornbook.figures.looking import attention, hidden_states, neurons, receptive_field
from hornbook.figures.reading import continuations, surprise
from hornbook.figures.source import DoesNotApplyError
from hornbook.figures.style import Figure, panels, styled
from hornbook.figures.symbols import bigrams, embeddings
from hornbook.runs.directory import StoredRun

__all__ = [
    "FIGURES",
    "DoesNotApplyError",
    "Entry",
    "Figure",
    "activations",
    "attention",
    "bigrams",
    "continuations",
    "copies",
    "embeddings",
    "first_activations",
    "flow",
    "hidden_states",
    "idle_units",
    "losses",
    "lr_sweep",
    "neurons",
    "panels",
    "ratios",
    "receptive_field",
    "styled",
    "surprise",
]


@dataclass(frozen=True)
class Entry:
    """A figure of the report. reads_text: it is drawn for a given text."""

    title: str
    make: Callable[..., Figure]
    reading: str
    reads_text: bool = False

    def draw(self, run: StoredRun, text: str | None) -> Figure:
        """The figure of a run. Raises DoesNotApplyError."""
        options: dict[str, Any] = {"text": text} if self.reads_text else {}
        return self.make(run, **options)


FIGURES: dict[str, Entry] = {
    "losses": Entry(
        "Loss",
        losses,
        "Both curves should fall together. Where the validation loss turns upwards while the "
        "training loss goes on falling, the model learns its text by heart: use more text, a "
        "smaller model, dropout, or fewer updates. Where both are still falling at the end, train "
        "longer. A curve that jumps asks for a lower learning rate.",
    ),
    "copies": Entry(
        "Learned or memorised",
        copies,
        "Samples of a model that has learned look like held-out text: about as long spans are "
        "copied, about as far from the nearest training document, and no more stand verbatim in the "
        "training part than chance explains. Samples far to the right in spans, or at distance 0, "
        "are copies: take the weights of an earlier update, more text, or a smaller model.",
    ),
    "surprise": Entry(
        "Surprise along a text",
        surprise,
        "Dark symbols surprised the model; below each stand the five it held likeliest, in colour "
        "where the symbol itself is among them. Surprise at the first symbols of a word is natural; "
        "surprise where people have none shows what has not been learned.",
        True,
    ),
    "continuations": Entry(
        "What comes next",
        continuations,
        "Thick lines are probable. One thick line from end to end means that the model is certain, "
        "maybe by heart; many thin ones mean that it has learned what is possible here. Sample with "
        "a lower temperature to keep to the thick lines.",
        True,
    ),
    "bigrams": Entry(
        "What follows what",
        bigrams,
        "Rows are symbols, columns what follows. Dark cells are frequent pairs (shades by square "
        "root). The last picture should be almost white: orange pairs are expected too often, blue "
        "ones too rarely. Large errors there mean that training has not even reached the counts.",
    ),
    "embeddings": Entry(
        "Where symbols lie",
        embeddings,
        "Symbols that behave alike come to lie together, vowels apart from consonants for instance. "
        "A cloud without order means too little training, or that the order is in other directions. "
        "Neighbouring positions should be neighbours here as well; scattered ones were hardly seen.",
    ),
    "first_activations": Entry(
        "Activations at the start",
        first_activations,
        "Every layer should spread alike. Narrower from layer to layer: the initialisation is too "
        "small; piled up at both ends of a tanh: it is too large. Scale weights by gain / "
        "sqrt(fan_in), 5/3 for tanh, or put BatchNorm before each.",
    ),
    "activations": Entry(
        "Activations and gradients",
        activations,
        "What the trained layers give, and what comes back. Gradients should have about the same "
        "width in all layers; shrinking or growing towards the first they vanish or explode: mend "
        "the initialisation, or use a norm or residual branches.",
    ),
    "idle_units": Entry(
        "Idle units",
        idle_units,
        "A saturated tanh passes on next to no gradient; below 0 a ReLU none. About half switched "
        "off is normal for ReLU, GELU and SiLU, and a few per cent saturated for tanh. Units that "
        "are so on every example learn nothing any more: lower the learning rate or the first "
        "weights.",
    ),
    "ratios": Entry(
        "Updates against weights",
        ratios,
        "The upper lines should lie about 1e-3. Much higher: lower the learning rate; much lower: "
        "raise it. A matrix far apart from the others has an initialisation or a place in the "
        "network that does not fit them. They fall at the end with the learning rate.",
    ),
    "receptive_field": Entry(
        "Reach",
        receptive_field,
        "Each symbol of a text is changed and the prediction watched, so what is blank cannot reach "
        "it. Bars that fall off before the context ends: a shorter context would do. Bars that are "
        "still high at the end: a longer one may help.",
    ),
    "attention": Entry(
        "Attention",
        attention,
        "Row by row, where a symbol looks: dark is much. Diagonals look a fixed number of symbols "
        "back, columns at one important symbol, often the first when there is nothing to look for. "
        "Heads that all look alike are too many.",
        True,
    ),
    "hidden_states": Entry(
        "Hidden state along a text",
        hidden_states,
        "One line a unit. Long stripes remember something; checkerboards react to the last symbol "
        "only. If all units do that, the memory is short: try an LSTM or GRU, or more units.",
        True,
    ),
    "neurons": Entry(
        "Units and what excites them",
        neurons,
        "For the most selective units the spans of text with the strongest outputs; the "
        "last symbol, in colour, is the one that was just read. A unit whose spans have something in "
        "common has found a feature; one without a pattern is shared by several.",
    ),
}

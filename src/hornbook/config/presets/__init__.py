"""Presets: functions that return a whole configuration as sections of fields.

`default` is what `hornbook train` uses for a model and a kind of text; `named` returns those that
`--preset` names. Fields that a preset does not name keep the default of their class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hornbook.config.presets.gpt import (
    gpt2_documents,
    gpt2_stream,
    gpt_documents,
    gpt_names,
    gpt_pairs,
    gpt_shakespeare,
    gpt_stream,
)
from hornbook.config.presets.notes import (
    notes_bigram,
    notes_gpt,
    notes_mlp,
    notes_mlp_bn,
    notes_mlp_deep,
    notes_wavenet,
)
from hornbook.config.presets.small import (
    bigram,
    bow,
    mlp_documents,
    mlp_stream,
    recurrent,
    wavenet_documents,
    wavenet_stream,
)
from hornbook.config.sections import Nested
from hornbook.errors import ConfigError, did_you_mean

DEFAULT_MODEL = "gpt"


def default(model: str, *, documents: bool) -> Nested:
    """The default settings of a model for documents or for a stream."""
    choices = _DOCUMENTS if documents else _STREAM
    preset = choices.get(model)
    return preset() if preset is not None else {"model": {"name": model}}


def named(name: str) -> Nested:
    """A preset by name. Raises ConfigError for an unknown one."""
    if name not in PRESETS:
        raise ConfigError(f"preset: found {name!r}, no such preset{did_you_mean(name, PRESETS)}")
    return PRESETS[name]()


def ladder(*, documents: bool) -> dict[str, Nested]:
    """The rungs of `hornbook ladder` by name, from counts to a GPT."""
    counts: dict[str, Nested] = {
        "counts-2": {"model": {"name": "ngram", "order": 2, "smoothing": "add-k", "k": 1.0}},
        "counts-4": {"model": {"name": "ngram", "order": 4}},
        "counts-6": {"model": {"name": "ngram", "order": 6}},
    }
    trained = {name: preset() for name, preset in (_DOCUMENTS if documents else _STREAM).items()}
    if documents:
        trained["gpt"] = gpt_pairs()
    else:
        trained["gpt2"] = gpt2_stream()  # the notes' own takes hours without a GPU
    return counts | trained


_DOCUMENTS: dict[str, Callable[[], Nested]] = {
    "bigram": bigram,
    "bow": partial(bow, documents=True),
    "mlp": mlp_documents,
    "wavenet": wavenet_documents,
    "rnn": partial(recurrent, "rnn", documents=True),
    "lstm": partial(recurrent, "lstm", documents=True),
    "gru": partial(recurrent, "gru", documents=True),
    "gpt2": gpt2_documents,
    "gpt": gpt_documents,
}
_STREAM: dict[str, Callable[[], Nested]] = {
    "bigram": bigram,
    "bow": partial(bow, documents=False),
    "mlp": mlp_stream,
    "wavenet": wavenet_stream,
    "rnn": partial(recurrent, "rnn", documents=False),
    "lstm": partial(recurrent, "lstm", documents=False),
    "gru": partial(recurrent, "gru", documents=False),
    "gpt2": notes_gpt,
    "gpt": gpt_stream,
}
PRESETS: dict[str, Callable[[], Nested]] = {
    "gpt-documents": gpt_documents,
    "gpt-names": gpt_names,
    "gpt-pairs": gpt_pairs,
    "gpt-shakespeare": gpt_shakespeare,
    "gpt-stream": gpt_stream,
    "gpt2-stream": gpt2_stream,
    "notes-bigram": notes_bigram,
    "notes-gpt": notes_gpt,
    "notes-mlp": notes_mlp,
    "notes-mlp-bn": notes_mlp_bn,
    "notes-mlp-deep": notes_mlp_deep,
    "notes-wavenet": notes_wavenet,
    "mlp-documents": mlp_documents,
    "mlp-stream": mlp_stream,
    "wavenet-documents": wavenet_documents,
    "wavenet-stream": wavenet_stream,
}

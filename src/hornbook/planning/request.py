"""What is requested: from flags, TOML or Python arguments, already in one form."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hornbook.arguments import mapping, path, plain, text
from hornbook.config import Nested, presets, read_settings
from hornbook.config.names import SHORT_NAMES, setting_called
from hornbook.config.sections import all_fields
from hornbook.errors import ConfigError, counted
from hornbook.optim.schedules import Segment, read_segments
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.planning.decision import Decision


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user requests of a run. Nothing in it is chosen by hornbook.

    preset: a name, or a whole configuration in place of one (a rung of the ladder).
    settings: sections with only the fields that are requested.
    began: time.monotonic() at which a time budget begins; None: now.
    reserve: how many times the seconds of the report a time budget leaves at its end.
    segments: the schedule of a timed run, to repeat it.
    precision: of the runs that this one is to be compared with, taken instead of a measurement.
    decided: what was decided before the text was turned into tokens.
    ranks: the processes that are going to train it.
    """

    preset: str | Nested | None = None
    settings: Nested = field(default_factory=dict)
    began: float | None = None
    reserve: float = 1.0
    segments: tuple[Segment, ...] = ()
    messages: tuple[str, ...] = ()
    precision: str | None = None
    decided: Mapping[str, Decision[Any]] = field(default_factory=dict)
    ranks: Ranks = SINGLE

    @property
    def base(self) -> Nested:
        """The sections of the preset; none where none is requested. Raises ConfigError."""
        return presets.named(self.preset) if isinstance(self.preset, str) else self.preset or {}

    @property
    def model(self) -> str:
        """The model: the requested one, else the preset's, else the default."""
        name = self.requested("model", "name") or self.base.get("model", {}).get("name")
        return str(name or presets.DEFAULT_MODEL)

    def defaults(self, *, documents: bool) -> Nested:
        """The preset, else what the model has by default for documents, or for a stream."""
        return self.base or presets.default(self.model, documents=documents)

    def requested(self, section: str, name: str) -> Any:
        """The requested value of a setting; None where it is not requested."""
        return self.settings.get(section, {}).get(name)


def read_request(
    corpus: str | Path | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    settings: Mapping[str, Any] | None = None,
    began: float | None = None,
    exportable: bool = False,
    base: str | Path | None = None,
    unknown: str | None = None,
    **others: Any,
) -> Request:
    """A request from arguments.

    settings: dotted fields, sections of fields, or both. Names of earlier versions are accepted, with
    a message. exportable: the model is the gpt, which other software reads. base: what training begins
    from. unknown: "skip" leaves out what its tokenizer does not know. others: settings by their short
    names, or fields of `training`; None where not requested. Raises ConfigError where one value is
    given twice.
    """
    sections, messages = read_settings(mapping(settings, "settings"))
    if exportable:
        if preset is not None:
            raise ConfigError("exportable: found it beside a preset; leave one of them out")
        other = model or sections.get("model", {}).get("name", presets.EXPORTABLE)
        if other != presets.EXPORTABLE:
            raise ConfigError(
                f"exportable: found it beside the model {other!r}, expected {presets.EXPORTABLE!r} or "
                "none"
            )
        model = presets.EXPORTABLE
    arguments: list[tuple[str, str, Any]] = [
        ("model", "model.name", None if model is None else text(model, "model")),
        ("corpus", "data.corpus", None if corpus is None else path(corpus, "corpus")),
        ("unknown", "finetuning.unknown", None if unknown is None else text(unknown, "unknown")),
        ("base", "finetuning.base", None if base is None else path(base, "base")),
    ]
    arguments += [(name, setting_of(name), value) for name, value in others.items()]
    for argument, setting, value in arguments:
        if (value := plain(value)) is not None:
            section, name = setting.split(".")
            given = sections.setdefault(section, {}).setdefault(name, value)
            if str(given) != str(value):
                raise ConfigError(
                    f"{argument}: found {value!r}, but {setting} is {given!r}; give one of them"
                )
    segments: tuple[Segment, ...] = ()
    if paces := sections.get("optim", {}).pop("paces", None):
        try:
            segments = read_segments(paces)
        except ValueError as error:
            raise ConfigError(f"optim.paces: {error}") from None
        steps = segments[-1].total_steps
        sections.setdefault("training", {})["steps"] = steps
        messages.append(f"repeats the schedule of a timed run, {counted(steps, 'step')}")
    if preset is not None and not isinstance(preset, str):
        preset = dict(mapping(preset, "preset"))
    return Request(
        preset=preset, settings=sections, began=began, segments=segments, messages=tuple(messages)
    )  # fmt: skip


def setting_of(argument: str) -> str:
    """The setting that an argument of Python stands for: one with a short name, or of `training`.

    >>> setting_of("lr"), setting_of("batch_size"), setting_of("compile")
    ('optim.learning_rate', 'training.batch_size', 'training.compile')

    Raises ConfigError for any other argument.
    """
    short = {name.replace("-", "_"): setting for name, setting in SHORT_NAMES.items()}
    fields = {name: f"{section}.{name}" for section, name, _ in all_fields()}
    if found := short.get(argument):
        return found
    found = fields.get(argument, "")
    if found.startswith("training."):
        return found
    meant = setting_called(argument) or found
    if not meant and (near := difflib.get_close_matches(argument, short, n=1, cutoff=0.7)):
        raise ConfigError(f"{argument}: no such argument; did you mean {near[0]!r}?")
    example = f"{{{meant!r}: ...}}" if meant else "{'model.n_layer': 4}"
    raise ConfigError(f"{argument}: no such argument; settings={example} takes any setting")

"""Flags made from the settings: each field of each section is a flag, some also have a short name.

`--optim.learning-rate 0.01`, `[optim] learning_rate = 0.01` in TOML and
`settings={"optim.learning_rate": 0.01}` in Python become the same sections of fields
(`config.layering`) and are checked by the same classes, so that names, bounds and messages agree.
Parsing costs no torch, unless a flag of the model needs its class.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from hornbook.cli.common import Parser, suggest
from hornbook.config import SECTIONS, Nested, presets
from hornbook.config.layering import split_name
from hornbook.config.renames import RENAMED, rename_settings
from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS, config_class

ALIASES = {  # short name of a flag -> the setting it stands for
    "model": "model.name",
    "steps": "training.steps",
    "minutes": "training.minutes",
    "lr": "optim.learning_rate",
    "learning-rate": "optim.learning_rate",
    "batch-size": "training.batch_size",
    "context-length": "model.context_length",
    "block-size": "model.context_length",
    "layers": "model.n_layer",
    "device": "training.device",
    "seed": "training.seed",
    "precision": "training.precision",
    "threads": "training.threads",
    "reference": "training.reference",
    "deterministic": "training.deterministic",
    "patience": "training.patience",
    "probe-every": "training.probe_every",
    "kind": "data.kind",
    "encoding": "data.encoding",
}
COMMON = (  # the settings that most people need, in the order of the help
    "model.name",
    "training.steps",
    "training.minutes",
    "optim.learning_rate",
    "training.batch_size",
    "model.context_length",
    "model.n_layer",
    "training.device",
    "training.seed",
)
CHOSEN = {  # what the help says of defaults that hornbook chooses
    "data.kind": "chosen from the text",
    "training.compile": "chosen by measurement",
    "training.device": "a GPU if there is one",
    "training.examples": "chosen by the model",
    "training.precision": "chosen by measurement",
    "training.threads": "chosen by measurement",
}
TRUTH = ("true", "false", "yes", "no", "on", "off", "1", "0")
INDENT = 30  # columns of the help before the descriptions


class Given:
    """The settings of a command line, as sections of fields. notes: settings that were renamed."""

    def __init__(self) -> None:
        self.sections: Nested = {}
        self.notes: list[str] = []
        self._flags: dict[str, str] = {}

    def add(self, flag: str, setting: str, value: Any) -> None:
        """Takes a value that `flag` gave. Raises ConfigError where another flag gave another."""
        section, field = split_name(setting)
        renamed, notes = rename_settings({section: {field: value}})
        ((field, value),) = renamed[section].items()
        fields = self.sections.setdefault(section, {})
        if field in fields and fields[field] != value:
            first = self._flags[f"{section}.{field}"]
            raise ConfigError(
                f"{section}.{field}: found {fields[field]!r} ({first}) and {value!r} ({flag}); "
                "give one of them"
            )
        fields[field] = value
        self._flags[f"{section}.{field}"] = flag
        self.notes += notes


class SettingsParser(Parser):
    """The parser of a verb that trains: `[CORPUS]`, its own options, and a flag for each setting.

    listed: whether its help lists the settings, or refers to that of `hornbook train`.
    """

    def __init__(self, verb: str, *, listed: bool = False) -> None:
        super().__init__(
            verb,
            usage=f"hornbook {verb} [CORPUS] [options]",
            epilog="Every setting is a flag here too, such as --lr 0.01 or --model.n-layer 2: "
            "`hornbook train --help` lists them.",
        )
        self.listed = listed
        self.given = Given()
        self.own: list[tuple[str, str]] = []  # flag and help of the options that are not settings
        self.common: list[tuple[str, str]] = []
        self.add_argument(
            "corpus",
            nargs="?",
            metavar="CORPUS",
            help="a name from `hornbook data`, or a text file (default: names)",
        )

    def option(
        self, flag: str, metavar: str, line: str, *, common: bool = False, **kwargs: Any
    ) -> None:
        """An option that is not a setting; `metavar` is empty for one without a value."""
        if metavar:
            kwargs["metavar"] = metavar
        self.add_argument(flag, help=line, **kwargs)
        (self.common if common else self.own).append((f"{flag} {metavar}".strip(), line))

    def read(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, Given]:
        """The verb's own options, and the settings. Raises ConfigError."""
        rest: list[str] = []
        words = list(arguments)
        while words:
            word = words.pop(0)
            flag, equals, value = word.partition("=")
            setting = self._setting(flag)
            if setting is None:
                rest.append(word)
                continue
            if not equals:
                value = self._value(flag, setting, words)
            self.given.add(flag, setting, read_word(value, setting))
        args = self.parse_args(rest)
        if args.corpus is not None:
            self.given.add("CORPUS", "data.corpus", args.corpus)
        return args, self.given

    def _setting(self, flag: str) -> str | None:
        """The setting that a flag stands for; None for the verb's own options and other words."""
        if not flag.startswith("--") or flag in self._option_string_actions:
            return None
        name = flag.removeprefix("--")
        if "." in name:
            return ".".join(split_name(name))
        return ALIASES.get(name)

    def _value(self, flag: str, setting: str, words: list[str]) -> str:
        """Takes the value of a flag from the words after it; a truth value may be left out."""
        following = words[0] if words else "--"
        if following.startswith("--") or (
            following.lower() not in TRUTH and isinstance(read_word(following, setting), str)
        ):
            if is_truth(setting):
                return "true"
            if following.startswith("--"):
                raise ConfigError(f"{flag}: found no value, expected one: {flag} VALUE")
        return words.pop(0)

    @property
    def model(self) -> str:
        """The model whose settings are listed and suggested."""
        return str(self.given.sections.get("model", {}).get("name", presets.DEFAULT_MODEL))

    def suggestion(self, flag: str) -> str:
        """The nearest flag of all settings and options, if one is near."""
        options = [name for name in self._option_string_actions if name.startswith("--")]
        known = {name.removeprefix("--"): name for name in options}
        known |= {name: f"--{name}" for name in ALIASES if name not in known}
        for section, cls in SECTIONS.items():
            known = {
                dashed(name): flag_of(f"{section}.{name}") for name in cls.model_fields
            } | known
        old = {
            dashed(name): flag_of(f"{section}.{new}") for (section, name), new in RENAMED.items()
        }
        if (found := suggest(flag, old | known)) or self.model not in MODELS:
            return found
        fields = config_class(self.model).model_fields  # imports torch: for an error alone
        return suggest(flag, {dashed(name): flag_of(f"model.{name}") for name in fields})

    def format_help(self) -> str:
        """The help: the common options first, then the others, then the settings by section."""
        if not self.listed:
            return super().format_help()
        rows = dict(setting_rows(self.model))
        _, corpus = rows.pop("data.corpus")
        common = [rows.pop(setting) for setting in COMMON if setting in rows]
        common[3:3] = self.common  # after what to train and how long
        blocks = {
            "common options": common,
            "other options": [*self.own, ("-h, --help", "show this help")],
        }
        for setting, row in rows.items():
            section = setting.partition(".")[0]
            title = f"model ({self.model})" if section == "model" else section
            blocks.setdefault(title, []).append(row)
        text = [f"usage: {self.usage}", str(self.description)]
        text += [help_lines([("CORPUS, --data.corpus TEXT", corpus)])]
        text += [f"{title}:\n{help_lines(block)}" for title, block in blocks.items() if block]
        about = (
            "The settings may also come from a file: --config FILE.toml, with [optim] "
            "learning_rate = 0.01 for --optim.learning-rate 0.01. The defaults shown are those of "
            f"the model {self.model}. Presets: {', '.join(presets.PRESETS)}."
        )
        return "\n\n".join([*text, textwrap.fill(about, width(), break_on_hyphens=False)]) + "\n"


def read_word(word: str, setting: str) -> Any:
    """A word of the command line as TOML would have it: a number, a truth value, else text.

    >>> read_word("0.01", "optim.learning_rate"), read_word("2024", "data.corpus")
    (0.01, '2024')
    """
    section, field = split_name(setting)
    known = SECTIONS[section].model_fields.get(field)
    if known is not None and known.annotation is str:
        return word
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def is_truth(setting: str) -> bool:
    """Whether a setting is true or false; of a model's, in any model that has it."""
    section, field = split_name(setting)
    classes = [SECTIONS[section]] if section != "model" else list(map(config_class, MODELS))
    fields = (cls.model_fields.get(field) for cls in classes)
    return any(known is not None and known.annotation is bool for known in fields)


def dashed(name: str) -> str:
    """A field's name as it is in a flag."""
    return name.replace("_", "-")


def flag_of(setting: str) -> str:
    """The shortest flag of a setting: an alias, or its dotted name."""
    short = (f"--{alias}" for alias, target in ALIASES.items() if target == setting)
    return next(short, f"--{dashed(setting)}")


def setting_rows(model: str) -> Iterable[tuple[str, tuple[str, str]]]:
    """Each setting of a run of this model, with the two columns of its help."""
    for section, cls in SECTIONS.items():
        if section == "model":
            cls = config_class(model)
        for name, field in cls.model_fields.items():
            setting = f"{section}.{name}"
            if setting == "model.name":
                line = "a name from `hornbook models`"
                field = FieldInfo(annotation=str, default=presets.DEFAULT_MODEL, description=line)
            flags = [f"--{alias}" for alias, target in ALIASES.items() if target == setting]
            head = f"{', '.join([*flags, f'--{dashed(setting)}'])} {values_of(field.annotation)}"
            yield setting, (head.strip(), describe(setting, field, model))


def describe(setting: str, field: FieldInfo, model: str) -> str:
    """A field's description and its default for a model."""
    line = field.description or ""
    section, name = split_name(setting)
    both = [
        presets.default(model, documents=documents).get(section, {}).get(name, field.default)
        for documents in (True, False)
    ]
    first, second = map(plain, both)
    default = first if first == second else f"{first} for documents, {second} for a stream"
    if setting == "model.name":
        default = presets.DEFAULT_MODEL
    elif both == [field.default] * 2:
        default = CHOSEN.get(setting, default)
    if not default or "(default:" in line:  # a default that takes more words than a value
        return line
    return f"{line} (default: {default})"


def plain(value: Any) -> str:
    """A default as a flag takes it; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def values_of(annotation: Any) -> str:
    """What a field takes, in a word: N, X, TEXT, or the choices; nothing for a truth value."""
    if annotation is bool:
        return ""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return values_of(get_args(annotation)[0])
    if parts := [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]:
        return "|".join(map(values_of, parts))
    return {int: "N", float: "X"}.get(annotation, "TEXT")


def help_lines(rows: Iterable[tuple[str, str]]) -> str:
    """Flags and their descriptions in two columns, as wide as the terminal."""
    lines: list[str] = []
    for head, text in rows:
        wrapped = textwrap.wrap(text, width() - INDENT, break_on_hyphens=False) or [""]
        if len(head) + 4 <= INDENT:
            lines.append(f"  {head:<{INDENT - 4}}  {wrapped.pop(0)}")
        else:
            lines.append(f"  {head}")
        lines += [f"{'':{INDENT}}{line}" for line in wrapped]
    return "\n".join(line.rstrip() for line in lines)


def width() -> int:
    """Columns of the help."""
    return max(60, min(100, shutil.get_terminal_size().columns))


def show_notes(notes: Sequence[str]) -> None:
    """Prints notes on settings on stderr, as the plan prints its own."""
    for note in notes:
        print(f"{'note':>11}  {note}", file=sys.stderr)

"""Flags made from the settings: each field of each section is a flag, some also have a short name.

`--optim.learning-rate 0.01`, `[optim] learning_rate = 0.01` in TOML and
`settings={"optim.learning_rate": 0.01}` in Python become the same sections of fields
(`config.layering`) and are checked by the same classes, so that names, bounds and messages agree.
Parsing costs no torch, unless a flag of the model needs its class.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from hornbook.cli.common import Parser, is_option, suggest
from hornbook.config import SECTIONS, ModelConfig, Nested, presets
from hornbook.config.layering import split_name
from hornbook.config.names import SHORT_NAMES
from hornbook.config.renames import RENAMED, rename_settings
from hornbook.config.sections import all_fields
from hornbook.data.corpora import CORPORA
from hornbook.errors import ConfigError, DataError
from hornbook.models.registry import MODELS, OTHER_NAMES, config_class
from hornbook.runs.commands import resume_command

COMMON = (  # the settings and options that most people need, in the order of the help
    "model.name",
    "training.steps",
    "training.minutes",
    "--out",
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
MODEL_NAME = FieldInfo(
    annotation=str,
    default=presets.DEFAULT_MODEL,
    description=f"a name from `hornbook models` (default: {presets.DEFAULT_MODEL})",
)
TRUTH = ("true", "false", "yes", "no", "on", "off", "1", "0")
INDENT = 30  # columns of the help before the descriptions


class SettingsParser(Parser):
    """The parser of a verb that trains: `[CORPUS]`, its own options, and a flag for each setting.

    listed: whether its help lists the settings, or refers to that of `hornbook train`.
    """

    def __init__(self, verb: str, *, listed: bool = False) -> None:
        super().__init__(
            verb,
            usage=f"hornbook {verb} [CORPUS ...] [options]",
            epilog="Every setting is a flag here too, such as --lr 0.01 or --model.n-layer 2: "
            "`hornbook train --help` lists them.",
        )
        self.listed = listed
        self.sections: Nested = {}  # the settings that were read
        self._flags: dict[tuple[str, str], str] = {}  # which flag each of them is from
        self.add_argument(
            "corpus",
            nargs="?",
            metavar="CORPUS",
            help="a name from `hornbook data`, or a text: one or more files, a folder, - for stdin "
            "(default: names)",
        )

    def read(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, Nested]:
        """The verb's own options, and the settings as sections of fields. Raises ConfigError."""
        args = self.parse_args(arguments)
        if args.corpus is not None:
            self._check_corpus(args.corpus)
            self._add("CORPUS", "data.corpus", args.corpus)
        return args, self.sections

    def take(self, flag: str, value: str | None, words: list[str]) -> bool:
        """Reads a flag that stands for a setting."""
        setting = self._setting(flag)
        if setting is None:
            return False
        if value is None:
            value = self._value(flag, setting, words)
        self._add(flag, setting, read_word(value, setting))
        return True

    def _check_corpus(self, corpus: str, text: str = "names") -> None:
        """Raises ConfigError where the name of a model or a preset, or a run, is given for the text.

        text: what it proposes in its place.
        """
        if corpus in CORPORA or os.path.isfile(corpus):
            return
        found = f"CORPUS: found {corpus!r}, which is"
        names = f"expected a text: {self.prog} {shlex.quote(text)}"
        if corpus in MODELS:
            flag = "--rungs" if self.has("--rungs") else "--model"
            raise ConfigError(f"{found} a model, {names} {flag} {corpus}")
        if corpus in presets.PRESETS and self.has("--preset"):
            raise ConfigError(f"{found} a preset, {names} --preset {corpus}")
        model = OTHER_NAMES.get(corpus.lower())
        if model and not self.has("--rungs") and not os.path.exists(corpus):
            raise ConfigError(f"{found} another name of a model, {names} --model {model}")
        if os.path.isfile(os.path.join(corpus, "config.json")) and self.has("--resume"):
            raise ConfigError(
                f"{found} a run, expected a text; to train it further: {resume_command(corpus)}"
            )

    def surplus(self, words: list[str], first: str) -> None:
        """Takes further files of the text. Raises ConfigError for a model or preset beside the text."""
        word = words[0]
        if word in CORPORA or os.path.exists(word):
            self._check_corpus(first, word)
        if word in MODELS and not self.has("--rungs"):
            self.error(f"{word}: found a model after CORPUS, expected an option: --model {word}")
        if word in presets.PRESETS and self.has("--preset"):
            self.error(f"{word}: found a preset after CORPUS, expected an option: --preset {word}")
        if missing := next((w for w in [first, *words] if not os.path.exists(w)), None):
            if missing in (first, word):
                super().surplus(words, first)
            raise DataError(f"{missing}: no such file; give the path of a text file")
        self._add("CORPUS", "data.files", tuple(words))

    def _add(self, flag: str, setting: str, value: Any) -> None:
        """Takes the value of `flag`. Raises ConfigError where another flag has another value."""
        section, field = split_name(setting)
        renamed, notes = rename_settings({section: {field: value}})
        ((field, value),) = renamed[section].items()
        found = self.sections.setdefault(section, {}).setdefault(field, value)
        if found != value:
            raise ConfigError(
                f"{section}.{field}: found {found!r} ({self._flags[section, field]}) and "
                f"{value!r} ({flag}); give one of them"
            )
        self._flags[section, field] = flag
        show_notes(notes)

    def _setting(self, flag: str) -> str | None:
        """The setting that a flag stands for; None for the verb's own options and other words."""
        if not flag.startswith("--") or flag in self._option_string_actions:
            return None
        name = flag.removeprefix("--")
        return ".".join(split_name(name)) if "." in name else SHORT_NAMES.get(name)

    def _value(self, flag: str, setting: str, words: list[str]) -> str:
        """Takes the value of a flag from the words after it; a truth value may be left out."""
        following = words[0] if words else "--"
        other = following.lower() not in TRUTH and isinstance(read_word(following, setting), str)
        if (is_option(following) or other) and is_truth(setting):
            return "true"
        return self.next_value(flag, words)

    @property
    def model(self) -> str:
        """The model whose settings are listed and suggested."""
        return str(self.sections.get("model", {}).get("name", presets.DEFAULT_MODEL))

    def suggestion(self, flag: str) -> str:
        """The nearest flag of all settings and options, if one is near."""
        known = {dashed(old): flags_of(f"{s}.{new}")[0] for (s, old), new in RENAMED.items()}
        known |= flags_by_field(ModelConfig)
        known |= {alias: f"--{alias}" for alias in SHORT_NAMES}
        known |= {name[2:]: name for name in self._option_string_actions if name[:2] == "--"}
        if (found := self.synonym(flag) or suggest(flag, known)) or self.model not in MODELS:
            return found
        # the model's class imports torch: for an error alone
        return suggest(flag, flags_by_field(config_class(self.model)))

    def has(self, flag: str) -> bool:
        """Whether the verb has this option, or it stands for a setting."""
        return super().has(flag) or self._setting(flag) is not None

    def format_help(self) -> str:
        """The help: the common options first, then the others, then the settings by section."""
        if not self.listed:
            return super().format_help()
        rows = dict(setting_rows(self.model))
        _, corpus = rows.pop("data.corpus")
        for action in self._actions[2:]:  # after --help and CORPUS
            flag = action.option_strings[0]
            rows[flag] = f"{flag} {action.metavar or ''}".strip(), action.help or ""
        blocks = {
            "common options": [rows.pop(name) for name in COMMON if name in rows],
            "other options": [rows.pop(name) for name in list(rows) if name.startswith("--")],
        }
        blocks["other options"].append(("-h, --help", "show this help"))
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


def add_setting(parser: Parser, setting: str) -> None:
    """Adds a flag for one setting with choices to a verb that reads a run, whose own is the default."""
    section, name = split_name(setting)
    field = SECTIONS[section].model_fields[name]
    parser.add_argument(
        f"--{dashed(name)}",
        choices=get_args(field.annotation),
        help=f"{field.description} (default: as the run was trained, mostly {field.default})",
    )


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
    classes = map(config_class, MODELS) if setting.startswith("model.") else [ModelConfig]
    return any(
        setting == f"{section}.{name}" and field.annotation is bool
        for cls in classes
        for section, name, field in all_fields(cls)
    )


def dashed(name: str) -> str:
    """A field's name as it is in a flag."""
    return name.replace("_", "-")


def flags_by_field(model: type[ModelConfig]) -> dict[str, str]:
    """The shortest flag of each field; where sections share a field's name, of the first section."""
    flags: dict[str, str] = {}
    for section, name, _ in all_fields(model):
        flags.setdefault(dashed(name), flags_of(f"{section}.{name}")[0])
    return flags


def flags_of(setting: str) -> list[str]:
    """The flags of a setting: its short names, then its dotted name."""
    short = [f"--{alias}" for alias, target in SHORT_NAMES.items() if target == setting]
    return [*short, f"--{dashed(setting)}"]


def setting_rows(model: str) -> Iterable[tuple[str, tuple[str, str]]]:
    """Each setting of a run of this model, with the two columns of its help."""
    for section, name, field in all_fields(config_class(model)):
        setting = f"{section}.{name}"
        if setting == "model.name":
            field = MODEL_NAME
        head = f"{', '.join(flags_of(setting))} {values_of(field.annotation)}"
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
    if both == [field.default] * 2:
        default = CHOSEN.get(setting, default)
    if not default or "(default:" in line:  # a default that takes more words than a value
        return line
    return f"{line} (default: {default})"


def plain(value: Any) -> str:
    """A default as a flag takes it; nothing for None and for none of several."""
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None or value == () else str(value).lower()


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
        begin = f"  {head:<{INDENT - 4}}  "
        if len(begin) > INDENT:
            lines.append(f"  {head}")
            begin = " " * INDENT
        lines += textwrap.wrap(
            text,
            width(),
            initial_indent=begin,
            subsequent_indent=" " * INDENT,
            break_on_hyphens=False,
        ) or [begin.rstrip()]
    return "\n".join(lines)


def width() -> int:
    """Columns of the help."""
    return max(60, min(100, shutil.get_terminal_size().columns))


def show_notes(notes: Sequence[str]) -> None:
    """Prints notes on settings on stderr, as the plan prints its own."""
    for note in notes:
        print(f"{'note':>11}  {note}", file=sys.stderr)

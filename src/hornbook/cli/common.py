"""What several verbs share: their parser, checks of paths, figures as text."""

from __future__ import annotations

import argparse
import difflib
import json
import math
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hornbook.cli import VERBS
from hornbook.config.names import OTHER_NAMES
from hornbook.errors import ConfigError
from hornbook.files import user_path
from hornbook.stages import line_written

if TYPE_CHECKING:
    from hornbook.figures.style import Figure
    from hornbook.run import Run

ESCAPED = "\0--"  # the word `--` for argparse, which some versions take out of values
_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", re.IGNORECASE)
SYNONYMS = {  # what other tools call an option of a verb -> its name here
    "checkpoint": "--resume",
    "continue": "--resume",
    "count": "-n",
    "channels": "--model.n-embd",
    "d-model": "--model.n-embd",
    "dim": "--model.n-embd",
    "embedding-dim": "--model.n-embd",
    "hidden-size": "--model.n-embd",
    "heads": "--model.n-head",
    "length": "--max-tokens",
    "m": "--model",
    "max-length": "--max-tokens",
    "max-new-tokens": "--max-tokens",
    "n-samples": "-n",
    "name": "--out",
    "num": "-n",
    "num-heads": "--model.n-head",
    "num-layers": "--layers",
    "num-samples": "-n",
    "o": "--out",
    "out-dir": "--out",
    "output": "--out",
    "output-dir": "--out",
    "p": "--prompt",
    "start": "--prompt",
    "temp": "--temperature",
    "text": "--prompt",
    "wd": "--optim.weight-decay",
    "width": "--model.n-embd",
}
READING = {  # settings of `data` that say how a text is read
    "format": "text, jsonl, json, csv, tsv or parquet",
    "field": "field or column that holds the text of a record, or prompt+answer",
    "template": "how prompts and answers become text",
    "header": "yes or no: whether the first row of a table has the names of its columns",
    "separator": "what ends a document: line, blank, file, pgn, abc, fasta or a text",
    "glob": "which files of a folder or an archive",
}
PICTURES = (".png", ".svg", ".pdf")  # what a figure can be written as


class Parser(argparse.ArgumentParser):
    """An argument parser of a verb: options may stand anywhere, and errors are ConfigErrors."""

    def __init__(self, verb: str, **kwargs: str) -> None:
        line = VERBS[verb]
        super().__init__(
            prog=f"hornbook {verb}",
            description=f"{line[0].upper()}{line[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,  # type: ignore[arg-type]
        )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The options and the other words, in any order. Raises ConfigError."""
        options, others = self._sorted(sys.argv[1:] if args is None else args)
        if others:
            options += ["--", *(ESCAPED if word == "--" else word for word in others)]
        found, rest = self.parse_known_args(options, namespace)
        if rest := [_unescaped(word) for word in rest if word != "--"]:
            self.surplus(rest, others[0])
        for name, value in vars(found).items():
            setattr(found, name, _unescaped(value))
        return found

    def _sorted(self, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
        """The options, each in one word with its value, and all other words.

        argparse alone takes the words between two options for different things in different versions
        of Python, and values that begin with `-` not at all.
        """
        options: list[str] = []
        others: list[str] = []
        words = list(arguments)
        while words:
            word = words.pop(0)
            if word == "--":
                others += words
                break
            if not is_option(word):
                others.append(word)
                continue
            flag, equals, value = word.partition("=")
            if not word.startswith("--") and word[:2] in self._option_string_actions and not equals:
                flag, equals, value = word[:2], word[2:], word[2:]  # -n5
            if self.take(flag, value if equals else None, words):
                continue
            action = self._option_string_actions.get(flag)
            if action is None:
                self.unknown(word)
            elif action.nargs == 0:
                if equals and not word.startswith("--"):  # such as -hello for -h
                    self.unknown(word)
                if equals:
                    self.error(f"{flag}: found the value {value!r}, expected none")
                options.append(flag)
            else:
                value = value if equals else self.next_value(flag, words)
                options.append(f"{flag}={ESCAPED if value == '--' else value}")
        return options, others

    def take(self, flag: str, value: str | None, words: list[str]) -> bool:
        """Whether a flag was read here and is not argparse's; its value may be the first of `words`."""
        return False

    def has(self, flag: str) -> bool:
        """Whether the verb has this option."""
        return flag in self._option_string_actions

    def next_value(self, flag: str, words: list[str]) -> str:
        """Takes the value of a flag from the words after it."""
        if words and not is_option(words[0]):
            return words.pop(0)
        hint = ""
        if words and not self.has(words[0].partition("=")[0]):
            hint = f"; a value that begins with '-' is written {flag}={shlex.quote(words[0])}"
        return self.error(f"{flag}: found no value, expected one: {flag} VALUE{hint}")

    def unknown(self, word: str) -> NoReturn:
        """Raises ConfigError for a word that looks like an option and is none."""
        flag = word.partition("=")[0]
        hint = self.suggestion(flag)
        takes_texts = any(a.metavar == "TEXT" and not a.option_strings for a in self._actions)
        if takes_texts and not (hint and word.startswith("--")):
            hint += f"; a text that begins with '-' is written after --: -- {shlex.quote(word)}"
        self.error(f"{flag}: no such option{hint}")

    def surplus(self, words: list[str], first: str) -> None:
        """Raises ConfigError for words that the verb does not take. first: the one before them all."""
        if is_option(words[0]):
            self.error(
                f"{words[0]}: found it after --, where no options are read; write it before --"
            )
        names = [str(a.metavar or a.dest) for a in self._actions if not a.option_strings]
        hint = ""
        if self.has("--corpus") and os.path.isfile(words[0]):
            hint = f"; another text is given by --corpus {shlex.quote(words[0])}"
        elif self.has("--seeds") and re.match(r"\d", words[0]):  # values of a sweep
            hint = "; several values have commas between them: --lr 0.01,0.02"
        elif self.has("--prompt") and not os.path.exists(words[0]):
            hint = (
                f"; the beginning of a sample is given by --prompt {shlex.quote(' '.join(words))}"
            )
        taken = f"one {' and one '.join(names)}" if names else "options alone"
        self.error(f"{words[0]}: found one argument too many; {self.prog} takes {taken}{hint}")

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError that refers to the help."""
        message = message.replace(ESCAPED, "--")
        raise ConfigError(f"{message} (see {self.prog} --help)")

    def suggestion(self, flag: str) -> str:
        """`; did you mean '--steps'?`, or nothing."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return self.synonym(flag) or suggest(flag, {name.lstrip("-"): name for name in known})

    def synonym(self, flag: str) -> str:
        """The suggestion for a flag that other tools have under another name, if this verb has it."""
        name = flag.lstrip("-").replace("_", "-")
        meant = f"--{OTHER_NAMES[name]}" if name in OTHER_NAMES else SYNONYMS.get(name, "")
        return f"; did you mean {meant!r}?" if meant and self.has(meant) else ""


def is_option(word: str) -> bool:
    """Whether a word is written as an option: not a number, a lone dash, or a text with spaces.

    >>> [is_option(word) for word in ("--steps", "-n", "--prompt=a b", "-1.5", "-", "- a list")]
    [True, True, True, False, False, False]
    """
    flag = word.partition("=")[0]
    return bool(re.match(r"-.", word)) and not re.search(r"\s", flag) and not _NUMBER.match(word)


def _unescaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    return "--" if value == ESCAPED else value


def suggest(flag: str, known: Mapping[str, str]) -> str:
    """`; did you mean '--steps'?` if a known flag is near, else nothing.

    known: flags by the name they are looked up by, without dashes in front.
    """
    name = flag.lstrip("-").replace("_", "-")
    begins = [other for other in known if len(name) > 2 and other.startswith(name)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7) or begins
    return f"; did you mean {known[near[0]]!r}?" if near else ""


def add_reading(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds the options that say how a text is read. what: which text, and the default."""
    for name in READING:
        flags = ["--field", "--column"] if name == "field" else [f"--{name}"]
        parser.add_argument(*flags, metavar="TEXT", help=f"{READING[name]}, {what}")


def add_unknown(parser: argparse.ArgumentParser) -> None:
    """Adds `--unknown`: what to do with characters that the model does not know."""
    parser.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help="what to do with characters that the model does not know (default: error)",
    )


def add_part(parser: argparse.ArgumentParser) -> None:
    """Adds `--part`: one of the models that the run's own is made of, alone."""
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="one part of the model alone, as the report names it: the counts or the network of a "
        "hybrid",
    )


def load_run(path: str, part: str | None) -> Run:
    """A run, or with one part of its model alone."""
    from hornbook.run import Run

    run = Run.load(path)
    return run if part is None else run.with_part(part)


def check_picture(path: Path | None) -> None:
    """Raises ConfigError where no picture can be written, before it is computed."""
    if path is None:
        return
    if path.suffix not in PICTURES:
        raise ConfigError(
            f"out: found {path.name!r}, expected a name that ends in {', '.join(PICTURES)}"
        )
    if not user_path(path, ConfigError).absolute().parent.is_dir():
        raise ConfigError(f"out: {path.parent} is not a directory; make it, or give another path")


def write_picture(path: Path, figure: Figure) -> None:
    """Writes a figure as PNG, SVG or PDF, by the name of the file."""
    from hornbook.files import write_bytes

    write = {".png": figure.png, ".svg": lambda: figure.svg().encode(), ".pdf": figure.pdf}
    write_bytes(user_path(path, ConfigError), write[path.suffix]())


def number(x: float | None) -> str:
    """A loss as text; None, as JSON has it, and infinity are `infinite`."""
    return "infinite" if x is None or math.isinf(x) else f"{x:.4f}"


def with_error(loss: float | None, error: float | None) -> str:
    """A loss with its standard error, if there is one."""
    return number(loss) + ("" if error is None else f" (standard error {error:.4f})")


def loss_text(losses: Mapping[str, Any], *, error: bool = True) -> str:
    """The loss of a part (`EvalResult.to_json`): nats per token and bits per byte."""
    if "nats" not in losses:
        return "not measured"
    nats = with_error(losses["nats"], losses["standard_error"] if error else None)
    return f"{nats} nats per token, {number(losses['bits_per_byte'])} bits per byte"


def part_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table: the losses of the parts of a model that predict by themselves."""
    parts = report.get("parts", {}).items()
    return [(f"{name} alone", loss_text(part)) for name, part in parts]


def old_text_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row of a table: the loss on the text of the base, where it is known."""
    old = report.get("old_text")
    if not old:
        return []
    before = "" if old["before"] is None else f"; {number(old['before'])} nats before"
    return [("old text", f"{loss_text(old, error=False)} ({old['name']}){before}")]


def note(message: str) -> None:
    """Prints a line on stderr, after what has been printed on stdout."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    line_written()


def print_json(data: Any) -> None:
    """Prints one line of JSON on stdout, valid in any encoding of the terminal: where it lacks a
    character, characters beyond ASCII are written as JSON's own escapes. See `files.dump`."""
    from hornbook.files import dump

    line = dump(data)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(json.loads(line))
    print(line)

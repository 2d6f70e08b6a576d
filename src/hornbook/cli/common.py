"""What several verbs share: their parser, checks of paths, tables of text."""

from __future__ import annotations

import argparse
import difflib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hornbook.cli import VERBS
from hornbook.errors import ConfigError
from hornbook.files import user_path
from hornbook.table import table as table
from hornbook.visible import visible as visible

if TYPE_CHECKING:
    from hornbook.figures.style import Figure

PICTURES = (".png", ".svg", ".pdf")  # what a figure can be written as


class Parser(argparse.ArgumentParser):
    """An argument parser of a verb whose errors are ConfigErrors."""

    def __init__(self, verb: str, **kwargs: str) -> None:
        line = VERBS[verb]
        super().__init__(
            prog=f"hornbook {verb}",
            description=f"{line[0].upper()}{line[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError; for an unknown flag with the nearest known one, if one is near."""
        words = message.removeprefix("unrecognized arguments: ").split()
        unknown = [word.partition("=")[0] for word in words if word.startswith("-")]
        if message.startswith("unrecognized arguments") and unknown:
            message = f"{unknown[0]}: no such option{self.suggestion(unknown[0])}"
        raise ConfigError(f"{message} (see {self.prog} --help)")

    def suggestion(self, flag: str) -> str:
        """`; did you mean '--steps'?`, or nothing."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return suggest(flag, {name.lstrip("-"): name for name in known})


def suggest(flag: str, known: dict[str, str]) -> str:
    """`; did you mean '--steps'?` if a known flag is near, else nothing.

    known: flags by the name they are looked up by, without dashes in front.
    """
    name = flag.lstrip("-").replace("_", "-")
    begins = [other for other in known if len(name) > 2 and other.startswith(name)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7) or begins
    return f"; did you mean {known[near[0]]!r}?" if near else ""


def add_unknown(parser: argparse.ArgumentParser) -> None:
    """Adds `--unknown`: what to do with characters that the model does not know."""
    parser.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help="what to do with characters that the model does not know (default: error)",
    )


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


def note(message: str) -> None:
    """Prints a line on stderr, after what has been printed on stdout."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)


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

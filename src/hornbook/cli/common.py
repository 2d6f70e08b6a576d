"""What several verbs share: their parser, dotted flags, tables."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hornbook.cli.main import VERBS
from hornbook.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from hornbook.figures.style import Figure


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ConfigErrors with a suggestion."""

    def __init__(self, verb: str, **kwargs: str) -> None:
        super().__init__(
            prog=f"hornbook {verb}",
            description=VERBS[verb].capitalize() + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError, naming the nearest flag for an unknown one."""
        strange = [
            w for w in message.removeprefix("unrecognized arguments: ").split() if w[0] == "-"
        ]
        if message.startswith("unrecognized arguments") and strange:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            message = f"{strange[0]}: no such option{did_you_mean(strange[0], flags)}"
        raise ConfigError(f"{message} (see {self.prog} --help)")


def split_dotted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes the dotted settings (`--model.n-layer 4`) out of a command line."""
    rest: list[str] = []
    dotted: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        flag = word.partition("=")[0]
        if flag.startswith("--") and "." in flag:
            dotted.append(word)
            if "=" not in word and words and not words[0].startswith("--"):
                dotted.append(words.pop(0))
        else:
            rest.append(word)
    return rest, dotted


def add_unknown(parser: argparse.ArgumentParser) -> None:
    """The flag of the reading verbs for symbols that the model does not know."""
    parser.add_argument(
        "--unknown",
        choices=("error", "skip"),
        default="error",
        help="what to do with symbols that the model does not know (default: error)",
    )


def check_picture(path: Path | None) -> None:
    """Raises ConfigError where no picture can be written there, before it is computed."""
    if path is None:
        return
    if path.suffix not in (".png", ".svg"):
        raise ConfigError(f"out: found {path.name!r}, expected a name that ends in .png or .svg")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"out: {path.parent} is no directory; make it, or give another place")


def write_picture(path: Path, figure: Figure) -> None:
    """Writes a figure in the form that the name asks for."""
    from hornbook.files import write_bytes

    write_bytes(path, figure.png() if path.suffix == ".png" else figure.svg().encode())


def table(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows of words as aligned columns; `right` names those that are numbers."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            word.rjust(width) if i in right else word.ljust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def number(x: float | None) -> str:
    """A loss; JSON has none that is infinite, as of counts without smoothing."""
    return "infinite" if x is None or math.isinf(x) else f"{x:.4f}"


def with_error(loss: float | None, error: float | None) -> str:
    """A loss with its standard error, where there is one."""
    return number(loss) + ("" if error is None else f" (standard error {error:.4f})")


def visible(text: str) -> str:
    """A text on one line: line breaks and other control characters written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

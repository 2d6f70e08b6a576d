"""Commands that messages tell the user to type. A shell reads each as it was meant."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from hornbook.visible import visible

LONGEST_TEXT = 40  # characters of a text in a command


def run_command(verb: str, path: str | Path, *words: str) -> str:
    """A verb on a run. words: after the run, each one argument.

    >>> run_command("score", "runs/my run", "l'eau", "--tokens")
    'hornbook score \\'runs/my run\\' \\'l\\'"\\'"\\'eau\\' --tokens'
    """
    return f"hornbook {verb} {shlex.join([path_word(path), *words])}"


def resume_command(path: str | Path, *flags: str) -> str:
    """What to type to resume a run. flags: as they are typed, several words each.

    >>> resume_command("runs/my run", "--steps 300")
    "hornbook train --resume 'runs/my run' --steps 300"
    """
    return " ".join([f"hornbook train --resume {shlex.quote(path_word(path))}", *flags])


def path_word(path: str | Path) -> str:
    """A path as an argument: one that begins with a dash would be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def text_to_type(texts: Iterable[str], encoding: str = "utf-8") -> str | None:
    """A piece of the first of these texts that has one which can be typed: on one line, without tabs
    and other control characters, in the encoding of a terminal, and not like an option.

    >>> text_to_type(["\\t", "0\\trød\\ta"])
    'rød'
    """
    for text in texts:
        line = "".join(c if _can_be_typed(c, encoding) else "\n" for c in text)
        pieces = [piece[:LONGEST_TEXT].strip(" ").lstrip("-") for piece in line.split("\n")]
        if longest := max(pieces, key=len, default=""):
            return longest
    return None


def _can_be_typed(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    # beside another one, since an invisible character alone is escaped
    return visible(f"{character}.") == f"{character}."

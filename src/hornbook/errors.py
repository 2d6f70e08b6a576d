"""What can go wrong because of what a user did, each with a message that says what to do.

A message names the place, what was found, what was expected and the way out. The command line
prints it and exits with `exit_code`; a traceback is for mistakes of hornbook's own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 1000  # characters of a line of a message


class HornbookError(ValueError):
    """Base of every error that a user can cause and mend."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(legible(message))


class ConfigError(HornbookError):
    """A wrong field, value or combination of settings (exit code 2)."""

    exit_code = 2


class DataError(HornbookError):
    """A text that cannot be read, or cannot be trained on or scored as it is."""


class RunError(HornbookError):
    """A run directory that is missing, damaged, or not one."""


def legible(message: str) -> str:
    """A message that may quote a stranger's file: control characters written out, long lines cut.

    >>> legible("found \\x1b[2J")
    'found \\x1b[2J'
    """
    lines = []
    for line in message.split("\n"):
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
        if len(line) > LONGEST:
            line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
        lines.append(line)
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'gpt2'?"` for the nearest known word, or the list of what is known.

    >>> did_you_mean("gtp2", ["gpt2", "ngram"])
    "; did you mean 'gpt2'?"
    """
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""

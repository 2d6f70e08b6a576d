"""Errors that a user can cause and correct.

A message names the place, what was found, what was expected and what to do. The command line prints
it and exits with `exit_code`; a traceback means a bug in hornbook.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hornbook.visible import visible

MAX_LINE_LENGTH = 1000  # characters of a line of a message

in_terminal: ContextVar[bool] = ContextVar("in_terminal", default=False)


@contextmanager
def for_terminal() -> Iterator[None]:
    """Messages name options as they are typed in a terminal; elsewhere the API translates them into
    arguments of Python (`spelling.py`)."""
    token = in_terminal.set(True)
    try:
        yield
    finally:
        in_terminal.reset(token)


class HornbookError(ValueError):
    """Base class of the errors that a user can cause and correct."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(legible(message))


class ConfigError(HornbookError):
    """An unknown setting, a wrong value, or settings that exclude each other (exit code 2)."""

    exit_code = 2


class DataError(HornbookError):
    """A text that cannot be read, trained on or scored."""


class RunError(HornbookError):
    """A run directory that is missing, damaged, or not a run directory."""


def legible(message: str) -> str:
    r"""A message with control characters escaped and long lines cut: it may quote an untrusted file.

    >>> legible("found \x1b[2J")
    'found \\x1b[2J'
    """
    lines = []
    for line in message.split("\n"):
        line = visible(line)
        if len(line) > MAX_LINE_LENGTH:
            line = f"{line[: MAX_LINE_LENGTH // 2]} ... {line[-MAX_LINE_LENGTH // 2 :]}"
        lines.append(line)
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'gpt2'?"` for the closest known word, else the list of known words.

    >>> did_you_mean("gtp2", ["gpt2", "ngram"])
    "; did you mean 'gpt2'?"
    """
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""

"""Errors that a user can cause and correct.

A message names the place, what was found, what was expected and what to do. The command line prints
it and exits with `exit_code`; a traceback means a bug in hornbook.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
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
    # of several processes: whether another one prints it; None: raised before they have met
    said: bool | None = None

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


def did_you_mean(word: str, known: Iterable[str], others: Mapping[str, str] | None = None) -> str:
    """`"; did you mean 'gpt2'?"` for the closest known word, else the list of known words.

    others: what is known under another name elsewhere, by that name in lower case.

    >>> did_you_mean("gtp2", ["gpt2", "ngram"])
    "; did you mean 'gpt2'?"
    >>> did_you_mean("Transformer", ["gpt2", "ngram"], {"transformer": "gpt2"})
    "; did you mean 'gpt2'?"
    """
    choices, lower = list(known), word.lower()
    if (meant := (others or {}).get(lower)) is not None:
        return f"; did you mean {meant!r}?"
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(lower, by_lower, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {by_lower[near[0]]!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""


def counted(n: float, noun: str, plural: str = "") -> str:
    """A number with its noun in the singular or the plural.

    >>> counted(1, "token"), counted(1200, "token"), counted(2, "pass", "passes")
    ('1 token', '1,200 tokens', '2 passes')
    """
    number = f"{n:,}" if isinstance(n, int) else f"{n:g}"
    return f"{number} {noun if n == 1 else plural or noun + 's'}"

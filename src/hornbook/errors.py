"""What can go wrong because of what a user did, each with a message that says what to do.

A message names the place, what was found, what was expected and the way out. The command line
prints it and exits with `exit_code`; a traceback is for mistakes of hornbook's own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HornbookError(ValueError):
    """Base of every error that a user can cause and mend."""

    exit_code = 1


class ConfigError(HornbookError):
    """A wrong field, value or combination of settings (exit code 2)."""

    exit_code = 2


class DataError(HornbookError):
    """A text that cannot be read, or cannot be trained on or scored as it is."""


class RunError(HornbookError):
    """A run directory that is missing, damaged, or not one."""


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

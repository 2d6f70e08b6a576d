"""Messages are safe to print, and exit codes tell settings from data."""

from __future__ import annotations

import doctest

import pytest

from hornbook import errors
from hornbook.errors import (
    MAX_LINE_LENGTH,
    ConfigError,
    DataError,
    HornbookError,
    RunError,
    did_you_mean,
    legible,
)


@pytest.mark.parametrize(("kind", "code"), [(ConfigError, 2), (DataError, 1), (RunError, 1)])
def test_every_error_is_a_value_error_with_its_exit_code(
    kind: type[HornbookError], code: int
) -> None:
    with pytest.raises(ValueError, match="text") as error:
        raise kind("text")
    assert isinstance(error.value, HornbookError)
    assert error.value.exit_code == code


def test_what_a_terminal_would_obey_or_could_not_print_is_escaped() -> None:
    message = legible("\x1b[2J\r\x00 \u202e \ud800 å 漢\nsecond line")
    assert message == "\\x1b[2J\\r\\x00 \\u202e \\ud800 å 漢\nsecond line"
    message.encode()
    assert str(RunError("\x1b[2J")) == "\\x1b[2J"


def test_a_long_line_is_cut_in_the_middle() -> None:
    line = "a" * MAX_LINE_LENGTH
    assert legible(line) == line
    first, second = legible(f"x{line}y\nshort").split("\n")
    assert first.startswith("xaaa")
    assert first.endswith("aaay")
    assert " ... " in first
    assert len(first) < MAX_LINE_LENGTH + 10
    assert second == "short"


def test_the_closest_word_is_suggested_else_all_are_listed() -> None:
    known = ["gpt", "gpt2", "ngram"]
    assert did_you_mean("gtp2", known) == "; did you mean 'gpt2'?"
    assert did_you_mean("n-gram", iter(known)) == "; did you mean 'ngram'?"
    assert did_you_mean("xyz", known) == "; known: gpt, gpt2, ngram"
    assert did_you_mean("xyz", []) == ""


def test_the_examples_of_the_docstrings_are_right() -> None:
    tried = doctest.testmod(errors)
    assert tried.attempted
    assert not tried.failed

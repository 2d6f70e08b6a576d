"""Calls are made in order, and what they raise is raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hornbook.data.writer_thread import writer_thread


def test_calls_are_made_in_order_before_the_end() -> None:
    made: list[int] = []
    with writer_thread() as submit:
        for i in range(100):
            submit(made.append, i)
    assert made == list(range(100))


def fail() -> None:
    raise ValueError("full")


def test_an_error_of_the_last_call_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="full"), writer_thread() as submit:
        submit(fail)


def test_an_error_is_raised_by_a_later_call() -> None:
    submitted: list[int] = []

    def submit_many(submit: Callable[..., None]) -> None:
        submit(fail)
        for i in range(100):
            submitted.append(i)
            submit(int)

    with pytest.raises(ValueError, match="full"), writer_thread() as submit:
        submit_many(submit)
    assert len(submitted) < 100


def test_an_error_of_the_reader_is_not_hidden() -> None:
    def read(submit: Callable[..., None]) -> None:
        submit(fail)
        raise KeyError

    with pytest.raises(KeyError), writer_thread() as submit:
        read(submit)

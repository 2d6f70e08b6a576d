"""Calls are made in order, and what they raise is raised."""

from __future__ import annotations

import pytest

from hornbook.data.writer_thread import WriterThread


def test_calls_are_made_in_order_before_the_end() -> None:
    made: list[int] = []
    with WriterThread() as thread:
        for i in range(100):
            thread.submit(made.append, i)
    assert made == list(range(100))


def fail() -> None:
    raise ValueError("full")


def test_an_error_of_the_last_call_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="full"), WriterThread() as thread:
        thread.submit(fail)


def test_an_error_is_raised_by_a_later_call() -> None:
    submitted: list[int] = []

    def submit_many(thread: WriterThread) -> None:
        thread.submit(fail)
        for i in range(100):
            submitted.append(i)
            thread.submit(int)

    with pytest.raises(ValueError, match="full"), WriterThread() as thread:
        submit_many(thread)
    assert len(submitted) < 100


def test_an_error_of_the_reader_is_not_hidden() -> None:
    def read(thread: WriterThread) -> None:
        thread.submit(fail)
        raise KeyError

    with pytest.raises(KeyError), WriterThread() as thread:
        read(thread)

"""Context, batch size and steps, by the sizes of a text alone."""

from __future__ import annotations

from typing import Any

import pytest

from hornbook.errors import ConfigError, DataError
from hornbook.planning.decide.batches import (
    BatchSize,
    batch_in_context,
    check_context,
    context_length,
    dropout,
    examples,
    max_steps,
    row_length,
    steps_and_batch,
    warmup,
)
from hornbook.planning.decision import Decision
from hornbook.planning.tuning import SMALL_TEXT_DROPOUT, SMALL_TEXT_EPOCHS

PRESET = Decision(1000, "the preset's")


def rows_of(batch: BatchSize) -> Decision[BatchSize]:
    """The batch of a preset."""
    return Decision(batch, "the preset's")


@pytest.mark.parametrize(
    ("preset", "longest", "n_train", "expected"),
    [
        (64, 20, 100_000, (64, "the preset's")),
        (64, 200, 100_000, (256, "long documents")),
        (64, 5000, 100_000, (256, "long documents")),  # no more unless it is requested
        (512, 5000, 100_000, (512, "the preset's")),
        (64, 20, 90, (32, "a small text")),
        (64, 60, 90, (64, "the preset's")),  # a document fits whole, however small the text
    ],
)
def test_the_context_holds_documents(
    preset: int, longest: int, n_train: int, expected: tuple[int, str]
) -> None:
    found = context_length(
        preset, documents=True, longest=longest, n_train=n_train, n_validation=50
    )
    assert (found.value, found.reason) == expected


@pytest.mark.parametrize(("n_validation", "expected"), [(1000, 128), (255, 64), (20, 8), (3, 2)])
def test_the_context_of_a_stream_fits_its_validation_part(n_validation: int, expected: int) -> None:
    found = context_length(
        128, documents=False, longest=9999, n_train=9999, n_validation=n_validation
    )
    assert found.value == expected
    assert found.reason == ("the preset's" if expected == 128 else "a small text")


def test_a_context_that_a_stream_cannot_fill_is_refused() -> None:
    with pytest.raises(DataError, match=r"context_length: found 64, .* only 50 .* at most 25"):
        check_context(64, documents=False, n_validation=50)
    check_context(50, documents=False, n_validation=50)
    check_context(64, documents=True, n_validation=50)


@pytest.mark.parametrize(
    ("batch", "context", "expected"),
    [(16, 64, 16), (16, 256, 4), (16, 32, 32), (3, 256, 2), ("all", 256, "all")],
)
def test_a_batch_in_another_context_has_as_many_tokens(
    batch: BatchSize, context: int, expected: BatchSize
) -> None:
    found = batch_in_context(batch, 64, context, least=2)
    assert found.value == expected
    assert (found.reason == "the preset's") == (expected == batch)


@pytest.mark.parametrize(
    ("context", "n_train", "expected"),
    [
        (8, 10_000, Decision(64, "four times the context, at least 64")),
        (32, 10_000, Decision(128, "four times the context, at least 64")),
        (32, 100, Decision(100, "the whole training part")),
    ],
)
def test_rows_of_sliding_models_are_longer_than_their_context(
    context: int, n_train: int, expected: Decision[int]
) -> None:
    found = row_length(sliding=True, examples="sequences", context=context, n_train=n_train)
    assert found == expected


def test_other_rows_are_as_long_as_the_context() -> None:
    expected = Decision(8, "the context")
    assert row_length(sliding=True, examples="windows", context=8, n_train=10_000) == expected
    assert row_length(sliding=False, examples="sequences", context=8, n_train=10_000) == expected


def test_rows_are_as_long_as_requested_or_say_why_not() -> None:
    sizes: Any = {"context": 8, "n_train": 100}
    assert row_length(8, sliding=True, examples="sequences", **sizes).value == 8
    assert row_length(4, sliding=False, examples="sequences", **sizes).value == 4
    with pytest.raises(ConfigError, match="found 16, but the context has 8"):
        row_length(16, sliding=False, examples="sequences", **sizes)
    with pytest.raises(ConfigError, match="windows are as long as the context"):
        row_length(4, sliding=True, examples="windows", **sizes)
    with pytest.raises(ConfigError, match="found 101, but the training part has 100"):
        row_length(101, sliding=True, examples="sequences", **sizes)


def test_a_text_is_small_where_the_model_has_several_parameters_a_token() -> None:
    assert max_steps(2999, 1000, 100.0) is None
    assert max_steps(3000, 1000, 100.0) == SMALL_TEXT_EPOCHS * 10
    assert max_steps(10**9, 10, 1e6) == 2


def test_a_text_that_is_not_small_keeps_steps_and_batch() -> None:
    assert steps_and_batch(PRESET, rows_of(64), None, rows=64) == (
        PRESET,
        Decision(64, "the preset's"),
    )
    steps, batch = steps_and_batch(PRESET, rows_of(64), 900, rows=64)  # not worth a change
    assert (steps, batch.value) == (PRESET, 64)
    assert steps_and_batch(PRESET, rows_of("all"), 100, rows=10)[0] is PRESET


@pytest.mark.parametrize("rows", [64, 20])
@pytest.mark.parametrize("keep_batch", [True, False])
def test_a_small_text_is_seen_twelve_times(rows: int, keep_batch: bool) -> None:
    """Whatever the batch becomes, as many rows are seen in all; also where the text has fewer rows
    than the preset's batch."""
    steps, batch = steps_and_batch(PRESET, rows_of(64), 30, rows=rows, keep_batch=keep_batch)
    assert "12 times through a small text" in steps.reason
    assert isinstance(batch.value, int)
    assert batch.value == 64 if keep_batch else batch.value < rows
    assert steps.value * min(batch.value, rows) == pytest.approx(30 * rows, rel=0.02)
    if not keep_batch:  # six steps in an epoch at least
        assert steps.value >= 6 * SMALL_TEXT_EPOCHS


def test_a_batch_has_no_fewer_rows_than_a_model_needs() -> None:
    assert steps_and_batch(PRESET, rows_of(8), 2, rows=4, least=2)[1].value == 2
    assert steps_and_batch(PRESET, rows_of(8), 2, rows=4)[1].value == 1


def test_steps_in_time_are_not_exceeded() -> None:
    fit = Decision(40, "as many as fit")
    steps, batch = steps_and_batch(fit, rows_of(16), 30, rows=16, in_time=True)
    assert steps is fit  # 80 of the smaller batches would be 12 epochs
    assert batch == Decision(6, "a small text")
    steps, _ = steps_and_batch(fit, rows_of(16), 35, rows=16, in_time=True, keep_batch=True)
    assert steps.value == 35
    steps, batch = steps_and_batch(fit, rows_of("all"), 35, rows=16, in_time=True)
    assert (steps.value, batch.value) == (35, "all")


def test_dropout_follows_how_often_a_token_is_seen() -> None:
    shares = [dropout(0.1, small_text=False, epochs=n).value for n in (0.5, 5, 10, 50)]
    assert shares == sorted(set(shares))
    assert dropout(0.1, small_text=False, epochs=None) == Decision(0.1, "the preset's")
    assert dropout(0.1, small_text=True, epochs=None).value == SMALL_TEXT_DROPOUT
    assert dropout(0.5, small_text=True, epochs=None).value == 0.5


@pytest.mark.parametrize(
    ("preset", "preset_steps", "steps", "expected"),
    [
        (40, 1000, 1000, 40),
        (40, 1000, 200, 20),
        (40, 1000, 5, 1),
        (40, 1000, 5000, 40),
        (40, 100, 100, 40),  # as the preset has it
        (40, None, 100, 10),
        (0, None, 5, 0),
    ],
)
def test_few_steps_are_not_all_spent_on_warming_up(
    preset: int, preset_steps: int | None, steps: int, expected: int
) -> None:
    assert warmup(preset, preset_steps, steps).value == expected


def test_examples_are_those_of_the_model_unless_requested() -> None:
    assert examples("auto", "windows") == Decision("windows", "the model's")
    assert examples("sequences", "sequences") == Decision("sequences", "requested")

"""How a trained model is trained further."""

from __future__ import annotations

import pytest

from hornbook.planning import tuning
from hornbook.planning.decide import finetuning
from hornbook.planning.decision import Decision


def test_a_small_text_has_smaller_batches() -> None:
    preset = Decision[int | str](16, "the preset's")
    assert finetuning.batch_size(preset, 60.0, 100_000) is preset
    small = finetuning.batch_size(preset, 60.0, 1500)
    assert small.value == int(1500 / 60 / tuning.CONTINUED_STEPS_PER_EPOCH)
    assert small.reason == "a small text"
    assert finetuning.batch_size(preset, 60.0, 10).value == 2


def test_batches_have_fewer_rows_where_few_steps_fit_into_the_time() -> None:
    batch = Decision[int | str](16, "the preset's")
    wanted = tuning.CONTINUED_TIMED_STEPS
    assert finetuning.batch_in_time(batch, 16, wanted, 1) is batch
    half = finetuning.batch_in_time(batch, 16, wanted // 2, 1)
    assert (half.value, half.reason) == (
        8,
        f"of 16 only {wanted // 2} steps would fit into the time",
    )
    assert finetuning.batch_in_time(batch, 16, 1, 1).value == 1
    assert finetuning.batch_in_time(batch, 16, 0, 4).value == 4
    assert finetuning.batch_in_time(batch, 16, wanted // 2 - 5, 4).value == 4


def test_steps_are_passes_through_the_new_text_alone() -> None:
    plain = finetuning.steps(1000, 100.0, 0.0, 10_000).value
    assert plain == tuning.CONTINUED_EPOCHS * 10
    assert finetuning.steps(1000, 100.0, 0.5, 10_000).value == 2 * plain
    assert finetuning.steps(1000, 100.0, 0.0, 50).value == 50


@pytest.mark.parametrize(("context", "expected"), [(64, 64), (8192, 256)])
def test_rows_are_no_longer_than_the_text_needs(context: int, expected: int) -> None:
    assert finetuning.row_length(context, longest=20, n_train=10_000).value == expected
    assert finetuning.row_length(8192, longest=None, n_train=100).value == 50
    assert finetuning.row_length(8192, longest=1000, n_train=10_000).value == 1000


def test_a_small_text_has_more_dropout() -> None:
    assert finetuning.dropout(0.05, small_text=False).value == 0.05
    assert finetuning.dropout(0.05, small_text=True).value == tuning.CONTINUED_DROPOUT
    assert finetuning.dropout(0.5, small_text=True).value == 0.5
    assert finetuning.dropout(0.0, small_text=True).value == 0.0


def test_muon_trains_on_what_it_has_trained() -> None:
    assert finetuning.optimizer("muon", muon=True).value == "muon"
    assert finetuning.optimizer("muon", muon=False).value == "adamw"
    assert finetuning.optimizer("sgd", muon=False).value == "sgd"


def test_learning_rates_are_smaller_for_weights_that_are_trained_and_for_wide_models() -> None:
    plain = {"lora": False, "changed": False}
    assert finetuning.learning_rate(0.01, **plain, channels=64).value < 0.01
    for lora in (False, True):
        narrow, wide = (
            finetuning.learning_rate(0.01, lora=lora, changed=True, channels=n).value
            for n in (64, 1024)
        )
        assert wide < narrow < 0.01

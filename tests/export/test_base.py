from __future__ import annotations

import time

import pytest
import torch

from hornbook.api import Run
from hornbook.errors import DataError
from hornbook.export import base
from hornbook.export.base import (
    Check,
    every_symbol,
    greedy_text,
    measured_tokens,
    median_speed,
    random_rows,
    relative_difference,
    rounding_cost,
    spread,
    tokens_per_second,
)


def test_differences_are_relative_to_the_spread_and_leave_constants_out() -> None:
    logits = torch.randn(3, 4, 5)
    assert relative_difference(logits, logits + 7.0) < 1e-6
    assert relative_difference(10 * logits, 10 * logits + 7.0) < 1e-6
    moved = logits.clone()
    moved[0, 0, 0] += 0.1
    assert abs(relative_difference(logits, moved) - 0.08 / spread(logits)) < 1e-5


def test_a_check_says_what_it_found() -> None:
    assert str(Check("x 1.0", "tokens of a text", True)) == "x 1.0: tokens of a text: equal"
    assert "NOT equal" in str(Check("x 1.0", "logits", False, 0.5))
    assert str(Check("x 1.0", "logits", True, 1e-6)).endswith("1.0e-06 (equal)")
    assert "(equal)" not in str(Check("x 1.0", "logits", True, 1e-2))


def test_random_rows_are_documents_of_a_thousand_positions(names_run: Run) -> None:
    rows = random_rows(names_run)
    assert rows[:, :-1].numel() >= 1000
    assert rows.shape[1] == names_run.model.context_length
    assert bool((rows[:, 0] == 0).all())
    assert not bool((rows[:, 1:] == 0).any())
    assert torch.equal(rows, random_rows(names_run))


def test_a_large_vocabulary_is_compared_at_fewer_positions(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MOST_LOGITS", 300 * names_run.tokenizer.vocab_size)
    assert 300 <= random_rows(names_run)[:, :-1].numel() < 400


def test_a_text_has_every_symbol_and_others(names_run: Run, stream_run: Run) -> None:
    for run in (names_run, stream_run):
        text = every_symbol(run)
        known = set(run.tokenizer.encode(text, unknown="skip").tolist())
        assert known == set(range(run.tokenizer.vocab_size)) - {run.tokenizer.end_id}
        assert "東" in text


def test_greedy_text_is_that_of_sample(names_run: Run, stream_run: Run) -> None:
    for run in (names_run, stream_run):
        _, ids = greedy_text(run, n=20)
        assert run.sample(temperature=0, max_tokens=20)[0].text == run.tokenizer.decode(ids)


def test_what_rounding_costs_is_measured_and_leaves_the_model_as_it_was(names_run: Run) -> None:
    own = {name: w.clone() for name, w in names_run.model.state_dict().items()}
    sentence = rounding_cost(names_run, names_run.model, {k: w * 0.9 for k, w in own.items()})
    bits = names_run.evaluate().bits_per_byte
    assert f"({bits:.4f} to" in sentence
    assert all(torch.equal(w, own[name]) for name, w in names_run.model.state_dict().items())


def test_without_the_text_it_is_said_that_nothing_was_measured(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DataError("gone")

    monkeypatch.setattr(Run, "part", gone)
    assert "not measured" in rounding_cost(names_run, names_run.model, {})


def test_speeds_are_of_texts_without_an_end(
    names_run: Run, stream_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    for run in (names_run, stream_run):
        n = measured_tokens(run.model)
        assert n == run.model.context_length - 1
        assert tokens_per_second(run) == n  # each in a second of this clock


def test_the_first_of_the_measured_times_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 100.0, 0.0, 1.0, 0.0, 2.0, 0.0, 4.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    assert median_speed(lambda: 8) == 4.0

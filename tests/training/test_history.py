"""What validation losses tell: the best, overfitting, when to stop."""

from __future__ import annotations

import json

from hornbook.files import dump
from hornbook.training.history import ValidationHistory


def history(*losses: tuple[float, float], patience: int = 0) -> ValidationHistory:
    found = ValidationHistory(patience)
    for step, (loss, val_loss) in enumerate(losses, 1):
        found.add(step, loss, val_loss)
    return found


def test_overfitting_is_reported_once_and_only_when_the_training_loss_falls() -> None:
    found = history((2.0, 2.0), (1.8, 1.9), (1.6, 1.95), (1.4, 2.0))
    assert found.overfitting_since == 2
    assert "since step 2:" in found.message()
    assert found.message() == ""
    assert "since step 1 or before:" in history((1.8, 1.9), (1.6, 1.95), (1.4, 2.0)).message()
    noisy = history((2.0, 1.9), (2.1, 1.95), (2.2, 2.0))
    assert noisy.overfitting_since is None
    assert noisy.message() == ""


def test_a_new_best_lets_overfitting_be_reported_again() -> None:
    found = history((2.0, 2.0), (1.8, 2.1), (1.6, 2.2))
    assert found.message()
    for step, losses in enumerate([(1.5, 1.5), (1.4, 1.6), (1.3, 1.7)], 4):
        found.add(step, *losses)
    assert "since step 4:" in found.message()


def test_patience_is_counted_since_the_best() -> None:
    found = history((2.0, 2.0), (2.0, 2.1), patience=2)
    assert not found.out_of_patience
    found.add(3, 2.0, 2.05)
    assert found.out_of_patience
    assert not history((2.0, 2.0), (2.0, 2.1), (2.0, 2.2)).out_of_patience  # patience 0: never


def test_it_survives_json() -> None:
    for found in (history((2.0, 2.0), (1.8, 1.9), patience=3), history()):
        assert ValidationHistory.from_json(json.loads(dump(found.to_json()))) == found

"""Decisions are printed with their reasons, and nothing changes them afterwards."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from hornbook.planning.decision import Decision
from hornbook.planning.describe import describe
from tests.planning.texts import TINY_GPT, plan_of


def test_a_decision_cannot_be_changed() -> None:
    decision = Decision(3, "the preset's")
    with pytest.raises(FrozenInstanceError):
        decision.value = 4  # type: ignore[misc]


def test_the_printed_plan_gives_the_reason_of_a_decision(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    reasons = {name: f"reason {i}" for i, name in enumerate(plan.decisions)}
    decisions = {name: replace(plan.decisions[name], reason=reasons[name]) for name in reasons}
    lines = dict(describe(replace(plan, decisions=decisions)))
    for what, name in (
        ("batch", "training.batch_size"), ("steps", "training.steps"), ("device", "device"),
        ("threads", "threads"), ("precision", "precision"), ("compiled", "compiled"),
    ):  # fmt: skip
        assert lines[what].endswith(f"({reasons[name]})")

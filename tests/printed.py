"""Commands that the documentation shows, made short enough for a test."""

from __future__ import annotations

import pytest

from hornbook.planning.decide.time_budget import TimeBudget

FEW = ["--training.eval_count", "1", "--training.sample-count", "0"]


def with_few_steps_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the steps that fit into minutes three are made: no fewer on a busy machine, where none may
    fit into the few seconds that `with_few_steps` leaves."""
    monkeypatch.setattr(TimeBudget, "steps", lambda budget, step_seconds, besides: 3)


def with_few_steps(verb: str, words: list[str]) -> list[str]:
    """The words after a verb, so that what it trains takes a few steps or seconds."""
    rest = list(words)
    if verb in ("train", "sweep"):
        steps = "4" if "--resume" in rest else "3"
        if "--steps" in rest:
            rest[rest.index("--steps") + 1] = steps
        elif "--minutes" not in rest:
            rest += ["--steps", steps]
        rest += [] if "--resume" in rest else FEW
    if "--minutes" in rest:
        rest[rest.index("--minutes") + 1] = "0.15"
    if verb == "ladder":
        rest += ["--training.steps", "2", *FEW]
    if verb == "lr-find":
        rest += ["--sweep-steps", "20"]
    return rest

"""In what precision to compute: by measuring, and not for long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hornbook.config import TrainingConfig
from hornbook.engine import device
from hornbook.engine.device import told_precision
from hornbook.engine.step import TrainStep
from hornbook.planning import trials
from hornbook.planning.plan import make_plan
from hornbook.planning.trials import faster_precision


class Timed:
    """Gradients that take longer in one precision, and which were computed."""

    def __init__(self, slower: str) -> None:
        self.slower, self.made = slower, list[str]()

    def gradients(self, _: int, precision: str) -> Tensor:
        """Takes its time."""
        self.made.append(precision)
        time.sleep(0.02 if precision == self.slower else 0.0)
        return torch.zeros(())


@pytest.mark.parametrize(("faster", "slower"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_the_faster_precision_is_chosen(
    faster: str, slower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for longest, clear, pairs in ((1.0, 1e9, 6), (1.0, 1.5, 3), (0.0, 1e9, 3)):
        monkeypatch.setattr(trials, "LONGEST", longest)
        monkeypatch.setattr(trials, "CLEAR", clear)
        step = Timed(slower)
        chosen, why = faster_precision(step)  # type: ignore[arg-type]
        assert chosen == faster
        assert "measured" in why
        # where fp32 is faster even as the one that warms up, two leave no doubt
        assert len(step.made) == 2 * (2 if clear < 10 and faster == "fp32" else pairs)


@pytest.mark.parametrize(
    ("asked", "instructions", "told"),
    [
        ({}, True, None),
        ({}, False, "fp32"),
        ({"precision": "bf16"}, False, "bf16"),
        ({"precision": "fp32"}, True, "fp32"),
        ({"reference": True}, True, "fp32"),
        ({"reference": True, "precision": "bf16"}, True, "bf16"),
        ({"deterministic": True}, True, "fp32"),
    ],
)
def test_nothing_is_measured_where_it_was_told_or_cannot_pay(
    asked: dict[str, object], instructions: bool, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: instructions)
    found = told_precision(TrainingConfig.parse(asked, "training"), torch.device("cpu"))
    assert (found and found[0]) == told


def test_a_plan_says_what_was_measured_and_leaves_the_generators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: True)
    measured: Callable[[TrainStep], tuple[str, str]] = lambda _: ("bf16", f"{torch.rand(())}")  # noqa: E731
    states = []
    for choose in (measured, lambda _: ("bf16", "measured")):
        monkeypatch.setattr(trials, "faster_precision", choose)
        plan = make_plan("names")
        assert plan.precision == "bf16"
        states.append(torch.get_rng_state())
    assert plan.why_precision == "measured"
    assert torch.equal(*states)

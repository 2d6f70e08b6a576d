"""In what precision to compute: by measuring, and not for long."""

from __future__ import annotations

import time

import pytest
import torch

from hornbook.training import device
from hornbook.training.device import choose_precision


@pytest.mark.parametrize(("faster", "slower"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_the_faster_precision_is_chosen(
    faster: str, slower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: True)
    made: list[str] = []

    def step(precision: str) -> None:
        made.append(precision)
        time.sleep(0.02 if precision == slower else 0.0)

    for longest, clear, pairs in ((1.0, 1e9, 6), (1.0, 1.5, 3), (0.0, 1e9, 3)):
        made.clear()
        monkeypatch.setattr(device, "LONGEST", longest)
        monkeypatch.setattr(device, "CLEAR", clear)
        chosen, why = choose_precision("auto", torch.device("cpu"), step)
        assert chosen == faster
        assert "measured" in why
        assert len(made) == 2 * pairs


def test_nothing_is_measured_where_it_was_told_or_cannot_pay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: False)
    for wanted, chosen in (("auto", "fp32"), ("bf16", "bf16"), ("fp32", "fp32")):
        assert choose_precision(wanted, torch.device("cpu"), pytest.fail)[0] == chosen

"""The plan: frozen, and what is built by it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from hornbook.metrics.text_index import text_index_of
from hornbook.planning import plan as module
from hornbook.planning.decision import Decision
from tests.planning.texts import TINY_GPT, TINY_MLP, plan_of


def test_a_plan_and_its_parts_cannot_be_patched(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    for field in fields(plan):
        with pytest.raises(FrozenInstanceError):
            setattr(plan, field.name, None)
    assert plan.memory is not None
    for part, name in (
        (plan.shape, "items"),
        (plan.data, "train"),
        (plan.schedule, "segments"),
        (plan.memory, "weights"),
        (plan.decisions["threads"], "value"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(part, name, None)
    for section in ("data", "tokenizer", "model", "optim", "training"):
        settings = getattr(plan.config, section)
        with pytest.raises(ValidationError, match="frozen"):
            setattr(plan.config, section, settings)
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, next(iter(type(settings).model_fields)), None)
    with pytest.raises(TypeError):
        plan.decisions["threads"] = Decision(2, "another thought")  # type: ignore[index]


def test_every_model_of_a_plan_begins_with_the_same_weights(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    first, second = plan.build_model(), plan.build_model()
    assert first is not second
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    other = plan_of(words_file, TINY_GPT, seed=5).build_model()
    assert not all(
        torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)
    )


def test_batches_of_a_plan_are_its_own(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    ids, _ = plan.build_batches().batch(3)
    assert torch.equal(ids, plan.build_batches().batch(3)[0])
    assert len(ids) == plan.config.training.batch_size


@pytest.mark.parametrize("limit", [1 << 24, 100])
def test_windows_are_all_contexts_or_evenly_spread(
    limit: int, words_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE_PART", limit)
    monkeypatch.setattr(module, "WINDOWS", 64)
    plan = plan_of(words_file, TINY_MLP)
    windows = torch.cat(list(plan.training_windows()))
    n = plan.data.train.n_targets
    stride = -(-n // limit)
    assert len(windows) == -(-n // stride) <= limit
    assert windows.shape[1] == 3
    tokens = torch.from_numpy(plan.data.train.tokens.astype("int64"))
    assert torch.equal(windows[:, -1], tokens[:n:stride])


def test_what_samples_are_compared_with_is_made_once(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    assert plan.text_index is text_index_of(plan.data.split)

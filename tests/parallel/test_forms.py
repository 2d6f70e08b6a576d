"""Subwords, prompts with answers, replay and LoRA over several ranks: the steps of one process."""

from __future__ import annotations

import json
from typing import Any

import pytest

import hornbook
from hornbook.config import merge
from tests.parallel.helpers import on_ranks
from tests.parallel.work import TEXTS, planned_losses
from tests.training.helpers import small

Requests = dict[str, tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Requests:
    """A text with settings each; ten rows, which four ranks do not share evenly."""
    folder = tmp_path_factory.mktemp("forms")
    words, pairs = folder / "words.txt", folder / "sums.jsonl"
    words.write_text("\n".join(TEXTS))
    lines = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(9) for b in range(9)]
    pairs.write_text("\n".join(map(json.dumps, lines)))
    hornbook.train(str(words), settings=small("gpt", steps=2), out=folder / "base", progress=False)
    new = folder / "new.txt"
    new.write_text("\n".join(text[::-1] for text in TEXTS))
    own = small("gpt", batch_size=10)
    base = {"training": own["training"], "finetuning": {"base": str(folder / "base")}}
    return {
        "subwords": (str(words), {**own, "tokenizer": {"kind": "bpe", "vocab_size": 270}}),
        "answers": (str(pairs), own),
        "replicas": (str(words), merge(own, {"training": {"replicas": 2}})),
        "replay": (str(new), merge(base, {"finetuning": {"replay": 0.3}})),
        "lora": (str(new), merge(base, {"finetuning": {"lora_rank": 2}})),
    }


@pytest.fixture(scope="module")
def alone(requests: Requests) -> dict[str, list[float]]:
    return planned_losses(requests, "ddp")


@pytest.mark.parametrize(("world_size", "parallel"), [(2, "ddp"), (4, "fsdp")])
def test_steps_are_those_of_one_process(
    world_size: int, parallel: str, requests: Requests, alone: dict[str, list[float]]
) -> None:
    for found in on_ranks(world_size, planned_losses, requests, parallel):
        for name, losses in alone.items():
            assert found[name] == pytest.approx(losses, rel=1e-5), name

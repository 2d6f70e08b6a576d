"""Exact answers: a model that cannot be wrong, one that can only be, and what is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.data.part import Part
from hornbook.generate.decoder import sample, split_prompt
from hornbook.generate.sampling import Sampling
from hornbook.metrics.answers import ExactAnswers, answer_prompts, exact_answers


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> hornbook.Run:
    """Counts of a text in which each prompt has one answer."""
    folder = tmp_path_factory.mktemp("doubled")
    lines = [{"prompt": f"{c}=", "completion": 2 * c} for c in "abcdefgh"] * 8
    path = folder / "doubled.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    settings = {"model.order": 4}
    return hornbook.train(path, model="ngram", out=folder / "run", settings=settings)


def test_a_model_that_knows_the_answers_is_exact(doubled: hornbook.Run) -> None:
    part = doubled.part("val")
    found = exact_answers(doubled.model, doubled.tokenizer, part, ())
    assert found == ExactAnswers(len(part.starts) - 1, len(part.starts) - 1)
    assert found.share == 1.0
    assert doubled.report["answers"] == found.to_json()
    assert doubled.answer("c=") == "cc"


def test_a_stop_before_the_answer_is_an_empty_answer(doubled: hornbook.Run) -> None:
    part = doubled.part("val")
    assert exact_answers(doubled.model, doubled.tokenizer, part, list("abcdefgh")) is not None
    wrong = [(p, "x") for p, _ in part.prompts(doubled.tokenizer, 9)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Part, "prompts", lambda *_: wrong)
        patch.setattr(doubled.tokenizer, "encode", doubled.tokenizer.encode)
        found = exact_answers(doubled.model, doubled.tokenizer, part, ())
    assert found is not None
    assert found.exact == 0


def test_long_answers_are_fewer_and_other_text_has_none(
    doubled: hornbook.Run, names_run: hornbook.Run, tmp_path: Path
) -> None:
    part = doubled.part("val")
    few = exact_answers(doubled.model, doubled.tokenizer, part, (), most_tokens=4)
    assert few is not None
    assert 1 <= few.prompts <= 2
    assert exact_answers(names_run.model, names_run.tokenizer, names_run.part("val"), ()) is None


def test_a_prompt_ends_where_its_template_does(tmp_path: Path) -> None:
    lines = [{"prompt": f"is {c} a", "completion": f"nd {c} and"} for c in "abcdefgh"] * 8
    path = tmp_path / "joined.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    settings = {"model.order": 6, "tokenizer.kind": "bpe", "tokenizer.vocab_size": 270}
    run = hornbook.train(path, model="ngram", out=tmp_path / "run", settings=settings)
    assert run.template is not None
    assert split_prompt(run.tokenizer, "is a a")[1]  # a longer token begins with its last one
    own, part, sampling = (run.model, run.tokenizer), run.part("val"), Sampling(temperature=9)
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    found = answer_prompts(*own, part, 4, run.template, generators[0], 20, sampling)
    for (prompt, _), text in zip(part.prompts(run.tokenizer, 4), found, strict=True):
        (expected,) = sample(
            *own, prompt=prompt, whole_prompt=True, max_tokens=20, sampling=sampling,
            generator=generators[1],
        )  # fmt: skip
        assert text == expected.text

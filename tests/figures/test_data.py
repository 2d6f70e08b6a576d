"""What figures draw."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.figures.data import (
    DoesNotApplyError,
    figure_data,
    next_probabilities,
    probe_records,
    require_trained,
    training_batch,
)


@torch.inference_mode()
def test_probabilities_past_the_context_see_as_much_as_the_context(names_run: Run) -> None:
    length = names_run.model.context_length
    ids = torch.randint(1, 27, (length + 5,)).tolist()
    found = next_probabilities(names_run, ids)
    assert found.shape == (len(ids), names_run.tokenizer.vocab_size)
    torch.testing.assert_close(found.sum(1), torch.ones(len(ids)))
    last = names_run.model.next_logits(torch.tensor([ids[-length:]]))[0].softmax(-1)
    torch.testing.assert_close(found[-1], last)


def test_without_its_corpus_a_run_is_drawn_by_its_samples(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    whole = figure_data(run)
    assert figure_data(run) is whole
    assert not whole.missing
    assert len(whole.whole.starts) - 1 == 216
    moved = tmp_path / "moved"
    shutil.copytree(run.path, moved)
    words_file.unlink()
    data = figure_data(hornbook.load(moved))
    assert "the corpus cannot be read" in data.missing
    assert len(data.held_out) > 1
    with pytest.raises(DoesNotApplyError, match="cannot be read"):
        _ = data.text_index
    with pytest.raises(DoesNotApplyError, match="counts"):
        require_trained(run)
    with pytest.raises(DoesNotApplyError, match="without probes"):
        probe_records(run, "probe")


def test_a_probe_leaves_the_model_as_it_is(names_run: Run) -> None:
    run = hornbook.load(names_run.path)
    before = {name: p.clone() for name, p in run.model.named_parameters()}
    probe = figure_data(run).probe
    assert probe.activations
    assert probe.gradients
    for name, parameter in run.model.named_parameters():
        assert parameter.grad is None
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("row_length", [None, 5])
def test_a_batch_has_the_rows_that_the_model_was_trained_on(
    row_length: int | None, words_file: Path, tmp_path: Path
) -> None:
    run = hornbook.train(
        str(words_file), model="bigram", steps=0, out=tmp_path / "run",
        settings={"training.examples": "sequences", "training.row_length": row_length},
    )  # fmt: skip
    ids, targets = training_batch(run, 40)
    length = run.facts["decisions"]["row_length"]["value"]
    assert ids.shape == targets.shape == (max(1, 40 // length), length)

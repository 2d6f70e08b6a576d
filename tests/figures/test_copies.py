"""The figure of copies."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hornbook.api import Run, train
from hornbook.figures.copies import copies
from hornbook.figures.data import figure_data, probe_records
from hornbook.metrics.nearest import NearestDocuments


@pytest.fixture(scope="module")
def overtrained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model trained far too long on 300 names."""
    folder = tmp_path_factory.mktemp("few")
    names = Path(__file__).parents[2] / "src/hornbook/data/names.txt"
    few = random.Random(0).sample(names.read_text("utf-8").split(), 300)
    (folder / "few.txt").write_text("\n".join(few), "utf-8")
    return train(
        str(folder / "few.txt"), model="gpt", steps=140, out=folder / "run", precision="fp32",
        settings={
            "model.n_layer": 2, "model.n_embd": 48, "model.n_hidden": 128, "model.dropout": 0.0,
            "optim.name": "adamw", "optim.learning_rate": 0.005, "optim.schedule": "constant",
            "optim.warmup": 20, "optim.weight_decay": 0.0, "training.batch_size": 40,
            "training.eval_count": 6, "training.sample_count": 0, "training.probe_every": 70,
        },
    )  # fmt: skip


def test_training_far_too_long_on_300_names_is_called_memorizing(overtrained: Run) -> None:
    novelty = overtrained.report["novelty"]
    assert novelty["memorising"]
    assert "memorizing: " in novelty["verdict"]
    verdict = overtrained.report["verdict"]
    assert not verdict["good"]
    assert f"the weights of step {overtrained.report['best_step']} are kept" in verdict["text"]
    assert any("--training.patience" in line for line in verdict["advice"])
    assert novelty["last"]["samples"]["verbatim"] > 0.5
    moments = [r["memorising"] for r in probe_records(overtrained, "novelty")]
    assert not moments[0]  # the moment shows
    assert moments[-1]
    figure = copies(overtrained)
    assert figure.finding is not None
    assert not figure.finding.good
    assert "memorizing" in figure.finding.text
    assert "memorizing from" in figure.svg() or any(
        "memorizing from" in t.get_text() for t in figure.findobj() if hasattr(t, "get_text")
    )


def test_the_moment_is_looked_for_before_the_first_evaluation(overtrained: Run) -> None:
    steps = [r["step"] for r in probe_records(overtrained, "novelty")]
    assert steps[:2] == [8, 16]
    assert steps[2:] == [r["step"] for r in overtrained.log if "val_loss" in r and r["step"]]


def test_the_figure_says_with_how_many_documents_texts_were_compared(names_run: Run) -> None:
    run = Run.load(names_run.path)
    index = figure_data(run).text_index
    index.nearest = NearestDocuments(index.split.train, 100, max_cells=100 * 15 * 7)
    figure = copies(run)
    assert "the 7 of 23,928 training documents" in figure.note

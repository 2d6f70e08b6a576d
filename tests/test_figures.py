"""The exact rows of the notes: counts, samples, the neural bigram, parameters."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.api import Run
from hornbook.config import RunConfig
from hornbook.config.presets import notes_gpt
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import OptimizerStep
from hornbook.generate import Sampling, sample
from hornbook.metrics.loss import batch_loss, evaluate, score
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config, parse_run_config
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from tests.conftest import Lecture

SEED = 2147483647
AS_IN_THE_NOTES = Sampling(draws="torch")


def counts(lecture: Lecture, part: Part, **settings: object) -> LanguageModel:
    model = build_model(
        model_config({"name": "ngram", **settings}), lecture.tokenizer.vocab_size, 0
    )
    model.fit(torch.from_numpy(part.tokens.astype("int64")), torch.from_numpy(part.starts))
    return model


def sampled(lecture: Lecture, model: LanguageModel) -> list[str]:
    generator = torch.Generator().manual_seed(SEED)
    made = sample(model, lecture.tokenizer, n=5, generator=generator, sampling=AS_IN_THE_NOTES)
    assert all(s.finished for s in made)
    return [s.text for s in made]


def test_the_lecture_split_has_its_examples(lecture_names: Lecture) -> None:
    parts = [lecture_names.part(name).n_targets for name in ("train", "val", "test")]
    assert parts == [182_625, 22_655, 22_866]
    assert lecture_names.whole().n_targets == 228_146
    assert lecture_names.tokenizer.vocab_size == 27


@pytest.mark.parametrize(("k", "nats"), [(0, 2.454014), (1, 2.454577), (5, 2.457683)])
def test_bigram_counts(lecture_names: Lecture, k: float, nats: float) -> None:
    whole = lecture_names.whole()
    model = counts(lecture_names, whole, order=2, smoothing="add-k", k=k)
    assert evaluate(model, whole).nats == pytest.approx(nats, abs=2e-6)


def test_bigram_counts_rate_andrejq_and_sample_the_names_of_the_notes(
    lecture_names: Lecture,
) -> None:
    model = counts(lecture_names, lecture_names.whole(), order=2, smoothing="add-k", k=1)
    (rated,) = score(model, lecture_names.tokenizer, ["andrejq"])
    assert rated.mean == pytest.approx(3.48340, abs=1e-5)
    assert sampled(lecture_names, model) == [
        "cexze",
        "momasurailezitynn",
        "konimittain",
        "llayn",
        "ka",
    ]


def test_the_neural_bigram_follows_the_notes(lecture_names: Lecture) -> None:
    plan = resolve(read_request(preset="notes-bigram"))
    model = plan.build_model()
    assert plan.data.train.n_targets == 228_146
    first = torch.randn((27, 27), generator=torch.Generator().manual_seed(SEED))
    assert torch.equal(model.state_dict()["weight"], first)
    step = OptimizerStep(model, plan.build_batches(), plan.config)
    losses = {i: step(i)[0].item() for i in range(plan.config.training.steps)}
    expected = {0: 3.768619, 1: 3.378807, 2: 3.161090, 10: 2.696505, 50: 2.509855, 100: 2.489959}
    for i, nats in expected.items():
        assert losses[i] == pytest.approx(nats, abs=2e-5), i
    assert sampled(lecture_names, model) == [
        "cexze",
        "momasurailezityha",
        "konimittain",
        "llayn",
        "ka",
    ]


@pytest.mark.parametrize(("order", "at_most"), [(4, 2.06), (6, 1.98)])
def test_kneser_ney_is_no_straw_man(lecture_names: Lecture, order: int, at_most: float) -> None:
    model = counts(lecture_names, lecture_names.part("train"), order=order)
    assert evaluate(model, lecture_names.part("val")).nats <= at_most


def test_shakespeare_is_split_as_in_the_notes(shakespeare: Lecture) -> None:
    assert len(shakespeare.corpus.text) == 1_115_394
    assert shakespeare.tokenizer.vocab_size == 65
    assert [len(t[0]) for t in (shakespeare.split.train, shakespeare.split.validation)] == [
        1_003_854,
        111_540,
    ]
    assert shakespeare.part("val").n_targets == 111_540


def test_the_notes_gpt_has_its_parameters_and_starts_uniform(shakespeare: Lecture) -> None:
    config: RunConfig = parse_run_config(notes_gpt())
    torch.manual_seed(config.training.seed)
    model = build_model(config.model, 65, None)
    assert model.n_parameters == 10_788_929
    draw = Draw(batch_size=4, seed=0, sampling="random")
    batches = build_batches(shakespeare.part("train"), "sequences", 256, draw)
    with torch.inference_mode():
        loss = batch_loss(model, *batches.batch(0)).item()
    assert loss == pytest.approx(math.log(65), abs=0.2)  # the notes' head of 0.02


def figures_command() -> Any:
    """benchmarks/figures.py as a module of its own."""
    path = Path(__file__).parents[1] / "benchmarks" / "figures.py"
    spec = importlib.util.spec_from_file_location("figures_command", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_figures_command_keeps_the_rows_that_it_does_not_measure(
    tmp_path: Path, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = figures_command()
    kept = {"validation": 2.1577, "error": 0.0084, "train": 2.1, "test": 2.16, "unseen": 2.17,
            "seconds": 12.3, "last": 2.1599, "machine": "another"}  # fmt: skip
    (tmp_path / "figures.json").write_text(json.dumps({"notes-mlp-naive": kept}))
    for name, value in {
        "KEPT": tmp_path / "figures.json", "PAGE": tmp_path / "figures.md", "RUNS": tmp_path,
        "exact": list, "make": lambda _: names_run,
    }.items():  # fmt: skip
        monkeypatch.setattr(command, name, value)
    (tmp_path / "gpt").symlink_to(names_run.path)
    (tmp_path / "figures.md").write_text("old\n<!-- by hand -->\nmy words\n")
    command.main(["gpt"])
    page = (tmp_path / "figures.md").read_text()
    assert "2.1577 ± 0.0084, last 2.1599 (train 2.1000)" in page
    assert "12.3" in page
    assert page.endswith("<!-- by hand -->\nmy words\n")
    loss = names_run.report["validation"]["nats"]
    assert f"{loss:.4f} ±" in page
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {"notes-mlp-naive", "gpt"}


def test_the_figures_page_has_every_published_figure() -> None:
    page = (Path(__file__).parents[1] / "docs" / "figures.md").read_text("utf-8")
    for figure in (
        "228,146", "2.454014", "2.454577", "3.48340", "2.457683", "momasurailezitynn", "3.768619",
        "3.378807", "3.161090", "2.696505", "2.509855", "2.489959", "momasurailezityha",
        "1,115,394", "1,003,854", "111,540", "11,897", "12,097", "76,579", "10,788,929", "2.17",
        "2.10 ", "2.1057", "2.0674", "1.9937", "1.7690", "2.11 ", "about 1.92", "1.4697", "1.88 ",
        "1.4578", "1.4603", "13.2%", "182,625", "22,655", "22,866",
    ):  # fmt: skip
        assert figure in page, figure
    assert page.count(", last ") >= 4

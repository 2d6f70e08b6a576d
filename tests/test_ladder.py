"""Ladder, comparison and learning-rate sweep."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hornbook
from hornbook import presets
from hornbook.cli.main import main
from hornbook.diagnostics.compare import (
    Difference,
    Measured,
    compare,
    differences,
    measure,
    t_quantile,
)
from hornbook.diagnostics.standings import standings as draw
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.evaluate import token_nats
from hornbook.generate import Sample
from hornbook.ladder import _mixture, climb, passed
from hornbook.mixing import mix
from hornbook.run import Run
from hornbook.training.lr_finder import Sweep, find_learning_rate, suggest
from hornbook.training.plan import make_plan
from hornbook.training.step import TrainStep

FAST = {"training": {"steps": 4, "evaluations": 1, "samplings": 0}}


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


def test_paired_differences_are_those_computed_by_hand(words_file: Path, tmp_path: Path) -> None:
    runs = [
        hornbook.train(
            str(words_file),
            model="ngram",
            out=tmp_path / f"r{order}",
            settings={"model.order": order},
        )
        for order in (2, 3)
    ]
    measured, (found,) = compare(runs)
    part = runs[0].part("val")
    losses = [token_nats(run.model, part) for run in runs]
    edges = part.starts[:-1]
    d = np.add.reduceat(losses[0] - losses[1], edges)
    sizes = np.diff(part.starts)
    sign = 1 if measured[1].standing.validation < measured[0].standing.validation else -1
    mean = d.sum() / sizes.sum()
    residual = d - mean * sizes
    error = math.sqrt((residual**2).sum() * len(d) / (len(d) - 1)) / sizes.sum()
    assert found.mean == pytest.approx(sign * mean)
    assert found.standard_error == pytest.approx(error)
    assert found.unit == "nats per token"
    assert len(d) == found.units == 22
    assert ("real" in found.sentence) == (abs(mean) > 2.080 * error)  # Student, 21 degrees


def test_a_run_does_not_differ_from_itself(names_run: Run) -> None:
    _, (found,) = compare([names_run, names_run])
    assert found.mean == 0
    assert "alike" in found.sentence


def test_sentences_say_whether_a_difference_is_real() -> None:
    real = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert real.sentence.startswith("a is better than b by 0.0500")
    unclear = replace(real, mean=0.015)
    assert "cannot be told apart" in unclear.sentence
    assert "1.5 standard errors" in unclear.sentence


@pytest.mark.parametrize(
    ("freedom", "expected"), [(9, 2.262157), (19, 2.093024), (29, 2.045230), (99, 1.984217),
                              (10**9, 1.959964)],
)  # fmt: skip
def test_the_quantile_is_students(freedom: int, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, abs=1e-4)  # as in printed tables
    if freedom < 1000:  # and 2.5% of the density lie beyond it, by summing
        x = np.linspace(t_quantile(freedom), 1000, 2_000_001)
        log_c = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
        c = math.exp(log_c) / math.sqrt(freedom * math.pi)
        density = c * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
        assert np.trapezoid(density, x) == pytest.approx(0.025, abs=1e-5)


def test_few_units_need_more_standard_errors_and_very_few_judge_nothing() -> None:
    many = Difference("a", "b", "nats per token", 0.021, 0.01, 1000)
    assert "real, 2.1 standard errors over 1,000 units" in many.sentence
    assert "cannot be told apart" in replace(many, units=10).sentence  # 2.26 are needed
    assert "over 10 units" in replace(many, units=10).sentence
    for units in (1, 2, 9):
        sentence = replace(many, mean=1.0, units=units).sentence
        assert "too few to judge" in sentence
        assert "real, " not in sentence


def strict(text: str) -> Any:
    """JSON as its standard has it, without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def test_infinite_losses_are_said_in_words_and_are_null_in_json(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts without smoothing give new names no probability."""
    paths = []
    for name, fields in (
        ("none", {"order": 6, "smoothing": "add-k", "k": 0}),
        ("nothing", {"order": 7, "smoothing": "add-k", "k": 0}),
        ("some", {"order": 2}),
    ):
        settings = {f"model.{field}": value for field, value in fields.items()}
        hornbook.train(str(words_file), model="ngram", out=tmp_path / name, settings=settings)
        paths.append(str(tmp_path / name))
    capsys.readouterr()
    picture = tmp_path / "p.png"
    assert main(["compare", *paths, "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "none has an infinite loss: it gives some of the validation text no probability" in out
    assert "real" not in out
    assert "inf " not in out
    assert "nan" not in out
    assert main(["compare", *paths, "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert [row["validation"] for row in found["standings"][:2]] == [None, None]
    assert [pair["mean"] for pair in found["differences"]] == [None, None]
    _, (both,) = compare([Run.load(path) for path in paths[:2]])
    assert "cannot be compared: both have an infinite loss" in both.sentence


def test_the_picture_ranks_different_tokenizers_by_bits_per_byte(names_run: Run) -> None:
    base = measure(names_run, "base").standing
    bad = replace(base, name="bad", tokenizer="x", validation=1.0, bits_per_byte=4.0, test=1.0)
    good = replace(base, name="good", tokenizer="y", validation=3.0, bits_per_byte=2.0, test=3.0)
    losses, times = draw([bad, good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["bad", "good"]  # the best on top
    assert "bits per byte" in losses.get_xlabel()
    assert "bits per byte" in times.get_ylabel()
    marks = losses.containers[0].lines[0].get_xdata()
    assert list(marks) == [4.0, 2.0]
    losses, _ = draw([replace(bad, tokenizer="y"), good]).axes
    assert [t.get_text() for t in losses.get_yticklabels()] == ["good", "bad"]
    assert "nats per token" in losses.get_xlabel()


def test_the_labels_of_costs_do_not_overprint_and_times_are_true(names_run: Run) -> None:
    base = measure(names_run, "base").standing
    costs = [(0.0004, 2.45), (15.0, 1.968), (15.5, 1.967), (58.0, 1.932), (58.1, 1.905)]
    costs += [(16.0 + i / 10, 1.969) for i in range(10)]
    rows = [
        replace(base, name=f"rung-{i}", seconds=s, validation=v) for i, (s, v) in enumerate(costs)
    ]
    figure = draw(rows)
    figure.png()
    _, times = figure.axes
    boxes = [text.get_window_extent() for text in times.texts]
    assert len(boxes) == len(costs)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    drawn = {float(x) for line in times.lines for x in line.get_xdata()[:1]}
    assert drawn == {s for s, _ in costs}
    (left, right), (low, high) = times.get_xlim(), times.get_ylim()
    assert left < 0.0004 < right
    assert all(low < v < high for _, v in costs)
    figure.draw_without_rendering()
    labels = [t.get_text() for t in times.get_xticklabels()]
    assert "0.001" in labels
    assert not any("$" in label for label in labels)
    _, times = draw([replace(base, seconds=s) for s in (2.1, 3.9)]).axes  # less than a decade
    labels = [t.get_text() for t in times.get_xticklabels(minor=True)]
    assert "3" in labels
    assert not any("$" in label for label in labels)


def test_different_tokenizers_are_compared_in_bits_per_byte(
    words_file: Path, tmp_path: Path
) -> None:
    runs = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / kind, settings={"tokenizer.kind": kind}
        )
        for kind in ("char", "byte")
    ]
    measured, (found,) = compare(runs)
    assert found.unit == "bits per byte"
    bits = [m.standing.bits_per_byte for m in measured]
    assert found.mean == pytest.approx(max(bits) - min(bits))


def test_streams_are_compared_in_stretches_of_the_same_text(tmp_path: Path) -> None:
    text = "".join(f"{i * i} grün bottles,\n\nhanging on the wall. " for i in range(900))
    (tmp_path / "b.txt").write_text(text, "utf-8")
    runs = [
        hornbook.train(
            str(tmp_path / "b.txt"), model="ngram", out=tmp_path / kind,
            settings={"tokenizer.kind": kind},
        )
        for kind in ("char", "byte")
    ]  # fmt: skip
    a, b = (measure(run, run.path.name) for run in runs)
    assert a.bytes.sum() == b.bytes.sum() == len(runs[0].split().validation[0].encode())
    assert len(a.bytes) == len(b.bytes) > 2
    (found,) = differences([a, b])
    assert found.mean >= 0


def test_runs_on_different_texts_are_refused(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "other")
    with pytest.raises(DataError, match=r"different validation texts \(sha256 \w{16} and \w{16}\)"):
        compare([names_run, other])
    assert main(["compare", str(names_run.path), str(other.path)]) == 1


def test_the_ladder_trains_every_rung_once(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ladder"
    command = ["ladder", str(words_file), "--out", str(out)]
    command += ["--rungs", "counts-2,counts-4,bigram", "--training.steps", "4"]
    assert main(command) == 0
    captured = capsys.readouterr()
    for word in ("counts-2", "counts-4", "bigram", "bits/byte", "new", "±", "standard error"):
        assert word in captured.out
    facts = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in facts["standings"]] == ["counts-2", "counts-4", "bigram"]
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "bigram" / "model.safetensors").stat().st_mtime_ns
    ladder = climb(
        str(words_file), rungs=["bigram"], out=out, settings={"training": {"steps": "4"}}
    )
    assert (out / "bigram" / "model.safetensors").stat().st_mtime_ns == before
    assert [s.name for s in ladder.standings] == ["counts-2", "counts-4", "bigram"]
    again = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in again["standings"]] == ["counts-2", "counts-4", "bigram"]


def test_a_ladder_goes_on_after_an_interruption(words_file: Path, tmp_path: Path) -> None:
    from hornbook.training.callbacks import Callback
    from hornbook.training.loop import Interrupted

    class Stop(Callback):
        def logged(self, record: dict[str, object]) -> None:
            import signal

            if record["step"] == 2:
                signal.raise_signal(signal.SIGINT)

    settings = {"training": {"steps": 4, "evaluations": 2, "samplings": 0}}
    with pytest.raises(Interrupted):
        climb(
            str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings,
            callbacks=[Stop()],
        )  # fmt: skip
    ladder = climb(
        str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings
    )
    assert [s.name for s in ladder.standings] == ["counts-2", "bigram"]
    log = Run.load(tmp_path / "l" / "bigram").log
    assert [r["step"] for r in log] == [1, 2, 3, 4]


def test_an_interrupted_ladder_names_its_own_command(
    words_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hornbook.cli.progress import Progress

    def stop(self: Progress, record: dict[str, object]) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "logged", stop)
    words = [str(words_file), "--rungs", "counts-2, bigram", "--out", str(tmp_path / "a b")]
    assert main(["ladder", *words, "--training.steps", "3"]) == 130
    told = capsys.readouterr().err.strip().splitlines()
    assert "--resume" not in "".join(told)
    assert shlex.split(told[-1]) == ["hornbook", "ladder", *words, "--training.steps", "3"]
    monkeypatch.undo()
    assert main(shlex.split(told[-1])[1:]) == 0


@pytest.mark.parametrize("rung", ["counts-2", "bigram"])
def test_a_rung_killed_before_its_first_state_begins_again(
    rung: str, words_file: Path, tmp_path: Path
) -> None:
    whole = climb(str(words_file), rungs=[rung], out=tmp_path / "l", settings=FAST)
    for path in (tmp_path / "l" / rung).iterdir():
        if path.name == "last":
            shutil.rmtree(path)
        elif path.name not in ("config.json", "tokenizer.json"):
            path.unlink()
    (again,) = climb(str(words_file), rungs=[rung], out=tmp_path / "l", settings=FAST).standings
    assert again.validation == whole.standings[0].validation


def test_a_ladder_killed_while_mixing_goes_on(words_file: Path, tmp_path: Path) -> None:
    counts, net = (
        hornbook.train(str(words_file), model=model, out=tmp_path / rung, settings=FAST)
        for model, rung in (("ngram", "counts-4"), ("bigram", "bigram"))
    )
    mix([counts, net], tmp_path / "mixture")
    (tmp_path / "mixture" / "report.json").unlink()
    rows = [measure(run, run.path.name).standing for run in (counts, net)]
    assert _mixture(tmp_path, rows).standing.name == "mixture"
    assert (tmp_path / "mixture" / "report.json").exists()


def test_rungs_on_documents_can_be_trained_by_themselves() -> None:
    for name, preset in presets.ladder(documents=True).items():
        if "counts" not in name:
            own = presets.named("gpt-pairs") if name == "gpt" else None
            assert preset == (own or presets.default(name, documents=True))


def test_a_mixture_is_made_anew_when_its_members_have_changed(
    words_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ladder"
    settings = {"training": {"steps": 2, "evaluations": 1, "samplings": 0}}
    rows = [
        climb(str(words_file), rungs=[rung], out=out, settings=settings).standings[-1]
        for rung in ("counts-2", "bow")
    ]
    before = _mixture(out, rows).standing.validation
    marked = (out / "mixture" / "report.json").stat().st_mtime_ns
    assert _mixture(out, rows).standing.validation == before
    assert (out / "mixture" / "report.json").stat().st_mtime_ns == marked
    hornbook.resume(out / "bow", steps=30)
    assert _mixture(out, rows).standing.validation != before


def test_a_ladder_without_a_rung_yet_takes_other_settings(words_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stepz"):
        climb(
            str(words_file), rungs=["bow"], out=tmp_path / "l", settings={"training": {"stepz": 1}}
        )
    settings = {"training": {"steps": 2, "evaluations": 1, "samplings": 0}}
    assert climb(str(words_file), rungs=["bow"], out=tmp_path / "l", settings=settings).standings


@pytest.mark.parametrize("text", ["stream", "few", "long"])
def test_rungs_are_trained_as_hornbook_train_would(text: str, tmp_path: Path) -> None:
    """What nobody asked for is fitted to a text that is small, or whose documents are long."""
    content = {
        "stream": ("to be or not to be\n\nthat is the question. " * 30)[:1000],
        "few": "anna\nberta\nclara",
        "long": "\n".join(f"{'lorem ipsum ' * 15}{i}" for i in range(12)),
    }[text]
    (tmp_path / "t.txt").write_text(content)
    corpus, documents = str(tmp_path / "t.txt"), text != "stream"
    settings = {"data": {"kind": "documents" if documents else "stream"},
                "training": {"steps": 1, "evaluations": 1, "samplings": 0}}  # fmt: skip
    ladder = climb(corpus, rungs=["bow", "gpt2"], out=tmp_path / "l", settings=settings)
    for standing in ladder.standings:
        found = Run.load(standing.path).config
        if documents or standing.name != "gpt2":  # the stream's gpt2 is smaller than the notes'
            assert found == make_plan(corpus, model=standing.name, settings=settings).config
        asked = presets.ladder(documents=documents)[standing.name]["model"]
        length = asked.get("context_length", type(found.model)().context_length)
        assert found.model.context_length != length


def test_rungs_may_be_named_with_spaces_and_twice(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ladder", str(words_file), "--out", str(tmp_path / "l"), "--rungs"]
    assert main([*command, "counts-2, counts-4,counts-2"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("counts-2  validation") == 1
    assert main([*command, "counts-2,,"]) == 2
    assert "expected names with commas" in capsys.readouterr().err


def test_a_ladder_without_held_out_text_says_so(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ladder", str(words_file), "--out", str(tmp_path / "l"), "--rungs", "counts-2,bow"]
    assert main([*command, "--training.steps", "2", "--data.validation", "0"]) == 0
    assert "nothing is held out of the text that counts-2, bow" in capsys.readouterr().out
    runs = [str(tmp_path / "l" / name) for name in ("counts-2", "bow")]
    assert main(["compare", *runs]) == 0
    assert "nothing is held out" in capsys.readouterr().out
    for command in (["show"], ["eval"]):
        assert main([*command, runs[1]]) == 0
        assert "training text" in capsys.readouterr().out
    plan = make_plan(str(words_file), model="bow", settings={"data": {"validation": 0}})
    assert "the training part again" in dict(plan.lines())["split"]
    report = Run.load(runs[1]).report
    assert report["held_out"] is False
    assert report["novelty"]["verdict"].startswith("not judged")


def test_a_ladder_is_not_mixed_with_something_else(words_file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(RunError, match="is no ladder"):
        climb(str(words_file), out=tmp_path / "full")
    with pytest.raises(RunError, match="is a file, expected a directory"):
        climb(str(words_file), out=tmp_path / "full" / "file")
    with pytest.raises(RunError, match="cannot be written"):
        climb(str(words_file), out=tmp_path / "full" / "file" / "inside")
    climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l")
    with pytest.raises(RunError, match="another text or with other settings"):
        climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l", settings=FAST)
    with pytest.raises(ConfigError, match="no such rung; did you mean 'counts-4'"):
        climb(str(words_file), rungs=["count-4"], out=tmp_path / "m")


@pytest.mark.parametrize("documents", [True, False])
def test_the_ladder_has_every_model(documents: bool) -> None:
    from hornbook.models.registry import MODELS

    rungs = presets.ladder(documents=documents)
    assert {preset["model"]["name"] for preset in rungs.values()} == {
        name for name, entry in MODELS.items() if entry.trained
    }


def test_the_sentences_name_the_rungs_that_really_pass_the_counts(names_run: Run) -> None:
    base = measure(names_run, "gpt")
    units = len(base.nats)

    def rung(name: str, on_old: float, on_new: float, **facts: Any) -> Measured:
        nats = np.where(np.arange(units) % 2, on_new, on_old) * base.tokens
        nats += 0.1 * np.random.default_rng(len(name)).standard_normal(units)
        standing = replace(base.standing, name=name, **facts)
        return replace(base, standing=standing, nats=nats, new=np.arange(units) % 2 == 1)

    counts = rung("counts", 2.0, 2.0, fitted=True, validation=2.0, unseen=2.1)
    rungs = [counts, rung("copier", 1.0, 2.5), rung("learner", 1.9, 1.9), rung("twin", 2.0, 2.0)]
    assert passed([*rungs, rung("mixture", 1.0, 1.0)]) == [
        "validation: below counts (2.0000 nats): copier, learner; not told apart from it: twin",
        "documents not in the training part: below counts (2.1000 nats): learner; "
        "not told apart from it: twin",
    ]


def test_empty_samples_are_no_new_documents(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    texts = ["", "", run.split().train[0], "xyzzy"]
    samples = [Sample(text, "", len(text), True) for text in texts]
    monkeypatch.setattr(Run, "sample", lambda self, *_, **__: samples)
    assert measure(run, "run").standing.new == 0.5


def test_the_suggestion_lies_below_the_lowest_point() -> None:
    rates = np.geomspace(1e-3, 1, 300)
    losses = [2 + (math.log10(rate) + 1) ** 2 for rate in rates]  # lowest at 0.1
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)
    losses[250:] = [math.inf] * 50
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)


def test_the_finder_finds_a_rate_that_learns(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="bigram", settings={"training": {"batch_size": 64}})
    before = plan.model.state_dict()["weight"].clone()
    sweep = find_learning_rate(plan, updates=40)
    assert len(sweep.rates) == len(sweep.losses) == 40
    assert sweep.best is not None
    assert sweep.best in [rate for rate, _ in sweep.confirmed]
    assert 1e-3 <= sweep.best <= 1
    assert (plan.model.state_dict()["weight"] == before).all()
    again = find_learning_rate(plan, updates=40)
    assert again == sweep


def test_a_sweep_that_only_diverges_suggests_nothing(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lr-find", str(words_file), "--model", "mlp", "--updates", "20", "--optim.name", "sgd",
             "--optim.grad-clip", "0", "--model.init", "naive", "--low", "1e30", "--high", "1e38",
             "--model.norm", "layernorm"]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "p.png")]) == 0
    told = capsys.readouterr().out
    assert "every rate diverged: no rate is suggested" in told
    assert "best" not in told
    assert "inf" not in told
    assert main([*words, "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert found["best"] is None


def test_a_rate_that_learns_nothing_is_not_suggested() -> None:
    none = Sweep((1e-9, 1e-8), (2.0, 2.0), 1e-9, ((1e-9, 2.1), (2e-9, 2.0), (3e-9, math.inf)))
    assert none.best is None
    assert not none.diverged
    assert replace(none, confirmed=((1e-9, 1.9), (1e-8, 1.8))).best == 1e-8


def test_the_curve_of_a_sweep_shows_rates(
    words_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lr-find", str(words_file), "--model", "bigram", "--updates", "40"]
    assert main([*words, "--low", "0.01", "--high", "10"]) == 0
    told = capsys.readouterr().out
    axis = next(line for line in told.splitlines() if "learning rate (log)" in line)
    assert axis.split()[:2] == ["0.01", "10"]
    assert "validation" not in told
    for high in ("inf", "nan", "0.001"):
        assert main([*words, "--high", high]) == 2
        assert "expected 0 < low < high" in capsys.readouterr().err


def test_what_the_finder_advises_is_what_it_tried(
    words_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def step(self: TrainStep, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        rate = self.learning_rate(i)
        groups = self.optimizer.param_groups
        tried.append({g.get("muon", False): rate * g.get("scale", 1.0) for g in groups})
        return torch.tensor(9.0 - i / 100), torch.tensor(1.0)

    monkeypatch.setattr(TrainStep, "__call__", step)
    words = ["lr-find", str(words_file), "--updates", "20", "--optim.muon-learning-rate", "0.04"]
    assert main(words) == 0
    words = capsys.readouterr().out.split()
    rates = [float(words[words.index(f"--optim.{m}learning-rate") + 1]) for m in ("", "muon-")]
    assert any(rates == pytest.approx([t[False], t[True]], rel=0.05) for t in tried)


@pytest.mark.parametrize("verb", ["lr-find", "compare"])
def test_a_picture_with_no_place_is_refused_before_anything_is_computed(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["names"] if verb == "lr-find" else ["no", "runs"]
    assert main([verb, *asked, "--out", str(tmp_path / "none" / "x.png")]) == 2
    assert "is no directory" in capsys.readouterr().err


def test_the_finder_refuses_counts(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="ngram")
    with pytest.raises(ConfigError, match="has no learning rate"):
        find_learning_rate(plan)
    assert main(["lr-find", str(words_file), "--low", "1", "--high", "0.1"]) == 2


def test_a_mixture_averages_probabilities(words_file: Path, tmp_path: Path) -> None:
    runs = [
        hornbook.train(str(words_file), model="ngram", out=tmp_path / "n"),
        hornbook.train(str(words_file), model="gpt", out=tmp_path / "g", settings=FAST),
    ]
    mixed = mix(runs, tmp_path / "m", [3, 1])
    back = hornbook.load(tmp_path / "m")
    part = back.part("val")
    a, b = (np.exp(-token_nats(run.model, part)) for run in runs)
    np.testing.assert_allclose(
        np.exp(-token_nats(back.model, part)), 0.75 * a + 0.25 * b, rtol=1e-4
    )
    assert mixed.report["validation"]["nats"] == pytest.approx(back.evaluate("val").nats)
    assert len(back.sample(3, seed=0)) == 3
    for command in ("show", "eval", "sample"):
        assert main([command, str(tmp_path / "m")]) == 0
    with pytest.raises(ConfigError, match="expected one above 0 for each run"):
        mix(runs, tmp_path / "x", [1, 0])
    with pytest.raises(ConfigError, match="expected one above 0 for each run"):
        mix(runs, tmp_path / "x", [1, math.inf])
    assert main(["mix", str(runs[0].path), str(runs[1].path), "--out", str(tmp_path / "m")]) == 2
    assert main(["train", str(words_file), "--model", "mixture"]) == 2


def test_runs_of_different_corpora_are_not_mixed(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "n")
    with pytest.raises(DataError, match="different corpora"):
        mix([names_run, other], tmp_path / "m")
    assert not (tmp_path / "m").exists()

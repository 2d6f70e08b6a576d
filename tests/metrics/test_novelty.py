"""Copies are found exactly, and told from learning."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.api import Run, train
from hornbook.data.split import Split
from hornbook.figures.copying import copies
from hornbook.figures.learning import losses
from hornbook.metrics import nearest
from hornbook.metrics.nearest import Nearest
from hornbook.metrics.novelty import compare, measure
from hornbook.metrics.suffixes import SuffixArray, suffix_order
from hornbook.metrics.text_index import Training
from hornbook.models.registry import build_model, model_config


def texts(alphabet: str, n: int, length: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(alphabet, k=draw.randint(1, length))) for _ in range(n)]


@pytest.mark.parametrize("alphabet", ["a", "ab", "abcdefgh", "aé漢😀"])
def test_suffixes_stand_in_order(alphabet: str) -> None:
    for text in texts(alphabet, 30, 40, 1):
        assert suffix_order(text).tolist() == sorted(range(len(text)), key=lambda i: text[i:])


def test_the_longest_span_is_that_of_a_plain_search() -> None:
    text = "".join(texts("abc", 1, 300, 2))
    array = SuffixArray(text)
    for query in texts("abc", 40, 30, 3):
        spans = [
            (i, j) for i in range(len(query)) for j in range(i + 1, len(query) + 1)
            if query[i:j] in text
        ]  # fmt: skip
        longest = max((j - i for i, j in spans), default=0)
        start, length = array.longest_span(query)
        assert length == longest
        assert query[start : start + length] in text


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def test_the_nearest_document_is_that_of_the_plain_table() -> None:
    documents = tuple(texts("abcé", 60, 12, 4))
    training = Training(Split(documents, ("x",), (), documents=True))
    queries = [*texts("abcd", 30, 12, 5), "é", "a" * 200]
    expected = [min(levenshtein(query, d) for d in documents) for query in queries]
    assert training.nearest.distances([*queries, "a" * 501]) == expected


def test_edit_distances_are_bounded_in_work(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = tuple(texts("abcdefgh ", 400, 100, 12))
    queries = [*texts("abcdefgh ", 10, 60, 13), *(d[:-1] + "x" for d in documents[:20])]
    exact = Training(Split(documents, ("x",), (), documents=True)).nearest
    assert exact.among == len(exact.documents)
    cells: list[int] = []
    plain = nearest._nearest

    def counted(text: str, points: nearest.Points, lengths: nearest.Ints) -> int:
        cells.append(points.size * len(text))
        return plain(text, points, lengths)

    monkeypatch.setattr(nearest, "_nearest", counted)
    monkeypatch.setattr(nearest, "PROFILED", 150)
    monkeypatch.setattr(nearest, "CELLS", 100 * 100 * 200 * 25)
    bounded = Training(Split(documents, ("x",), (), documents=True)).nearest
    assert bounded.among == 25
    found = bounded.distances(queries)
    assert sum(cells) <= nearest.CELLS
    true = exact.distances(queries)
    assert all(a >= b for a, b in zip(found, true, strict=True))
    assert found[10:] == true[10:] == [1] * 20  # near copies are not missed
    assert sum(found) < 1.1 * sum(true)


def test_the_figure_says_with_how_many_documents_texts_were_compared(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "CELLS", 100 * 30 * 15 * 7)
    figure = copies(Run.load(names_run.path))
    assert "the 7 of 23,928 training documents" in figure.note


def test_held_out_text_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(texts("abcdefgh", 80, 30, 10))
    training = Training(Split(lines[:50], lines[50:80], (), documents=True))
    measured: list[str] = []
    distances = Nearest.distances

    def counted(self: Nearest, some: list[str]) -> list[int]:
        measured.extend(some)
        return distances(self, some)

    monkeypatch.setattr(Nearest, "distances", counted)
    first, second = (compare(samples, training) for samples in (lines[:30], lines[20:50]))
    assert first.held_out == second.held_out
    assert sum(text in lines[50:] for text in measured) == 30
    assert first.to_json()["samples"]["among"] == len(set(lines[:50]))


def test_copies_are_called_memorising_and_chance_is_not() -> None:
    every = list(dict.fromkeys(texts("abcde", 900, 6, 6)))[:400]
    assert len(every) == 400
    train_, held = tuple(every[:200]), tuple(every[200:])
    training = Training(Split(train_, held, (), documents=True))
    copied = compare(train_[:100], training)
    assert copied.memorising
    assert copied.samples.verbatim == 1
    assert copied.samples.distance == 0
    assert copied.verdict.startswith("memorising: 100% of 100 samples")
    assert copied.by_chance
    # a model that has learned draws old and new alike: half of its samples are in training
    learned = compare(every[150:250], training)
    assert learned.samples.verbatim == 0.5
    assert learned.expected == pytest.approx(0.5, rel=0.05)
    assert learned.error < 0.1
    assert not learned.memorising
    assert learned.verdict.startswith("learned")


def log_lines(n: int, seed: int) -> tuple[str, ...]:
    """Lines of which most come again and again, as in logs and games."""
    draw = random.Random(seed)
    known = texts("abcdefgh ", 300, 20, 8)
    return tuple(
        draw.choice(known[: 1 + int(300 * draw.random() ** 3)]) + ("!" * draw.randint(1, 9))
        if draw.random() < 0.1 else draw.choice(known[: 1 + int(300 * draw.random() ** 3)])
        for _ in range(n)
    )  # fmt: skip


def test_real_text_is_not_called_a_copy_where_a_corpus_repeats_itself() -> None:
    lines = log_lines(6000, 1)
    training = Training(Split(lines[:4800], lines[4800:5400], (), documents=True))
    real = compare(lines[5400:], training)
    assert real.samples.verbatim > 0.7
    assert real.expected == pytest.approx(real.samples.verbatim, abs=0.06)
    assert not real.by_chance
    assert real.word == "learned"
    # the same of a stream, whose stretches stand in the training part as well
    stream = ["".join(f"{line}\n" for line in part) for part in (lines[:4800], lines[4800:5400])]
    training = Training(Split((stream[0],), (stream[1],), (), documents=False))
    fresh = "".join(f"{line}\n" for line in lines[5400:])
    places = range(0, len(fresh) - 60, len(fresh) // 16)
    assert compare([fresh[i : i + 50] for i in places], training).word == "learned"
    copied = [stream[0][i : i + 50] for i in range(0, 4000, 250)]
    assert compare(copied, training).memorising


def test_a_few_hits_are_no_fact() -> None:
    every = list(dict.fromkeys(texts("abcdefgh", 3000, 6, 9)))[:1300]
    training = Training(Split(tuple(every[:1000]), tuple(every[1000:1100]), (), documents=True))
    # 6 of 20 copies, one hit of 100 held-out documents: 5% +- 7% would be 50% +- 70%
    few = compare([*every[:10], every[1000], *every[1100:1109]], training)
    assert few.expected == pytest.approx(0.5)
    assert few.error > 0.3
    assert not few.memorising
    assert f"(± {100 * few.error:.1f})" in few.verdict
    many = compare(every[:1000], training)
    assert many.memorising
    assert many.error < 0.02
    # the error is that of repeating the measurement
    draw = random.Random(1)
    seen = [
        compare(draw.choices(every, k=400), training, close=0).expected for _ in range(200)
    ]  # fmt: skip
    told = compare(draw.choices(every, k=400), training, close=0).error
    assert told == pytest.approx(float(np.std(seen)), rel=0.3)


def test_a_model_that_has_learned_nothing_is_not_praised(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(log_lines(600, 2)), "utf-8")
    settings = {"model.n_layer": 1, "model.n_embd": 16, "model.n_head": 2, "data.kind": "documents"}
    run = train(
        str(tmp_path / "lines.txt"), model="gpt2", steps=3, out=tmp_path / "run", precision="fp32",
        settings={**settings, "training.batch_size": 4},
    )  # fmt: skip
    novelty = measure(run.model, run.tokenizer, Training(run.split()))
    assert novelty.word == "has not learned much yet"
    assert novelty.level is not None
    assert novelty.level.symbols > novelty.level.pairs
    assert run.report["novelty"]["verdict"].startswith("has not learned much yet: its loss of ")


def test_counted_symbols_are_worth_what_they_are_by_hand(names_run: Run) -> None:
    training = Training(names_run.split())
    part, symbols, pairs = training.level(names_run.tokenizer)
    text = "".join(f"{name}." for name in training.split.train)
    nats = [-math.log(text.count(names_run.tokenizer.symbol(t)) / len(text))
            for t in part.tokens[1:].tolist()]  # fmt: skip
    assert symbols == pytest.approx(sum(nats) / len(nats), abs=0.01)
    assert 2.4 < pairs < 2.6  # the notes: 2.45 of all names


def test_both_sets_are_of_one_size_and_cut_alike() -> None:
    lines = tuple(texts("abcdefgh", 80, 300, 10))
    training = Training(Split(lines[:50], lines[50:80], (), documents=True))
    found = compare([*lines[:70], "", ""], training, cut=lambda text: text[:40])
    assert found.samples.compared == found.held_out.compared == 30
    assert found.samples.empty == 2
    assert "; 2 of 72 samples empty" in found.verdict
    assert found.held_out.longest <= 40
    assert compare([""] * 5, training).word == "has not learned much yet"


def test_without_held_out_text_nothing_is_claimed() -> None:
    lines = tuple(texts("abcdefgh", 50, 30, 11))
    for split in (Split(lines, lines, (), True, held_out=False), Split(("abab",), (), (), False)):
        found = compare(["ab", "aba"], Training(split))
        assert found.verdict.startswith("nothing is held out")
        assert "held-out text" not in found.verdict


def test_a_stream_is_judged_by_its_spans() -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=5)) for _ in range(40)]
    text = " ".join(draw.choices(words, k=2000))
    training = Training(Split((text[:8000],), (text[8000:],), (), documents=False))
    assert compare([text[100:300], text[900:1100]], training).memorising
    fresh = " ".join(draw.choices(words, k=200))
    assert not compare([fresh[:200], fresh[300:500]], training).memorising
    assert training.nearest.distances(["anything"]) == []


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


def test_training_far_too_long_on_300_names_is_called_memorising(overtrained: Run) -> None:
    novelty = overtrained.report["novelty"]
    assert novelty["memorising"]
    assert "memorising: " in novelty["verdict"]
    assert novelty["last"]["samples"]["verbatim"] > 0.5
    from hornbook.figures.source import records

    moments = [r["memorising"] for r in records(overtrained, "novelty")]
    assert not moments[0]  # the moment shows
    assert moments[-1]
    figure = copies(overtrained)
    assert figure.verdict is not None
    assert not figure.verdict.good
    assert "memorising" in figure.verdict.text
    assert "memorising from" in figure.svg() or any(
        "memorising from" in t.get_text() for t in figure.findobj() if hasattr(t, "get_text")
    )


def test_the_moment_is_looked_for_before_the_first_evaluation(overtrained: Run) -> None:
    from hornbook.figures.source import records

    steps = [r["step"] for r in records(overtrained, "novelty")]
    assert steps[:2] == [8, 16]
    assert steps[2:] == [r["step"] for r in overtrained.log if "val_loss" in r]


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7), (1.5, 2.8)], 20),
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7)], None),  # one rise, against a few batches' loss
        ([(3.0, 3.0), (2.5, 2.6), (2.6, 2.7), (2.7, 2.8)], None),  # the training loss rises too
        ([(3.0, 3.0), (2.5, 2.6), (2.0, 2.7), (1.5, 2.8), (1.4, 2.601)], 20),
        ([(3.0, math.nan), (2.5, 2.6), (2.0, 2.6005), (1.5, 2.6009)], None),
    ],
)
def test_the_watch_and_the_figure_agree_on_overfitting(
    seen: list[tuple[float, float]], since: int | None, names_run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from hornbook.training.watch import Watch

    watch, log, told = Watch(), [], ""
    for i, (loss, val_loss) in enumerate(seen, 1):
        watch.evaluated(10 * i, loss, val_loss)
        told += watch.message()
        log.append({"step": 10 * i, "loss": loss, "val_loss": val_loss, "lr": 0.1})
    monkeypatch.setattr(Run, "log", log)
    verdict = losses(names_run).verdict
    assert watch.overfitting_since == since
    assert verdict is not None
    assert ("overfitting since update 20" in verdict.text) == bool(told) == (since is not None)
    assert verdict.good == (since is None)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([2.0, 2.1, 2.2, 2.4, 2.6], "overfitting from here or before\n(best, kept: 2.000)"),
        ([2.2, 2.0, 2.2, 2.4, 2.6], "overfitting from here\n(best, kept: 2.000)"),
        ([3.2, 2.5, 2.2, 2.0, 1.9], "best, kept: 1.900"),
    ],
)
def test_the_mark_of_overfitting_says_what_is_known_where_no_line_runs(
    held: list[float], words: str, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = [
        {"step": step, "loss": 0.5 + 2.8 * math.exp(-step / 40), "lr": 0.1}
        for step in range(1, 201)
    ]
    for i, val_loss in enumerate(held, 1):
        log[40 * i - 1]["val_loss"] = val_loss
    monkeypatch.setattr(Run, "log", log)
    figure = losses(names_run)
    assert figure.verdict is not None
    assert ("since update 40 or before: " in figure.verdict.text) == ("or before" in words)
    figure.canvas.draw()
    top = figure.axes[0]
    (mark,) = [text for text in top.texts if text.get_text() == words]
    box = mark.get_window_extent()
    for line in top.get_lines():
        path = line.get_transform().transform_path(line.get_path())
        assert not path.intersects_bbox(box, filled=False), line.get_label()


def test_a_model_of_all_names_has_learned(names_run: Run) -> None:
    ngram = build_model(model_config({"name": "ngram"}), 27, 0)
    part = names_run.part("train")
    ngram.fit(torch.from_numpy(part.tokens.astype("int64")), torch.from_numpy(part.starts))
    assert measure(ngram, names_run.tokenizer, Training(names_run.split())).word == "learned"

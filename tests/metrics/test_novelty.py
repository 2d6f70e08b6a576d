"""Copies are told from learning."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.api import Run, train
from hornbook.data.split import Split
from hornbook.metrics.nearest import NearestDocuments
from hornbook.metrics.novelty import measure_novelty, novelty_of
from hornbook.metrics.text_index import TextIndex
from hornbook.models.registry import build_model, model_config


def texts(alphabet: str, n: int, length: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(alphabet, k=draw.randint(1, length))) for _ in range(n)]


def test_held_out_text_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(texts("abcdefgh", 80, 30, 10))
    index = TextIndex(Split(lines[:50], lines[50:80], (), documents=True))
    measured: list[str] = []
    distances = NearestDocuments.distances

    def counted(self: NearestDocuments, some: list[str]) -> list[int]:
        measured.extend(some)
        return distances(self, some)

    monkeypatch.setattr(NearestDocuments, "distances", counted)
    first, second = (novelty_of(samples, index) for samples in (lines[:30], lines[20:50]))
    assert first.held_out == second.held_out
    assert sum(text in lines[50:] for text in measured) == 30
    assert first.to_json()["samples"]["among"] == len(set(lines[:50]))


def test_copies_are_called_memorizing_and_chance_is_not() -> None:
    every = list(dict.fromkeys(texts("abcde", 900, 6, 6)))[:400]
    assert len(every) == 400
    train_, held = tuple(every[:200]), tuple(every[200:])
    index = TextIndex(Split(train_, held, (), documents=True))
    copied = novelty_of(train_[:100], index)
    assert copied.memorizing
    assert copied.samples.verbatim == 1
    assert copied.samples.distance == 0
    assert copied.verdict.startswith("memorizing: 100% of 100 samples")
    assert copied.by_chance
    # a model that has learned draws old and new alike: half of its samples are in training
    learned = novelty_of(every[150:250], index)
    assert learned.samples.verbatim == 0.5
    assert learned.expected == pytest.approx(0.5, rel=0.05)
    assert learned.error < 0.1
    assert not learned.memorizing
    assert learned.verdict.startswith("not memorizing")


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
    index = TextIndex(Split(lines[:4800], lines[4800:5400], (), documents=True))
    real = novelty_of(lines[5400:], index)
    assert real.samples.verbatim > 0.7
    assert real.expected == pytest.approx(real.samples.verbatim, abs=0.06)
    assert not real.by_chance
    assert real.word == "not memorizing"
    # the same of a stream, whose stretches stand in the training part as well
    stream = ["".join(f"{line}\n" for line in part) for part in (lines[:4800], lines[4800:5400])]
    index = TextIndex(Split((stream[0],), (stream[1],), (), documents=False))
    fresh = "".join(f"{line}\n" for line in lines[5400:])
    places = range(0, len(fresh) - 60, len(fresh) // 16)
    assert novelty_of([fresh[i : i + 50] for i in places], index).word == "not memorizing"
    copied = [stream[0][i : i + 50] for i in range(0, 4000, 250)]
    assert novelty_of(copied, index).memorizing


def test_a_few_hits_are_no_fact() -> None:
    every = list(dict.fromkeys(texts("abcdefgh", 3000, 6, 9)))[:1300]
    index = TextIndex(Split(tuple(every[:1000]), tuple(every[1000:1100]), (), documents=True))
    # 6 of 20 copies, one hit of 100 held-out documents: 5% +- 7% would be 50% +- 70%
    few = novelty_of([*every[:10], every[1000], *every[1100:1109]], index)
    assert few.expected == pytest.approx(0.5)
    assert few.error > 0.3
    assert not few.memorizing
    assert f"(± {100 * few.error:.1f})" in few.verdict
    many = novelty_of(every[:1000], index)
    assert many.memorizing
    assert many.error < 0.02
    # the error is that of repeating the measurement
    draw = random.Random(1)
    seen = [
        novelty_of(draw.choices(every, k=400), index, compared=0).expected for _ in range(200)
    ]  # fmt: skip
    told = novelty_of(draw.choices(every, k=400), index, compared=0).error
    assert told == pytest.approx(float(np.std(seen)), rel=0.3)


def test_a_model_that_has_learned_nothing_is_not_praised(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(log_lines(600, 2)), "utf-8")
    settings = {"model.n_layer": 1, "model.n_embd": 16, "model.n_head": 2, "data.kind": "documents"}
    run = train(
        str(tmp_path / "lines.txt"), model="gpt2", steps=3, out=tmp_path / "run", precision="fp32",
        settings={**settings, "training.batch_size": 4},
    )  # fmt: skip
    novelty = measure_novelty(run.model, run.tokenizer, TextIndex(run.split()))
    assert novelty.word == "has not learned much yet"
    assert novelty.losses is not None
    assert novelty.losses.unigram > novelty.losses.bigram
    assert run.report["novelty"]["verdict"].startswith("has not learned much yet: its loss of ")


def test_both_sets_are_of_one_size_and_cut_alike() -> None:
    lines = tuple(texts("abcdefgh", 80, 300, 10))
    index = TextIndex(Split(lines[:50], lines[50:80], (), documents=True))
    found = novelty_of([*lines[:70], "", ""], index, cut=lambda text: text[:40])
    assert found.samples.compared == found.held_out.compared == 30
    assert found.samples.empty == 2
    assert "; 2 of 72 samples empty" in found.verdict
    assert found.held_out.longest <= 40
    assert novelty_of([""] * 5, index).word == "has not learned much yet"


def test_without_held_out_text_nothing_is_claimed() -> None:
    lines = tuple(texts("abcdefgh", 50, 30, 11))
    for split in (Split(lines, lines, (), True, held_out=False), Split(("abab",), (), (), False)):
        found = novelty_of(["ab", "aba"], TextIndex(split))
        assert found.verdict.startswith("nothing is held out")
        assert "held-out text" not in found.verdict


def test_a_stream_is_judged_by_its_spans() -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=5)) for _ in range(40)]
    text = " ".join(draw.choices(words, k=2000))
    index = TextIndex(Split((text[:8000],), (text[8000:],), (), documents=False))
    assert novelty_of([text[100:300], text[900:1100]], index).memorizing
    fresh = " ".join(draw.choices(words, k=200))
    assert not novelty_of([fresh[:200], fresh[300:500]], index).memorizing
    assert index.nearest.distances(["anything"]) == []


def test_counts_of_all_names_copy_more_than_chance_and_do_not_memorize(names_run: Run) -> None:
    ngram = build_model(model_config({"name": "ngram"}), 27, 0)
    part = names_run.part("train")
    ngram.fit(torch.from_numpy(part.tokens.astype("int64")), torch.from_numpy(part.starts))
    found = measure_novelty(ngram, names_run.tokenizer, TextIndex(names_run.split()))
    assert found.word == "copies more than chance"
    assert not found.memorizing
    assert not found.learned_little


def test_a_seventh_of_copies_where_none_are_expected_is_said() -> None:
    every = list(dict.fromkeys(texts("abcdefgh", 900, 14, 9)))[:600]
    index = TextIndex(Split(tuple(every[:200]), tuple(every[200:400]), (), documents=True))
    found = novelty_of([*every[:28], *every[400:572]], index)
    assert found.samples.verbatim == 0.14
    assert found.expected == 0
    assert not found.memorizing
    assert found.copying
    assert found.word == "copies more than chance"
    few = novelty_of([*every[:2], *every[400:598]], index)
    assert not few.copying

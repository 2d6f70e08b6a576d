"""Copies are found exactly, and told from learning."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hornbook.data.part import Split
from hornbook.diagnostics.novelty import SuffixArray, Training, compare, measure, suffix_order
from hornbook.run import Run
from hornbook.training import train


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
    for query in [*texts("abcd", 30, 12, 5), "a" * 200]:
        found = training.nearest(query)
        assert found is not None
        assert found[1] == min(levenshtein(query, d) for d in documents)
        assert found[1] == levenshtein(query, found[0])


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
    # a model that has learned draws old and new alike: half of its samples are in training
    learned = compare(every[150:250], training)
    assert learned.samples.verbatim == 0.5
    assert learned.expected == pytest.approx(0.5, rel=0.05)
    assert not learned.memorising
    assert learned.verdict.startswith("learned")


def test_a_stream_is_judged_by_its_spans() -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefgh", k=5)) for _ in range(40)]
    text = " ".join(draw.choices(words, k=2000))
    training = Training(Split((text[:8000],), (text[8000:],), (), documents=False))
    assert compare([text[100:300], text[900:1100]], training).memorising
    fresh = " ".join(draw.choices(words, k=200))
    assert not compare([fresh[:200], fresh[300:500]], training).memorising
    assert training.nearest("anything") is None


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
            "training.evaluations": 6, "training.samplings": 0, "training.probe_every": 70,
        },
    )  # fmt: skip


def test_training_far_too_long_on_300_names_is_called_memorising(overtrained: Run) -> None:
    novelty = overtrained.report["novelty"]
    assert novelty["memorising"]
    assert "memorising: " in novelty["verdict"]
    assert novelty["last"]["samples"]["verbatim"] > 0.5
    from hornbook.diagnostics.figures import copies
    from hornbook.diagnostics.source import records

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


def test_a_model_of_all_names_has_learned(names_run: Run) -> None:
    assert names_run.report["novelty"]["verdict"].startswith("learned")
    from hornbook.models.registry import build_model, model_config

    ngram = build_model(model_config({"name": "ngram"}), 27, 0)
    import torch

    part = names_run.part("train")
    ngram.fit(torch.from_numpy(part.tokens.astype("int64")), torch.from_numpy(part.starts))
    assert not measure(ngram, names_run.tokenizer, Training(names_run.split())).memorising

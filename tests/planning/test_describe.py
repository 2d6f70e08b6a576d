"""A plan in words, and as plain data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hornbook.config import Nested, merge
from hornbook.planning.bench import Bench
from hornbook.planning.describe import describe, facts
from tests.planning.texts import TINY_GPT, TINY_MLP, plan_of, stream


def test_every_decision_comes_with_its_reason(words_file: Path) -> None:
    lines = dict(describe(plan_of(words_file, TINY_GPT)))
    assert lines["tokenizer"] == "char, 12 tokens"
    assert lines["split"].startswith("train / validation / test: 172 / 22 / 22 documents")
    assert lines["model"].startswith("gpt, ")
    assert lines["context"] == "16 tokens (requested)"
    assert lines["batch"] == "4 sequences (requested)"
    assert lines["row length"] == "16 tokens (the context)"
    assert lines["steps"].startswith("9, ")
    assert lines["steps"].endswith("epochs (requested)")
    assert lines["threads"] == "1 (requested)"
    assert lines["precision"] == "fp32 (requested)"
    assert lines["compiled"] == "no (requested)"
    assert lines["memory"].startswith("about ")


def test_what_a_text_decided_is_said(few_names: Path) -> None:
    lines = dict(describe(plan_of(few_names)))
    assert lines["dropout"] == "0.3 (a small text is read many times)"
    assert lines["batch"].endswith("(a small text)")
    assert "12.0 epochs (12 times through a small text; more would memorize it)" in lines["steps"]


def test_a_text_with_blank_lines_may_be_documents(tmp_path: Path) -> None:
    path = tmp_path / "recipes.txt"
    path.write_text("Soup\n1 onion\n\nBread\n2 cups of flour\n\n" * 40)
    (corpus,) = [how for what, how in describe(plan_of(path, TINY_MLP)) if what == "corpus"]
    assert corpus.endswith(
        "lines are blank; to read what is between them as documents: --separator blank)"
    )


def test_less_than_a_tenth_of_an_epoch_is_not_none(words_file: Path) -> None:
    few = {"model": {"name": "bigram"}, "training": {"steps": 1, "batch_size": 4}}
    steps = dict(describe(plan_of(words_file, few)))["steps"]
    epochs = float(steps.split(", ")[2].split()[0])
    assert 0 < epochs < 0.1
    many = {"model": {"name": "bigram"}, "training": {"steps": 1500, "batch_size": "all"}}
    assert ", 1,500.0 epochs" in dict(describe(plan_of(words_file, many)))["steps"]


def test_what_a_preset_says_is_not_repeated(words_file: Path) -> None:
    lines = dict(describe(plan_of(words_file, {"model": {"name": "bigram"}})))
    assert not {"dropout", "warm-up", "learning rate", "evaluations"} & lines.keys()


def test_what_time_decided_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {48: 0.02, 64: 1.0, 128: 2.0}
    monkeypatch.setattr(
        Bench, "step_seconds", lambda bench, *_, **__: seconds[bench.plan.config.model.n_embd]
    )
    monkeypatch.setattr(Bench, "report_seconds", lambda *_: (2.0, 3.0))
    lines = dict(describe(plan_of("names", minutes=0.3)))
    assert "hybrid tiny promises the lowest loss on this text" in lines["model"]
    assert "counts of order 6 alone 2.0" in lines["model"]
    assert "(20 ms a step)" in lines["model"]
    assert "as many as fit into 0.3 minutes, 20 ms each" in lines["steps"]
    assert lines["learning rate"].startswith("0.005, of Muon's matrices 0.015 (")
    assert lines["evaluations"].endswith(" (those that fit into the time)")


def test_one_row_is_one_sequence(words_file: Path) -> None:
    settings = merge(TINY_GPT, {"training": {"batch_size": 1}})
    assert dict(describe(plan_of(words_file, settings)))["batch"] == "1 sequence (requested)"


def test_windows_streams_counts_and_nothing_held_out_are_said(
    words_file: Path, tmp_path: Path
) -> None:
    lines = dict(describe(plan_of(words_file, TINY_MLP)))
    assert lines["batch"].startswith("4 windows (")
    assert lines["row length"] == "3 tokens (the context)"
    sequences: Nested = {"training": {"examples": "sequences"}}
    lines = dict(describe(plan_of(words_file, merge(TINY_MLP, sequences))))
    assert lines["row length"] == "64 tokens (four times the context, at least 64)"
    lines = dict(describe(plan_of(stream(tmp_path, 3000), TINY_GPT)))
    assert lines["split"].endswith(" characters")
    assert "stream (" in lines["corpus"]
    counts = dict(describe(plan_of(words_file, model="ngram")))
    assert counts["model"] == "ngram, fitted by counting"
    assert not {"steps", "threads"} & counts.keys()
    assert counts["memory"].startswith("about")
    tiny: Nested = {
        "model": {"n_layer": 1, "n_head": 2, "n_embd": 16},
        "training": {"compile": "auto"},
    }
    both = dict(describe(plan_of(words_file, tiny, model="hybrid", steps=3)))
    assert both["model"].endswith(" parameters and counts of the training part")
    assert both["compiled"].startswith("no (counts")
    again: Nested = {"data": {"validation": 0}}
    lines = dict(describe(plan_of(words_file, merge(TINY_GPT, again))))
    assert lines["split"].endswith("validation is the training part again")


def test_messages_of_the_request_are_notes(words_file: Path) -> None:
    plan = plan_of(words_file, merge(TINY_GPT, {"training": {"evaluations": 4}}))
    notes = [how for what, how in describe(plan) if what == "note"]
    assert notes[0] == "training.evaluations is now training.eval_count"


def test_facts_are_plain_data(words_file: Path) -> None:
    plan = plan_of(words_file, TINY_GPT)
    found = json.loads(json.dumps(facts(plan, plan.shape.n_parameters), allow_nan=False))
    assert found["corpus"]["sha256"] == plan.data.corpus.sha256
    assert found["split"]["train"] == plan.data.train.n_targets
    assert found["n_parameters"] == sum(p.numel() for p in plan.build_model().parameters())
    assert found["hardware"]["threads"] == 1
    assert found["hardware"]["precision"] == "fp32"
    assert found["decisions"]["training.steps"] == {"value": 9, "reason": "requested"}
    assert "schedule" not in found


def test_the_schedule_of_a_repeated_run_is_a_fact(words_file: Path) -> None:
    paces = [[0, 0.0, 20], [7, 7.0, 13]]
    settings = merge({"model": TINY_GPT["model"]}, {"optim": {"paces": paces}})
    plan = plan_of(words_file, settings)
    assert facts(plan, plan.shape.n_parameters)["schedule"] == paces


def test_one_of_anything_is_singular(words_file: Path) -> None:
    settings: Nested = {"model": {"name": "bigram"}, "training": {"steps": 1, "batch_size": 1}}
    lines = dict(describe(plan_of(words_file, settings)))
    assert lines["context"].startswith("1 token")
    assert lines["batch"].startswith("1 window ")
    assert lines["row length"].startswith("1 token")
    assert not re.search(r"\b1 (tokens|windows|steps)\b", " ".join(lines.values()))

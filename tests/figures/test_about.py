"""How the page of a run begins: its facts in words, and nothing that a text could inject."""

from __future__ import annotations

import shutil
from pathlib import Path

import hornbook
from hornbook.api import Run
from hornbook.figures.about import CHARACTERS, DOCUMENTS, about, escaped, facts
from hornbook.figures.page import summary
from hornbook.files import write_json


def test_the_facts_are_those_of_the_run(names_run: Run) -> None:
    found = dict(facts(names_run))
    assert found["Model"] == f"gpt, {names_run.model.n_parameters:,} parameters"
    assert found["How"].startswith(f"{names_run.report['steps']} steps in ")
    assert f"validation {names_run.report['validation']['nats']:.4f}" in found["Loss"]
    assert "n embd 16" in found["Settings"]


def test_a_base_is_named_with_what_became_of_its_text(names_run: Run) -> None:
    assert dict(facts(names_run))["Began from"] == ""
    run = Run(names_run.path, names_run.facts, names_run.config)
    corpus = {"name": "old"}
    run.facts = {
        **run.facts,
        "base": {"source": "/home/me/runs/first", "sha256": "ab" * 32, "corpus": corpus},
    }
    assert dict(facts(run))["Began from"] == "first, sha256 abababababab..."


def test_counts_are_counted(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    found = dict(facts(run))
    assert found["How"] == "counted in one pass"
    assert found["Model"].endswith(" probabilities")


def test_the_losses_of_parts_are_beside_that_of_the_whole(names_run: Run, tmp_path: Path) -> None:
    assert dict(facts(names_run))["Parts alone"] == ""
    run = hornbook.load(shutil.copytree(names_run.path, tmp_path / "run"))
    losses = run.report["validation"]
    parts = {"counts": {**losses, "nats": 2.1}, "network": {**losses, "nats": None}}
    write_json(run.path / "report.json", {**run.report, "parts": parts})
    found = dict(facts(run))["Parts alone"]
    assert found == "counts 2.1000, network infinite nats per token"


def test_samples_are_few_short_and_escaped(names_run: Run, tmp_path: Path) -> None:
    run = hornbook.load(shutil.copytree(names_run.path, tmp_path / "run"))
    samples = ["<script>" + "a" * 2 * CHARACTERS] * 2 * DOCUMENTS
    write_json(run.path / "report.json", {**run.report, "samples": samples})
    page = about(run)
    assert "<script>" not in page
    assert page.count(escaped("<script>")) == DOCUMENTS
    assert "a" * CHARACTERS not in page
    write_json(run.path / "report.json", {**run.report, "samples": ["", ""]})
    assert "Samples" not in about(run)


def test_samples_of_several_lines_keep_them(names_run: Run, tmp_path: Path) -> None:
    run = hornbook.load(shutil.copytree(names_run.path, tmp_path / "run"))
    samples = ["Soup\n- 2 onions", "Cake\n- 3 eggs", "Tea", "Salad"]
    write_json(run.path / "report.json", {**run.report, "samples": samples})
    assert "<pre>Soup\n- 2 onions</pre><pre>Cake\n- 3 eggs</pre><pre>Tea</pre></dd>" in about(run)
    assert "Soup\\n- 2 onions, Cake" in summary(run)

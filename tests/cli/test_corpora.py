"""The small corpora train by the commands that a person would type, and are used as they were read."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from tests.cli.common import SMALL, Cap, run
from tests.data.sources.test_standard_input import Piped

FOLDER = Path(__file__).parent.parent / "corpora"
CASES = [  # the words after `hornbook train`, documents (0: a stream), whether they hold line breaks
    ("names.txt", 80, False),
    ("story.txt", 0, False),
    ("notes", 24, True),
    ("notes --glob *0.md --separator file", 3, True),
    ("messages.jsonl", 60, True),
    ("messages.jsonl --field author.name", 60, False),
    ("reviews.csv --column review", 60, True),
    ("villages.tsv", 60, False),
    ("recipes.txt --separator blank", 60, True),
    ("games.pgn", 40, False),
    ("tunes.abc", 40, True),
    ("proteins.fasta", 40, False),
    ("sayings --separator %", 50, True),
    ("letters.txt.gz", 220, False),
]


def words_of(command: str, folder: Path) -> list[str]:
    first, *others = command.split()
    return [str(folder / first), *others]


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copytree(FOLDER, here / "texts")
    return here / "texts"


@pytest.mark.parametrize(("command", "documents", "line_breaks"), CASES)
def test_a_corpus_trains_at_first_try(
    corpora: Path,
    capsys: Cap,
    command: str,
    documents: int,
    line_breaks: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = words_of(command, corpora)
    code, out, err = run(capsys, "data", *words, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts.get("documents", 0) == documents
    model = ["--model", "ngram", "--model.order", "3", "--out", "run"]
    code, out, err = run(capsys, "train", *words, *model)
    assert code == 0, err
    trained = Run.load("run")
    assert trained.line_breaks is line_breaks
    corpus = trained.corpus()  # read again, as it was
    assert corpus.sha256 == facts["sha256"] == trained.facts["corpus"]["sha256"]
    assert corpus.n_documents == documents
    before = run(capsys, "eval", "run")
    assert before[0] == 0, before[2]

    moved = tmp_path / "moved"  # the text and the run, together
    monkeypatch.chdir(tmp_path)
    shutil.move(corpora.parent, moved)
    after = run(capsys, "eval", moved / "run")
    assert after[:2] == before[:2], after[2]


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on documents that hold line breaks."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copy(FOLDER / "recipes.txt", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        from hornbook.cli.main import main

        words = ["train", "recipes.txt", "--separator", "blank", "--steps", "30", "--out", "run"]
        assert main([*words, *SMALL]) == 0
    return folder / "run"


def test_samples_with_line_breaks_have_a_line_between_them(recipes: Path, capsys: Cap) -> None:
    code, out, _ = run(capsys, "sample", recipes, "-n", "3", "--seed", "1")
    assert code == 0
    assert len(out.split("\n---\n")) == 3
    code, out, _ = run(capsys, "sample", recipes, "-n", "2", "--json")
    assert len(out.splitlines()) == 2


def test_documents_with_line_breaks_are_scored_as_one(
    recipes: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Run.load(recipes).corpus().documents[:2]
    code, out, _ = run(capsys, "score", recipes, first, "--json")
    (alone,) = map(json.loads, out.splitlines())
    assert alone["text"] == first
    monkeypatch.setattr(sys, "stdin", Piped(f"{first}\n\n\n{second}\n".encode()))
    code, out, _ = run(capsys, "score", recipes, "--json")
    assert code == 0
    piped = list(map(json.loads, out.splitlines()))
    assert [s["text"] for s in piped] == [first, second]
    assert piped[0]["total_nats"] == pytest.approx(alone["total_nats"], rel=1e-5)
    monkeypatch.setattr(sys, "stdin", Piped(f"{first}\n".encode()))
    _, out, _ = run(capsys, "score", recipes, "--separator", "line", "--json")
    assert len(out.splitlines()) == len(first.split("\n"))


def test_novelty_and_figures_take_documents_whole(recipes: Path, tmp_path: Path) -> None:
    trained = Run.load(recipes)
    first = trained.split().train[0]
    assert "\n" in first
    assert trained.mark_copies([first, first.split("\n")[0]]) == [True, False]
    assert trained.report["novelty"]["kept"]["samples"]["texts"] > 0
    inspection = trained.inspect(tmp_path / "page", text=first)
    assert not inspection.failed if hasattr(inspection, "failed") else inspection.page.exists()


def test_a_run_of_such_documents_is_resumed_and_scored_on_other_texts(
    recipes: Path, corpora: Path, capsys: Cap, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(recipes, copy)
    code, _, err = run(capsys, "train", "--resume", copy, "--steps", "40")
    assert code == 0, err
    other = corpora / "messages.jsonl"
    code, out, err = run(capsys, "eval", copy, "--corpus", other, "--unknown", "skip")
    assert (code, "60 documents" in out) == (0, True), err
    code, out, err = run(capsys, "eval", copy, "--corpus", corpora / "names.txt", "--separator",
                         "line", "--unknown", "skip")  # fmt: skip
    assert (code, "80 documents" in out) == (0, True), err


def test_several_files_are_one_corpus(corpora: Path, capsys: Cap) -> None:
    first, second = corpora / "names.txt", corpora / "more.txt"
    second.write_text("emma\nava\n")
    code, _, err = run(capsys, "train", first, second, "--model", "ngram", "--out", "run")
    assert code == 0, err
    assert Run.load("run").corpus().n_documents == 82
    code, _, err = run(capsys, "train", first, "gone.txt")
    assert (code, "gone.txt" in err) == (2, True)


def test_a_text_that_is_piped_in_is_kept_in_its_run(
    corpora: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdin", Piped((corpora / "recipes.txt").read_bytes()))
    words = ["-", "--separator", "blank", "--model", "ngram", "--out", "run"]
    code, _, err = run(capsys, "train", *words)
    assert code == 0, err
    shutil.rmtree(tmp_path / "cache")
    code, _, err = run(capsys, "eval", "run")
    assert code == 0, err
    assert Run.load("run").corpus().n_documents == 60


def test_a_changed_field_is_another_text(corpora: Path, capsys: Cap) -> None:
    run(capsys, "train", corpora / "messages.jsonl", "--model", "ngram", "--out", "run")
    text = (corpora / "messages.jsonl").read_text()
    (corpora / "messages.jsonl").write_text(text.replace('"id": 1', '"id": 77'))
    assert run(capsys, "eval", "run")[0] == 0  # another field has changed
    (corpora / "messages.jsonl").write_text(text.replace("the mill", "the lake"))
    code, _, err = run(capsys, "eval", "run")
    assert (code, "has changed since this run was trained" in err) == (1, True)


@pytest.mark.parametrize("name", ["games.pgn", "proteins.fasta"])
def test_games_and_sequences_are_scored_with_headers_or_without(
    corpora: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(capsys, "train", corpora / name, "--model", "ngram", "--out", "run")
    first, second = Run.load("run").corpus().documents[:2]
    monkeypatch.setattr(sys, "stdin", Piped(f"{first}\n{second}\n".encode()))
    code, out, err = run(capsys, "score", "run", "-", "--json")
    assert (code, [json.loads(line)["text"] for line in out.splitlines()]) == (0, [first, second])
    assert "found no headers, as the run's text has, so each line is a text" in err
    monkeypatch.setattr(sys, "stdin", Piped((corpora / name).read_bytes()))
    _, out, err = run(capsys, "score", "run", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()][:2] == [first, second]
    assert "headers" not in err


@pytest.mark.parametrize("separator", ["pgn", "abc", "fasta"])
def test_a_text_without_headers_is_no_text_of_games(
    corpora: Path, capsys: Cap, separator: str
) -> None:
    code, _, err = run(capsys, "data", corpora / "names.txt", "--separator", separator)
    assert (code, "found no line that begins with" in err) == (1, True), err


def test_a_pipe_of_json_lines_is_read_as_records_by_train_and_eval(
    corpora: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = (corpora / "messages.jsonl").read_bytes()
    monkeypatch.setattr(sys, "stdin", Piped(piped))
    code, _, err = run(capsys, "train", "-", "--model", "ngram", "--out", "run")
    assert code == 0, err
    assert Run.load("run").corpus().n_documents == 60
    monkeypatch.setattr(sys, "stdin", Piped(piped))
    code, out, err = run(capsys, "eval", "run", "--corpus", "-")
    assert (code, "60 documents" in out) == (0, True), err

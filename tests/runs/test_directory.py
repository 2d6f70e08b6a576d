"""The run directory: made whole, read lazily, refused where it is none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run, train
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.runs.directory import (
    StoredRun,
    check_free,
    create,
    free_path,
    saved_step,
    unfinished,
)
from hornbook.runs.text import MissingTextError


@pytest.fixture
def copy(names_run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    shutil.copytree(names_run.path, path)
    return path


def test_a_run_is_all_that_its_directory_holds(names_run: Run, copy: Path) -> None:
    run = StoredRun.load(copy)
    assert run.config == names_run.config
    assert run.report == names_run.report
    assert run.log == names_run.log
    assert run.model.n_parameters == names_run.model.n_parameters
    assert "validation" in repr(run)


def test_a_name_that_is_nearly_right_is_suggested(copy: Path) -> None:
    with pytest.raises(RunError, match="did you mean 'copy'"):
        StoredRun.load(copy.parent / "coppy")


def test_a_name_alone_is_found_among_the_runs(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    copy.rename(tmp_path / "runs" / "mine")
    with pytest.raises(RunError, match=r"did you mean 'runs.mine'"):
        StoredRun.load("mine")


def test_a_run_that_was_stopped_before_it_had_weights_says_how_to_go_on(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(RunError, match="cannot be read"):  # finished, so it is damaged
        _ = StoredRun.load(copy).model
    (copy / "report.json").unlink()
    with pytest.raises(RunError, match=r"has no weights yet.*hornbook train --resume"):
        _ = StoredRun.load(copy).model


def test_a_directory_of_runs_names_those_in_it(copy: Path) -> None:
    with pytest.raises(RunError, match=r"hornbook wrote; there are runs in it: copy$"):
        StoredRun.load(copy.parent)


def test_a_tokenizer_of_another_run_is_refused(copy: Path, stream_run: Run) -> None:
    shutil.copy(stream_run.path / "tokenizer.json", copy / "tokenizer.json")
    with pytest.raises(RunError, match="it is of another run"):
        _ = StoredRun.load(copy).tokenizer


def test_damage_of_a_log_ends_it_or_is_an_error(copy: Path) -> None:
    lines = (copy / "log.jsonl").read_text().splitlines()
    (copy / "log.jsonl").write_text("\n".join([*lines[:3], '{"step": -1}', *lines[3:]]) + "\n")
    run = StoredRun.load(copy)
    with pytest.raises(RunError, match="step"):
        _ = run.log
    damage: list[str] = []
    assert len(run.read_log(damage)) == 3
    assert len(damage) == 1


def test_a_directory_is_created_whole_and_once(names_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new"
    run = create(out, names_run.facts, names_run.config, names_run.tokenizer)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "tokenizer.json"]
    assert StoredRun.load(out).config == run.config
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new"]
    with pytest.raises(ConfigError, match="exists already"):
        create(out, names_run.facts, names_run.config, names_run.tokenizer)


def test_what_is_there_already_is_said_with_the_way_on(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"finished after 30 steps.*\n  .*--steps 60\n"):
        check_free(copy)
    shutil.rmtree(copy / "last")
    with pytest.raises(ConfigError, match=r"finished after 30 steps; give another directory"):
        check_free(copy)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="exists already; give another directory"):
        check_free(tmp_path / "file")
    check_free(tmp_path / "free")
    with pytest.raises(RunError, match="cannot be made in"):
        check_free(tmp_path / "file" / "below")


def test_an_unfinished_run_is_known_by_its_missing_report(copy: Path) -> None:
    assert unfinished(copy) is None
    (copy / "report.json").unlink()
    assert str(unfinished(copy)).endswith(f"hornbook train --resume {copy}")
    assert unfinished(copy.parent) is None


def test_the_steps_done_are_those_of_the_pointer_or_of_the_files(copy: Path) -> None:
    assert saved_step(copy) == 30
    pointer = copy / "last" / "state.json"
    facts = json.loads(pointer.read_text())
    pointer.write_text("{")
    assert saved_step(copy) == facts["step"]
    shutil.rmtree(copy / "last")
    assert saved_step(copy) is None


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A run of counts and its corpus, in `there/`; not the working directory."""
    (tmp_path / "here" / "runs").mkdir(parents=True)
    text = tmp_path / "here" / "text.txt"
    text.write_text("emma\nolivia\nava\nisabella\nsophia\n" * 9)
    settings = {"data.kind": "documents", "model.order": 2}
    out = tmp_path / "here" / "runs" / "counts"
    train(str(text), model="ngram", settings=settings, out=out)
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    return tmp_path / "there" / "runs" / "counts", tmp_path / "there" / "text.txt"


@pytest.mark.parametrize(
    "place", ["as before", "beside the run", "in the run", "working directory", "cache"]
)
def test_a_run_that_was_moved_with_its_corpus_finds_it(
    moved: tuple[Path, Path], place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, text = moved
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    folders = {"beside the run": path.parent, "in the run": path, "working directory": Path()}
    if place != "as before":
        folder = folders.get(place, tmp_path / "cache")
        folder.mkdir(exist_ok=True)
        text = text.rename(folder / "under another name")
    run = Run.load(path)
    assert run.evaluate().nats == pytest.approx(run.report["validation"]["nats"])
    found = run.corpus()
    assert Path(found.path).samefile(text)
    assert found.notes[-1].startswith(f"found at {found.path}: ")
    assert found.sha256 == run.facts["corpus"]["sha256"]


def test_another_text_in_the_place_of_the_corpus_is_not_taken_for_it(
    moved: tuple[Path, Path],
) -> None:
    path, text = moved
    assert Run.load(path).facts["corpus"]["relative"] == "../../text.txt"
    text.write_text(text.read_text().swapcase())
    with pytest.raises(MissingTextError, match=r"no such file.*beside the run.*under any name"):
        Run.load(path).corpus()


def test_a_run_whose_text_was_read_otherwise_by_an_earlier_version_is_refused(
    tmp_path: Path,
) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"emma\r\r\nolivia\r\r\nava\r\r\n" * 9)
    train(str(text), model="ngram", settings={"data.kind": "documents"}, out=tmp_path / "run")
    assert Run.load(tmp_path / "run").evaluate().tokens > 0
    file = tmp_path / "run" / "config.json"
    facts = json.loads(file.read_text())
    assert facts["corpus"].pop("reading") == 2
    file.write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"an earlier version of hornbook.*train on it again"):
        Run.load(tmp_path / "run").evaluate()


def test_another_text_is_read_in_its_own_encoding(tmp_path: Path) -> None:
    words = "smørbrød\nfløde\nrød\nblå\n" * 9
    texts = {encoding: tmp_path / f"{encoding}.txt" for encoding in ("latin-1", "utf-8", "utf-16")}
    for encoding, path in texts.items():
        path.write_bytes(words.encode(encoding))
    settings = {"data.encoding": "latin-1", "data.kind": "documents", "model.order": 2}
    run = train(str(texts["latin-1"]), model="ngram", settings=settings, out=tmp_path / "run")
    losses = {encoding: run.evaluate(corpus=path).nats for encoding, path in texts.items()}
    assert len({round(loss, 9) for loss in losses.values()}) == 1
    assert "read as utf-8" in run.other_text(texts["utf-8"]).notes[-1]
    assert not run.other_text(texts["latin-1"]).notes
    wrong = run.other_text(texts["utf-8"], "latin-1")
    assert "the file is valid UTF-8 as well" in wrong.notes[-1]
    with pytest.raises(DataError, match="unknown characters"):
        run.evaluate(corpus=texts["utf-8"], encoding="latin-1")
    with pytest.raises(ConfigError, match="encoding: found it without another text"):
        run.evaluate(encoding="utf-8")


def test_a_taken_name_is_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_path("names-gpt") == (Path("runs/names-gpt"), None)
    os.makedirs("runs/names-gpt")
    assert free_path("names-gpt") == (Path("runs/names-gpt-2"), Path("runs/names-gpt"))

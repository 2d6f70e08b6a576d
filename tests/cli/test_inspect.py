"""`hornbook inspect`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.api import Run, train
from hornbook.cli.main import main
from hornbook.stages import watched
from tests.conftest import WORDS, strict

Cap = pytest.CaptureFixture[str]
DrawOnly = Callable[..., None]


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Counts of nine symbols over ten words: it can only copy."""
    folder = tmp_path_factory.mktemp("parrot")
    (folder / "words.txt").write_text("\n".join(WORDS), "utf-8")
    settings = {
        "data.kind": "documents",
        "model.order": 9,
        "model.smoothing": "add-k",
        "model.k": 0.0,
    }
    return train(str(folder / "words.txt"), model="ngram", out=folder / "run", settings=settings)


def test_inspect_writes_figures_and_a_page(capsys: Cap, parrot: Run, tmp_path: Path) -> None:
    assert main(["inspect", str(parrot.path), "--text", "emma", "--out", str(tmp_path / "o")]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "o" / "index.html")
    assert "copies: memorizing: 100%" in err
    assert "losses: left out: it was not trained step by step" in err
    page = (tmp_path / "o" / "index.html").read_text("utf-8")
    assert "memorizing: 100%" in page
    assert (tmp_path / "o" / "surprise.png").read_bytes()[1:4] == b"PNG"


def test_inspect_tells_wrong_places(capsys: Cap, parrot: Run, tmp_path: Path) -> None:
    assert main(["inspect", str(tmp_path / "none")]) == 1
    assert "expected a run directory" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["inspect", str(parrot.path), "--out", str(tmp_path / "file")]) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_inspect_does_not_follow_a_link_out_of_the_run(
    capsys: Cap, parrot: Run, tmp_path: Path
) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(parrot.path, run, ignore=shutil.ignore_patterns("inspect"))
    elsewhere.mkdir()
    (run / "inspect").symlink_to(elsewhere)
    assert main(["inspect", str(run), "--text", "emma"]) == 1
    err = capsys.readouterr().err
    assert f"{run / 'inspect'}: is a link" in err
    assert "remove it, or give another folder (--out)" in err
    assert not list(elsewhere.iterdir())


def test_figures_of_a_former_page_do_not_outlive_it(
    parrot: Run, tmp_path: Path, draw_only: DrawOnly
) -> None:
    draw_only("surprise", "attention", "ratios", "neurons")
    folder = tmp_path / "o"
    folder.mkdir()
    (folder / "index.html").write_text("a former page")
    for name in ("attention.png", "ratios.svg", "notes.png", "attention.txt"):
        (folder / name).write_text("old")
    (tmp_path / "kept.png").write_text("another's")
    (folder / "neurons.png").symlink_to(tmp_path / "kept.png")
    assert main(["inspect", str(parrot.path), "--text", "emma", "--out", str(folder)]) == 0
    left = {path.name for path in folder.iterdir()}
    assert not left & {"attention.png", "ratios.svg", "neurons.png"}
    assert {"notes.png", "attention.txt", "surprise.png"} <= left
    assert (tmp_path / "kept.png").exists()


def test_a_folder_without_a_page_keeps_its_files(
    parrot: Run, tmp_path: Path, draw_only: DrawOnly
) -> None:
    draw_only("surprise", "attention")
    (tmp_path / "attention.png").write_text("somebody's own")
    assert main(["inspect", str(parrot.path), "--text", "emma", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "attention.png").read_text() == "somebody's own"


def test_a_run_whose_corpus_is_gone_is_still_looked_into(
    capsys: Cap, parrot: Run, tmp_path: Path, draw_only: DrawOnly
) -> None:
    draw_only("surprise", "copies")
    moved = tmp_path / "moved"
    shutil.copytree(parrot.path, moved)
    corpus = parrot.path.parent / "words.txt"
    text = corpus.read_text("utf-8")
    corpus.unlink()
    try:
        assert main(["inspect", str(moved), "--text", "emma"]) == 0
        err = capsys.readouterr().err
        assert "the corpus cannot be read" in err.splitlines()[0]
        assert "copies: left out: the corpus cannot be read" in err
        assert "surprise: " in err
        assert "surprise: left out" not in err
    finally:
        corpus.write_text(text, "utf-8")


def test_findings_as_json_and_each_figure_is_a_stage(
    capsys: Cap, parrot: Run, tmp_path: Path, draw_only: DrawOnly
) -> None:
    draw_only("surprise", "copies", "attention")
    heard: list[str | None] = []
    words = ["inspect", str(parrot.path), "--text", "emma", "--out", str(tmp_path), "--json"]
    with watched(heard.append):
        parrot.inspect(tmp_path, text="emma")
    assert {"drawing surprise", "drawing copies", "drawing attention"} <= set(heard)
    assert main(words) == 0
    found = strict(capsys.readouterr().out)
    assert found["page"] == str(tmp_path / "index.html")
    assert list(found["figures"]) == ["surprise", "copies"]
    assert found["figures"]["copies"]["text"].startswith("memorizing: 100%")
    assert found["figures"]["copies"]["good"] is False
    assert Path(found["figures"]["copies"]["svg"]).exists()
    assert list(found["left_out"]) == ["attention"]

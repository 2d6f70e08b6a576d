"""`hornbook runs`: the table, its order, and what is removed."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from tests.cli.common import Cap, run


@pytest.fixture
def folder(names_run: Run, stream_run: Run, tmp_path: Path) -> Path:
    """A finished run, one that is not, one in a folder below, and what is no run."""
    shutil.copytree(names_run.path, tmp_path / "names")
    shutil.copytree(stream_run.path, tmp_path / "ladder" / "stream")
    shutil.copytree(names_run.path, tmp_path / "half")
    (tmp_path / "half" / "report.json").unlink()
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("")
    return tmp_path


def test_the_table_has_every_run(folder: Path, capsys: Cap, names_run: Run) -> None:
    code, out, err = run(capsys, "runs", folder)
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(rows) == {"names", "half", "ladder/stream"}
    nats = f"{names_run.report['validation']['nats']:.4f}"
    for part in ("gpt", f"{names_run.facts['n_parameters']:,}", nats, "finished, 30 steps"):
        assert part in rows["names"]
    assert nats not in rows["half"]
    assert rows["half"].endswith("30 of 30 steps, not finished")
    assert "bottles" in rows["ladder/stream"]
    assert err == f"left out: {folder}/notes: found no config.json, expected a run directory\n"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are UTF-8 elsewhere")
def test_a_name_that_is_not_utf_8_keeps_the_columns(
    names_run: Run, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for name in (b"caf\xe9", b"plain"):
        shutil.copytree(names_run.path, tmp_path / os.fsdecode(name))
    assert main(["runs", str(tmp_path)]) == 0
    head, *rows = capsysbinary.readouterr().out.decode().splitlines()
    assert [row.index("gpt") for row in rows] == [head.index("model")] * 2


@pytest.mark.parametrize("key", ["name", "loss", "date", "model", "corpus"])
def test_the_table_is_sorted(key: str, folder: Path, capsys: Cap) -> None:
    def order(*words: str) -> list[tuple[object, ...]]:
        lines = run(capsys, "runs", folder, "--json", "--sort", key, *words)[1].splitlines()
        found = [json.loads(line) for line in lines]
        return [
            (r["nats"] is None, r["nats"]) if key == "loss"
            else (r[{"date": "created"}.get(key, key)],) for r in found
        ]  # fmt: skip

    assert order() == sorted(order())
    assert order("--reverse") == order()[::-1]


def test_losses_of_different_texts_are_not_ranked_unsaid(folder: Path, capsys: Cap) -> None:
    warning = "losses on different corpora cannot be compared"
    assert warning in run(capsys, "runs", folder, "--sort", "loss")[1]
    shutil.rmtree(folder / "ladder")
    assert warning not in run(capsys, "runs", folder, "--sort", "loss")[1]


def test_no_runs_is_no_error(tmp_path: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "runs")
    assert (code, out) == (0, "")
    assert "hornbook train" in err
    code, _, err = run(capsys, "runs", "nothing")
    assert code == 1
    assert "nothing: found nothing, expected a directory of runs" in err


def test_a_run_is_removed_where_it_is_agreed(
    folder: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    code, _, err = run(capsys, "runs", folder, "--remove", "names")
    assert code == 2
    assert "add --yes" in err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert run(capsys, "runs", folder, "--remove", "names")[0] == 1
    assert (folder / "names" / "config.json").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, out, err = run(capsys, "runs", folder, "--remove", "names")
    assert (code, out) == (0, f"removed {folder}/names\n")
    assert "remove 1 run for good?" in err
    words = ["runs", folder, "--remove", "half", "--remove", "ladder/stream", "--yes"]
    assert run(capsys, *words)[0] == 0
    assert sorted(p.name for p in folder.iterdir()) == ["file.txt", "ladder", "notes"]
    assert not list((folder / "ladder").iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [("nmaes", "did you mean 'names'"), ("notes", "found no config.json"),
     ("file.txt", "found no config.json"), ("ladder", "found no config.json")],
)  # fmt: skip
def test_what_is_no_run_is_not_removed_nor_a_run_beside_it(
    name: str, message: str, folder: Path, capsys: Cap
) -> None:
    before = sorted(folder.rglob("*"))
    code, _, err = run(capsys, "runs", folder, "--remove", "names", "--remove", name, "--yes")
    assert code
    assert message in err
    assert sorted(folder.rglob("*")) == before


def test_a_run_in_place_of_its_directory_is_told_how_it_is_shown(folder: Path, capsys: Cap) -> None:
    code, _, err = run(capsys, "runs", folder / "names")
    assert code == 2
    assert f"is a run, expected a directory of runs; to see it: hornbook show {folder}/names" in err

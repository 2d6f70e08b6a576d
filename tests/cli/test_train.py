"""`hornbook train`: texts of one's own, what it prints, and what `--resume` takes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from hornbook.cli.train import _summary
from tests.cli.common import SMALL, Cap, Write, run

TOWNS = "Ærø Ålborg Århus Ærøskøbing Kolding Købenavn Nørresundby Rønne Sæby Tønder Vejle Åbenrå"
OWN_TEXTS = {
    "towns.txt": "\n".join(
        dict.fromkeys(a + b.lower() for a in TOWNS.split() for b in TOWNS.split())
    ),
    "program.py": "".join(f"def f{i}(x):\n    return x + {i}\n\n\n" for i in range(80)),
    "games.txt": "\n".join(
        " ".join(f"{n}. e{1 + (n * g) % 8} d{1 + (n + g) % 8}" for n in range(1, 30 + g % 9))
        for g in range(80)
    ),
    "poem.txt": "\n".join(f"a line of verse, the {i}th of thirty in all" for i in range(30)),
}


def test_a_run_is_planned_trained_and_summed_up(capsys: Cap, tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    code, out, err = run(capsys, "train", "names", "--steps", "6", "--out", folder, *SMALL)
    assert code == 0, err
    for word in ("documents", "23,928 / 2,991 / 2,991", "parameters", "fp32", "val_loss"):
        assert word in err, word
    report = Run.load(folder).report
    assert f"{report['validation']['nats']:.4f}" in out
    assert f"{report['samples_new']} of the {report['samples_different']} different" in out
    for sample in report["samples"]:
        assert sample in out
    assert f"hornbook sample '{folder}'" in out  # quoted as a shell takes it
    code, out, err = run(capsys, "train", "--resume", folder)
    assert code == 0
    assert out == ""
    assert "nothing to do" in err
    assert "--steps 12" in err


@pytest.mark.parametrize(
    ("name", "kind"),
    [("towns.txt", "documents"), ("program.py", "stream"), ("games.txt", "documents"),
     ("poem.txt", "stream")],
)  # fmt: skip
def test_a_text_of_ones_own_works_at_first_try(
    name: str, kind: str, capsys: Cap, write: Write, tmp_path: Path
) -> None:
    path, folder = write(name, OWN_TEXTS[name]), tmp_path / "run"
    code, out, err = run(capsys, "train", path, "--steps", "4", "--out", folder, *SMALL)
    assert code == 0, err
    assert f": {kind} (" in err
    if name == "poem.txt":
        assert "a small text" in err
    if name == "games.txt":
        assert "longer than the context of 256" in err
    code, out, _ = run(capsys, "sample", folder, "-n", "2", "--seed", "1", "--max-tokens", "20")
    assert code == 0
    assert out


def test_ctrl_c_saves_and_says_how_to_continue(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hornbook", "train", "names", *SMALL, "--out", "cut"]
    command += ["--steps", "100000"]
    command[command.index("--training.eval-count") + 1] = "10000"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "val_loss" not in (line := process.stderr.readline()):
            assert line, "it ended before its first evaluation"
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
    assert process.returncode == 130, err
    assert "hornbook train --resume cut" in err
    assert "Traceback" not in err
    assert (tmp_path / "cut" / "last" / "state.json").exists()


def test_a_run_continues_with_its_own_settings(capsys: Cap, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ["--model", "bigram", "--batch-size", "32", "--training.eval-count", "1"]
    words += ["--out", folder]
    assert run(capsys, "train", "names", "--steps", "2", *words)[0] == 0
    code, _, err = run(capsys, "train", "--resume", folder, "--steps", "4", "--lr", "0.01")
    assert code == 0, err
    assert "optim.learning_rate is 0.01 from here on" in err
    assert Run.load(folder).report["steps"] == 4
    for extra in (["--seed", "3"], ["names"], ["--preset", "notes-mlp"], ["--out", "x"]):
        code, _, err = run(capsys, "train", "--resume", folder, *extra)
        assert code == 2
        assert "found it beside --resume" in err


def test_one_new_sample_is_in_the_singular(
    capsys: pytest.CaptureFixture[str], names_run: Run, tmp_path: Path
) -> None:
    path = shutil.copytree(names_run.path, tmp_path / "one")
    report = {**names_run.report, "samples_new": 1, "samples_different": 1}
    (path / "report.json").write_text(json.dumps(report))
    _summary(hornbook.load(path))
    assert "new         1 of the 1 different sample above is not in the corpus" in (
        capsys.readouterr().out
    )

"""What is typed first works, or the message says what to type."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from tests.acceptance.common import QUICK, Cap, trained, typed

TRAIN = ("--model", "mlp", "--steps", "2", "--training.sample-count", "0", *QUICK)


@pytest.mark.parametrize(
    "line",
    [
        "score RUN --tokens emma",
        "score --json RUN emma",
        "score RUN --json emma olivia",
        "sample -n 2 RUN --seed 3",
        "eval --json RUN --split test",
        "show --json RUN",
        "compare RUN --json RUN",
        "inspect --text emma RUN",
        "data --kind documents WORDS --json",
    ],
)
def test_options_may_stand_between_other_words(
    line: str,
    names_run: Run,
    words_file: Path,
    tmp_path: Path,
    capsys: Cap,
    draw_only: Callable[..., None],
) -> None:
    draw_only("surprise")
    copy = shutil.copytree(names_run.path, tmp_path / "run")
    words = [{"RUN": str(copy), "WORDS": str(words_file)}.get(word, word) for word in line.split()]
    code, out, err = typed(capsys, *words)
    assert code == 0, err
    assert out


@pytest.mark.parametrize(
    "flags",
    [
        ["--lr", "0.01"], ["--batch-size", "4"], ["--context-length", "5"], ["--name", "mine"],
        ["--lr=0.01"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_short_names_of_settings_are_taken(
    flags: list[str], words_file: Path, tmp_path: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = typed(capsys, "train", words_file, *TRAIN, *flags)
    assert code == 0, err
    assert Path("runs/mine").is_dir() or flags[0] != "--name"


def test_epochs_and_layers_are_taken(words_file: Path, tmp_path: Path, capsys: Cap) -> None:
    code, _, err = typed(
        capsys, "train", words_file, "--model", "mlp", "--epochs", "1", "--layers", "2", *QUICK,
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert code == 0, err
    run = hornbook.load(tmp_path / "r")
    assert run.config.model.n_layer == 2  # type: ignore[attr-defined]
    assert run.report["passes"] == pytest.approx(1, rel=0.2)


def test_samples_are_counted_by_n(names_run: Run, capsys: Cap) -> None:
    for flag in ("-n", "--n"):
        assert len(typed(capsys, "sample", names_run.path, flag, "3")[1].splitlines()) == 3


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("train --lrr 3", "'--lr'"),
        ("train --n-hiden 3", "'--model.n-hidden'"),
        ("train bigram", "--model bigram"),
        ("train names --model batchnorm", "notes-mlp-bn"),
        ("train names --model transformer", "gpt"),
        ("sample RUN --prompt -x", "--prompt=-x"),
        ("sample RUN --stop --", "--stop=--"),
        ("score RUN -x", "-- -x"),
    ],
)
def test_what_is_meant_is_proposed(
    line: str, proposed: str, names_run: Run, tmp_path: Path, capsys: Cap,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(f"{name}.txt").write_text("emma\nolivia\n")
    words = [str(names_run.path) if word == "RUN" else word for word in line.split()]
    code, out, err = typed(capsys, *words)
    assert code == 2
    assert not out
    assert proposed in err
    assert "unrecognized arguments" not in err


def test_nothing_far_is_proposed(capsys: Cap) -> None:
    assert "did you mean" not in typed(capsys, "train", "--xq", "3")[2]


def test_a_run_is_repeated_from_itself_to_its_whole_length(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    trained(capsys, words_file, "--model", "bigram", "--steps", "6", "--out", tmp_path / "a")
    code, _, err = typed(capsys, "train", "--resume", tmp_path / "a", "--steps", "15")
    assert code == 0, err
    for number, given in enumerate((tmp_path / "a", tmp_path / "a" / "config.json")):
        code, _, err = typed(capsys, "train", "--config", given, "--out", tmp_path / str(number))
        assert code == 0, err
        repeated = hornbook.load(tmp_path / str(number))
        assert repeated.report["steps"] == 15


def test_a_run_that_was_moved_with_its_corpus_is_evaluated(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    (tmp_path / "here").mkdir()
    shutil.move(words_file, tmp_path / "here" / "words.txt")
    trained(
        capsys, tmp_path / "here" / "words.txt", "--model", "bigram", "--steps", "2",
        "--out", tmp_path / "here" / "run",
    )  # fmt: skip
    before = json.loads(typed(capsys, "eval", tmp_path / "here" / "run", "--json")[1])
    shutil.move(tmp_path / "here", tmp_path / "there")
    code, out, err = typed(capsys, "eval", tmp_path / "there" / "run", "--json")
    assert code == 0, err
    assert json.loads(out)["nats"] == before["nats"]


def test_a_finished_run_has_nothing_to_do(words_file: Path, tmp_path: Path, capsys: Cap) -> None:
    trained(capsys, words_file, "--model", "bigram", "--steps", "3", "--out", tmp_path / "r")
    code, out, err = typed(capsys, "train", "--resume", tmp_path / "r")
    assert (code, out) == (0, "")
    assert "nothing to do" in err


SLOW_TORCH = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._C" or name == "torch.types":
            time.sleep(3)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("command", [["-m", "hornbook", "lr-find", "WORDS"], ["EXAMPLE"]])
def test_a_slow_import_is_said(command: list[str], words_file: Path, tmp_path: Path) -> None:
    """Whatever is watched: a pipe, too."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_TORCH)
    example = Path(__file__).parents[2] / "examples" / "initialization.py"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    paths = {"EXAMPLE": str(example), "WORDS": str(words_file)}
    words = [paths.get(word, word) for word in command]
    if words[0] == "-m":
        words += ["--model", "bigram", "--sweep-steps", "20", "--training.threads", "1"]
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "loading PyTorch" in done.stderr

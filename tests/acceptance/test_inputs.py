"""Inputs that others reported of comparable tools: large alphabets, odd processes, encodings, names."""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import random
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.autograd import Value
from tests.acceptance.common import QUICK, Cap, sentences, trained, typed
from tests.conftest import TINY_GPT


def test_a_large_alphabet_is_told_what_it_costs(tmp_path: Path, capsys: Cap) -> None:
    text = tmp_path / "han.txt"
    text.write_text("".join(chr(0x4E00 + i % 6000) for i in range(18_000)), "utf-8")
    for model in ("bigram", "ngram"):
        code, _, err = typed(
            capsys, "train", text, "--kind", "stream", "--model", model, "--steps", "1",
            "--training.sample-count", "0", *QUICK, "--out", tmp_path / model,
        )  # fmt: skip
        assert code == 0, err
        assert "--tokenizer byte" in err
        assert any(line.split()[:1] == ["memory"] for line in err.splitlines())


def test_a_default_dtype_changes_no_weight(
    words_file: Path, tmp_path: Path, names_run: Run
) -> None:
    runs = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            out = tmp_path / str(dtype)
            run = hornbook.train(str(words_file), model="mlp", steps=3, out=out, precision="fp32")
            runs.append(run)
            assert hornbook.load(out).score("bako")[0].total > 0
            assert hornbook.load(names_run.path).score("emma")[0].total > 0
        finally:
            torch.set_default_dtype(torch.float32)
    one, two = (run.model.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_default_device_damages_no_file(names_run: Run) -> None:
    expected = names_run.score("emma")[0].total
    with torch.device("meta"):
        assert hornbook.load(names_run.path).score("emma")[0].total == expected


def test_an_active_autocast_changes_no_figure(names_run: Run) -> None:
    before = hornbook.load(names_run.path)
    expected = (
        before.score("emma")[0].total, before.evaluate("val").nats, before.sample(3, seed=1),
        "".join(before.stream(max_tokens=9, seed=2)),
    )  # fmt: skip
    with torch.autocast("cpu"):
        run = hornbook.load(names_run.path)
        found = (
            run.score("emma")[0].total, run.evaluate("val").nats, run.sample(3, seed=1),
            "".join(run.stream(max_tokens=9, seed=2)),
        )  # fmt: skip
    assert found == expected


@pytest.mark.parametrize("verb", ["inspect", "compare", "ladder"])
def test_figures_are_drawn_whatever_backend_a_notebook_has_set(
    verb: str, words_file: Path, tmp_path: Path
) -> None:
    counts = hornbook.train(str(words_file), model="bigram", steps=2, out=tmp_path / "a").path
    copies = [counts, shutil.copytree(counts, tmp_path / "b")]
    words = {
        "inspect": [verb, copies[0], "--text", "emma"],
        "compare": [verb, *copies, "--out", tmp_path / "c.png"],
        "ladder": [verb, words_file, "--rungs", "counts-2", "--out", tmp_path / "l"],
    }[verb]
    done = subprocess.run(
        [sys.executable, "-m", "hornbook", *map(str, words)], cwd=tmp_path, text=True,
        env={**os.environ, "MPLBACKEND": "nonsense"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_text_in_another_encoding_than_the_run_s_is_read_as_what_it_is(
    tmp_path: Path, capsys: Cap
) -> None:
    lines = [f"caf\xe9 d\xe9j\xe0 {i % 9} \xeatre" for i in range(200)]
    (tmp_path / "latin").write_bytes("\n".join(lines).encode("latin-1"))
    (tmp_path / "utf8").write_text("\n".join(lines), "utf-8")
    trained(
        capsys, tmp_path / "latin", "--data.encoding", "latin-1", "--model", "bigram", "--steps", "50",
        "--out", tmp_path / "r",
    )  # fmt: skip
    run = hornbook.load(tmp_path / "r")
    same = run.evaluate(corpus=str(tmp_path / "utf8")).nats
    named = typed(
        capsys, "eval", tmp_path / "r", "--corpus", tmp_path / "latin", "--encoding", "latin-1"
    )
    assert named[0] == 0, named[2]
    assert f"{same:.4f}" in named[1]
    assert same < 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_character(encoding: str, tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "t").write_bytes("\ufeffemma\nolivia\n".encode(encoding))
    code, out, err = typed(capsys, "data", tmp_path / "t", "--encoding", encoding, "--json")
    assert code == 0, err
    assert "feff" not in out.lower()
    assert "\ufeff" not in out


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_proposed(encoding: str, tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "t").write_bytes("\n".join(sentences(50)).encode(encoding))
    code, _, err = typed(capsys, "data", tmp_path / "t")
    assert code == 1
    assert f"--encoding {encoding}" in err


@pytest.mark.parametrize(("ends", "read"), [("\r\r\n", "CR CR LF"), ("\r", "CR")])
def test_odd_line_ends_make_the_same_documents(
    ends: str, read: str, tmp_path: Path, capsys: Cap
) -> None:
    names = [f"name{i:03}" for i in range(400)]
    (tmp_path / "t").write_bytes((ends.join(names) + "\n").encode())
    code, out, err = typed(capsys, "data", tmp_path / "t")
    assert code == 0, err
    assert f"{read} read as LF" in out + err
    assert "length      7 to 7 characters" in out
    assert "400 different" in out


def test_a_name_that_is_not_utf8_is_inspected_and_displayed(
    names_run: Run, tmp_path: Path, capsys: Cap, draw_only: Callable[..., None]
) -> None:
    draw_only("losses")
    path = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(names_run.path, path)
    assert typed(capsys, "inspect", path, "--text", "emma")[0] == 0
    hornbook.load(path)._repr_html_().encode("utf-8")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_graph_of_five_thousand_nodes_is_copied(copied: Callable[[Any], Any]) -> None:
    value = start = Value(1.0)
    for _ in range(5000):
        value = value + 0.001
    again = copied(value)
    again.backward()
    assert again.data == value.data
    assert start.grad == 0.0


@pytest.mark.parametrize(
    "compute",
    [
        lambda: ((Value(1e200) * Value(1e200)) * 0.0).backward(),
        lambda: ((Value(1.0) / Value(1e-200)) * 0.0).backward(),
    ],
)
def test_no_nan_comes_later(compute: Callable[[], None]) -> None:
    with pytest.raises(OverflowError):
        compute()


def test_an_empty_stream_is_called_empty(stream_run: Run, tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "empty").write_text("")
    for line in (
        ["score", stream_run.path, ""],
        ["eval", stream_run.path, "--corpus", tmp_path / "empty"],
    ):
        code, _, err = typed(capsys, *line)
        assert code == 1
        assert "symbol" not in err
        assert "found no " in err or "empty" in err


def test_after_a_change_of_the_corpus_eval_offers_another_text(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    trained(capsys, words_file, "--model", "bigram", "--steps", "2", "--out", tmp_path / "r")
    words_file.write_text(words_file.read_text() + "\nmore")
    code, _, err = typed(capsys, "eval", tmp_path / "r")
    assert code == 1
    assert "--corpus" in err


DRAW = random.Random(0)
SYLLABLES = [
    "".join(DRAW.choices("abcdefghij", k=DRAW.choice((1, 2, 3, 4, 5, 7, 9)))) for _ in range(300)
]
PROSE = "\n\n".join(
    "\n".join(textwrap.wrap(" ".join(DRAW.choices(SYLLABLES, k=90)), 72)) for _ in range(40)
)
FASTA = "\n".join(
    line
    for i in range(60)
    for line in (f">sp|P{i}", *textwrap.wrap("".join(DRAW.choices("ACDEFGHIKL", k=310)), 60))
)


def test_lines_of_wrapped_prose_are_no_documents(tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "t.txt").write_text(PROSE.replace("\n\n", "\n"))
    code, out, err = typed(capsys, "data", tmp_path / "t.txt", "--json")
    assert code == 0, err
    assert '"kind": "stream"' in out
    assert "wrapped at" in typed(capsys, "data", tmp_path / "t.txt")[1]


def test_wrapped_proteins_are_a_document_each(tmp_path: Path, capsys: Cap) -> None:
    (tmp_path / "t.txt").write_text(FASTA)
    code, out, err = typed(capsys, "data", tmp_path / "t.txt", "--json")
    assert code == 0, err
    assert json.loads(out)["kind"] == "documents"
    assert json.loads(out)["documents"] == 60


def test_trainings_in_threads_lose_nothing_of_what_each_promises(
    names_run: Run, tmp_path: Path
) -> None:
    losses, refused = [], []

    def train(number: int) -> None:
        try:
            run = hornbook.train(
                "names", out=tmp_path / str(number), precision="fp32", settings=TINY_GPT
            )
            losses.append(run.log[-1]["val_loss"])
        except hornbook.HornbookError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=train, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert losses
    assert {*losses} == {names_run.log[-1]["val_loss"]}
    assert all(math.isfinite(loss) for loss in losses)
    assert all("train in another process" in error for error in refused)

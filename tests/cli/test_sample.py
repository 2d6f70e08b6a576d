"""`hornbook sample`: the samples of `Run.sample`, and the corpus is read only if asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run, train
from tests.cli.common import Cap, run
from tests.conftest import WORDS, Lecture, train_small


@pytest.fixture(scope="module")
def copying_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Counts of nine characters over ten words: it can only copy."""
    folder = tmp_path_factory.mktemp("copying")
    (folder / "words.txt").write_text("\n".join(WORDS), "utf-8")
    settings = {
        "data.kind": "documents", "model.order": 9, "model.smoothing": "add-k", "model.k": 0.0,
    }  # fmt: skip
    return train(str(folder / "words.txt"), model="ngram", out=folder / "run", settings=settings)


def test_samples_are_those_of_python(capsys: Cap, names_run: Run) -> None:
    words = ["sample", names_run.path, "-n", "4", "--seed", "1", "--prompt", "el", "--top-k", "9"]
    code, out, err = run(capsys, *words)
    samples = names_run.sample(4, seed=1, prompt="el", top_k=9)
    assert (code, out.splitlines(), err) == (0, [sample.text for sample in samples], "")
    objects = [json.loads(line) for line in run(capsys, *words, "--json")[1].splitlines()]
    assert [o["text"] for o in objects] == out.splitlines()
    assert [o["tokens"] for o in objects] == [s.tokens for s in samples]
    assert not any("copied" in o for o in objects)  # nobody asked, and the corpus was not read


def test_a_stream_is_generated_past_the_context(capsys: Cap, stream_run: Run) -> None:
    words = ["sample", stream_run.path, "--max-tokens", "90", "--seed", "2", "--prompt", "green"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    (sample,) = stream_run.sample(1, max_tokens=90, seed=2, prompt="green")
    assert sample.tokens > stream_run.model.context_length
    assert out == f"{sample.text}\n"


def test_the_notes_names_come_from_their_preset_and_seed(
    capsys: Cap, lecture_names: Lecture, tmp_path: Path
) -> None:
    """The first names that the lectures print, of counts plus one and seed 2147483647."""
    path = train(preset="notes-counts", out=tmp_path / "run").path
    words = ["sample", path, "-n", "5", "--seed", "2147483647"]
    names = ["cexze", "momasurailezitynn", "konimittain", "llayn", "ka"]
    assert run(capsys, *words)[1].split() == names
    assert run(capsys, *words, "--sampling", "torch")[1].split() == names
    assert run(capsys, *words, "--sampling", "keyed")[1].split() != names


def test_ways_of_sampling_and_windows_are_named(capsys: Cap, stream_run: Run) -> None:
    words = ["sample", stream_run.path, "--max-tokens", "90", "--seed", "2"]
    texts = {window: run(capsys, *words, "--window", window)[1] for window in ("half", "sliding")}
    n = stream_run.model.context_length  # as long as the context is not full they agree
    assert texts["half"][:n] == texts["sliding"][:n]
    assert texts["half"] != texts["sliding"]
    assert texts["half"] == run(capsys, *words)[1]
    assert (
        texts["sliding"][:-1]
        == stream_run.sample(1, max_tokens=90, seed=2, window="sliding")[0].text
    )
    code, out, err = run(capsys, *words, "--window", "whole")
    assert (code, out) == (2, "")
    assert "half" in err
    assert "sliding" in err


def test_the_corpus_is_read_only_for_copies(
    capsys: Cap, copying_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(copying_run.path, tmp_path / "moved")
    facts = json.loads((moved / "config.json").read_text())
    facts["config"]["data"]["corpus"] = str(tmp_path / "gone.txt")
    (moved / "config.json").write_text(json.dumps(facts))
    code, out, err = run(capsys, "sample", moved, "-n", "3", "--seed", "1")
    assert (code, len(out.splitlines()), err) == (0, 3, "")
    for flag in ("--mark-copies", "--new-only"):
        code, out, err = run(capsys, "sample", moved, "-n", "3", flag)
        assert (code, out) == (1, "")
        assert "gone.txt" in err


def test_copies_are_marked_and_left_out_on_demand(capsys: Cap, copying_run: Run) -> None:
    known = set(copying_run.split().train)
    words = ["sample", copying_run.path, "--seed", "1"]
    plain = run(capsys, *words, "-n", "6")[1].splitlines()
    _, out, err = run(capsys, *words, "-n", "6", "--mark-copies")
    assert out.splitlines() == plain  # nothing but the texts
    copies = [f"{i} ({text})" for i, text in enumerate(plain, 1) if text in known]
    assert copies
    assert err == f"{len(copies)} of 6 samples in the training part: {', '.join(copies)}\n"
    for line in run(capsys, *words, "--mark-copies", "--json")[1].splitlines():
        made = json.loads(line)
        assert made["copied"] == (made["text"] in known)
    code, out, err = run(capsys, *words, "-n", "2", "--new-only")
    assert code == 0
    assert not set(out.splitlines()) & known
    assert len(out.splitlines()) == 2 or "the model copies" in err


def test_new_only_finds_as_many_as_requested(capsys: Cap, names_run: Run) -> None:
    known = set(names_run.split().train)
    code, out, _ = run(capsys, "sample", names_run.path, "-n", "8", "--seed", "1", "--new-only")
    assert code == 0
    assert len(out.splitlines()) == 8
    assert not set(out.splitlines()) & known


def test_a_copied_stretch_of_a_stream_is_marked(capsys: Cap, stream_run: Run) -> None:
    code, _, err = run(
        capsys, "sample", stream_run.path, "--prompt", "bottles,\n", "--max-tokens", "1",
        "--temperature", "0", "--mark-copies",
    )  # fmt: skip
    assert code == 0
    (sample,) = stream_run.sample(1, prompt="bottles,\n", max_tokens=1, temperature=0)
    copied = sample.text in stream_run.split().train[0]
    assert err == f"the sample is {'' if copied else 'not '}in the training part\n"


def test_samples_of_a_stream_have_a_line_between_them(capsys: Cap, stream_run: Run) -> None:
    words = ["sample", stream_run.path, "--seed", "3", "--max-tokens", "20", "-n", "3"]
    code, out, err = run(capsys, *words)
    texts = [sample.text for sample in stream_run.sample(3, seed=3, max_tokens=20)]
    assert (code, out, err) == (0, "\n---\n".join(texts) + "\n", "")
    _, out, err = run(capsys, *words, "--mark-copies", "--prompt", "green bottles,\n")
    assert out.count("\n---\n") == 2
    assert "3 samples in the training part" in err


def test_a_part_of_a_hybrid_is_sampled_and_evaluated_alone(capsys: Cap, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    whole = train_small("hybrid", tmp_path, tmp_path / "run", settings={"model.count_dropout": 0.5})
    words = ["sample", whole.path, "--seed", "1", "-n", "4"]
    alone = whole.with_part("network").sample(4, seed=1)
    assert run(capsys, *words, "--part", "network")[1].splitlines() == [s.text for s in alone]
    assert run(capsys, *words)[1] != run(capsys, *words, "--part", "counts")[1]
    loss = whole.report["parts"]["network"]["nats"]
    assert f"{loss:.4f}" in run(capsys, "eval", whole.path, "--part", "network")[1]
    code, out, err = run(capsys, *words, "--part", "head")
    assert (code, out) == (2, "")
    assert "found 'head' for the model hybrid: expected counts, network" in err

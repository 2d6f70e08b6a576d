"""The command line as its users meet it: output, messages, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import VERBS, main
from tests.conftest import WORDS, strict

Write = Callable[[str, bytes | str], Path]
TOWNS = "Ærø Ålborg Århus Ærøskøbing Kolding Købenavn Nørresundby Rønne Sæby Tønder Vejle Åbenrå"
TINY = [
    "--model.n-layer", "1", "--model.n-head", "2", "--model.n-kv-head", "2", "--model.n-embd",
    "16", "--model.n-hidden", "24", "--training.batch-size", "8", "--training.eval_count", "2",
]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


Cap = pytest.CaptureFixture[str]


def test_help_names_every_verb(capsys: Cap) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for verb in VERBS:
        assert verb in out
        with pytest.raises(SystemExit) as stop:
            main([verb, "--help"])
        assert stop.value.code == 0


def test_train_plans_trains_and_says_what_is_next(capsys: Cap, tmp_path: Path) -> None:
    out_dir = tmp_path / "r"
    code, out, err = run(capsys, "train", "names", "--steps", "6", "--out", out_dir, *TINY)
    assert code == 0
    for word in ("documents", "27 ids", "23,928 / 2,991 / 2,991", "parameters", "context", "batch",
                 "tokens in 6 updates", "CPU", "fp32"):  # fmt: skip
        assert word in err, word
    assert "val_loss" in err
    assert "tokens/s" in err
    for word in ("nats per token", "bits per byte", "are not in the corpus", str(out_dir),
                 "hornbook sample"):  # fmt: skip
        assert word in out, word
    assert "update" not in out.split("validation")[0]


def test_sample_prints_documents_and_json(capsys: Cap, names_run: Run) -> None:
    path = names_run.path
    code, out, _ = run(capsys, "sample", path, "-n", "4", "--seed", "1", "--prompt", "el")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert all(line.startswith("el") for line in out.splitlines())
    code, again, _ = run(
        capsys, "sample", path, "-n", "4", "--seed", "1", "--prompt", "el", "--json"
    )
    assert [json.loads(line)["text"] for line in again.splitlines()] == out.splitlines()


def test_sample_streams_past_the_context(capsys: Cap, stream_run: Run) -> None:
    code, out, _ = run(capsys, "sample", stream_run.path, "--max-tokens", "90", "--seed", "2")
    assert code == 0
    assert len(out) == 91  # and the line break at the end


def test_eval_agrees_with_python(capsys: Cap, names_run: Run) -> None:
    code, out, _ = run(capsys, "eval", names_run.path, "--json")
    assert code == 0
    result = json.loads(out)
    evaluation = names_run.evaluate("val")
    assert result["nats"] == pytest.approx(evaluation.nats)
    assert result["tokens"] == 21_444
    code, out, _ = run(capsys, "eval", names_run.path, "--split", "test")
    assert code == 0
    assert "perplexity" in out
    assert "bits per byte" in out


def test_eval_reads_another_text(capsys: Cap, names_run: Run, write: Write) -> None:
    path = write("other.txt", "emma\nolivia\nava\n")
    code, out, _ = run(capsys, "eval", names_run.path, "--corpus", path, "--json")
    assert code == 0
    scores = names_run.score(["emma", "olivia", "ava"])
    assert json.loads(out)["tokens"] == 16
    assert json.loads(out)["nats"] == pytest.approx(sum(s.total for s in scores) / 16, rel=1e-5)


def test_score_marks_the_most_surprising(
    capsys: Cap, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, "score", names_run.path, "andrejq", "--tokens")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 9
    nats = [float(line.split()[1]) for line in lines[1:]]
    marked = next(i for i, line in enumerate(lines[1:]) if "most surprising" in line)
    assert nats[marked] == max(nats)
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("emma\n\nolivia\n"))
    code, out, _ = run(capsys, "score", names_run.path, "--json", "--tokens")
    objects = [json.loads(line) for line in out.splitlines()]
    assert [o["text"] for o in objects] == ["emma", "olivia"]
    assert objects[0]["total_nats"] == pytest.approx(sum(objects[0]["nats"]))


def test_show_draws_the_curve(capsys: Cap, names_run: Run) -> None:
    code, out, _ = run(capsys, "show", names_run.path)
    assert f"verdict     {names_run.report['novelty']['verdict']}" in out
    assert code == 0
    for word in ("gpt", "names", "nats per token", "updates", "o", "|"):
        assert word in out
    code, out, _ = run(capsys, "show", names_run.path, "--json")
    assert json.loads(out)["report"]["steps"] == 30


def test_the_curve_says_what_it_is_of(capsys: Cap, names_run: Run, write: Write) -> None:
    assert "o validation" in run(capsys, "show", names_run.path)[1]
    path = write("w.txt", "\n".join(WORDS))
    flags = ["--model", "bow", "--data.kind", "documents", "--data.validation", "0"]
    out = path.parent / "run"
    assert run(capsys, "train", path, *flags, "--training.steps", "4", "--out", out)[0] == 0
    shown = run(capsys, "show", out)[1]
    assert "o training text" in shown
    assert "o validation" not in shown


def test_data_describes_a_corpus(capsys: Cap, write: Write) -> None:
    code, out, _ = run(capsys, "data")
    assert code == 0
    assert all(name in out for name in ("names", "makemore-names", "shakespeare"))
    path = write("t.txt", "emma\nolivia\nemma\nzoë\n")
    code, out, _ = run(capsys, "data", path, "--kind", "documents")
    assert code == 0
    assert "4, 3 different" in out
    assert "emma x2" in out
    assert "LATIN SMALL LETTER E WITH DIAERESIS" in out


def test_models_lists_what_can_be_trained(capsys: Cap) -> None:
    from hornbook.models.registry import MODELS

    code, out, _ = run(capsys, "models")
    assert code == 0
    assert all(name in out for name in MODELS)
    code, out, _ = run(capsys, "models", "gpt")
    assert "--model.n-layer" in out


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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("towns.txt", "documents"),
        ("program.py", "stream"),
        ("games.txt", "documents"),
        ("poem.txt", "stream"),
    ],
)
def test_a_text_of_ones_own_works_at_first_try(
    name: str, kind: str, capsys: Cap, write: Write, tmp_path: Path
) -> None:
    path, out_dir = write(name, OWN_TEXTS[name]), tmp_path / "r"
    code, out, err = run(capsys, "train", path, "--steps", "4", "--out", out_dir, *TINY)
    assert code == 0, err
    assert f": {kind} (" in err
    if name == "poem.txt":
        assert "instead of 128: a small text" in err
    if name == "games.txt":
        assert "documents are longer than the context of 256: learned in pieces" in err
    code, out, _ = run(capsys, "sample", out_dir, "-n", "2", "--seed", "1", "--max-tokens", "20")
    assert code == 0
    assert out


BAD = [
    ("train {dir}/none.txt", 1, r"none.txt: no such file"),
    ("train {dir}", 1, r"is a directory"),
    ("train {dir}/empty.txt", 1, r"empty.txt: is empty"),
    ("train {dir}/same.txt", 1, r"found 1 different symbol"),
    ("train {dir}/binary", 1, r"null byte at offset"),
    ("train {dir}/latin.txt", 1, r"not valid utf-8. It would be valid in: .*latin-1"),
    ("train names --model gptt", 2, r"found 'gptt', no such model; did you mean 'gpt"),
    ("train names --preset notes-gtp", 2, r"did you mean 'notes-gpt'"),
    ("train names --model.n-layers 4", 2, r"model.n_layers: no such field; did you mean 'n_layer'"),
    ("train names --modle.n-layer 4", 2, r"did you mean 'model.n_layer'"),
    ("train names --model.n-layer", 2, r"found no value"),
    ("train names --model.n-layer x", 2, r"model.n_layer: found 'x'"),
    ("train names --step 5", 2, r"--step: no such option; did you mean '--steps'"),
    ("train names --steps 0", 2, r"training.steps: found '0'"),
    ("train names --seed -1", 2, r"training.seed"),
    ("train {dir}/tiny.txt --model.context-length 256", 1, r"validation part has only"),
    ("train {dir}/two.txt", 1, r"too few"),
    (
        "train names --out {run}",
        2,
        r"exists already: gpt on names, finished.*hornbook train --resume",
    ),
    ("train names --config {dir}/none.toml", 2, r"none.toml: cannot be read"),
    ("train names --config {dir}/bad.toml", 2, r"bad.toml: not valid TOML"),
    ("train names --config {dir}/section.toml", 2, r"no section \[modle\]; did you mean 'model'"),
    ("train --resume {dir}", 1, r"expected a run directory"),
    ("train --resume {run} --seed 3", 2, r"found seed beside it"),
    ("train names --precision bf17", 2, r"training.precision: found 'bf17'"),
    ("train names --kind novel", 2, r"data.kind: found 'novel'"),
    ("sample {dir}", 1, r"found no config.json, expected a run directory"),
    ("sample {dir}/none", 1, r"found nothing, expected a run directory"),
    ("sample {dir}/same.txt", 1, r"found a file, expected a run directory"),
    ("sample {run} --prompt Åse", 1, r"unknown symbols: 'Å' \(U\+00C5\).*the model knows 26"),
    ("sample {run} --temperature -1", 2, r"temperature: found -1.0, expected 0 \(greedy\) or more"),
    ("sample {run} --top-p 1.5", 2, r"top_p: found 1.5, expected above 0 and at most 1"),
    ("sample {run} --top-k 0", 2, r"top_k: found 0"),
    ("sample {run} --temperature warm", 2, r"argument --temperature: invalid float value: 'warm'"),
    ("sample {run} -n 0", 2, r"n: found 0"),
    ("sample {run} --max-tokens 0", 2, r"max_tokens: found 0"),
    ("sample", 2, r"arguments are required: RUN"),
    ("eval {run} --split dev", 2, r"invalid choice: 'dev'"),
    ("eval {run} --corpus {dir}/none.txt", 1, r"no such file"),
    ("score {run} Emma", 1, r"unknown symbols: 'E'"),
    ("data nmaes", 1, r"did you mean 'names'"),
    ("models gpt3", 2, r"no such model; did you mean 'gpt"),
    ("score {run} a\nb", 1, r"text 1: document 1 .*line break inside"),
    (
        "eval {run} --corpus nmaes",
        1,
        r"no corpus of this name and no such file; did you mean 'names'",
    ),
    ("sample {run}s", 1, r"expected a run directory; did you mean 'names'"),
    ("train names --seed 99999999999999999999", 2, r"training.seed"),
    (
        "train names --tokenizer.kind bytes",
        2,
        r"tokenizer.kind: found 'bytes'.*did you mean 'byte'",
    ),
    ("lr-find names --training.minutes 2", 2, r"training.minutes: found it beside lr-find"),
    ("train names --model.n-head 3", 2, r"^hornbook: model.n_head: found 3, expected a divisor"),
    ("train names --model gpt --model.name ngram", 2, r"--model: found 'gpt', but model.name"),
    ("trian", 2, r"trian: no such verb; did you mean 'train'"),
]


@pytest.mark.parametrize(("line", "code", "message"), BAD, ids=[line for line, _, _ in BAD])
def test_bad_input_is_told_without_a_traceback(
    line: str, code: int, message: str, capsys: Cap, write: Write, tmp_path: Path, names_run: Run
) -> None:
    write("empty.txt", "")
    write("same.txt", "aaaaaa\naaa\n")
    write("binary", bytes(range(256)))
    write("latin.txt", "æøå er bogstaver\n".encode("latin-1") * 20)
    write("tiny.txt", "a short text, too short for a long context. " * 5)
    write("two.txt", "ab")
    write("bad.toml", "model = [")
    write("section.toml", "[modle]\nn_layer = 2\n")
    words = [w.format(dir=tmp_path, run=names_run.path) for w in line.split(" ")]
    before = set(tmp_path.iterdir())
    found, _out, err = run(capsys, *words)
    assert found == code, err
    import re

    assert re.search(message, err, re.DOTALL), err
    assert "Traceback" not in err
    assert err.startswith("hornbook: ")
    assert set(tmp_path.iterdir()) == before, "something was left behind"


def test_a_folder_of_the_environment_that_cannot_be_used_is_told_with_its_name(
    capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise FileNotFoundError(2, "No such file or directory", "/nowhere/cache/torch")

    monkeypatch.setattr("hornbook.cli.models.run", fails)
    for folder, told in (("/nowhere/cache", "TORCHINDUCTOR_CACHE_DIR names it: give"), ("", "")):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", folder)
        code, _, err = run(capsys, "models")
        assert code == 1
        assert "/nowhere/cache/torch cannot be used (No such file or directory)" in err
        assert told in err
        assert ("TORCHINDUCTOR" in err) == bool(told)


def test_toml_and_flags_are_layered(capsys: Cap, write: Write, tmp_path: Path) -> None:
    toml = write("c.toml", "[model]\nn-layer = 2\nn_embd = 24\n[training]\nsteps = 3\n")
    arguments = ["train", "names", "--config", toml, *TINY, "--out", tmp_path / "r"]
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    config = Run.load(tmp_path / "r").config
    assert config.training.steps == 3
    assert config.model.model_dump()["n_layer"] == 1  # the flag wins over the file
    assert config.model.model_dump()["n_embd"] == 16


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hornbook", "train", "names", "--steps", "100000", *TINY,
               "--out", "cut"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "cut" / "log.jsonl"
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "hornbook train --resume cut" in err
    assert "Traceback" not in err
    assert (tmp_path / "cut" / "last" / "state.json").exists()


def test_help_of_a_verb_and_version(capsys: Cap) -> None:
    with pytest.raises(SystemExit):
        main(["help", "train"])
    assert "--optim.learning-rate" in capsys.readouterr().out
    assert run(capsys, "--version")[1].startswith("hornbook ")


def test_a_line_of_stdin_that_cannot_be_scored_is_named(names_run: Run, tmp_path: Path) -> None:
    def score(raw: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "hornbook", "score", str(names_run.path)]
        return subprocess.run(command, input=raw, capture_output=True)

    done = score(b"emma\r\nolivia\nEmma\nava\n")
    assert done.returncode == 1
    assert b"olivia" in done.stdout
    assert b"text 3: unknown symbols: 'E'" in done.stderr
    done = score(b"em\xffma\n")
    assert b"found byte 0xff, which is not valid UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors as a shell does")
@pytest.mark.parametrize("descriptor", [1, 2])
def test_closed_streams_are_nothing_to_complain_of(descriptor: int) -> None:
    command = [sys.executable, "-m", "hornbook", "--version"]
    done = subprocess.run(command, preexec_fn=lambda: os.close(descriptor), check=False)
    assert done.returncode == 0


def test_a_text_held_impossible_is_scored_in_words_and_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, few = str(tmp_path / "run"), tmp_path / "few.txt"
    few.write_text("\n".join(WORDS * 3))
    words = ["train", str(few), "--model", "ngram", "--model.smoothing", "add-k", "--model.k", "0"]
    assert main([*words, "--out", run]) == 0
    capsys.readouterr()
    assert main(["score", run, "bbb", "--tokens"]) == 0
    assert "inf" in capsys.readouterr().out
    assert main(["score", run, "bbb", "--tokens", "--json"]) == 0
    assert strict(capsys.readouterr().out)["total_nats"] is None

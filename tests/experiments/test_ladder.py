"""The ladder: every rung once, gone on with, told honestly."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hornbook.planning.budget import Budget

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.config import Nested, presets
from hornbook.errors import ConfigError, RunError
from hornbook.experiments.comparison import measure
from hornbook.experiments.ladder import Parts, _mixture, climb, passed
from hornbook.experiments.mixture import mix
from hornbook.metrics.comparison import MeasuredRun
from hornbook.planning.plan import make_plan

FAST = {"training": {"steps": 4, "eval_count": 1, "sample_count": 0}}


def test_the_ladder_trains_every_rung_once(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ladder"
    command = ["ladder", str(words_file), "--out", str(out)]
    command += ["--rungs", "counts-2,counts-4,bigram", "--training.steps", "4"]
    assert main(command) == 0
    captured = capsys.readouterr()
    for word in ("counts-2", "counts-4", "bigram", "bits/byte", "new", "±", "standard error"):
        assert word in captured.out
    facts = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in facts["standings"]] == ["counts-2", "counts-4", "bigram"]
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "bigram" / "model.safetensors").stat().st_mtime_ns
    ladder = climb(
        str(words_file), rungs=["bigram"], out=out, settings={"training": {"steps": "4"}}
    )
    assert (out / "bigram" / "model.safetensors").stat().st_mtime_ns == before
    assert [s.name for s in ladder.standings] == ["counts-2", "counts-4", "bigram"]
    again = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in again["standings"]] == ["counts-2", "counts-4", "bigram"]


def test_a_ladder_goes_on_after_an_interruption(words_file: Path, tmp_path: Path) -> None:
    from hornbook.training.callbacks import Callback
    from hornbook.training.loop import Interrupted

    class Stop(Callback):
        def logged(self, record: dict[str, object]) -> None:
            import signal

            if record["step"] == 2:
                signal.raise_signal(signal.SIGINT)

    settings = {"training": {"steps": 4, "eval_count": 2, "sample_count": 0}}
    with pytest.raises(Interrupted):
        climb(
            str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings,
            callbacks=[Stop()],
        )  # fmt: skip
    ladder = climb(
        str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings
    )
    assert [s.name for s in ladder.standings] == ["counts-2", "bigram"]
    log = Run.load(tmp_path / "l" / "bigram").log
    assert [r["step"] for r in log] == [1, 2, 3, 4]


def test_an_interrupted_ladder_names_its_own_command(
    words_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hornbook.cli.progress import Progress

    def stop(self: Progress, record: dict[str, object]) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "logged", stop)
    words = [str(words_file), "--rungs", "counts-2, bigram", "--out", str(tmp_path / "a b")]
    assert main(["ladder", *words, "--training.steps", "3"]) == 130
    told = capsys.readouterr().err.strip().splitlines()
    assert "--resume" not in "".join(told)
    assert shlex.split(told[-1]) == ["hornbook", "ladder", *words, "--training.steps", "3"]
    monkeypatch.undo()
    assert main(shlex.split(told[-1])[1:]) == 0


@pytest.mark.parametrize("rung", ["counts-2", "bigram"])
def test_a_rung_killed_before_its_first_state_begins_again(
    rung: str, words_file: Path, tmp_path: Path
) -> None:
    whole = climb(str(words_file), rungs=[rung], out=tmp_path / "l", settings=FAST)
    for path in (tmp_path / "l" / rung).iterdir():
        if path.name == "last":
            shutil.rmtree(path)
        elif path.name not in ("config.json", "tokenizer.json"):
            path.unlink()
    (again,) = climb(str(words_file), rungs=[rung], out=tmp_path / "l", settings=FAST).standings
    assert again.validation == whole.standings[0].validation


def test_a_ladder_killed_while_mixing_goes_on(words_file: Path, tmp_path: Path) -> None:
    counts, net = (
        hornbook.train(str(words_file), model=model, out=tmp_path / rung, settings=FAST)
        for model, rung in (("ngram", "counts-4"), ("bigram", "bigram"))
    )
    mix([counts, net], tmp_path / "mixture")
    (tmp_path / "mixture" / "report.json").unlink()
    rows = [measure(run, run.path.name).result for run in (counts, net)]
    assert _mixture(tmp_path, rows).result.name == "mixture"
    assert (tmp_path / "mixture" / "report.json").exists()


def test_rungs_on_documents_can_be_trained_by_themselves() -> None:
    for name, preset in presets.ladder(documents=True).items():
        if "counts" not in name:
            own = presets.named("gpt-pairs") if name == "gpt" else None
            assert preset == (own or presets.default(name, documents=True))


def test_a_mixture_is_made_anew_when_its_members_have_changed(
    words_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ladder"
    settings = {"training": {"steps": 2, "eval_count": 1, "sample_count": 0}}
    rows = [
        climb(str(words_file), rungs=[rung], out=out, settings=settings).standings[-1]
        for rung in ("counts-2", "bow")
    ]
    before = _mixture(out, rows).result.validation
    marked = (out / "mixture" / "report.json").stat().st_mtime_ns
    assert _mixture(out, rows).result.validation == before
    assert (out / "mixture" / "report.json").stat().st_mtime_ns == marked
    hornbook.resume(out / "bow", steps=30)
    assert _mixture(out, rows).result.validation != before


def test_a_ladder_without_a_rung_yet_takes_other_settings(words_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stepz"):
        climb(
            str(words_file), rungs=["bow"], out=tmp_path / "l", settings={"training": {"stepz": 1}}
        )
    settings = {"training": {"steps": 2, "eval_count": 1, "sample_count": 0}}
    assert climb(str(words_file), rungs=["bow"], out=tmp_path / "l", settings=settings).standings


@pytest.mark.parametrize("text", ["stream", "few", "long"])
def test_rungs_are_trained_as_hornbook_train_would(text: str, tmp_path: Path) -> None:
    """What nobody asked for is fitted to a text that is small, or whose documents are long."""
    content = {
        "stream": ("to be or not to be\n\nthat is the question. " * 30)[:1000],
        "few": "anna\nberta\nclara",
        "long": "\n".join(f"{'lorem ipsum ' * 15}{i}" for i in range(12)),
    }[text]
    (tmp_path / "t.txt").write_text(content)
    corpus, documents = str(tmp_path / "t.txt"), text != "stream"
    settings = {"data": {"kind": "documents" if documents else "stream"},
                "training": {"steps": 1, "eval_count": 1, "sample_count": 0}}  # fmt: skip
    ladder = climb(corpus, rungs=["bow", "gpt2"], out=tmp_path / "l", settings=settings)
    for standing in ladder.standings:
        found = Run.load(standing.path).config
        if documents or standing.name != "gpt2":  # the stream's gpt2 is smaller than the notes'
            assert found == make_plan(corpus, model=standing.name, settings=settings).config
        asked = presets.ladder(documents=documents)[standing.name]["model"]
        length = asked.get("context_length", type(found.model)().context_length)
        assert found.model.context_length != length


def test_rungs_may_be_named_with_spaces_and_twice(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ladder", str(words_file), "--out", str(tmp_path / "l"), "--rungs"]
    assert main([*command, "counts-2, counts-4,counts-2"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("counts-2  validation") == 1
    assert main([*command, "counts-2,,"]) == 2
    assert "expected names with commas" in capsys.readouterr().err


def test_a_ladder_without_held_out_text_says_so(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ladder", str(words_file), "--out", str(tmp_path / "l"), "--rungs", "counts-2,bow"]
    assert main([*command, "--training.steps", "2", "--data.validation", "0"]) == 0
    assert "nothing is held out of the text that counts-2, bow" in capsys.readouterr().out
    runs = [str(tmp_path / "l" / name) for name in ("counts-2", "bow")]
    assert main(["compare", *runs]) == 0
    assert "nothing is held out" in capsys.readouterr().out
    for command in (["show"], ["eval"]):
        assert main([*command, runs[1]]) == 0
        assert "training text" in capsys.readouterr().out
    plan = make_plan(str(words_file), model="bow", settings={"data": {"validation": 0}})
    assert "the training part again" in dict(plan.lines())["split"]
    report = Run.load(runs[1]).report
    assert report["held_out"] is False
    assert report["novelty"]["verdict"].startswith("not judged")


def test_a_ladder_is_not_mixed_with_something_else(words_file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(RunError, match="is no ladder"):
        climb(str(words_file), out=tmp_path / "full")
    with pytest.raises(RunError, match="is a file, expected a directory"):
        climb(str(words_file), out=tmp_path / "full" / "file")
    with pytest.raises(RunError, match="cannot be written"):
        climb(str(words_file), out=tmp_path / "full" / "file" / "inside")
    climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l")
    with pytest.raises(RunError, match="another text or with other settings"):
        climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l", settings=FAST)
    with pytest.raises(ConfigError, match="no such rung; did you mean 'counts-4'"):
        climb(str(words_file), rungs=["count-4"], out=tmp_path / "m")


def test_the_minutes_of_a_ladder_are_shared_out(tmp_path: Path) -> None:
    rungs = presets.ladder(documents=True)
    parts = Parts(3.0, time.monotonic(), rungs, tmp_path, mixed=True)
    assert set(parts.weights) == {name for name in rungs if not name.startswith("counts")}
    assert max(parts.weights, key=parts.weights.__getitem__) == "gpt" == parts.left[-1]
    assert parts.ends - time.monotonic() == pytest.approx(180, abs=1)
    (tmp_path / "gpt").mkdir()  # it has had its part
    parts = Parts(3.0, time.monotonic(), rungs, tmp_path, mixed=True)
    part = 1 - parts.weights["gpt"] / parts.whole
    assert 1 / 3 <= 1 - part < 0.4
    assert parts.ends - time.monotonic() == pytest.approx(180 * part, abs=1)


def test_a_rung_gets_its_part_of_what_is_left_and_leaves_time_to_measure_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def train(*_: object, settings: Nested, callbacks: list[Parts], **__: object) -> None:
        given.append(settings["training"]["minutes"])
        plan = make_plan("names", settings={"training": {"steps": 1}})
        plan.budget = Budget(60.0, 0.0, report=1.5)
        callbacks[0].planned(plan)
        given.append(plan.budget.report)

    monkeypatch.setattr("hornbook.experiments.ladder.train", train)
    rungs = {name: {"model": {"name": name}} for name in ("bigram", "mlp", "gpt")}
    parts = Parts(3.5, time.monotonic(), rungs, tmp_path, mixed=True)
    parts.train("bigram", "names", {}, {}, [])
    parts.ends -= 60  # it took longer than its minute
    parts.train("mlp", "names", {}, {}, [])
    parts.train("gpt", "names", {}, {}, [])
    assert given == pytest.approx([1.0, 3.0, 1.0, 3.0, 2.5, 6.0], rel=0.02)


def test_too_few_minutes_for_a_ladder_are_told_as_a_whole(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ladder", str(words_file), "--rungs", "counts-2,bigram,bow"]
    command += ["--out", str(tmp_path / "l"), "--minutes"]
    assert main([*command, "0.001"]) == 2
    told = capsys.readouterr().err
    assert "found 0.001 for 2 trained rungs, too few here for bigram" in told
    assert 0.1 < float(told.split("give ")[1].split()[0]) < 3
    assert main([*command, "0.2"]) == 0  # counts alone were there
    assert main([*command, "0.3"]) == 1
    assert "holds a ladder of 0.2 minutes; give another place" in capsys.readouterr().err


@pytest.mark.parametrize("documents", [True, False])
def test_the_ladder_has_every_model(documents: bool) -> None:
    from hornbook.models.registry import MODELS

    rungs = presets.ladder(documents=documents)
    assert {preset["model"]["name"] for preset in rungs.values()} == {
        name for name, entry in MODELS.items() if entry.trained
    }


def test_the_sentences_name_the_rungs_that_really_pass_the_counts(names_run: Run) -> None:
    base = measure(names_run, "gpt")
    units = len(base.nats)

    def rung(name: str, on_old: float, on_new: float, **facts: Any) -> MeasuredRun:
        nats = np.where(np.arange(units) % 2, on_new, on_old) * base.tokens
        nats += 0.1 * np.random.default_rng(len(name)).standard_normal(units)
        result = replace(base.result, name=name, **facts)
        return replace(base, result=result, nats=nats, new=np.arange(units) % 2 == 1)

    counts = rung("counts", 2.0, 2.0, fitted=True, validation=2.0, unseen=2.1)
    rungs = [counts, rung("copier", 1.0, 2.5), rung("learner", 1.9, 1.9), rung("twin", 2.0, 2.0)]
    assert passed([*rungs, rung("mixture", 1.0, 1.0)]) == [
        "validation: below counts (2.0000 nats): copier, learner; not told apart from it: twin",
        "documents not in the training part: below counts (2.1000 nats): learner; "
        "not told apart from it: twin",
    ]

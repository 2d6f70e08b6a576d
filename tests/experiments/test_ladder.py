"""The ladder: every rung once, resumed where it was interrupted, and compared honestly."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hornbook
from hornbook.api import Run
from hornbook.config import Nested, presets
from hornbook.errors import ConfigError, RunError
from hornbook.experiments.comparison import measure
from hornbook.experiments.ladder import (
    TimeShares,
    _mixture,
    affordable,
    climb,
    last_weight,
    passed,
)
from hornbook.experiments.mixture import mix
from hornbook.metrics.results import MeasuredRun
from hornbook.models.registry import MODELS
from hornbook.planning.request import Request, read_request
from hornbook.planning.resolve import resolve
from hornbook.training.callbacks.base import Callback
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import Listen

PINNED = {"precision": "fp32", "threads": 1, "compile": "no"}


def fast(**training: Any) -> Nested:
    """Settings of a few steps."""
    few = {"steps": 4, "eval_count": 1, "sample_count": 0}
    return {"training": {**few, **PINNED, **training}}


FAST = fast()


def test_the_ladder_trains_every_rung_once(words_file: Path, tmp_path: Path) -> None:
    out, corpus = tmp_path / "ladder", str(words_file)
    names = ["counts-2", "counts-4", "bigram"]
    reported: list[str] = []
    found = climb(
        corpus,
        rungs=["counts-4", "bigram", "counts-2", "bigram"],
        out=out,
        settings=FAST,
        report=lambda result: reported.append(result.name),
    )
    assert reported == ["counts-4", "bigram", "counts-2"]
    assert [result.name for result in found.results] == names  # in the order of the ladder
    facts = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in facts["standings"]] == names
    assert facts["sentences"] == found.sentences
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "bigram" / "model.safetensors").stat().st_mtime_ns
    again = climb(corpus, rungs=["bigram"], out=out, settings=FAST)
    assert (out / "bigram" / "model.safetensors").stat().st_mtime_ns == before
    assert again.results == found.results  # those that were finished before are in the table, too


class Stop(Callback):
    """Ctrl-C after the second step."""

    def on_log(self, record: Mapping[str, Any]) -> None:
        """Raises the signal."""
        if record["step"] == 2:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_rung_is_resumed(words_file: Path, tmp_path: Path) -> None:
    settings = fast(eval_count=2)
    arguments: Any = {"rungs": ["counts-2", "bigram"], "out": tmp_path / "l", "settings": settings}
    with pytest.raises(Interrupted):
        climb(str(words_file), callbacks=[Stop()], **arguments)
    ladder = climb(str(words_file), **arguments)
    assert [result.name for result in ladder.results] == ["counts-2", "bigram"]
    assert [r["step"] for r in Run.load(tmp_path / "l" / "bigram").log] == [0, 1, 2, 3, 4]


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
    (again,) = climb(str(words_file), rungs=[rung], out=tmp_path / "l", settings=FAST).results
    assert again.validation == whole.results[0].validation


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
    settings = fast(steps=2)
    rows = [
        climb(str(words_file), rungs=[rung], out=out, settings=settings).results[-1]
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
    settings = fast(steps=2)
    assert climb(str(words_file), rungs=["bow"], out=tmp_path / "l", settings=settings).results


@pytest.mark.parametrize("text", ["stream", "few", "long"])
def test_rungs_are_trained_as_hornbook_train_would(text: str, tmp_path: Path) -> None:
    """What nobody requested is fitted to a text that is small, or whose documents are long."""
    content = {
        "stream": ("to be or not to be\n\nthat is the question. " * 30)[:1000],
        "few": "anna\nberta\nclara",
        "long": "\n".join(f"{'lorem ipsum ' * 15}{i}" for i in range(12)),
    }[text]
    (tmp_path / "t.txt").write_text(content)
    corpus, documents = str(tmp_path / "t.txt"), text != "stream"
    settings = {"data": {"kind": "documents" if documents else "stream"},
                **fast(steps=1)}  # fmt: skip
    ladder = climb(corpus, rungs=["bow", "gpt2"], out=tmp_path / "l", settings=settings)
    for result in ladder.results:
        found = Run.load(result.path).config
        if documents or result.name != "gpt2":  # the stream's gpt2 is smaller than the notes'
            request = read_request(corpus, model=result.name, settings=settings)
            assert found == resolve(request).config
        asked = presets.ladder(documents=documents)[result.name]["model"]
        length = asked.get("context_length", type(found.model)().context_length)
        assert found.model.context_length != length


def test_a_ladder_without_held_out_text_says_so(words_file: Path, tmp_path: Path) -> None:
    settings = {**FAST, "data": {"validation": 0}}
    found = climb(str(words_file), rungs=["counts-2", "bow"], out=tmp_path / "l", settings=settings)
    assert found.sentences[0].startswith("nothing is held out of the text that counts-2, bow")


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


class Clock:
    """Stands where it is set, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def shares_of(
    names: list[str], minutes: float, path: Path, clock: Clock, *, mixed: bool = True
) -> TimeShares:
    """Shares of rungs that begin at 100 s."""
    rungs: dict[str, Nested] = {name: {"model": {"name": name}} for name in names}
    return TimeShares(minutes, 100.0, rungs, path, mixed=mixed, clock=clock)


def test_the_minutes_of_a_ladder_are_shared_out(tmp_path: Path) -> None:
    rungs = presets.ladder(documents=True)
    shares = TimeShares(3.0, 100.0, rungs, tmp_path, mixed=True)
    assert set(shares.weights) == {name for name in rungs if not name.startswith("counts")}
    assert max(shares.weights, key=shares.weights.__getitem__) == "gpt" == shares.left[-1]
    assert shares.ends == 100 + 180
    (tmp_path / "gpt").mkdir()  # it has had its share
    shares = TimeShares(3.0, 100.0, rungs, tmp_path, mixed=True)
    last = shares.weights["gpt"] / shares.whole
    assert 1 / 3 <= last < 0.4
    assert shares.ends == pytest.approx(100 + 180 * (1 - last))


@pytest.mark.parametrize(("mixed", "last"), [(True, 4.0), (False, 2.0)])
def test_a_rung_gets_its_share_of_what_is_left_and_leaves_time_to_measure_it(
    mixed: bool, last: float, tmp_path: Path
) -> None:
    clock = Clock()
    shares = shares_of(["bigram", "mlp", "gpt"], 4.0, tmp_path, clock, mixed=mixed)
    minutes, reserves = [], []
    for rung, seconds in (("bigram", 120.0), ("mlp", 30.0), ("gpt", 0.0)):
        request = shares.request(rung, Request(settings={"training": {"seed": 3}}))
        assert request.settings["training"]["seed"] == 3
        assert request.began == clock.now
        minutes.append(request.requested("training", "minutes"))
        reserves.append(request.reserve)
        clock.now += seconds  # the first takes a minute longer, the second half of its own
    assert minutes == pytest.approx([1.0, 2 / 3, 1.5])
    assert reserves == [2.0, 2.0, last]


def test_no_time_that_is_left_is_still_a_share(tmp_path: Path) -> None:
    clock = Clock()
    shares = shares_of(["bigram", "mlp"], 1.0, tmp_path, clock)
    clock.now += 500
    assert 0 < shares.request("bigram", Request()).requested("training", "minutes") < 1e-3


def test_too_few_minutes_for_a_ladder_are_refused_as_a_whole(tmp_path: Path) -> None:
    path, out, rungs = tmp_path / "few.txt", tmp_path / "l", ["counts-2", "bigram", "bow"]
    path.write_text("anna\nberta\nclara\ndora\nemil")  # twelve times through it take no time
    pinned = {"training": PINNED}
    message = (
        r"found 0.001 for 2 trained rungs, too few here for bigram, which has \d+ s of them left"
    )
    with pytest.raises(ConfigError, match=message):
        climb(str(path), rungs=rungs, out=out, settings=pinned, minutes=0.001)
    assert not (out / "bigram").exists()
    with pytest.raises(
        ConfigError, match=r"found 0.001 for 1 trained rung, too few here for bigram"
    ):
        climb(str(path), rungs=["bigram"], out=tmp_path / "one", settings=pinned, minutes=0.001)
    # only counts are there, so that another time is accepted, and then no third
    climb(str(path), rungs=["bigram"], out=out, settings=pinned, minutes=30)
    assert Run.load(out / "bigram").config.training.minutes == pytest.approx(30, abs=1)
    with pytest.raises(RunError, match=r"holds a ladder of 30 minutes; give another directory"):
        climb(str(path), rungs=rungs, out=out, settings=pinned, minutes=3)


def test_minutes_that_suffice_for_counts_alone_give_their_table(
    words_file: Path, tmp_path: Path
) -> None:
    """What was measured is not lost to a rung for which no time is left."""
    ladder = climb(str(words_file), out=tmp_path / "ladder", minutes=0.001)
    assert {row.name for row in ladder.results} == {"counts-2", "counts-4", "counts-6"}
    assert any(line.startswith("left out") and "gpt" in line for line in ladder.sentences)


@pytest.mark.parametrize("documents", [True, False])
def test_the_ladder_has_every_model_but_that_which_is_two_of_them(documents: bool) -> None:
    rungs = presets.ladder(documents=documents)
    assert {preset["model"]["name"] for preset in rungs.values()} == {
        name for name, entry in MODELS.items() if entry.trained and name != "hybrid"
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
        "validation: below counts (2.0000 nats): copier, learner; "
        "no significant difference from it: twin",
        "documents not in the training part: below counts (2.1000 nats): learner; "
        "no significant difference from it: twin",
    ]


def test_with_little_time_fewer_rungs_are_trained_well() -> None:
    for documents in (True, False):
        whole = [name for name in presets.ladder(documents=documents) if "counts" not in name]
        for n_bytes in (1_000, 213_000, 10**9):
            kept = [affordable(whole, minutes, n_bytes) for minutes in (0.1, 0.5, 1, 2, 5, 15)]
            assert kept[0] == ["gpt"]
            assert set(kept[-1]) == set(whole)
            assert all(set(few) <= set(more) for few, more in pairwise(kept))
            for minutes, few in zip((0.5, 1, 2), kept[1:], strict=False):
                shortest = 60 * minutes / (len(few) - 1 + last_weight(len(few)))
                assert len(few) == 1 or shortest >= 15
    assert affordable(["own"], 0.1, 1000) == ["own"]


def test_what_is_left_out_and_what_got_too_little_is_said(words_file: Path, tmp_path: Path) -> None:
    listen = Listen()
    found = climb(
        str(words_file), rungs=["counts-4", "bow"], out=tmp_path / "l", settings=fast(batch_size=1),
        callbacks=[listen],
    )  # fmt: skip
    assert [line for line in listen.heard if line.startswith("rung ")] == [
        "rung 1 of 2: counts-4",
        "rung 2 of 2: bow",
    ]
    report = Run.load(tmp_path / "l" / "bow").report
    assert report["passes"] < 0.5
    assert set(found.too_little) == {"bow"}
    assert found.sentences[0].startswith("bow got too little training to be compared: it went 0.")
    assert [row.name for row in found.labeled] == ["counts-4", "bow (too little training)"]
    (pair,) = found.differences
    assert {pair.best, pair.other} == {"counts-4", "bow"}
    assert any(line.startswith("counts-4 is better than bow (too little training) by")
               for line in found.sentences)  # fmt: skip
    facts = json.loads((tmp_path / "l" / "ladder.json").read_text())
    assert [row["name"] for row in facts["standings"]] == ["counts-4", "bow"]
    assert [bool(row["too_little"]) for row in facts["standings"]] == [False, True]
    assert "bow (too little training)" in (tmp_path / "l" / "ladder.svg").read_text()
    left = replace(found, left_out=("rnn",))
    assert any("left out" in line and "rnn" in line for line in left.sentences)

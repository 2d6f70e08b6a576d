"""The public API."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.generate.sampling import make_generator
from hornbook.metrics.loss import score
from hornbook.runs.lock import Lock


def test_every_public_name_is_there_and_is_no_module() -> None:
    for name in hornbook.__all__:
        assert callable(getattr(hornbook, name)), name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = hornbook.trian


def test_a_stream_of_text_is_the_first_sample(names_run: Run, stream_run: Run) -> None:
    for run, prompt in ((names_run, "em"), (stream_run, "3 green")):
        options = {"prompt": prompt, "max_tokens": 60, "temperature": 0.8, "top_k": 5, "seed": 3}
        (sample,) = run.sample(1, **options)  # type: ignore[arg-type]
        pieces = list(run.stream(**options))  # type: ignore[arg-type]
        assert len(pieces) > 1
        assert prompt + "".join(pieces) == sample.text


def test_the_same_seed_gives_the_same_samples_and_a_generator_others(names_run: Run) -> None:
    first = names_run.sample(5, seed=1)
    assert names_run.sample(5, seed=1) == first
    assert names_run.sample(3, seed=1) == first[:3]
    generator = make_generator(1)
    assert names_run.sample(5, seed=generator) == first
    assert names_run.sample(5, seed=generator) != first


def test_copies_are_marked(names_run: Run, stream_run: Run, tmp_path: Path) -> None:
    known = names_run.split().train[0]
    assert names_run.mark_copies([known, "zzzzqqqq"]) == [True, False]
    assert stream_run.mark_copies(["green bottles", "red bottles"]) == [True, False]


def test_copies_cannot_be_marked_without_the_corpus(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    words_file.write_text("other words\n" * 30)
    with pytest.raises(DataError, match="has changed since"):
        run.mark_copies(["bako"])


def test_an_evaluation_is_that_of_the_scores(names_run: Run, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("emma\nolivia\nemma\n")
    found = names_run.evaluate(corpus=tmp_path / "few.txt")
    scores = names_run.score(["emma", "olivia", "emma"])
    assert found.tokens == sum(s.tokens for s in scores)
    assert found.nats == pytest.approx(sum(s.total for s in scores) / found.tokens, rel=1e-5)
    assert names_run.score("emma")[0].total == pytest.approx(scores[0].total, rel=1e-5)


def test_runs_are_compared_by_path_or_as_they_are(names_run: Run) -> None:
    comparison = hornbook.compare([names_run, names_run.path])
    assert [result.parameters for result in comparison.results] == [
        names_run.model.n_parameters
    ] * 2
    assert "predict exactly alike" in comparison.sentences[0]
    with pytest.raises(ConfigError, match="found 1 run, expected two or more"):
        hornbook.compare([names_run])


def test_a_mixture_is_a_run(words_file: Path, tmp_path: Path) -> None:
    members = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / str(n), settings={"model.order": n}
        ).path
        for n in (1, 2)
    ]
    mixed = hornbook.mix(members, tmp_path / "m")
    assert type(mixed) is Run
    assert len(mixed.sample(2, seed=0)) == 2


def test_a_ladder_and_a_sweep_are_climbed(words_file: Path, tmp_path: Path) -> None:
    ladder = hornbook.ladder(str(words_file), rungs=["counts-2"], out=tmp_path / "l")
    assert (ladder.path / "ladder.json").exists()
    sweep = hornbook.lr_find(str(words_file), model="bigram", steps=20)
    assert len(sweep.rates) == 20


def test_inspect_writes_the_page(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="ngram", out=tmp_path / "run")
    messages: list[str] = []
    inspection = run.inspect(tmp_path / "look", text="bako", on_message=messages.append)
    assert inspection.page == tmp_path / "look" / "index.html"
    assert any(line.startswith("surprise: ") for line in messages)
    html = run._repr_html_()
    assert run.report["verdict"]["text"] in html


def test_a_training_takes_paths_and_numbers_of_other_libraries(
    words_file: Path, tmp_path: Path
) -> None:
    options = {"model": "bigram", "settings": {"training.batch_size": np.int64(8)}}
    run = hornbook.train(
        words_file, out=tmp_path / "run", steps=np.int64(4), seed=np.int64(2),  # type: ignore[arg-type]
        device=torch.device("cpu"), precision=torch.float32, lr=0.02, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    assert run.config.optim.learning_rate == 0.02
    assert run.config.training.steps == 4
    assert run.config.training.batch_size == 8
    assert run.config.training.precision == "fp32"
    resumed = hornbook.resume(run.path, steps=np.int64(6))  # type: ignore[arg-type]
    assert resumed.report["steps"] == 6


class Series:
    """A column as pandas has it: iterable, and neither true nor false."""

    def __iter__(self) -> Iterator[str]:
        return iter(("emma", "olivia"))

    def __bool__(self) -> bool:
        raise ValueError("The truth value of a Series is ambiguous")


@pytest.mark.parametrize(
    "texts",
    [lambda: Series(), lambda: np.array(["emma", "olivia"]), lambda: (t for t in Series())],
    ids=["series", "array", "generator"],
)
def test_columns_arrays_and_generators_of_texts_are_scored(
    names_run: Run, texts: Callable[[], Any]
) -> None:
    assert names_run.score(texts()) == names_run.score(["emma", "olivia"])


def test_a_stop_is_one_text_and_a_seed_any_whole_number(names_run: Run) -> None:
    letters = names_run.sample(20, seed=1, stop=["a", "n"])
    assert names_run.sample(20, seed=np.int64(1), stop="an") != letters  # type: ignore[arg-type]
    assert names_run.sample(20, seed=1, stop="an") == names_run.sample(20, seed=1, stop=["an"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.score(None), "texts?: found None"),
        (lambda run: run.score(["emma", float("nan")]), r"texts?\[1\]: found nan"),
        (lambda run: run.sample(prompt=None), "prompt: found None"),
        (lambda run: run.sample(stop=["a", 3]), r"stop\[1\]: found 3"),
        (lambda run: run.sample(stop=None), "stop: found None"),
        (lambda run: run.sample("3"), r"n: found '3' \(str\)"),
        (lambda run: run.sample(seed=True), "seed: found True"),
        (lambda run: run.sample(seed="5"), "seed: found '5'"),
        (lambda run: run.sample(temperature="1"), "temperature: found '1'"),
        (lambda run: run.sample(top_k=2.5), "top_k: found 2.5"),
        (lambda run: run.sample(unknown="ignore"), "unknown: found 'ignore'"),
        (lambda run: run.stream(max_tokens="3"), "max_tokens: found '3'"),
        (lambda run: run.score("emma", unknown="ignore"), "unknown: found 'ignore'"),
        (lambda run: run.evaluate("valid"), "split: found 'valid' .* train, val, test"),
        (lambda run: run.evaluate(corpus=3), "corpus: found 3"),
        (lambda run: run.mark_copies(None), "texts: found None"),
        (lambda run: run.inspect(3), r"folder: found 3 \(int\), expected a path"),
        (lambda run: run.inspect(text=3), r"text: found 3 \(int\), expected a text"),
        (lambda run: run.encode(None), "text: found None"),
        (lambda run: hornbook.load(None), "path: found None"),
        (lambda run: hornbook.load(run), r"path: found .* \(Run\), expected a path"),
        (lambda run: hornbook.train(["a"]), r"corpus: found \['a'\] \(list\), expected a name"),
        (lambda run: hornbook.train(model=5), r"model: found 5 \(int\)"),
        (lambda run: hornbook.train(lr="x"), "learning_rate: found 'x'"),
        (lambda run: hornbook.train(batch_sizes=8), "batch_sizes: .* did you mean 'batch_size'"),
        (lambda run: hornbook.train(weight_decay=0), r"settings={'optim.weight_decay': \.\.\.}"),
        (lambda run: hornbook.train(max_iters=9), r"settings={'training.steps': \.\.\.}"),
        (lambda run: hornbook.train(overwrite="no"), r"overwrite: found 'no' \(str\)"),
        (lambda run: hornbook.train(progress="no"), r"progress: found 'no' \(str\)"),
        (lambda run: run.export("x"), "to: found 'x', no such target; known: hf"),
        (lambda run: hornbook.train(seeds=[1, 2]), "seeds: .* hornbook.sweep"),
        (lambda run: hornbook.train(zzz=9), "zzz: no such argument; settings={'model.n_layer': 4}"),
        (lambda run: hornbook.sweep("names", lr=[]), "optim.learning_rate"),
        (lambda run: hornbook.lr_find("names", zzz=3), "zzz: no such argument"),
        (lambda run: hornbook.train(preset=5), r"preset: found 5 \(int\)"),
        (lambda run: hornbook.train(settings=[1]), r"settings: found \[1\] \(list\)"),
        (lambda run: hornbook.train(out=5), r"out: found 5 \(int\), expected a path"),
        (lambda run: hornbook.train(callbacks=[3]), r"callbacks\[0\]: found 3"),
        (lambda run: hornbook.train(callbacks=hornbook.Callback), "callbacks: found"),
        (lambda run: hornbook.resume(run.path, steps=2.5), "steps: found 2.5"),
        (lambda run: hornbook.compare(5), r"runs: found 5 \(int\), expected several"),
        (lambda run: hornbook.sweep("names", seeds="1,2"), "seeds: found '1,2'"),
        (lambda run: hornbook.sweep("names", seeds=[1.5]), r"seeds: found 1.5 \(float\)"),
        (lambda run: hornbook.sweep("names", over=[1]), r"over: found \[1\] \(list\)"),
        (lambda run: hornbook.compare([run, 3]), r"runs\[1\]: found 3"),
        (lambda run: hornbook.compare([run]), "runs: found 1 run"),
        (lambda run: hornbook.mix("runs/a", "x"), "runs: found 'runs/a'"),
        (lambda run: hornbook.mix([run, run], "x", ["a", "b"]), "weights: found 'a'"),
        (lambda run: hornbook.ladder(rungs=[5]), r"rungs\[0\]: found 5"),
        (lambda run: hornbook.ladder(5), r"corpus: found 5 \(int\)"),
        (lambda run: hornbook.lr_find("names", steps=2.5), "steps: found 2.5"),
        (lambda run: hornbook.lr_find("names", model="bigram", low="x"), "low: found 'x'"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(
    names_run: Run, call: Callable[[Run], Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        call(names_run)


def test_errors_speak_of_arguments(names_run: Run, words_file: Path) -> None:
    with pytest.raises(DataError, match=r"skip them \(unknown='skip'\)"):
        names_run.score("1")
    with pytest.raises(ConfigError) as error:
        hornbook.train("names", out=names_run.path)
    assert "--" not in str(error.value)
    assert f"hornbook.resume({str(names_run.path)!r}, steps=60)" in str(error.value)
    assert str(error.value).endswith("give another directory (out=...), or overwrite=True")


def test_a_cell_can_be_repeated(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = hornbook.train(words_file, model="ngram", settings={"model.order": 2}, out="run")
    again = hornbook.train(
        words_file, model="ngram", settings={"model.order": 3}, out="run", overwrite=True
    )
    assert again.path == first.path
    assert hornbook.load("run").config.model.order == 3  # type: ignore[attr-defined]
    names = {hornbook.train(words_file, model="ngram").path.name for _ in range(2)}
    assert names == {"words-ngram", "words-ngram-2"}


def test_only_a_run_that_nobody_trains_is_overwritten(words_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        hornbook.train(words_file, model="ngram", out=tmp_path, overwrite=True)
    assert words_file.exists()
    run = hornbook.train(words_file, model="ngram", out=tmp_path / "run")
    with pytest.raises(DataError):  # found before anything is removed
        hornbook.train(tmp_path / "none.txt", model="ngram", out=run.path, overwrite=True)
    assert hornbook.load(run.path).report
    with Lock(run.path), pytest.raises(RunError, match="is training it"):
        hornbook.train(words_file, model="ngram", out=run.path, overwrite=True)
    assert hornbook.load(run.path).report


class Terminal(io.StringIO):
    """A stream that says whether it is one."""

    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self.is_one = is_one

    def isatty(self) -> bool:
        return self.is_one


def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize(
    ("terminal", "in_notebook", "progress", "err", "out"),
    [
        (True, False, None, True, False), (False, False, None, False, False),
        (False, True, None, False, True), (True, False, False, False, False),
        (False, True, False, False, False), (False, False, True, True, False),
    ],
)  # fmt: skip
def test_progress_is_shown_where_somebody_watches(
    words_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    terminal: bool, in_notebook: bool, progress: bool | None, err: bool, out: bool,
) -> None:  # fmt: skip
    streams = Terminal(terminal), Terminal(False)
    monkeypatch.setattr(sys, "stderr", streams[0])
    monkeypatch.setattr(sys, "stdout", streams[1])
    if in_notebook:
        notebook(monkeypatch)
    run = hornbook.train(
        words_file, model="bigram", steps=4, out=tmp_path / "run", progress=progress
    )
    shown = ["val_loss" in stream.getvalue() for stream in streams]
    assert shown == [err, out]
    hornbook.resume(run.path, steps=6, progress=progress)
    assert [stream.getvalue().count("model  bigram") for stream in streams] == [2 * err, 2 * out]


def test_a_run_is_mixed_with_itself(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(words_file, model="bigram", steps=2, out=tmp_path / "run")
    mixed = hornbook.mix([run, run], tmp_path / "mixed", weights=np.array([1.0, 2.0]))  # type: ignore[arg-type]
    (one,), (two,) = run.score("bakomi"), mixed.score("bakomi")
    assert two.total == pytest.approx(one.total, rel=1e-5)
    assert score(mixed.model, mixed.tokenizer, ["bakomi"])[0] == two

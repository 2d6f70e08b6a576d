"""The public API."""

from __future__ import annotations

from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from hornbook.errors import ConfigError, DataError
from hornbook.generate.sampling import make_generator


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

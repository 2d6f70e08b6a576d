"""A run: what it takes, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.errors import ConfigError, HornbookError
from hornbook.run import ELSEWHERE


def test_one_stop_text_is_one_stop(names_run: Run) -> None:
    options: dict[str, Any] = {"seed": 4, "max_tokens": 30}
    whole = [s.text for s in names_run.sample(40, **options)]
    cut = [s.text for s in names_run.sample(40, stop="an", **options)]
    assert cut == [text.partition("an")[0] for text in whole]
    assert cut == [s.text for s in names_run.sample(40, stop=["an"], **options)]
    assert any("a" in text for text in cut)
    streamed = "".join(names_run.stream(stop="an", **options))
    assert streamed == cut[0]


def test_a_stream_refuses_wrong_arguments_at_once_and_in_terms_of_python(names_run: Run) -> None:
    for options, message in (
        ({"prompt": "EM"}, r"unknown characters.*unknown='skip'"),
        ({"max_tokens": 0}, "max_tokens: found 0"),
        ({"stop": ""}, "stop: found an empty text"),
    ):
        with pytest.raises(HornbookError, match=message):
            names_run.stream(**options)


def test_numbers_and_texts_of_other_libraries_are_taken(names_run: Run, tmp_path: Path) -> None:
    expected = names_run.sample(3, seed=5, top_k=4, temperature=0.5, max_tokens=9)
    assert expected == names_run.sample(
        np.int64(3), seed=np.int64(5), top_k=np.int32(4),  # type: ignore[arg-type]
        temperature=np.float32(0.5), max_tokens=np.int16(9),  # type: ignore[arg-type]
    )  # fmt: skip
    scores = names_run.score(["emma", "mia"])
    assert scores == names_run.score(np.array(["emma", "mia"]))
    assert scores == names_run.score(name for name in ("emma", "mia"))
    with pytest.raises(ConfigError, match=r"texts\[1\]: found nan \(float\), expected a text"):
        names_run.score(["emma", float("nan")])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="texts: found None"):
        names_run.score(None)  # type: ignore[arg-type]


def test_what_other_tools_call_otherwise_is_named(names_run: Run) -> None:
    for name, here in ELSEWHERE.items():
        assert hasattr(names_run, here)
        with pytest.raises(AttributeError, match=f"no '{name}'; it has {here}"):
            getattr(names_run, name)
    with pytest.raises(AttributeError, match=r"a run has no 'nothing'$"):
        names_run.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_results_are_small_tables(
    names_run: Run, words_file: Path, tmp_path: Path, draw_only: Callable[..., None]
) -> None:
    draw_only("losses", "surprise")
    scores = names_run.score(["emma", "mia"])
    assert repr(scores).splitlines()[0].split() == (
        ["total", "nats", "per", "token", "bits/byte", "tokens", "text"]
    )
    assert [line.split()[-1] for line in repr(scores).splitlines()[1:]] == ["emma", "mia"]
    assert repr(scores[0]).startswith("Score('emma', ")
    assert str(scores[0]) == str(scores[:1])
    results: list[Any] = [
        scores, names_run.sample(2, seed=0), names_run.evaluate(),
        hornbook.compare([names_run, names_run.path]),
        hornbook.lr_find(words_file, model="bigram", steps=20),
        names_run.inspect(tmp_path / "page"),
    ]  # fmt: skip
    for result in results:
        assert 1 < len(repr(result).splitlines()) < 40
        assert len(repr(result)) < 4000
        assert result._repr_html_().startswith("<table>")


def test_what_a_tokenizer_encodes_is_what_the_model_takes(names_run: Run, stream_run: Run) -> None:
    ids = names_run.encode("emma")
    assert (ids.dtype, ids.shape) == (torch.int64, (1, 5))
    assert ids[0, 0] == names_run.tokenizer.end_id
    log_p = names_run.model(ids).log_softmax(-1)[0]
    targets = [*ids[0, 1:].tolist(), names_run.tokenizer.end_id]
    nats = [-log_p[i, token].item() for i, token in enumerate(targets)]
    assert sum(nats) == pytest.approx(names_run.score("emma")[0].total, rel=1e-5)
    encoded = stream_run.tokenizer.encode("green")
    assert torch.equal(stream_run.encode("green"), torch.tensor([encoded.tolist()]))
    expected = stream_run.model(stream_run.encode("green"))
    row: list[int] = encoded.tolist()
    for form in (encoded, row, [row], torch.tensor(row), torch.tensor([row], dtype=torch.uint8)):
        assert torch.equal(stream_run.model(form), expected)
    for wrong in ("green", torch.ones(1, 3), np.ones((1, 1, 3), np.int64), None):
        with pytest.raises(TypeError, match=r"reads token ids, a tensor \(B, T\) of int64: found"):
            stream_run.model(wrong)  # type: ignore[arg-type]


def test_a_score_as_plain_data(names_run: Run) -> None:
    (scored,) = names_run.score("emma")
    data = names_run.score_data(scored, tokens=True)
    assert data["symbols"] == [*"emma", names_run.tokenizer.end]
    assert data["nats"] == scored.token_nats
    assert 0 <= data["percentile"] <= 100
    assert "nats" not in names_run.score_data(scored)


def test_a_prompt_in_the_place_of_the_number_of_samples_is_named(names_run: Run) -> None:
    with pytest.raises(ConfigError, match=r"n: found 'mar'.* is given by prompt="):
        names_run.sample("mar")  # type: ignore[arg-type]

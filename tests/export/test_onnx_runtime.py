from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hornbook.api import Run
from hornbook.export import onnx as target
from hornbook.export.base import Written, greedy_text
from hornbook.export.onnx_runtime import (
    check,
    continuation,
    empty_past,
    packed_rows,
    rows_of_random_lengths,
    speed,
)
from tests.conftest import WORDS, train_small

pytest.importorskip("onnx", reason="needs onnx: pip install 'hornbook[onnx]'")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'hornbook[onnx]'")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Written]:
    """A small recurrent network, whose graphs are quick to make."""
    folder = tmp_path_factory.mktemp("onnx")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    run = train_small("rnn", folder, folder / "run")
    return run, target.write(run, folder / "out", "f32")


def test_the_past_of_new_texts_is_zeros() -> None:
    inputs = [
        SimpleNamespace(name="input_ids", shape=["batch_size", "sequence_length"], type="int64"),
        SimpleNamespace(name="a", shape=["batch_size", 2, "past_sequence_length", 8], type="float"),
        SimpleNamespace(name="b", shape=[], type="tensor(int64)"),
    ]
    past = empty_past(SimpleNamespace(get_inputs=lambda: inputs), 3)
    assert past["a"].shape == (3, 2, 0, 8)
    assert past["a"].dtype == np.float32
    assert past["b"].shape == ()
    assert past["b"].dtype == np.int64


def test_rows_are_of_many_lengths_and_documents_begin_in_packed_ones(names_run: Run) -> None:
    shapes = {tuple(rows.shape) for rows in rows_of_random_lengths(names_run)}
    assert (1, 1) in shapes
    assert len(shapes) >= 4
    packed = packed_rows(names_run)
    assert packed is not None
    assert 0.1 < (packed[:, 1:] == names_run.tokenizer.end_id).float().mean() < 0.3


def test_streams_are_not_packed(stream_run: Run) -> None:
    assert packed_rows(stream_run) is None


def test_with_and_without_the_cache_the_text_is_the_run_s(
    written: tuple[Run, Written],
) -> None:
    run, made = written
    start, text = greedy_text(run)
    cached, aside = made.path / target.CACHED, made.path / "aside.onnx"
    assert cached.is_file()
    tokens = continuation(made.path, run, start)
    assert [token for token, _ in zip(tokens, text, strict=False)] == text
    cached.rename(aside)
    tokens = continuation(made.path, run, start)
    assert [token for token, _ in zip(tokens, text, strict=False)] == text
    aside.rename(cached)


def test_without_an_end_there_is_none(written: tuple[Run, Written]) -> None:
    run, made = written
    tokens = continuation(made.path, run, [0], without_end=True)
    assert 0 not in [next(tokens) for _ in range(40)]
    assert speed(run, made) > 0


def test_another_model_is_noticed(written: tuple[Run, Written], tmp_path: Path) -> None:
    _, made = written
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    other = train_small("rnn", tmp_path, tmp_path / "run", settings={"training.seed": 2})
    assert not all(check.equal for check in check(other, made))

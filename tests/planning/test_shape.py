"""What a step computes, compared with the batches themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.config import Nested, merge
from hornbook.data.batches import IGNORE
from hornbook.models.registry import build_on_meta, parse_run_config
from hornbook.planning.shape import Shape, draw_of
from tests.planning.texts import CPU, TINY_GPT, TINY_MLP, data_of, stream

RANDOM: Nested = {"training": {"sampling": "random"}}


@pytest.mark.parametrize("text", ["documents", "stream"])
@pytest.mark.parametrize(
    "settings",
    [TINY_GPT, TINY_MLP, merge(TINY_GPT, RANDOM), merge(TINY_GPT, {"training": {"batch_size": "all"}}),
     merge(TINY_GPT, {"training": {"batch_size": 9999}})],
    ids=["sequences", "windows", "random", "all", "more than there are"],
)  # fmt: skip
def test_tokens_of_a_step_are_those_of_the_batches(
    text: str, settings: Nested, words_file: Path, tmp_path: Path
) -> None:
    data = data_of(words_file if text == "documents" else stream(tmp_path, 3000))
    config = parse_run_config(settings)
    training = config.training
    model = build_on_meta(config.model, data.tokenizer.vocab_size, data.tokenizer.end_id)
    shape = Shape.of(model, data, training)
    batches = shape.build_batches(data.train, draw_of(training), CPU)
    assert shape.rows(training.batch_size) == batches.batch_size
    assert batches.batch(0)[0].shape == (batches.batch_size, shape.row_length)
    n = 200 if training.sampling == "random" else -(-shape.items // batches.batch_size)
    counted = sum(int((batches.batch(i)[1] != IGNORE).sum()) for i in range(n)) / n
    assert shape.tokens_per_step(training.batch_size) == pytest.approx(counted, rel=0.1)


def test_a_count_model_has_no_batches(words_file: Path) -> None:
    data = data_of(words_file)
    config = parse_run_config({"model": {"name": "ngram"}})
    model = build_on_meta(config.model, data.tokenizer.vocab_size, data.tokenizer.end_id)
    shape = Shape.of(model, data, config.training)
    assert shape.fitted
    assert shape.items == 1

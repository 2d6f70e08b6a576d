"""Which runs are one group, what the groups are called, and which settings differ."""

from __future__ import annotations

import numpy as np

from hornbook.metrics.groups import differing, grouped, setting_words, value_words
from hornbook.metrics.tables import group_rows
from tests.metrics.made import made

NATS = np.arange(20.0)
GPT = {"model.name": "gpt", "model.n_layer": 2, "optim.learning_rate": 0.01}


def test_runs_that_differ_by_their_seed_are_one_group() -> None:
    runs = [made(f"r{i}", NATS, seed, settings=GPT) for i, seed in enumerate((3, 1, 2))]
    other = made("other", NATS, 1, settings={**GPT, "model.n_layer": 4})
    groups = grouped([*runs, other])
    assert [group.seeds for group in groups] == [(1, 2, 3), (1,)]
    assert [dict(group.settings) for group in groups] == [
        {"model.n_layer": 2},
        {"model.n_layer": 4},
    ]
    assert [group.name for group in groups] == ["n_layer=2", "other"]  # all stand in runs/


def test_a_directory_of_its_own_names_a_group() -> None:
    a = [made(f"seed-{s}", NATS, s, f"runs/small/seed-{s}", GPT) for s in (1, 2)]
    large = {**GPT, "model.n_layer": 4}
    b = [made(f"seed-{s}", NATS, s, f"runs/large/seed-{s}", large) for s in (1, 2)]
    assert [group.name for group in grouped([*a, *b])] == ["small", "large"]


def test_the_same_seed_twice_counts_once_and_counts_have_no_seed() -> None:
    runs = [made("a", NATS, 1, settings=GPT), made("b", NATS, 1, settings=GPT)]
    (group,) = grouped(runs)
    assert [m.result.name for m in group.runs] == ["a"]
    assert [m.result.name for m in group.repeats] == ["b"]
    (counts,) = grouped([made("a", NATS, None, settings=GPT), made("b", NATS, None, settings=GPT)])
    assert counts.seeds == ()
    assert len(counts.runs) == 1


def test_a_run_that_is_not_finished_stands_alone() -> None:
    runs = [made("a", NATS, 1, settings=GPT), made("b", NATS, 2, settings=GPT, finished=False)]
    assert [len(group.runs) for group in grouped(runs)] == [1, 1]


def test_settings_of_one_model_alone_do_not_differ() -> None:
    counts = {"model.name": "ngram", "model.order": 4}
    found = differing([GPT, {**GPT, "optim.learning_rate": 0.1}, counts])
    assert found == [
        {"model.name": "gpt", "optim.learning_rate": 0.01},
        {"model.name": "gpt", "optim.learning_rate": 0.1},
        {"model.name": "ngram"},
    ]


def test_the_name_of_a_setting_is_one_directory() -> None:
    assert (
        setting_words({"model.n_layer": 2, "training.sampling": "random"})
        == "n_layer=2,sampling=random"
    )
    assert "/" not in setting_words({"tokenizer.kind": "../../elsewhere"})
    assert setting_words({"training.reference": True}) == "reference=true"


def test_the_components_of_a_mixture_are_named_not_spelled_out() -> None:
    components = [{"name": "mlp", "n_layer": 1}, {"name": "ngram", "order": 5}]
    assert value_words(components) == "mlp + ngram"
    assert value_words((0.5, 0.25)) == "0.5 + 0.25"
    assert value_words(None) == "None"
    mixture = {"model.components": components, "mixed": ["runs/a", "n-grams of order 5"]}
    groups = grouped(
        [
            made("m", [1.0, 2.0], settings=mixture),
            made(
                "a", [1.0, 3.0], settings={"model.components": components[:1], "mixed": ["runs/a"]}
            ),
        ]
    )
    header, *rows = group_rows(groups)
    assert "" not in header
    assert "mixed" in header
    assert max(len(cell) for row in rows for cell in row) < 40

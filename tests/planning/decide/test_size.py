"""The size for a time budget, by the laws and by seconds that are given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest

from hornbook.config import RunConfig
from hornbook.models.registry import parse_run_config
from hornbook.planning.decide.laws import expected_ratio
from hornbook.planning.decide.size import SIZE_FIELDS, SIZES, Candidate, Size, choose_size

EVERY = [size for sizes in SIZES.values() for size in sizes.values()]


def kind_of(sizes: Mapping[str, Size]) -> str:
    return next(kind for kind, others in SIZES.items() if others is sizes)


def candidates(
    sizes: Mapping[str, Size], max_steps: Mapping[str, int] | None = None, fitting: int = 99
) -> dict[str, Candidate]:
    """As on a text of which the first `fitting` sizes are not too large."""
    return {
        name: Candidate(
            partial(expected_ratio, kind_of(sizes), "gpt", name),
            float(size.n_layer * size.n_embd**2 * size.batch_size * size.context_length),
            (max_steps or {}).get(name),
            i < fitting,
        )
        for i, (name, size) in enumerate(sizes.items())
    }


@pytest.mark.parametrize("size", EVERY)
def test_settings_of_a_size_are_a_configuration(size: Size) -> None:
    config: RunConfig = parse_run_config(size.settings())
    model = config.model.model_dump()
    assert {name: model[name] for name in SIZE_FIELDS} == size.model_settings()
    hybrid = parse_run_config(size.settings(order=5)).model.model_dump()
    assert {name: hybrid[name] for name in size.shared_settings()} == size.shared_settings()
    assert (hybrid["name"], hybrid["order"]) == ("hybrid", 5)
    assert size.n_embd % size.n_head == 0


@pytest.mark.parametrize("size", EVERY)
def test_a_short_run_has_higher_learning_rates(size: Size) -> None:
    short, long = size.learning_rates(size.short - 1), size.learning_rates(size.short)
    assert all(a > b for a, b in zip(short, long, strict=True))
    assert size.learning_rates(size.short - 1, counts=True) == long


@pytest.mark.parametrize("kind", list(SIZES))
def test_more_minutes_choose_no_smaller_a_size(kind: str) -> None:
    sizes = SIZES[kind]
    seconds = {name: 1e-3 * 4**i for i, name in enumerate(sizes)}
    chosen, losses = [], []
    for minutes in (0.25, 0.5, 1, 2, 4, 60):
        left = 60 * minutes
        name, _, expected = choose_size(
            candidates(sizes), lambda *_, left=left: left, seconds.__getitem__, lambda: True
        )
        chosen.append(list(sizes).index(name))
        losses.append(expected[name])
    assert chosen == sorted(chosen)
    assert chosen[-1] > chosen[0]
    assert losses == sorted(losses, reverse=True)


def test_what_cannot_be_best_is_not_measured() -> None:
    sizes = SIZES["stream"]
    measured: list[str] = []

    def measure(name: str) -> float:
        measured.append(name)
        return 1e-12 * candidates(sizes)[name].operations

    for minutes in (0.1, 4.0):
        measured.clear()
        name, seconds, expected = choose_size(
            candidates(sizes), lambda *_, m=minutes: 60 * m, measure, lambda: True
        )
        assert len(set(measured)) == len(measured) < len(sizes)
        assert name in measured
        assert seconds.keys() == set(measured)
        assert expected.keys() == sizes.keys()
        assert min(expected, key=expected.__getitem__) == name


def test_no_more_is_measured_when_time_for_it_is_over() -> None:
    measured: list[str] = []

    def measure(name: str) -> float:
        measured.append(name)
        return 1e-3

    name, *_ = choose_size(candidates(SIZES["stream"]), lambda *_: 3600.0, measure, lambda: False)
    assert measured == [name] == ["tiny"]


def test_sizes_with_too_many_parameters_for_a_text_are_not_chosen() -> None:
    fitting = candidates(SIZES["documents"], fitting=2)
    name, *_ = choose_size(fitting, lambda *_: 3600.0, lambda _: 1e-4, lambda: True)
    assert name == "small"
    none = candidates(SIZES["documents"], fitting=0)
    assert choose_size(none, lambda *_: 3600.0, lambda _: 1e-4, lambda: True)[0] == "tiny"


def test_a_size_is_expected_to_reach_no_more_than_a_small_text_allows() -> None:
    """Four minutes of names once chose a size whose training stopped after two and a half."""
    sizes = SIZES["documents"]
    few = candidates(sizes, max_steps={"medium": 300})
    name, seconds, expected = choose_size(few, lambda *_: 3600.0, lambda _: 1e-3, lambda: True)
    assert name == "small"
    if "medium" in seconds:
        assert expected["medium"] == expected_ratio("documents", "gpt", "medium", 300)


def test_seconds_left_are_asked_for_each_size() -> None:
    """A size whose evaluations take all of the time is not chosen."""
    name, *_ = choose_size(
        candidates(SIZES["documents"]),
        lambda name, _: 1000.0 if name == "tiny" else 0.0,
        lambda _: 1e-3,
        lambda: True,
    )
    assert name == "tiny"

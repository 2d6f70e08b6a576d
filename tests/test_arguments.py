"""Arguments in the forms that programs have them, or an error that names the place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hornbook import arguments
from hornbook.errors import ConfigError


class Series:
    """A column as pandas has it: iterable, with a shape, and no list."""

    def __init__(self, *cells: Any) -> None:
        self.cells, self.shape = cells, (len(cells),)

    def __iter__(self) -> Any:
        return iter(self.cells)


class DataFrame(Series):
    """Iterating over it gives the names of its columns."""

    columns = ("name",)


@pytest.mark.parametrize(
    "given",
    [
        ["ab", "c"], ("ab", "c"), Series("ab", "c"), np.array(["ab", "c"]),
        np.array(["ab", "c"], dtype=object), {"ab": 1, "c": 2}.keys(), (t for t in ("ab", "c")),
    ],
)  # fmt: skip
def test_texts_come_from_any_iterable(given: Any) -> None:
    found = arguments.texts(given, "texts")
    assert found == ["ab", "c"]
    assert {type(text) for text in found} == {str}


def test_one_text_is_one_text_not_its_letters() -> None:
    assert arguments.texts("an", "stop") == ["an"]
    assert arguments.texts(np.str_("an"), "stop") == ["an"]
    with pytest.raises(ConfigError, match="texts: found one text, expected several"):
        arguments.texts("an", "texts", one=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["emma", float("nan")], r"texts\[1\]: found nan \(float\), expected a text"),
        (Series("emma", "mia", None), r"texts\[2\]: found None, expected a text"),
        (np.array([1, 2]), r"texts\[0\]: found .*1.* \(int64\), expected a text"),
        (np.array([["a"]]), r"texts\[0\]: found .* \(ndarray\), expected a text"),
        ([b"emma"], r"texts\[0\]: found b'emma' \(bytes\)"),
        (None, "texts: found None, expected a text or several"),
        (b"emma", r"texts: found b'emma' \(bytes\)"),
        (5, r"texts: found 5 \(int\)"),
        (np.array("emma"), r"texts: found .* \(ndarray\)"),
        ({"emma": 1}, r"texts: found .* \(dict\)"),
        (DataFrame("emma"), "texts: found a DataFrame, expected one of its columns"),
    ],
)
def test_what_is_no_text_is_named_with_its_place(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        arguments.texts(given, "texts")


@pytest.mark.parametrize("five", [5, np.int64(5), np.uint8(5), np.array(5), torch.tensor(5)])
def test_whole_numbers_of_other_libraries_are_python_s(five: Any) -> None:
    assert type(arguments.integer(five, "seed")) is int
    assert arguments.integer(five, "seed") == 5
    assert type(arguments.number(five, "top_p")) is float
    assert arguments.plain({"a": [five]}) == {"a": [5]}
    assert type(arguments.plain(five)) is int


@pytest.mark.parametrize(
    ("check", "given", "message"),
    [
        (arguments.integer, 5.0, r"x: found 5.0 \(float\), expected a whole number"),
        (arguments.integer, "5", r"x: found '5' \(str\), expected a whole number"),
        (arguments.integer, True, r"x: found True \(bool\)"),
        (arguments.integer, None, "x: found None"),
        (arguments.number, "0.5", r"x: found '0.5' \(str\), expected a number"),
        (arguments.number, None, "x: found None, expected a number"),
        (arguments.number, np.array([1.0, 2.0]), r"x: found .* \(ndarray\), expected a number"),
        (arguments.text, None, "x: found None, expected a text"),
        (arguments.path, 3, r"x: found 3 \(int\), expected a path"),
        (arguments.path, "", r"x: found '' \(str\), expected a path"),
        (arguments.path, b"runs", r"x: found b'runs' \(bytes\), expected a path"),
        (arguments.several, "runs/a", r"x: found 'runs/a' \(str\), expected several"),
        (arguments.several, Path("a"), r"x: found .*, expected several; put it into a list"),
        (arguments.mapping, [1], r"x: found \[1\] \(list\), expected a dict such as"),
        (arguments.mapping, {1: 2}, r"x: found \{1: 2\} \(dict\), expected a dict such as"),
    ],
)
def test_what_does_not_fit_says_what_was_found_and_expected(
    check: Callable[[Any, str], Any], given: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check(given, "x")


@pytest.mark.parametrize("given", [True, False, np.bool_(True)])
def test_a_truth_is_true_or_false_and_no_text(given: Any) -> None:
    assert arguments.truth(given, "x") is bool(given)
    with pytest.raises(ConfigError, match=r"x: found 'no' \(str\), expected True or False"):
        arguments.truth("no", "x")


def test_a_choice_is_one_of_its_words() -> None:
    assert arguments.choice("skip", "unknown", ("error", "skip")) == "skip"
    with pytest.raises(ConfigError, match=r"unknown: found 'ignore' \(str\), .* error, skip$"):
        arguments.choice("ignore", "unknown", ("error", "skip"))


def test_settings_become_plain() -> None:
    given = {
        "data": {"corpus": Path("a.txt")},
        "training.device": torch.device("cpu"),
        "training.precision": torch.float32,
        "training.steps": np.int64(3),
        "optim.learning_rate": np.float32(0.5),
        "model.weights": (1, np.float64(2.0)),
        "training.deterministic": np.bool_(True),
        "x": np.array([1, 2]),
    }
    assert arguments.mapping(given, "settings") == {
        "data": {"corpus": "a.txt"}, "training.device": "cpu", "training.precision": "fp32",
        "training.steps": 3, "optim.learning_rate": 0.5, "model.weights": [1, 2.0],
        "training.deterministic": True, "x": [1, 2],
    }  # fmt: skip
    assert arguments.mapping(None, "settings") == {}

"""What the verbs share: no option without a description, suggestions, tables."""

from __future__ import annotations

import argparse
import doctest
import itertools
import math
from pathlib import Path

import pytest

from hornbook.cli import VERBS, common
from hornbook.cli.common import SYNONYMS, Parser, check_picture, number, suggest
from hornbook.errors import ConfigError
from hornbook.table import table
from tests.cli.common import parser_of


@pytest.fixture(scope="module")
def parsers() -> dict[str, Parser]:
    return {verb: parser_of(verb) for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_is_undocumented(verb: str, parsers: dict[str, Parser]) -> None:
    parser = parsers[verb]
    shown = parser.format_help()
    for action in parser._actions:
        assert action.help, f"{action.dest} has no description"
        assert action.help != argparse.SUPPRESS
        for name in action.option_strings or [action.metavar or action.dest]:
            assert name in shown, name
    assert "None" not in shown


@pytest.mark.parametrize(
    ("flag", "near"),
    [("--step", "--steps"), ("--batch", "--batch-size"), ("--batch_size", "--batch-size"),
     ("--lr", ""), ("--xyz", ""), ("--s", "")],
)  # fmt: skip
def test_a_flag_is_suggested_only_where_it_is_near(flag: str, near: str) -> None:
    known = {name: f"--{name}" for name in ("help", "steps", "batch-size", "seed")}
    assert suggest(flag, known) == (f"; did you mean {near!r}?" if near else "")


def test_a_table_is_aligned() -> None:
    assert table([("a", "1"), ("long", "23")], right=[1]) == "a      1\nlong  23"


def test_a_loss_that_is_not_finite_is_infinite() -> None:
    assert (number(1.23456), number(None), number(math.inf)) == ("1.2346", "infinite", "infinite")


def test_the_parts_of_a_model_have_a_row_each() -> None:
    losses = {"nats": 1.5, "standard_error": 0.01, "bits_per_byte": 2.25}
    report = {"parts": {"counts": losses}, "validation": losses}
    expected = "1.5000 (standard error 0.0100) nats per token, 2.2500 bits per byte"
    assert common.part_rows(report) == [("counts alone", expected)]
    assert common.part_rows({"validation": losses}) == []
    assert common.loss_text({}) == "not measured"
    old = {"old_text": {"name": "a", "before": 1.25, **losses}}
    expected = "1.5000 nats per token, 2.2500 bits per byte (a); 1.2500 nats before"
    assert common.old_text_rows(old) == [("old text", expected)]


def test_a_picture_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    check_picture(None)
    check_picture(tmp_path / "x.pdf")
    with pytest.raises(ConfigError, match=r"ends in .png, .svg"):
        check_picture(tmp_path / "x.jpg")
    with pytest.raises(ConfigError, match="is not a directory"):
        check_picture(tmp_path / "none" / "x.png")


def _parser() -> Parser:
    parser = Parser("score")
    parser.add_argument("path", metavar="RUN")
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument("--tokens", action="store_true")
    parser.add_argument("-n", "--n", type=int)
    parser.add_argument("--stop", action="append", default=[])
    return parser


@pytest.mark.parametrize(
    "order", list(itertools.permutations([["--tokens"], ["-n", "3"], ["emma", "ava"]]))
)
def test_options_may_stand_anywhere(order: tuple[list[str], ...]) -> None:
    words = [word for part in order for word in part]
    for at in range(len(words) + 1):  # RUN too, but not inside an option
        if at and words[at - 1] == "-n":
            continue
        found = _parser().parse_args([*words[:at], "RUN", *words[at:]])
        assert (found.tokens, found.n) == (True, 3)
        assert [found.path, *found.texts] == [w for w in [*words[:at], "RUN", *words[at:]]
                                              if w[0] != "-" and w != "3"]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "texts", "stop"),
    [(["R", "--", "-x", "--tokens"], ["-x", "--tokens"], []), (["R", "--stop=--"], [], ["--"]),
     (["R", "--", "--"], ["--"], []), (["R", "--stop=-x", "-1.5", "-"], ["-1.5", "-"], ["-x"]),
     (["R", "- a list"], ["- a list"], []), (["R", "--stop", "- a"], [], ["- a"]),
     (["R", "--stop="], [], [""]), (["-n5", "R"], [], []), (["--n=5", "R"], [], [])],
)  # fmt: skip
def test_texts_and_values_may_begin_with_a_dash(
    words: list[str], texts: list[str], stop: list[str]
) -> None:
    found = _parser().parse_args(words)
    assert (found.path, found.texts, found.stop) == ("R", texts, stop)
    assert found.n in (None, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["R", "--stop", "-x"], "--stop: found no value, expected one: --stop VALUE; a value that "
         "begins with '-' is written --stop=-x"),
        (["R", "--stop", "--"], "a value that begins with '-' is written --stop=--"),
        (["R", "--stop", "--tokens"], r"--stop: found no value, expected one: --stop VALUE \(see"),
        (["R", "--stop"], r"--stop: found no value, expected one: --stop VALUE \(see"),
        (["R", "-x"], "-x: no such option; a text that begins with '-' is written after --: -- -x"),
        (["R", "--tokn"], "--tokn: no such option; did you mean '--tokens'"),
        (["R", "--num-samples", "3"], "--num-samples: no such option; did you mean '-n'"),
        (["R", "--tokens=3"], "--tokens: found the value '3', expected none"),
        ([], "required: RUN"),
    ],
)  # fmt: skip
def test_a_word_that_is_taken_for_an_option_says_what_to_write(
    words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _parser().parse_args(words)


@pytest.mark.parametrize("flag", SYNONYMS.values())
def test_what_a_synonym_proposes_is_an_option_of_a_verb(
    flag: str, parsers: dict[str, Parser]
) -> None:
    assert any(parser.has(flag) for parser in parsers.values())


def test_one_word_too_many_is_named() -> None:
    parser = Parser("show")
    parser.add_argument("path", metavar="RUN")
    with pytest.raises(
        ConfigError, match="b: found one argument too many; hornbook show takes one RUN"
    ):
        parser.parse_args(["a", "b"])


def test_a_text_that_begins_as_a_short_option_does_is_told_how_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"-hey: no such option; a text .* after --: -- -hey"):
        _parser().parse_args(["R", "-hey"])
    with pytest.raises(ConfigError, match=r"-help: no such option; did you mean .--help"):
        _parser().parse_args(["R", "-help"])


def test_a_text_beside_a_run_is_told_to_be_a_prompt() -> None:
    parser = Parser("sample")
    parser.add_argument("path", metavar="RUN")
    parser.add_argument("--prompt")
    with pytest.raises(ConfigError, match="is given by --prompt 'hey Tom'"):
        parser.parse_args(["R", "hey", "Tom"])
    with pytest.raises(ConfigError, match="takes one RUN \\(see"):
        parser.parse_args(["R", "tests"])  # a path is no beginning of a text


def test_the_examples_of_the_docstrings() -> None:
    tried = doctest.testmod(common)
    assert tried.attempted
    assert not tried.failed

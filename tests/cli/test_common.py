"""What the verbs share: no option without a description, suggestions, tables."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hornbook.cli import VERBS
from hornbook.cli.common import Parser, check_picture, number, suggest, table
from hornbook.cli.main import main
from hornbook.errors import ConfigError


class CaughtError(Exception):
    """Carries the parser of a verb out of it."""


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_is_undocumented(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def catch(self: Parser, *_: Any) -> NoReturn:
        raise CaughtError(self)

    monkeypatch.setattr(Parser, "parse_args", catch)
    with pytest.raises(CaughtError) as caught:
        main([verb])
    (parser,) = caught.value.args
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


def test_a_picture_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    check_picture(None)
    check_picture(tmp_path / "x.svg")
    with pytest.raises(ConfigError, match=r"ends in .png or .svg"):
        check_picture(tmp_path / "x.pdf")
    with pytest.raises(ConfigError, match="is not a directory"):
        check_picture(tmp_path / "none" / "x.png")

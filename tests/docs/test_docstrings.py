"""Docstrings as reStructuredText."""

from __future__ import annotations

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")

from _site.docstrings import convert


def test_arguments_become_fields_behind_the_sentences() -> None:
    lines = [
        "Trains.",
        "",
        "steps: how many,",
        "    in all.",
        "seed, out: as ever.",
        "Raises it.",
    ]
    found = [
        line for line in convert(lines, {"steps": "param", "seed": "param", "out": "ivar"}) if line
    ]
    assert found == [
        "Trains.", "Raises it.", ":param steps: how many,", "    in all.",
        ":param seed: as ever.", ":ivar out: as ever.",
    ]  # fmt: skip


def test_a_heading_of_arguments_is_taken_away() -> None:
    lines = ["Checks.", "", "Args:", "    step: of x,", "        in units.", "", "Raises it."]
    assert ":param step: of x," in convert(lines, {"step": "param"})
    assert "    in units." in convert(lines, {"step": "param"})


def test_an_indented_block_is_code_and_a_colon_alone_makes_no_field() -> None:
    lines = ["Example.", "", "    f(x)", "", "Note: nothing."]
    assert convert(lines, {"x": "param"})[:5] == ["Example.", "", "::", "", "    f(x)"]
    assert "Note: nothing." in convert(lines, {"x": "param"})

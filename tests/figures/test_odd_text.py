"""Texts of bytes, of control characters, of many scripts, and of thousands of symbols."""

from __future__ import annotations

import random
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hornbook.figures.source import readable
from hornbook.figures.symbols import bigram_counts, frequent
from matplotlib.text import Text

from hornbook.api import Run, train
from hornbook.errors import DataError
from hornbook.figures import registry as figures
from hornbook.figures import style
from hornbook.figures.page import inspect
from hornbook.figures.style import shown

CONTROLS = "".join(map(chr, [*range(1, 10), *range(11, 13), *range(14, 32), 127, 0x200D, 0xFE0F]))
SETTINGS = {
    "model.n_hidden": 8, "training.batch_size": 4, "training.eval_count": 1,
    "training.sample_count": 0, "training.probe_every": 1, "data.kind": "documents",
}  # fmt: skip


def odd_run(folder: Path, **settings: object) -> Run:
    draw = random.Random(0)
    alphabet = CONTROLS + "abc $x_1$ \\frac{<!--]]>&éשלم漢字👩😀"
    lines = ["".join(draw.choices(alphabet, k=draw.randint(2, 12))) for _ in range(120)]
    (folder / "odd.txt").write_text("\n".join(lines), "utf-8", newline="")
    return train(
        str(folder / "odd.txt"), model="rnn", steps=2, out=folder / "run", precision="fp32",
        settings={**SETTINGS, **settings},
    )  # fmt: skip


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_every_svg_is_xml_and_every_symbol_has_a_glyph(tmp_path: Path, tokenizer: str) -> None:
    run = odd_run(tmp_path, **{"tokenizer.kind": tokenizer})
    report = inspect(run, tmp_path / "look", "a\x01b\x0b漢 $x$\u200d")
    assert {"surprise", "bigrams", "embeddings", "neurons", "hidden_states"} <= set(report.written)
    for name in report.written:
        ElementTree.parse(tmp_path / "look" / f"{name}.svg")  # raises ParseError
    page = report.page.read_text("utf-8")
    assert not any(c in page for c in CONTROLS[:-1] if c != "\t")


def test_what_cannot_be_seen_or_drawn_has_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(" \n\t") == "␣⏎⇥"
    assert shown("\x01") == "<01>"
    assert shown("\x7f\u200d") == "<7F><200D>"
    assert shown("\ud800") == "<D800>"
    assert shown("$é_ש") == r"\$é_ש"  # matplotlib's plain dollar
    assert shown("\u0301") == "◌\u0301"
    assert shown("<9a>") == "<9a>"
    # without any font that has it: its code point; with one: itself
    for family, expected in ((None, "U+6F22"), (range(0x6F00, 0x7000), "漢")):
        style._visible.cache_clear()
        monkeypatch.setattr(style, "_charmap", lambda name, family=family: frozenset(family or ()))
        assert shown("漢") == expected
    style._visible.cache_clear()


def test_of_many_symbols_the_most_frequent_are_drawn(tmp_path: Path) -> None:
    draw = random.Random(1)
    symbols = [chr(0x4E00 + i) for i in range(1500)]
    text = "".join(symbols[int(1500 * draw.random() ** 4)] for _ in range(20_000))
    (tmp_path / "han.txt").write_text(text, "utf-8")
    run = train(
        str(tmp_path / "han.txt"), model="mlp", steps=2, out=tmp_path / "run", precision="fp32",
        settings={**SETTINGS, "data.kind": "stream", "training.probe_every": 0},
    )  # fmt: skip
    often = sorted(set(text), key=lambda c: (-text.count(c), c))[:20]
    chosen = frequent(run, 20)
    assert {run.tokenizer.symbol(i) for i in chosen.tolist()} == set(often)
    counts, expected = bigram_counts(run, chosen)
    for i, j in ((0, 0), (3, 7), (19, 4)):
        a, b = (run.tokenizer.symbol(int(chosen[k])) for k in (i, j))
        assert counts[i, j] == sum(text[k : k + 2] == a + b for k in range(len(text)))
    every, all_expected = bigram_counts(run)
    np.testing.assert_array_equal(counts, every[np.ix_(chosen, chosen)])
    np.testing.assert_allclose(expected, all_expected[np.ix_(chosen, chosen)], rtol=1e-4)
    picture = figures.embeddings(run)
    written = [t for t in picture.axes[0].texts if t.get_text()]
    assert len(written) == 80
    assert "the 80 most frequent of" in picture.note
    assert "of 30 symbols" in str(figures.bigrams(run).verdict)


def test_bytes_that_do_not_occur_are_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(["abc", "cab", "bad"] * 20), "utf-8")
    run = train(
        str(tmp_path / "words.txt"), model="mlp", steps=2, out=tmp_path / "run",
        settings={**SETTINGS, "tokenizer.kind": "byte", "training.probe_every": 0},
    )  # fmt: skip
    assert {run.tokenizer.symbol(i) for i in frequent(run, 80).tolist()} == {*"abcd", "<end>"}
    for figure in (figures.embeddings(run), figures.bigrams(run)):
        assert figure.note == "the 5 of 257 symbols that occur"
    assert len([t for t in figures.embeddings(run).axes[0].texts if t.get_text()]) == 5


def test_what_is_cut_or_unknown_is_said(names_run: Run, tmp_path: Path) -> None:
    text = "emma\nabcdefghijklmnopqrstuvwxyz" + "z" * 3000
    long = figures.surprise(names_run, text)
    assert long.verdict is not None
    mean = names_run.score(text.split("\n"))
    bits = sum(s.total for s in mean) / np.log(2) / sum(s.tokens for s in mean)
    assert long.verdict.text.startswith(f"{bits:.2f} bits")  # of all, not of what is drawn
    assert "the first 1,600 of 3,032 symbols are drawn" in long.note
    bad = figures.surprise(names_run, "qxqxqq").verdict
    assert bad is not None
    assert not bad.good
    assert "worse than a guess" in bad.text
    assert figures.surprise(names_run, "emma\nolivia").verdict.good  # type: ignore[union-attr]
    assert "the first 28 of 37 symbols" in figures.attention(names_run, "ann" * 12).note
    assert names_run.model.context_length < 200  # at which the text is not cut unsaid
    assert "the first 28 of 201 symbols" in figures.attention(names_run, "e" * 200).note
    tree = figures.continuations(names_run, "Ω" + "anna" * 40)
    assert "'Ω' (U+03A9)" in tree.note
    for words in tree.findobj(Text):
        assert "Ω" not in words.get_text()
        assert len(words.get_text()) < 90
    assert readable(names_run, "a9b\nZ!c") == (
        "ab\nc",
        "left out of the text, for the model does not know them: '9' (U+0039), 'Z' (U+005A), "
        "'!' (U+0021)",
    )
    report = inspect(names_run, tmp_path / "look", "emma9")
    assert "does not know them: &#x27;9&#x27;" in report.page.read_text("utf-8")
    with pytest.raises(DataError, match="found only symbols"):
        inspect(names_run, tmp_path / "look", "999")


def test_hidden_states_say_how_long_a_text_is(tmp_path: Path) -> None:
    run = odd_run(tmp_path, **{"model.context_length": 16})
    note = figures.hidden_states(run, "abc" * 20 + "\n" + "b" * 40).note
    assert note == "the first 16 of 102 symbols are shown, starts of documents counted"
    assert not figures.hidden_states(run, "abc").note


def test_labels_stay_within_their_cells() -> None:
    for text, size, letters in (("a", 12, 3), ("<end>", 12, 3), ("U+1F469 12%", 7, 9)):
        assert style.fitting(text, size, letters) * len(text) <= size * letters
    assert style.shortened("abcdef", 4) == "…def"
    assert style.shortened("abcd", 4) == "abcd"


def test_many_short_documents_are_drawn_as_far_as_a_picture_is_not_too_tall(
    names_run: Run,
) -> None:
    figure = figures.surprise(names_run, "\n".join(["ab"] * 400))
    assert "the first 240 of 1,200 symbols are drawn" in figure.note
    assert figure.get_size_inches()[1] < 30

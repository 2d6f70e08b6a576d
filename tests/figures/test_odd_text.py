"""Texts of bytes, of control characters, of many scripts, and of thousands of symbols."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text

from hornbook.api import Run, train
from hornbook.errors import DataError
from hornbook.figures.attention import attention
from hornbook.figures.bigrams import bigram_counts, bigrams
from hornbook.figures.continuations import continuations
from hornbook.figures.data import frequent_tokens, known_text
from hornbook.figures.embeddings import embeddings
from hornbook.figures.page import inspect
from hornbook.figures.surprisal import surprise

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
    assert not any(c in page for c in CONTROLS[:-2] if c != "\t")  # joiners belong to emoji


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
    chosen, _ = frequent_tokens(run, 20)
    assert {run.tokenizer.symbol(i) for i in chosen.tolist()} == set(often)
    counts, expected = bigram_counts(run, chosen)
    for i, j in ((0, 0), (3, 7), (19, 4)):
        a, b = (run.tokenizer.symbol(int(chosen[k])) for k in (i, j))
        assert counts[i, j] == sum(text[k : k + 2] == a + b for k in range(len(text)))
    every, all_expected = bigram_counts(run)
    np.testing.assert_array_equal(counts, every[np.ix_(chosen, chosen)])
    np.testing.assert_allclose(expected, all_expected[np.ix_(chosen, chosen)], rtol=1e-4)
    picture = embeddings(run)
    written = [t for t in picture.axes[0].texts if t.get_text()]
    assert len(written) == 80
    assert "the 80 most frequent of" in picture.note
    assert "of 30 tokens" in str(bigrams(run).finding)


def test_bytes_that_do_not_occur_are_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(["abc", "cab", "bad"] * 20), "utf-8")
    run = train(
        str(tmp_path / "words.txt"), model="mlp", steps=2, out=tmp_path / "run",
        settings={**SETTINGS, "tokenizer.kind": "byte", "training.probe_every": 0},
    )  # fmt: skip
    chosen, _ = frequent_tokens(run, 80)
    assert {run.tokenizer.symbol(i) for i in chosen.tolist()} == {*"abcd", "<end>"}
    for figure in (embeddings(run), bigrams(run)):
        assert figure.note == "the 5 of 257 tokens that occur"
    assert len([t for t in embeddings(run).axes[0].texts if t.get_text()]) == 5


def test_what_is_cut_or_unknown_is_said(
    names_run: Run, tmp_path: Path, draw_only: Callable[..., None]
) -> None:
    text = "emma\nabcdefghijklmnopqrstuvwxyz" + "z" * 3000
    long = surprise(names_run, text)
    assert long.finding is not None
    mean = names_run.score(text.split("\n"))
    bits = sum(s.total for s in mean) / np.log(2) / sum(s.tokens for s in mean)
    assert long.finding.text.startswith(f"{bits:.2f} bits")  # of all, not of what is drawn
    assert "the first 1,600 of 3,032 tokens are drawn" in long.note
    bad = surprise(names_run, "qxqxqq").finding
    assert bad is not None
    assert not bad.good
    assert "worse than the baseline" in bad.text
    assert surprise(names_run, "emma\nolivia").finding.good  # type: ignore[union-attr]
    assert "the first 28 of 37 tokens" in attention(names_run, "ann" * 12).note
    assert names_run.model.context_length < 200  # at which the text is not cut unsaid
    assert "the first 28 of 201 tokens" in attention(names_run, "e" * 200).note
    tree = continuations(names_run, "Ω" + "anna" * 40)
    assert "'Ω' (U+03A9)" in tree.note
    for words in tree.findobj(Text):
        assert "Ω" not in words.get_text()
        assert len(words.get_text()) < 90
    assert known_text(names_run, "a9b\nZ!c") == (
        "ab\nc",
        "left out of the text, as the model does not know them: '9' (U+0039), 'Z' (U+005A), "
        "'!' (U+0021)",
    )
    draw_only("surprise")
    report = inspect(names_run, tmp_path / "look", "emma9")
    assert "does not know them: &#x27;9&#x27;" in report.page.read_text("utf-8")
    with pytest.raises(DataError, match="found only characters"):
        inspect(names_run, tmp_path / "look", "999")

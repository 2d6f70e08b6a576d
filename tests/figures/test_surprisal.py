"""The figure of surprisal."""

from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from hornbook.api import Run, train
from hornbook.figures import style
from hornbook.figures.data import figure_data
from hornbook.figures.style import Figure
from hornbook.figures.surprisal import likeliest, surprise
from hornbook.generate.decoder import prompt_ids


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@torch.inference_mode()
def test_surprise_is_the_score_in_bits(names_run: Run) -> None:
    score = names_run.score("emma")[0]
    bits = np.array(score.token_nats) / math.log(2)
    written = words_of(surprise(names_run, "emma"))
    cell = 2 + 2 * 5  # symbol and bits, five alternatives and their shares
    assert written[::cell] == list(score.symbols)
    assert written[1::cell] == [f"{b:.1f}" for b in bits]
    assert all("%" in word for word in written[3::cell])
    likely = likeliest(names_run, "emma")
    p = names_run.model(torch.tensor([prompt_ids(names_run.tokenizer, "em")]))[0, -1].softmax(-1)
    np.testing.assert_allclose([q for _, q in likely[2]], p.topk(5).values, rtol=1e-5)
    # longer than the context: read in the blocks of the score, whose cheapest symbols are likeliest
    text = names_run.score("ab" * 20)[0]
    for nats, best in zip(text.token_nats, likeliest(names_run, "ab" * 20), strict=True):
        assert math.exp(-nats) <= best[0][1] * 1.001


@pytest.mark.parametrize("text", ["emma\nolivia", "zzzzzzzzzzzzzz"])
@pytest.mark.parametrize("narrow", [False, True])
def test_alternatives_are_centered_below_their_token(
    names_run: Run, text: str, narrow: bool
) -> None:
    with style.narrow() if narrow else nullcontext():
        figure = surprise(names_run, text)
    canvas, axes = FigureCanvasAgg(figure), figure.axes[0]
    canvas.draw()
    cell = axes.transData.transform((1, 0))[0] - axes.transData.transform((0, 0))[0]
    written = axes.texts
    for first in range(0, len(written), 12):  # symbol, bits, five alternatives and their shares
        boxes = [t.get_window_extent(canvas.get_renderer()) for t in written[first : first + 12]]
        middle = (boxes[0].x0 + boxes[0].x1) / 2
        left, right = min(b.x0 for b in boxes[2:]), max(b.x1 for b in boxes[2:])
        assert abs((left + right) / 2 - middle) < 0.06 * cell
        assert max(middle - left, right - middle) <= 0.5 * cell


@pytest.mark.parametrize("text", ["qqxqz", "qqxqz" * 13])
def test_what_a_model_holds_impossible_is_dark_and_infinite(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"model.smoothing": "add-k", "model.k": 0.0}
    run = train("names", model="ngram", out=tmp_path / "run", settings=settings)
    assert math.isinf(run.score(text)[0].mean)
    figure = surprise(run, text)
    assert figure.finding is not None
    assert figure.finding.text.startswith("inf bits a token")
    assert "held impossible" in figure.finding.text
    assert not figure.finding.good
    if len(text) > 60:
        table = figure.axes[0].images[0].get_array()
        assert np.isfinite(np.ma.getdata(table)[0]).all()  # what is not would be a white hole
        assert table[0, 1] == table.max() == 8
    else:
        assert "∞" in words_of(figure)
        assert not any(word.endswith(" 0%") for word in words_of(figure))


def test_all_predictions_are_counted_and_what_is_cut_is_said(
    names_run: Run, stream_run: Run, tmp_path: Path
) -> None:
    text = "emmaoliviaa\n" * 4 + "emmaoliviaab"  # 60 characters, 61 predictions
    assert len(text) == 60
    scores = names_run.score(text.split("\n"))
    assert sum(one.tokens for one in scores) == 61
    mean = sum(one.total for one in scores) / 61 / math.log(2)
    figure = surprise(names_run, text)
    assert str(figure.finding.text).startswith(f"{mean:.2f} bits")  # type: ignore[union-attr]
    assert np.isfinite(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)).sum() == 61
    folder = tmp_path / "han.txt"
    folder.write_text("漢字仮名" * 300, "utf-8")
    small = {"data.kind": "stream", "tokenizer.kind": "byte", "model.n_hidden": 8}
    run = train(str(folder), model="mlp", steps=2, out=tmp_path / "run", settings=small)
    text = "漢字仮" * 11 + "名"
    (score,) = run.score(text)
    assert score.tokens == 102
    figure = surprise(run, text)
    bits = score.mean / math.log(2)
    assert str(figure.finding.text).startswith(f"{bits:.2f} bits")  # type: ignore[union-attr]
    assert np.isfinite(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)).sum() == 102
    # what is shown where no text is given is cut, and its average is that of the whole
    default = surprise(stream_run)
    (score,) = stream_run.score(figure_data(stream_run).text)
    assert f"the first 60 of {score.tokens} tokens are drawn" in default.note
    bits = score.mean / math.log(2)
    assert str(default.finding.text).startswith(f"{bits:.2f} bits")  # type: ignore[union-attr]


def test_many_short_documents_are_drawn_as_far_as_a_picture_is_not_too_tall(
    names_run: Run,
) -> None:
    figure = surprise(names_run, "\n".join(["ab"] * 400))
    assert "the first 240 of 1,200 tokens are drawn" in figure.note
    assert figure.get_size_inches()[1] < 30


def test_a_model_that_knows_nothing_is_not_excused_by_the_text(
    words_file: Path, tmp_path: Path
) -> None:
    run = train(
        str(words_file), model="mlp", out=tmp_path / "run", precision="fp32", steps=1,
        settings={"model.init": "naive", "training.sample_count": 0},
    )  # fmt: skip
    finding = surprise(run).finding
    assert finding is not None
    assert not finding.good
    assert "it has learned nothing yet" in finding.text
    assert "unlike the training text" not in finding.text

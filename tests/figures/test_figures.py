"""Figures of every model: what applies is drawn, with axes named; what they show is exact."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hornbook.api import Run, train
from hornbook.figures import registry as figures
from hornbook.figures import style
from hornbook.figures.looking import attention_maps, excited, reach
from hornbook.figures.page import inspect
from hornbook.figures.reading import Node, grow, likeliest
from hornbook.figures.registry import FIGURES, DoesNotApplyError
from hornbook.figures.source import source
from hornbook.figures.style import Figure
from hornbook.figures.symbols import bigram_counts, kind_of, principal
from hornbook.generate.decoder import prompt_ids
from hornbook.layers.attention import CausalAttention
from hornbook.layers.recurrent import Recurrent
from hornbook.metrics.probes import WIDE, Spread, Units
from tests.conftest import Lecture


def test_inspect_works_on_every_model(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_run.config.model.name != "ngram":  # drawn and laid out, not encoded: slow
        monkeypatch.setattr(Figure, "_saved", lambda self, kind, **options: b"<svg/>")
    weights = {name: t.clone() for name, t in small_run.model.state_dict().items()}
    said: list[str] = []
    report = inspect(small_run, tmp_path / "look", tell=said.append)
    for name, tensor in small_run.model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], atol=0, rtol=0)
    assert set(report.written) | set(report.left_out) == set(FIGURES)
    always = {"copies", "surprise", "continuations", "bigrams", "embeddings", "receptive_field"}
    assert always <= set(report.written)
    kinds = [type(module) for module in small_run.model.modules()]
    assert ("attention" in report.written) == (CausalAttention in kinds)
    assert ("hidden_states" in report.written) == any(issubclass(k, Recurrent) for k in kinds)
    probed = (small_run.path / "probes.jsonl").exists() and not small_run.model.fitted
    assert ("ratios" in report.written) == probed
    assert len(said) == len(FIGURES)
    assert all("\n" not in line for line in said)
    page = report.page.read_text("utf-8")
    for name in FIGURES:
        written = name in report.written
        assert (tmp_path / "look" / f"{name}.png").exists() == written
        assert (tmp_path / "look" / f"{name}.svg").exists() == written
        assert f'id="{name}"' in page or report.left_out[name].split("'")[0] in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)|@import|url\(""", page)


def test_axes_are_named_and_the_look_is_one(small_run: Run) -> None:
    for name in ("losses", "activations", "ratios", "receptive_field", "copies"):
        try:
            figure = FIGURES[name].draw(small_run, None)
        except DoesNotApplyError:
            continue
        assert figure.get_size_inches()[0] == 7.0
        for axes in figure.axes:
            shared = axes.get_shared_x_axes().get_siblings(axes)
            assert any(one.get_xlabel() for one in shared) or axes.get_ylabel(), name


def test_a_figure_shows_itself_and_leaves_matplotlib_alone(names_run: Run) -> None:
    code = (
        "import sys, matplotlib; matplotlib.use('svg'); matplotlib.rcParams['font.size'] = 3;"
        "before = dict(dict.items(matplotlib.rcParams));"
        "from hornbook.figures.registry import lr_sweep;"
        "figure = lr_sweep([0.1, 1.0], [3.0, 2.0]); figure.png();"
        "assert 'matplotlib.pyplot' not in sys.modules;"
        "assert dict(dict.items(matplotlib.rcParams)) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    figure = figures.losses(names_run)
    assert isinstance(figure, Figure)
    assert figure._repr_svg_().lstrip().startswith("<?xml")
    assert figures.losses(names_run).svg() == figure.svg()
    html = names_run._repr_html_()
    assert "data:image/svg+xml" in html
    assert "gpt" in html


def test_a_figure_that_does_not_apply_says_why_in_one_line(names_run: Run) -> None:
    with pytest.raises(DoesNotApplyError, match=r"^no recurrent layer in this model$"):
        figures.hidden_states(names_run)
    with pytest.raises(DoesNotApplyError, match="--probe-every"):
        figures.ratios(names_run)


def test_bigram_counts_are_those_of_the_corpus(names_run: Run) -> None:
    counts, expected = bigram_counts(names_run)
    words = names_run.corpus().documents
    plain = Counter((a, b) for w in words for a, b in zip(f".{w}", f"{w}.", strict=True))
    show = names_run.tokenizer.symbol
    for i, j in np.ndindex(*counts.shape):
        assert counts[i, j] == plain[show(i), show(j)]
    np.testing.assert_allclose(expected.sum(1), counts.sum(1), rtol=1e-4)


def test_the_notes_picture_has_its_counts(lecture_names: Lecture) -> None:
    part = lecture_names.whole()
    pairs = Counter(zip(part.tokens[:-1].tolist(), part.tokens[1:].tolist(), strict=True))
    assert pairs[14, 0] == 6763  # `n.`, the most frequent pair of the notes' picture
    assert pairs[0, 1] == 4410  # `.a`


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@torch.inference_mode()
def test_surprise_is_the_score_in_bits(names_run: Run) -> None:
    score = names_run.score("emma")[0]
    bits = np.array(score.token_nats) / math.log(2)
    written = words_of(figures.surprise(names_run, "emma"))
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


@pytest.mark.parametrize("text", ["qqxqz", "qqxqz" * 13])
def test_what_a_model_holds_impossible_is_dark_and_infinite(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"model.smoothing": "add-k", "model.k": 0.0}
    run = train("names", model="ngram", out=tmp_path / "run", settings=settings)
    assert math.isinf(run.score(text)[0].mean)
    figure = figures.surprise(run, text)
    assert figure.verdict is not None
    assert figure.verdict.text.startswith("inf bits a symbol")
    assert "held impossible" in figure.verdict.text
    assert not figure.verdict.good
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
    figure = figures.surprise(names_run, text)
    assert str(figure.verdict.text).startswith(f"{mean:.2f} bits")  # type: ignore[union-attr]
    assert np.isfinite(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)).sum() == 61
    folder = tmp_path / "han.txt"
    folder.write_text("漢字仮名" * 300, "utf-8")
    small = {"data.kind": "stream", "tokenizer.kind": "byte", "model.n_hidden": 8}
    run = train(str(folder), model="mlp", steps=2, out=tmp_path / "run", settings=small)
    text = "漢字仮" * 11 + "名"
    (score,) = run.score(text)
    assert score.tokens == 102
    figure = figures.surprise(run, text)
    bits = score.mean / math.log(2)
    assert str(figure.verdict.text).startswith(f"{bits:.2f} bits")  # type: ignore[union-attr]
    assert np.isfinite(np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)).sum() == 102
    # what is shown where no text is given is cut, and its average is that of the whole
    default = figures.surprise(stream_run)
    (score,) = stream_run.score(source(stream_run).text)
    assert f"the first 60 of {score.tokens} symbols are drawn" in default.note
    bits = score.mean / math.log(2)
    assert str(default.verdict.text).startswith(f"{bits:.2f} bits")  # type: ignore[union-attr]


def test_boxes_of_the_tree_hide_no_number(names_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(names_run.tokenizer), "symbol", lambda self, token: "<end>")
    figure = figures.continuations(names_run, "em")
    figure.canvas.draw()
    texts = figure.axes[0].texts
    boxes = [b.get_window_extent() for t in texts if (b := t.get_bbox_patch()) is not None]
    numbers = [t.get_window_extent() for t in texts if t.get_text().endswith("%")]
    assert len(numbers) > 4
    assert not any(box.overlaps(number) for box in boxes for number in numbers)


@torch.inference_mode()
def test_the_tree_holds_the_most_probable_ends(names_run: Run) -> None:
    root = grow(names_run, "em", leaves=8, depth=2)  # of 32 beginnings: all symbols

    def ends(node: Node) -> list[Node]:
        return [e for c in node.children for e in ends(c)] if node.children else [node]

    model, start = names_run.model, prompt_ids(names_run.tokenizer, "em")
    first = model.next_logits(torch.tensor([start]))[0].softmax(-1)
    every = {(0,): float(first[0])}
    for token in range(1, 27):
        second = model.next_logits(torch.tensor([[*start, token]]))[0].softmax(-1)
        every |= {(token, t): float(first[token] * second[t]) for t in range(27)}
    best = sorted(every.values(), reverse=True)[:8]
    found = sorted((e.p for e in ends(root)), reverse=True)
    assert len(found) == 8
    np.testing.assert_allclose(found, best, rtol=1e-4)


def test_reach_is_the_context_and_doubles_in_a_wavenet(small_run: Run) -> None:
    change, layers = reach(small_run)
    model = small_run.model
    beyond = change[model.context_length :]
    assert (beyond < 1e-9).all()
    assert change[0] > 1e-6
    if small_run.config.model.name == "wavenet":
        sees = [int((values > 1e-6).sum()) for values in layers.values()]
        assert sees == [2, 4, 8, 16]
    if small_run.config.model.name in ("mlp", "ngram"):
        assert change[model.context_length - 1] > 1e-9


def test_the_prediction_and_the_only_layer_see_equally_far(small_run: Run) -> None:
    if small_run.config.model.name not in ("rnn", "mlp") or len(reach(small_run)[1]) != 1:
        pytest.skip("more than one layer")
    verdict = figures.receptive_field(small_run).verdict
    assert verdict is not None
    depends, sees = re.search(r"the last (\d+) symbols.*layers see (\d+)", verdict.text).groups()  # type: ignore[union-attr]
    assert int(depends) <= int(sees) + 1


def test_numbers_stand_in_the_middle_of_their_cells() -> None:
    figure, (axes,) = style.panels([2.0])
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5))
    figure.canvas.draw()
    box = axes.get_window_extent()
    cell = (box.width / 3 * 72 / figure.dpi, box.height / 3 * 72 / figure.dpi)
    style.numbers(axes, [(1.0, 1.0, "8")], 9.0, cell, "black")
    (marks,) = axes.collections
    x, y = marks.get_offsets()[0]
    (path,) = marks.get_paths()
    inside = path.get_extents()
    across, down = 9.0 * (inside.x0 + inside.x1) / 2, 9.0 * (inside.y0 + inside.y1) / 2
    assert x + across / cell[0] == pytest.approx(1.0, abs=0.02)
    assert y - down / cell[1] == pytest.approx(1.0, abs=0.05)


def test_a_mixture_names_its_members_layers(small_run: Run) -> None:
    if not small_run.facts.get("mixed"):
        pytest.skip("of mixtures")
    labels = {t.get_text() for t in figures.idle_units(small_run).axes[0].get_yticklabels()}
    assert "mlp: layer 1 tanh" in labels
    assert any(label.startswith("gpt: layer 2 ") for label in labels)
    for name in ("ratios", "first_activations"):
        with pytest.raises(DoesNotApplyError, match="inspect the runs it was mixed from"):
            FIGURES[name].draw(small_run, None)


def test_inspect_names_the_run_from_within_its_folder(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(names_run.path)
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {"losses": FIGURES["losses"]})
    page = inspect(Run.load("."), tmp_path / "look").page.read_text("utf-8")
    assert f"<h1>{names_run.path.name}</h1>" in page
    assert f"<title>{names_run.path.name}: " in page


def test_attention_looks_at_nothing_later(small_run: Run) -> None:
    for weights in attention_maps(small_run, [0, 1, 2, 3, 1]):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
        assert weights.triu(1).abs().max() == 0


def test_units_are_seen_with_the_text_that_excites_them(small_run: Run) -> None:
    if small_run.model.fitted or not source(small_run).probe.activations:
        with pytest.raises(DoesNotApplyError):
            excited(small_run)
        return
    values, names, texts = excited(small_run)
    assert values.shape == (len(texts), len(names))
    assert all(text.count(".") <= 1 for text in texts)  # one document at most
    often = Counter(text for text in texts if text[0] == ".").most_common(1)[0][0]
    same = [i for i, text in enumerate(texts) if text == often]
    assert len(same) > 1
    np.testing.assert_allclose(values[same], values[same[:1]].repeat(len(same), 0), atol=1e-5)


def test_components_are_those_of_a_plain_decomposition() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    places, share = principal(x)
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    np.testing.assert_allclose(share, values[:2] / values.sum())
    np.testing.assert_allclose(places.var(0, ddof=1), values[:2])


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [("a", "vowel"), ("é", "vowel"), ("b", "consonant"), ("B", "capital"), ("7", "digit"),
     (" ", "mark"), ("ж", "consonant"), ("—", "mark"), ("漢", "other letter"),
     ("ש", "other letter"), ("<9a>", "byte")],
)  # fmt: skip
def test_symbols_are_told_apart(symbol: str, kind: str) -> None:
    assert kind_of(symbol) == kind


def test_a_sweep_is_drawn_from_rates_and_losses() -> None:
    rates = 10 ** np.linspace(-3, 0, 200)
    losses = [3 - 0.5 * math.sin(i / 60) for i in range(200)]
    losses[-1] = math.nan
    figure = figures.lr_sweep(rates.tolist(), losses, best=0.1)
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_xlabel()


def test_ticks_and_dollars_are_written_as_they_are_meant(names_run: Run) -> None:
    figure = figures.activations(names_run)
    figure.canvas.draw()
    labels = [t for axes in figure.axes for t in axes.get_yticklabels()]
    assert any("10^{" in t.get_text() for t in labels)  # as formulas, which Text reads
    assert all(t.get_parse_math() for t in labels)
    assert style.shown("a$b$") == r"a\$b\$"


@pytest.mark.parametrize(("value", "kind"), [(0.0, nn.ReLU()), (1.0, nn.Tanh())])
def test_a_layer_of_one_value_is_drawn_where_it_is(value: float, kind: nn.Module) -> None:
    units = Units.of(kind, torch.full((100, 20), value))
    figure = figures.flow({"a": units}, {"a": Spread.of(torch.zeros(100), WIDE)})
    for axes, at in zip(figure.axes, (value, 0.0), strict=False):
        (drawn,) = axes.patches
        heights, edges = drawn.get_data().values, drawn.get_data().edges
        assert abs(edges[int(heights.argmax())] - at) < 0.05
        assert axes.get_ylim()[1] > heights.max()

"""The page of figures: complete, self-contained, and in a real Chromium it fits and loads nothing."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hornbook.api import Run, train
from hornbook.cli.main import main
from hornbook.figures.page import inspect
from hornbook.figures.registry import FIGURES
from hornbook.figures.style import Figure
from hornbook.layers.attention import CausalAttention
from hornbook.layers.recurrent import Recurrent
from hornbook.stages import watched

CHROMIUM = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip
# measured in a frame, since a headless window is never narrower than 500 pixels
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe src="PAGE" style="border:0;width:WIDTHpx;height:900px"></iframe><pre></pre><script>
onload = () => {
  const frame = document.querySelector("iframe"), page = frame.contentDocument;
  const wide = [...page.querySelectorAll("*")].filter(
    e => e.getBoundingClientRect().right > WIDTH + 0.5).map(e => e.tagName);
  const asked = frame.contentWindow.performance.getEntriesByType("resource")
    .map(r => r.name).filter(n => !n.startsWith("data:"));
  const broken = [...page.images].filter(i => !i.naturalWidth).length;
  const css = frame.contentWindow.getComputedStyle(page.body);
  document.querySelector("pre").textContent = "RESULT " + JSON.stringify(
    [page.documentElement.scrollWidth, wide, asked, broken, page.images.length, css.color,
     css.backgroundColor]);
};</script>"""


def chromium(profile: Path, *arguments: str) -> str:
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "HOME": str(profile)},
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def page(stream_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if CHROMIUM is None:
        pytest.skip("needs a Chromium in the path to open the page in")
    folder = tmp_path_factory.mktemp("page")
    return inspect(stream_run, folder, "12 green bottles, hanging on the wall").page


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_asks_for_nothing(
    page: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    frame = FRAME.replace("PAGE", page.as_uri()).replace("WIDTH", str(width))
    (tmp_path / "frame.html").write_text(frame, "utf-8")
    out = chromium(
        tmp_path / "profile", "--allow-file-access-from-files", "--window-size=1280,900",
        "--virtual-time-budget=5000", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--dump-dom", (tmp_path / "frame.html").as_uri(),
    )  # fmt: skip
    found = re.search(r"RESULT (\[.*\])", out)
    assert found, out[-500:]
    across, wide, asked, broken, images, ink, paper = json.loads(found[1])
    assert across <= width
    assert wide == []
    assert asked == []
    assert broken == 0
    assert images >= 9

    def lightness(colour: str) -> float:
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    assert (lightness(paper) < 0.2) is dark
    assert abs(lightness(paper) - lightness(ink)) > 0.6


def test_inspect_works_on_every_model(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_run.config.model.name != "ngram":  # drawn and laid out, not encoded: slow
        monkeypatch.setattr(Figure, "_saved", lambda self, kind, **options: b"<svg/>")
    weights = {name: t.clone() for name, t in small_run.model.state_dict().items()}
    messages: list[str] = []
    inspection = inspect(small_run, tmp_path / "look", on_message=messages.append)
    for name, tensor in small_run.model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], atol=0, rtol=0)
    assert set(inspection.written) | set(inspection.left_out) == set(FIGURES)
    always = {"copies", "surprise", "continuations", "bigrams", "embeddings", "receptive_field"}
    assert always <= set(inspection.written)
    kinds = [type(module) for module in small_run.model.modules()]
    assert ("attention" in inspection.written) == (CausalAttention in kinds)
    assert ("hidden_states" in inspection.written) == any(issubclass(k, Recurrent) for k in kinds)
    probed = (small_run.path / "probes.jsonl").exists() and not small_run.model.fitted
    assert ("ratios" in inspection.written) == probed
    assert len(messages) == len(FIGURES)
    assert all("\n" not in line for line in messages)
    page = inspection.page.read_text("utf-8")
    for name in FIGURES:
        written = name in inspection.written
        assert (tmp_path / "look" / f"{name}.png").exists() == written
        assert (tmp_path / "look" / f"{name}.svg").exists() == written
        assert f'id="{name}"' in page or inspection.left_out[name].split("'")[0] in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)|@import|url\(""", page)


def test_the_page_begins_with_what_was_trained_when_how_and_samples(
    names_run: Run, stream_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {"losses": FIGURES["losses"]})
    for run in (names_run, stream_run):
        page = inspect(run, tmp_path / "look").page.read_text("utf-8")
        before = page.partition("<nav>")[0]
        created = str(run.facts["created"])
        known = [
            f"{run.facts['n_parameters']:,} parameters",
            run.facts["corpus"]["name"],
            created[:10],
            created[11:16],
            "30 steps in",
            f"learning rate {run.config.optim.learning_rate:g}",
            "batches of 8",
            f"{run.report['validation']['nats']:.4f}",
            html.escape(run.report["samples"][0][:60]),
        ]
        assert [word for word in known if word not in before] == []


def test_a_figure_opens_large_and_has_another_for_a_narrow_screen(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {"losses": FIGURES["losses"]})
    page = inspect(names_run, tmp_path / "look").page.read_text("utf-8")
    figure = re.search(r'<figure id="losses-large">.*?</figure>', page)
    assert figure
    assert 'href="#losses-large"' in figure[0]
    assert 'class="close" href="#losses"' in figure[0]
    wide, narrow = re.findall(r'class="(?:wide|narrow)".*?base64,([^"]+)"', figure[0])
    widths = [re.search(rb'width="([0-9.]+)pt"', base64.b64decode(svg)) for svg in (wide, narrow)]
    assert [float(found[1]) for found in widths if found] == pytest.approx([504.0, 280.8])


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_names_that_are_not_utf8_are_escaped(
    names_run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    draw_only: Callable[..., None],
) -> None:
    draw_only("losses", "surprise")
    folder = tmp_path / os.fsdecode(b"r\xe9sum\xe9")
    corpus = tmp_path / os.fsdecode(b"n\xe4mes.txt")
    corpus.write_text("emma\nolivia\nava\n" * 20)
    run = train(str(corpus), model="bigram", steps=2, out=folder)
    page = inspect(run).page
    assert page == folder / "inspect" / "index.html"
    assert r"r\udce9sum\udce9" in page.read_text("utf-8")
    assert r"n\udce4mes" in page.read_text("utf-8")
    assert r"r\udce9sum\udce9" in run._repr_html_().encode("utf-8").decode("utf-8")
    picture, other = str(tmp_path / "picture.svg"), shutil.copytree(folder, tmp_path / "other")
    assert main(["compare", str(folder), str(other), "--out", picture]) == 0


def test_a_tilde_is_the_home_directory(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `--out=~/look`, which no shell expands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {})  # a page without figures
    assert inspect(names_run, Path("~/look")).page == tmp_path / "look" / "index.html"
    assert main(["mix", str(names_run.path), str(names_run.path), "--out=~/mixed"]) == 0
    assert (tmp_path / "mixed" / "config.json").exists()
    assert not (tmp_path / "~").exists()


def test_the_text_speaks_of_positions_and_distances_only_where_they_are(
    names_run: Run, stream_run: Run
) -> None:
    assert not any(
        word in FIGURES[name].reading
        for name, word in (("embeddings", "osition"), ("copies", "distance"), ("surprise", "five"))
    )
    assert "distance" in FIGURES["copies"].draw(names_run, None).reading
    assert "distance" not in FIGURES["copies"].draw(stream_run, None).reading
    assert FIGURES["embeddings"].draw(names_run, None).reading == ""  # rotary positions
    assert "five" in FIGURES["surprise"].draw(names_run, "emma").reading
    assert "five" not in FIGURES["surprise"].draw(names_run, "emma\n" * 20).reading


def test_inspect_names_the_run_from_within_its_folder(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(names_run.path)
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {"losses": FIGURES["losses"]})
    page = inspect(Run.load("."), tmp_path / "look").page.read_text("utf-8")
    assert f"<h1>{names_run.path.name}</h1>" in page
    assert f"<title>{names_run.path.name}: " in page


def test_each_figure_that_is_drawn_is_said(names_run: Run, tmp_path: Path) -> None:
    said: list[str | None] = []
    with watched(said.append):
        inspection = inspect(names_run, tmp_path / "figures")
    assert {f"drawing {name}" for name in inspection.written} <= set(said)

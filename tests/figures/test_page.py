"""The page of figures: complete, self-contained, and in a real Chromium it fits and loads nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from hornbook.api import Run
from hornbook.figures.page import inspect
from hornbook.figures.registry import FIGURES
from hornbook.figures.style import Figure
from hornbook.layers.attention import CausalAttention
from hornbook.layers.recurrent import Recurrent

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


def test_inspect_names_the_run_from_within_its_folder(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(names_run.path)
    monkeypatch.setattr("hornbook.figures.page.FIGURES", {"losses": FIGURES["losses"]})
    page = inspect(Run.load("."), tmp_path / "look").page.read_text("utf-8")
    assert f"<h1>{names_run.path.name}</h1>" in page
    assert f"<title>{names_run.path.name}: " in page

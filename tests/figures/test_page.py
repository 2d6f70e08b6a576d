"""The page in a real Chromium, from the file system: nothing overflows, nothing is asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.figures.page import inspect

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
    import json

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

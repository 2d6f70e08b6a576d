from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from hornbook.api import Run
from hornbook.config import presets
from hornbook.errors import RunError
from hornbook.export import html
from hornbook.export.browser import find_browser
from hornbook.export.bundle import page
from hornbook.export.compact import as_bytes, compact
from hornbook.export.targets import export
from hornbook.files import dump
from hornbook.models.registry import build_model, model_config


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">([^<]*)</script>', path.read_text("utf-8")
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def needs_program() -> None:
    if find_browser() is None and shutil.which("node") is None:
        pytest.skip("needs a browser or Node to run the page")


def test_every_model_is_exported_and_equal(small_run: Run, tmp_path: Path) -> None:
    needs_program()
    made = export(small_run, "html", tmp_path / "page.html", dtype="f32")
    assert [str(check) for check in made.checks if not check.equal] == []
    assert len(made.checks) >= 2
    assert str(small_run.path.parent) not in made.path.read_text("utf-8")


@pytest.mark.parametrize("dtype", ["f16", "q8_0"])
def test_what_smaller_weights_lose_is_measured(names_run: Run, tmp_path: Path, dtype: str) -> None:
    written = html.write(names_run, tmp_path / "page.html", dtype)
    size, loss = written.notes
    assert size.endswith("kB")
    found = re.search(r"by ([+-]\S+) bits per byte \(([\d.]+) to ([\d.]+)\)", loss)
    assert found is not None
    validation = names_run.report["validation"]["bits_per_byte"]
    assert float(found[2]) == pytest.approx(validation, abs=1e-4)
    assert abs(float(found[1])) < 0.01


def test_without_a_browser_its_script_runs_in_node(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node")
    monkeypatch.setenv("HORNBOOK_BROWSER", "none")
    checks = export(names_run, "html", tmp_path / "page.html", dtype="f32").checks
    assert [check.program.split()[0] for check in checks] == ["Node", "Node"]
    assert all(check.equal for check in checks)


def test_without_any_program_it_says_what_is_missing(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORNBOOK_BROWSER", "none")
    monkeypatch.setattr(html.shutil, "which", lambda name: None)
    made = export(names_run, "html", tmp_path / "page.html", dtype="f32")
    assert made.checks == ()
    assert "browser" in made.unchecked


def test_its_speed_is_measured_in_a_browser(names_run: Run, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("needs a browser (apt install chromium)")
    made = export(names_run, "html", tmp_path / "page.html", verify=False)
    assert (html.speed(names_run, made.written) or 0) > 0


def test_a_wrong_logit_is_found(names_run: Run, tmp_path: Path) -> None:
    needs_program()
    made = export(names_run, "html", tmp_path / "page.html", dtype="f32", verify=False)
    other = Run.load(names_run.path)
    next(other.model.parameters()).data[3] += 0.5
    assert not all(check.equal for check in html.check(other, made.written))


def test_a_page_that_cannot_be_shown_says_so(names_run: Run, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("needs a browser (apt install chromium)")
    made = export(names_run, "html", tmp_path / "page.html", dtype="f32", verify=False)
    text = made.path.read_text("utf-8")
    made.path.write_text(text.replace('id="weights">', 'id="weights">AAAA'), "utf-8")
    with pytest.raises(RunError, match="This page cannot be shown"):
        html.check(names_run, made.written)


def test_a_browser_that_does_not_start_is_replaced_by_node(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("node") is None or os.name != "posix":
        pytest.skip("needs Node, and pipes by number")
    monkeypatch.setenv("HORNBOOK_BROWSER", sys.executable)
    checks = export(names_run, "html", tmp_path / "page.html", dtype="f32").checks
    assert [check.program.split()[0] for check in checks] == ["Node", "Node"]


def test_data_cannot_end_its_block() -> None:
    text = html.as_json({"a": "</script><!--", "b": float("nan")})
    assert "<" not in text
    assert json.loads(text)["a"] == "</script><!--"


def test_no_path_of_this_machine_is_in_the_page(stream_run: Run, tmp_path: Path) -> None:
    path = html.write(stream_run, tmp_path / "page.html", "f32").path
    assert str(stream_run.path.parent) not in path.read_text("utf-8")
    data = data_of(path)
    assert ["Source", "bottles.txt"] in data["card"]["text"]
    assert data["card"]["facts"]
    assert stream_run.facts["corpus"]["sha256"] in dump(data)


def test_the_default_model_of_names_fits_into_600_kilobytes() -> None:
    config = model_config(presets.default("gpt", documents=True)["model"])
    weights = as_bytes(compact(build_model(config, 27, 0).state_dict(), html.DTYPES[0]))
    text = base64.b64encode(weights).decode()
    card = "x" * 10_000  # more than settings, tokenizer and card of `names` take
    assert (
        len(page({"data": ("application/json", card), "weights": ("text/plain", text)})) < 600_000
    )

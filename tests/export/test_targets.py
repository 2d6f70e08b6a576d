from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.export import huggingface
from hornbook.export.targets import TARGETS, export


def test_an_unknown_target_proposes_one(names_run: Run) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        export(names_run, "ggfu")


def test_an_unknown_dtype_lists_those_of_the_target(names_run: Run) -> None:
    with pytest.raises(ConfigError, match="expected f32, f16, bf16 for hf"):
        export(names_run, "hf", dtype="q8_0")


def test_an_export_is_beside_the_run_and_not_checked_where_the_program_is_missing(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.load(shutil.copytree(names_run.path, tmp_path / "mine"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    made = export(run, "hf")
    assert made.path == tmp_path / "mine-hf"
    assert made.checks == ()
    assert "pip install 'hornbook[hf]'" in made.unchecked
    assert export(run, "hf", tmp_path / "other", verify=False).checks == ()


def test_what_is_there_is_replaced_on_request_only(names_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(names_run, "hf", out, verify=False)
    with pytest.raises(ConfigError, match="--overwrite"):
        export(names_run, "hf", out, verify=False)
    (out / "config.json").write_text("{}")
    export(names_run, "hf", out, verify=False, overwrite=True)
    assert (out / "config.json").read_text() != "{}"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_directory_that_is_no_export_is_never_replaced(names_run: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years")
    with pytest.raises(ConfigError, match=r"holds thesis\.tex"):
        export(names_run, "hf", tmp_path / "thesis", verify=False, overwrite=True)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]
    for place in (names_run.path, names_run.path.parent):
        with pytest.raises(ConfigError, match="holds the run"):
            export(Run.load(names_run.path), "hf", place, verify=False, overwrite=True)
    assert Run.load(names_run.path).report


def test_a_file_beside_the_export_is_replaced_on_request_only(
    names_run: Run, tmp_path: Path
) -> None:
    pytest.importorskip("gguf")
    modelfile = tmp_path / "mine.Modelfile"
    modelfile.write_text("FROM elsewhere")
    with pytest.raises(ConfigError, match=r"mine\.Modelfile is there already"):
        export(names_run, "gguf", tmp_path / "mine.gguf", verify=False)
    assert modelfile.read_text() == "FROM elsewhere"
    with pytest.raises(ConfigError, match="which is the Modelfile's name"):
        export(names_run, "gguf", modelfile, verify=False, overwrite=True)
    assert modelfile.read_text() == "FROM elsewhere"
    export(names_run, "gguf", tmp_path / "mine.gguf", verify=False, overwrite=True)
    assert modelfile.read_text().startswith("FROM ./mine.gguf")


def test_what_was_there_is_back_where_writing_fails(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(names_run, "hf", out, verify=False)
    before = (out / "model.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface, "write_json", full)
    with pytest.raises(ValueError, match="free some space"):
        export(names_run, "hf", out, verify=False, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_each_target_has_what_the_way_there_needs() -> None:
    for name in TARGETS.values():
        if importlib.util.find_spec(f"hornbook.export.{name}") is None:
            continue
        target = importlib.import_module(f"hornbook.export.{name}")
        assert target.DTYPES
        assert callable(target.write)
        assert callable(target.check)
        assert target.SUFFIX == "" or target.SUFFIX.startswith(".")

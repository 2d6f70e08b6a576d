"""`hornbook import`."""

from __future__ import annotations

import json
from pathlib import Path

from hornbook.api import Run
from hornbook.export.huggingface import write
from tests.cli.common import Cap, run


def test_a_run_is_made_and_says_from_what(capsys: Cap, names_run: Run, tmp_path: Path) -> None:
    source = write(names_run, tmp_path / "hf", "f16").path
    code, out, _ = run(capsys, "import", source, "--out", tmp_path / "run")
    assert code == 0
    assert "Qwen3ForCausalLM -> gpt" in out
    assert f"{names_run.model.n_parameters:,} parameters" in out
    assert run(capsys, "sample", tmp_path / "run", "--seed", "1")[0] == 0
    code, out, _ = run(capsys, "import", source, "--out", tmp_path / "other", "--json")
    assert json.loads(out)["form"] == "Qwen3ForCausalLM"


def test_what_cannot_be_imported_is_said(capsys: Cap, names_run: Run, tmp_path: Path) -> None:
    for source, message in (
        (names_run.path, "is a run already"),
        (tmp_path / "nothing", "found nothing, expected a run, a directory of Hugging Face's"),
    ):
        code, _, err = run(capsys, "import", source, "--out", tmp_path / "x")
        assert code == 2
        assert message in err

"""`hornbook doctor`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hornbook.cli.doctor import check_device
from tests.cli.common import Cap, run


def test_a_folder_for_the_cache_that_cannot_be_written_is_a_problem(
    capsys: Cap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    code, out, _ = run(capsys, "doctor", "--device", "cpu")
    assert code == 0
    assert "problem" not in out
    assert torch.__version__ in out
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    code, out, _ = run(capsys, "doctor", "--device", "cpu")
    assert code == 1
    assert f"problem: {tmp_path} cannot be written" in out


def test_the_cpu_can_be_trusted() -> None:
    result, trusted = check_device(torch.device("cpu"))
    assert trusted
    assert "two runs agree bit for bit" in result

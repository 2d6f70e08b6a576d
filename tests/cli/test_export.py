from __future__ import annotations

import pytest

from hornbook.api import Run
from hornbook.cli.main import main


def test_an_unknown_target_is_an_error_of_one_line(
    names_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(names_run.path), "--to", "ggfu"]) != 0
    error = capsys.readouterr().err
    assert "ggfu" in error
    assert "gguf" in error

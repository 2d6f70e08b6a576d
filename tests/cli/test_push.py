from __future__ import annotations

import pytest

from hornbook.api import Run
from hornbook.cli.main import main


def test_a_wrong_name_is_an_error_of_one_line(
    names_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(names_run.path), "names"]) == 2
    assert "expected user/name" in capsys.readouterr().err


def test_upload_is_push(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upload", "run", "me/names"]) == 2
    assert "push" in capsys.readouterr().err

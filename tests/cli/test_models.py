"""`hornbook models`."""

from __future__ import annotations

import pytest

from hornbook.models.registry import MODELS
from tests.cli.common import Cap, run
from tests.cli.test_flags import help_of


def test_the_models_are_listed(capsys: Cap) -> None:
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1 : len(MODELS) + 1]] == list(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_the_lines_of_the_help(model: str, capsys: Cap) -> None:
    code, out, _ = run(capsys, "models", model)
    assert code == 0
    lines = out.splitlines()[3:]
    shown = help_of(capsys, "--model", model).splitlines()
    assert [line for line in lines if line not in shown] in ([], ["  no settings"])
    for name in MODELS[model].config.model_fields:
        assert name == "name" or f"--model.{name.replace('_', '-')}" in out

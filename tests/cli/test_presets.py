"""`hornbook presets`."""

from __future__ import annotations

import tomllib

import pytest

from hornbook.config import presets
from hornbook.models.registry import parse_run_config
from tests.cli.common import Cap, run
from tests.conftest import strict


def test_every_preset_is_listed_and_explained(capsys: Cap) -> None:
    code, out, _ = run(capsys, "presets")
    assert code == 0
    rows = [line.split(maxsplit=3) for line in out.split("\n\n")[0].splitlines()[1:]]
    assert [row[0] for row in rows] == list(presets.PRESETS)
    for name, model, _, explained in rows:
        assert model == presets.named(name)["model"]["name"]
        assert len(explained) > 20


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_is_printed_as_toml_that_says_the_same(name: str, capsys: Cap) -> None:
    code, out, _ = run(capsys, "presets", name)
    assert code == 0
    assert tomllib.loads(out) == presets.named(name)
    parse_run_config(tomllib.loads(out))


def test_an_unknown_preset_is_an_error(capsys: Cap) -> None:
    code, _, err = run(capsys, "presets", "notes-gtp")
    assert code == 2
    assert "did you mean 'notes-gpt'" in err


def test_presets_as_json(capsys: Cap) -> None:
    found = strict(run(capsys, "presets", "--json")[1])
    assert {name: preset["settings"] for name, preset in found.items()} == {
        name: presets.named(name) for name in presets.PRESETS
    }
    one = strict(run(capsys, "presets", "notes-mlp", "--json")[1])
    assert one == {"notes-mlp": found["notes-mlp"]}
    assert run(capsys, "presets", "notes-gtp", "--json")[0] == 2

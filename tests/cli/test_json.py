"""`--json` is JSON on every terminal: whatever its encoding, for every verb that has it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from hornbook.cli import VERBS
from hornbook.cli.main import main
from tests.cli.common import Cap
from tests.conftest import strict

TEXT = "émile\n白\n👩‍💻 x\nzoë\nana\n" * 12 + "李\n"
SMALL = ["--training.steps", "2", "--training.eval-count", "1", "--training.sample-count", "0"]
COMMANDS = {  # of every verb that has --json; {run} and {text} are filled in
    "sample": ["sample", "{run}", "-n", "5", "--seed", "1"],
    "eval": ["eval", "{run}"],
    "score": ["score", "{run}", "émile", "白", "Q", "👩‍💻", "--tokens"],
    "show": ["show", "{run}"],
    "compare": ["compare", "{run}", "{other}"],
    "ladder": ["ladder", "{text}", "--rungs", "counts-2,bow", "--out", "{ladder}", *SMALL],
    "lr-find": ["lr-find", "{text}", "--model", "bigram", "--sweep-steps", "20"],
    "data": ["data", "{text}"],
    "mix": ["mix", "{run}", "{other}", "--out", "{ladder}"],
    "models": ["models", "mlp"],
    "presets": ["presets"],
    "inspect": ["inspect", "{run}", "--out", "{ladder}"],
    "lesson": ["lesson", "--lang", "zh"],
    "runs": ["runs", "{folder}"],
    "export": ["export", "{gpt}", "--to", "hf", "--out", "{ladder}", "--no-verify"],
    "import": ["import", "{hf}", "--out", "{ladder}"],
    "sweep": [
        "sweep",
        "{text}",
        "--model",
        "bigram",
        "--lr",
        "0.1,0.2",
        "--steps",
        "2",
        "--out",
        "{ladder}",
    ],
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs on a text of several alphabets, in a directory with a name beyond ASCII."""
    folder = tmp_path_factory.mktemp("zoë")
    text = folder / "texte-é.txt"
    text.write_text(TEXT, "utf-8")
    for name, order in (("ré", "2"), ("other", "3")):
        words = ["train", str(text), "--model", "ngram", "--model.order", order, "--kind"]
        assert main([*words, "documents", "--out", str(folder / name)]) == 0
    words = ["train", str(text), "--model.n-layer", "1", "--kind", "documents", *SMALL]
    assert main([*words, "--out", str(folder / "gpt-é")]) == 0
    named = {"run": folder / "ré", "other": folder / "other", "gpt": folder / "gpt-é"}
    named["hf"] = folder / "hf-é"
    words = ["export", str(named["gpt"]), "--to", "hf", "--out", str(named["hf"]), "--no-verify"]
    assert main(words) == 0
    return {"folder": folder, "text": text, **named}


def test_every_verb_with_json_is_tried(capsys: Cap) -> None:
    found = set()
    for verb in VERBS:
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        if "--json" in capsys.readouterr().out:
            found.add(verb)
    assert found == {*COMMANDS, "push"}  # which tests/export/test_push.py tries with a hub


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("verb", COMMANDS)
def test_json_is_json_in_any_encoding(
    verb: str, encoding: str, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    words = [word.format(ladder=tmp_path / "ladder", **places) for word in COMMANDS[verb]]
    code = main([*words, "--json"])
    sys.stdout.flush()
    assert code == (verb == "score")  # one of its texts cannot be scored
    lines = raw.getvalue().decode(encoding).splitlines()
    found = [strict(line) for line in lines]
    assert found
    if verb == "score":
        assert [o["text"] for o in found] == ["émile", "白", "Q", "👩‍💻"]
    if verb == "data":
        assert "李" in {entry["character"] for entry in found[0]["rarest"]}
    if encoding == "utf-8" and verb != "score":  # whose error quotes the alphabet
        assert not any("\\u" in line for line in lines)


def test_half_of_a_character_is_json_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the name of a file that is not UTF-8."""
    from hornbook.cli.common import print_json

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8"))
    print_json({"name": "\udce9", "loss": float("nan")})
    sys.stdout.flush()
    assert json.loads(raw.getvalue()) == {"name": "\udce9", "loss": None}

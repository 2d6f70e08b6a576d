"""Runs that were not trained here: what is known of them, and what every verb does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import ConfigError, DataError, HornbookError
from hornbook.export.huggingface import write
from hornbook.pretrained.importing import import_base
from hornbook.run import Run
from tests.cli.common import Cap
from tests.cli.common import run as command
from tests.export.common import make_run


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("imported")
    run = make_run(folder, "llama", documents=True, tokenizer="bpe")
    return hornbook.import_model(write(run, folder / "my model", "f32").path, folder / "taken")


def test_what_is_known_of_it(imported: Run) -> None:
    facts = imported.facts
    assert facts["imported"]["form"] == "LlamaForCausalLM"
    assert imported.imported == "my model (LlamaForCausalLM)"
    assert len(facts["imported"]["sha256"]) == 64
    assert facts["n_parameters"] == imported.model.n_parameters
    assert imported.report["validation"]["nats"] is None
    assert sorted(p.name for p in imported.path.iterdir()) == [
        "config.json", "model.safetensors", "report.json", "tokenizer.json",
    ]  # fmt: skip


def test_it_samples_and_scores_like_any_run(imported: Run) -> None:
    texts = [s.text for s in imported.sample(2, max_tokens=5, seed=1)]
    assert texts == [s.text for s in Run.load(imported.path).sample(2, max_tokens=5, seed=1)]
    assert imported.score("word 3")[0].total > 0


def test_another_text_is_one_document(imported: Run, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("word 3 again\nword 4 again\n")
    found = imported.evaluate(corpus=tmp_path / "t.txt")
    assert found.nats > 0
    assert len(imported.part(corpus=tmp_path / "t.txt").starts) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.corpus(),
        lambda run: run.evaluate(),
        lambda run: run.mark_copies("word"),
        lambda run: hornbook.compare(run, Run.load(run.path)),
        lambda run: hornbook.mix([run, run], run.path.parent / "mixed"),
    ],
)
def test_what_needs_its_text_says_that_it_is_unknown(imported: Run, call: Any) -> None:
    with pytest.raises(
        DataError, match="was imported, and the text that it was trained on is unknown"
    ):
        call(imported)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show"], 0, "from .*my model .LlamaForCausalLM"),
        (["eval"], 1, "was imported, and the text"),
        (["score", "word 3"], 0, "word 3"),
        (["sample", "--max-tokens", "3", "--seed", "1"], 0, ""),
        (["chat"], 2, "its chat template is none that hornbook knows"),
    ],
)
def test_verbs(capsys: Cap, imported: Run, words: list[str], code: int, said: str) -> None:
    verb, *rest = words
    found, out, err = command(capsys, verb, imported.path, *rest)
    assert (found, "Traceback" in err) == (code, False)
    assert pytest.importorskip("re").search(said, out + err)


def test_it_is_listed_without_a_loss(capsys: Cap, imported: Run) -> None:
    code, out, _ = command(capsys, "runs", imported.path.parent)
    assert code == 0
    line = next(x for x in out.splitlines() if " imported" in x)
    assert "infinite" not in line
    code, out, err = command(capsys, "train", "--resume", imported.path)
    assert code == 0
    assert "was imported; to train it on a text: hornbook train TEXT --from" in out + err


def test_its_card_and_page_say_where_it_is_from(imported: Run, tmp_path: Path) -> None:
    card = (write(imported, tmp_path / "again", "f32").path / "README.md").read_text("utf-8")
    assert "imported by hornbook from `my model (LlamaForCausalLM)`" in card
    assert "The text" not in card
    assert str(tmp_path) not in card
    figures = imported.inspect(tmp_path / "inspect")
    assert "my model" in figures.page.read_text("utf-8")


def test_it_is_made_whole_or_not_at_all(
    imported: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="is a run already"):
        import_base(imported.path, tmp_path / "x")
    with pytest.raises(ConfigError, match="exists already"):
        import_base(tmp_path, imported.path)
    source = write(imported, tmp_path / "hf", "f32").path
    monkeypatch.chdir(tmp_path)
    assert import_base(source).run.path == Path("runs/hf")
    assert import_base(source).run.path == Path("runs/hf-2")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"n_layer": 9, "mlp_bias": True}))
    with pytest.raises(HornbookError, match="mlp_bias"):
        import_base(source, tmp_path / "y")
    assert not (tmp_path / "y").exists()

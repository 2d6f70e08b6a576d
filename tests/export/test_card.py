from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.config import FinetuningConfig
from hornbook.export.card import card, code, fenced


def test_a_card_has_the_figures_the_text_and_the_verdict(names_run: Run) -> None:
    text = card(names_run, "mine", tags=["hornbook"], usage="...", notes=["a note"])
    report = names_run.report
    assert f"{report['validation']['bits_per_byte']:.4f}" in text
    assert names_run.facts["corpus"]["sha256"] in text
    assert report["novelty"]["verdict"] in text
    assert report["verdict"]["text"] in text
    assert "a note" in text
    settings = text.split("```json\n")[1].split("\n```")[0]
    assert json.loads(settings)["training"]["steps"] == 30


def test_a_card_does_not_name_folders_of_this_machine(
    stream_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = stream_run.config
    data = config.data.model_copy(update={"files": ("/home/me/secret/more.txt",)})
    monkeypatch.setitem(vars(stream_run), "config", config.model_copy(update={"data": data}))
    base = FinetuningConfig(base="/home/me/secret/base")
    monkeypatch.setitem(
        vars(stream_run), "config", stream_run.config.model_copy(update={"finetuning": base})
    )
    text = card(stream_run, "mine", tags=[], usage="")
    assert str(Path(stream_run.config.data.corpus).parent) not in text
    assert "secret" not in text
    assert '"more.txt"' in text


def test_what_a_run_holds_is_never_markup() -> None:
    assert code("a ``b`` <script>\n") == "``` a ``b`` <script>\\n ```"
    hostile = "```\n# no heading"
    assert fenced(hostile).splitlines() == ["````text", "```", "# no heading", "````"]


def test_figures_are_those_of_what_is_exported(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = {"nats": 3.25, "bits_per_byte": 4.6875, "perplexity": 25.79}
    report = {**names_run.report, "parts": {"network": losses}}
    monkeypatch.setattr(Run, "report", report)
    text = card(names_run, "mine", tags=[], usage="", part="network")
    assert '"value": 4.6875' in text
    assert "3.2500" in text
    assert "those of its network, which is what is here" in text

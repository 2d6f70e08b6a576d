"""Uploads go to a stand-in of the hub; nothing here uses a network beyond the loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.errors import ConfigError, RunError
from hornbook.export import push as module
from hornbook.export.base import Check, Export, Written
from hornbook.export.push import push
from tests.export.hub import TOKEN, hub

FILES = [
    "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json",
]  # fmt: skip


@pytest.fixture
def huggingface_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="needs huggingface-hub: hornbook[hub]")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("huggingface_hub")
def test_a_run_is_uploaded_with_its_card(
    names_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        command = ["push", str(names_run.path), "me/my-names", "--no-verify", "--private"]
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"address": f"{server.address}/me/my-names"}
        files = server.files["me/my-names"]
        assert server.made[0]["visibility"] == "private"
        assert main(command) == 0  # a second time into the same repository
    assert sorted(files) == FILES
    assert b"# `my-names`" in files["README.md"]
    assert json.loads(files["config.json"])["architectures"] == ["Qwen3ForCausalLM"]


@pytest.mark.usefixtures("huggingface_hub")
def test_what_the_hub_refuses_is_an_error_in_words(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        with pytest.raises(RunError, match=r"refused me/names: .*401"):
            push(names_run, "me/names", verify=False)
    with pytest.raises(RunError, match="refused me/names"):  # the server is gone
        push(names_run, "me/names", verify=False)


@pytest.mark.usefixtures("huggingface_hub")
def test_without_a_token_it_is_said_how_to_get_one(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(RunError, match="hf auth login"):
        push(names_run, "me/names", verify=False)


def test_a_repository_has_a_user_and_a_name(names_run: Run) -> None:
    with pytest.raises(ConfigError, match="expected user/name"):
        push(names_run, "names")


def test_an_export_that_is_not_equal_is_not_uploaded(
    names_run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = Check("transformers 5", "logits", False, 0.5)
    made = Export("hf", Written(tmp_path, "f32"), (wrong,))
    monkeypatch.setattr(module, "export", lambda *_, **__: made)
    monkeypatch.setattr(module, "_package", lambda: None)
    with pytest.raises(RunError, match=r"not pushed.*NOT equal"):
        push(names_run, "me/names")


def test_without_the_package_it_is_said_what_to_install(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"hornbook\[hub\]"):
        push(names_run, "me/names")

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hornbook.api import Run, train
from hornbook.errors import ConfigError
from hornbook.export.base import random_rows, relative_difference
from hornbook.export.forms import Portable, portable, to_gguf, to_huggingface
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model
from hornbook.pretrained.forms import QWEN3_FORM, from_gguf, from_huggingface
from tests.conftest import TINY_GPT
from tests.export.common import SIZES
from tests.export.conftest import MakeRun


def loaded(found: Portable) -> LanguageModel:
    """The form's weights in a model here, through Hugging Face's names and back."""
    config, weights = from_huggingface(*to_huggingface(found))
    model = build_model(config, found.model.vocab_size, found.model.end_id)
    model.load_weights(weights)
    return model.eval()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("documents", [True, False])
def test_what_is_read_back_has_equal_logits(run_of: MakeRun, sizes: str, documents: bool) -> None:
    run = run_of(sizes, documents=documents)
    found = portable(run)
    rows = random_rows(run)
    with torch.inference_mode():
        assert relative_difference(run.model(rows), loaded(found)(rows)) < 1e-5


@pytest.mark.parametrize("sizes", ["gpt", "llama", "wide", "tied"])
def test_gpt_comes_back_bit_for_bit_from_both(run_of: MakeRun, sizes: str) -> None:
    run = run_of(sizes, documents=True)
    found = portable(run)
    own = run.model.state_dict()
    fields, weights = to_gguf(found, 1.0)
    for config, again in (
        from_huggingface(*to_huggingface(found)),
        from_gguf({"general.architecture": found.form.gguf, **fields}, weights),
    ):
        assert config.model_dump(exclude={"dropout"}) == run.model.config.model_dump(
            exclude={"dropout"}
        )
        assert again.keys() == own.keys()
        assert all(torch.equal(again[name], own[name]) for name in own)


def test_gpt2_comes_back_from_gguf(run_of: MakeRun) -> None:
    run = run_of("openai", documents=True)
    found = portable(run)
    fields, weights = to_gguf(found, 4096.0)
    config, again = from_gguf({"general.architecture": "gpt2", **fields}, weights)
    model = build_model(config, run.model.vocab_size, run.model.end_id)
    model.load_weights(again)
    rows = random_rows(run)
    with torch.inference_mode():
        assert relative_difference(run.model(rows), model.eval()(rows)) < 1e-5


def test_more_symbols_than_channels_make_gpt2_wider(run_of: MakeRun) -> None:
    run = run_of("narrow", documents=True)
    found = portable(run)
    assert found.settings["n_embd"] == 18
    assert run.model.vocab_size > 18
    config, _ = from_huggingface(*to_huggingface(found))
    assert config.model_dump()["n_hidden"] == 64


def test_version_4_and_5_of_transformers_find_the_rotary_base(run_of: MakeRun) -> None:
    found = portable(run_of("gpt", documents=True))
    config, _ = to_huggingface(found)
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 300.0


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("bigram", {}, "expected gpt or gpt2.*html, onnx and numpy"),
        (
            "hybrid",
            {"n_layer": 1, "n_embd": 16, "count_dropout": 0.0},
            "its network is trained on its counts.*--model.count-dropout",
        ),
        ("gpt", {"conv_kernel": 3}, "model.conv_kernel is 3"),
        ("gpt", {"pair_embedding": True}, "model.pair_embedding is True"),
    ],
)
def test_what_has_no_form_elsewhere_says_what_to_do(
    tmp_path: Path, words_file: Path, model: str, settings: dict[str, object], message: str
) -> None:
    training = {**TINY_GPT["training"], "steps": 2, "eval_count": 1, "sample_count": 0}
    run = train(
        str(words_file),
        out=tmp_path / "run",
        model=model,
        precision="fp32",
        settings={"model": settings, "training": training},
    )
    with pytest.raises(ConfigError, match=message):
        portable(run)


def test_the_network_of_a_model_that_has_one_is_exported_alone(
    names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, config = names_run.model, SimpleNamespace(name="hybrid")
    whole = SimpleNamespace(config=config, parts={"network": network})
    report = {"validation": {"nats": 1.5}, "parts": {"network": {"nats": 1.75}}}
    monkeypatch.setattr(Run, "model", whole)
    monkeypatch.setattr(Run, "report", report)
    found = portable(Run(names_run.path, names_run.facts, names_run.config))
    assert found.form is QWEN3_FORM
    assert found.model is network
    assert found.part == "network"
    assert "1.7500 nats per token instead of 1.5000" in found.notes[0]

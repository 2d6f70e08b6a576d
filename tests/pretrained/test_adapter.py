"""Adapters: `peft` loads them on top of the exported base, with the logits of the run."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.files import read_tensors
from hornbook.models.registry import build_model, model_config
from hornbook.pretrained.adapter import ADAPTER, CONFIG, WEIGHTS, has_adapter
from tests.training.helpers import PINNED

FORMS: dict[str, dict[str, Any]] = {
    "qwen3": {"name": "gpt", "n_layer": 2, "n_head": 2, "n_kv_head": 1, "n_embd": 16, "n_hidden": 24},
    "llama": {
        "name": "gpt", "n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24,
        "qk_norm": False, "tie_embeddings": True,
    },
    "gpt2": {"name": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 16, "activation": "gelu"},
}  # fmt: skip
TRAINING = {"steps": 4, "batch_size": 4, "eval_count": 2, "sample_count": 0, **PINNED}
RATE = {"learning_rate": 0.05}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    parts = ["ba", "ko", "mi", "ta", "re"]
    words = [a + b + c for a in parts for b in parts for c in parts]
    (folder / "old.txt").write_text("\n".join(words))
    (folder / "new.txt").write_text("\n".join(word[::-1] for word in words[:40]))
    (folder / "more.txt").write_text("\n".join(word[::-1] + "z" for word in words[:40]))
    return folder


@pytest.fixture(scope="module", params=FORMS)
def base(request: pytest.FixtureRequest, texts: Path) -> hornbook.Run:
    settings = {"model": {**FORMS[request.param], "context_length": 16}, "training": TRAINING}
    return hornbook.train(
        texts / "old.txt", settings=settings, out=texts / request.param, progress=False
    )


def adapted(base: hornbook.Run, text: str, out: str, **more: Any) -> hornbook.Run:
    finetuning = {"lora_rank": 2, **more}
    folder = base.path.parent
    return hornbook.train(
        folder / text,
        base=base,
        settings={"finetuning": finetuning, "training": TRAINING, "optim": RATE},
        out=folder / f"{base.path.name}-{out}",
        progress=False,
    )


def huggingface(base: hornbook.Run, tokens: int = 0) -> Any:
    from transformers import AutoModelForCausalLM

    path = base.path.with_name(f"{base.path.name}-hf")
    if not path.exists():
        base.export("hf", path, verify=False)
    model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()
    if tokens:
        model.resize_token_embeddings(tokens, mean_resizing=False)
    return model


def same_logits(run: hornbook.Run, model: Any) -> None:
    rows = torch.randint(
        1, run.model.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1)
    )
    rows[:, 0] = 0
    with torch.inference_mode():
        torch.testing.assert_close(model(rows).logits, run.model(rows), rtol=1e-4, atol=1e-5)


def test_peft_loads_several_adapters_of_one_base_with_equal_logits(base: hornbook.Run) -> None:
    peft = pytest.importorskip("peft")
    first = adapted(base, "new.txt", "first")
    second = adapted(base, "new.txt", "second", lora_alpha=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.PeftModel.from_pretrained(huggingface(base), first.path / ADAPTER)
        same_logits(first, model.eval())
        model.load_adapter(second.path / ADAPTER, "second")
        model.set_adapter("second")
        same_logits(second, model.eval())
    rows = torch.arange(1, 9)[None]
    assert not torch.allclose(first.model(rows), base.model(rows), atol=1e-3)


def test_rows_that_grew_are_whole_in_the_adapter(base: hornbook.Run) -> None:
    peft = pytest.importorskip("peft")
    run = adapted(base, "more.txt", "grown", grow=True)
    if base.config.model.name == "gpt2":  # its head has a bias, which the export has elsewhere
        assert not (run.path / ADAPTER).exists()
        return
    saved = json.loads((run.path / ADAPTER / CONFIG).read_text())["modules_to_save"]
    assert saved == ["embed_tokens", "lm_head"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        larger = huggingface(base, run.model.vocab_size)
        model = peft.PeftModel.from_pretrained(larger, run.path / ADAPTER)
    same_logits(run, model.eval())


def test_the_report_and_the_facts_name_what_the_run_is_made_of(base: hornbook.Run) -> None:
    from hornbook.pretrained.hashing import sha256_of

    run = adapted(base, "new.txt", "named")
    assert run.facts["base"]["sha256"] == sha256_of(base.path / "model.safetensors")
    file = run.path / ADAPTER / WEIGHTS
    assert run.report["adapter"] == {"path": ADAPTER, "sha256": sha256_of(file)}
    matrices = read_tensors(file).values()
    assert run.facts["trained_parameters"] == sum(t.numel() for t in matrices)
    assert run.facts["n_parameters"] == base.facts["n_parameters"]


def test_a_model_that_others_do_not_have_has_no_adapter() -> None:
    for more, expected in (
        ({}, True),
        ({"pair_embedding": True}, False),
        ({"conv_kernel": 3}, False),
    ):
        model = build_model(model_config({**FORMS["qwen3"], **more}), 9, 0)
        assert has_adapter(model) is expected
    assert not has_adapter(build_model(model_config({"name": "mlp"}), 9, 0))

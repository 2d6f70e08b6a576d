"""Files that are damaged, of another kind, or a stranger's: refused by name, with nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.errors import RunError
from hornbook.files import read_json
from hornbook.models import mixture
from hornbook.models.registry import MODELS, build_model, build_on_meta, model_config
from hornbook.runs.schema import FORMAT
from tests.reliability.conftest import read
from tests.training.helpers import PINNED


def test_a_mixture_of_too_many_layers_is_refused_before_it_is_built(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = read_json(copy / "config.json")
    components = [{**facts["config"]["model"], "n_layer": 512}] * 3
    facts["config"]["model"] = {
        "name": "mixture", "components": components, "weights": [0.25, 0.25, 0.5]
    }  # fmt: skip
    (copy / "config.json").write_text(json.dumps(facts))
    monkeypatch.setattr(mixture, "construct", lambda *_: pytest.fail("built"))
    with pytest.raises(RunError, match="found 1,536 layers in all, expected at most 1,024"):
        _ = Run.load(copy).model


def test_links_and_pipes_are_refused(copy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for name in ("config.json", "tokenizer.json", "model.safetensors", "report.json", "log.jsonl"):
        place = copy / name
        if place.exists():
            place.rename(secret)
        place.symlink_to(secret)
        with pytest.raises(RunError, match=rf"{name}: is a link"):
            read(copy)
        place.unlink()
        os.mkfifo(place)
        with pytest.raises(RunError, match=rf"{name}: is not a regular file|found no config.json"):
            read(copy)
        place.unlink()
        if secret.exists():
            secret.rename(place)
    (copy / "last").rename(tmp_path / "elsewhere")
    (copy / "last").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="last: is a link"):
        hornbook.resume(copy)


def test_a_model_on_meta_has_its_names_and_takes_no_memory(model_name: str) -> None:
    fields = MODELS[model_name].config.model_fields
    sizes = {k: v for k, v in {"n_embd": 8, "n_head": 2, "n_kv_head": 2}.items() if k in fields}
    config = model_config({"name": model_name, **sizes})
    torch.manual_seed(1)
    generator = torch.get_rng_state()
    shadow = build_on_meta(config, 11, 0)
    assert torch.equal(generator, torch.get_rng_state())
    real = build_model(config, 11, 0)
    assert {n: t.shape for n, t in shadow.state_dict().items()} == {
        n: t.shape for n, t in real.state_dict().items()
    }
    assert all(t.is_meta for t in shadow.state_dict().values())
    shadow.check_weights(real.state_dict())


def test_what_only_reads_a_run_does_not_wait_for_torch_s_compiler() -> None:
    """Its import takes a second, and a model on the device meta would ask for it."""
    code = (
        "import sys; from hornbook.models.registry import MODELS, build_on_meta, model_config\n"
        "for name in MODELS: name == 'mixture' or build_on_meta(model_config({'name': name}), 11, 0)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_losses_that_were_written_are_read_again(corpus: Path, tmp_path: Path) -> None:
    settings = {
        "training": {"steps": 8, "batch_size": 8, "eval_count": 2, "sample_count": 0, **PINNED},
        "optim": {"name": "sgd", "learning_rate": 1e35, "grad_clip": 0.0},
    }
    run = hornbook.train(str(corpus), model="bigram", out=tmp_path / "r", settings=settings)
    assert max(r["loss"] for r in run.log if r["step"]) > 1e30


@pytest.mark.parametrize("damage", ["cut", "swap", "none"])
def test_damaged_weights_are_refused(names_run: Run, tmp_path: Path, damage: str) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    weights = copy / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:500])
    elif damage == "swap":
        weights.write_bytes(b"\xff" * 100)
    else:
        weights.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors"):
        hornbook.load(copy).score("emma")


def test_a_log_cut_by_a_crash_is_read_up_to_there(names_run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"step": 31, "lo')
    assert hornbook.load(copy).log == names_run.log
    (copy / "log.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(RunError, match=r"log\.jsonl: damaged"):
        _ = hornbook.load(copy).log


def test_a_run_directory_may_be_moved_and_holds_nothing_to_execute(
    names_run: Run, tmp_path: Path
) -> None:
    moved = shutil.copytree(names_run.path, tmp_path / "elsewhere")
    assert hornbook.load(moved).score("emma") == names_run.score("emma")
    assert not any("pickle" in p.name or p.suffix == ".pt" for p in moved.rglob("*"))
    facts = read_json(moved / "config.json")
    assert facts["format"] == FORMAT
    assert facts["corpus"]["sha256"] == names_run.corpus().sha256
    (moved / "config.json").write_text(json.dumps({**facts, "format": FORMAT + 1}))
    with pytest.raises(RunError, match=rf"found format {FORMAT + 1}, expected {FORMAT} or older"):
        hornbook.load(moved)

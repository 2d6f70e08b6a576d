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
from hornbook.files import read_json, read_tensors
from hornbook.models import mixture
from hornbook.models.registry import MODELS, build_model, build_on_meta, model_config
from hornbook.training.callbacks import Callback
from tests.reliability.conftest import Listen, read, states


def test_a_mixture_of_too_many_layers_is_refused_before_it_is_built(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = read_json(copy / "config.json")
    components = [{**facts["config"]["model"], "n_layer": 512}] * 3
    facts["config"]["model"] = {
        "name": "mixture", "components": components, "weights": [0.25, 0.25, 0.5]
    }  # fmt: skip
    (copy / "config.json").write_text(json.dumps(facts))
    monkeypatch.setattr(mixture, "build_model", lambda *_: pytest.fail("built"))
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


def test_a_run_of_format_1_is_read_and_gone_on_with(copy: Path) -> None:
    facts = read_json(copy / "config.json")
    del facts["hardware"]["threads"]
    (copy / "config.json").write_text(json.dumps({**facts, "format": 1}))
    from safetensors import safe_open
    from safetensors.torch import save_file

    newest = states(copy)[-1]
    with safe_open(newest, "pt") as file:
        position = json.loads(file.metadata()["position"])
    tensors = read_tensors(newest)
    shutil.rmtree(copy / "last")
    (copy / "last").mkdir()
    save_file(tensors, copy / "last" / "state-00000008.safetensors")
    (copy / "last" / "state.json").write_text(
        json.dumps({"file": "state-00000008.safetensors", **position})
    )
    run = hornbook.resume(copy)
    assert run.report["steps"] == 12
    assert read_json(copy / "config.json")["format"] == 2


def test_a_model_on_meta_has_its_names_and_takes_nothing(model_name: str) -> None:
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
    """Its import takes a second, and building a model on the device `meta` would need it."""
    code = (
        "import sys; from hornbook.models.registry import MODELS, model_config, build_on_meta\n"
        "for name in MODELS: name == 'mixture' or build_on_meta(model_config({'name': name}), 11, 0)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_garbled_line_of_the_log_costs_what_follows_it_not_the_run(
    half: Path, copy: Path
) -> None:
    log, heard = copy / "log.jsonl", Listen()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b'{"step": \0\n', *lines[6:]]))
    run = hornbook.resume(copy, callbacks=[heard])
    assert [r["step"] for r in run.log] == [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]
    assert any("log.jsonl: damaged" in x and "last 2 records are gone" in x for x in heard.heard)


def test_losses_that_were_written_are_read_again(corpus: Path, tmp_path: Path) -> None:
    settings = {
        "training": {"steps": 8, "batch_size": 8, "eval_count": 2, "sample_count": 0},
        "optim": {"name": "sgd", "learning_rate": 1e35, "grad_clip": 0.0},
    }
    run = hornbook.train(str(corpus), model="bigram", out=tmp_path / "r", settings=settings)
    assert max(r["loss"] for r in run.log) > 1e30


def test_a_garbled_line_of_probes_costs_what_follows_it(tmp_path: Path) -> None:
    run = hornbook.train("names", model="bigram", out=tmp_path / "run", settings={
        "training.steps": 4, "training.probe_every": 1, "training.eval_count": 1,
        "training.sample_count": 0, "training.batch_size": 8,
    })  # fmt: skip
    place = run.path / "probes.jsonl"
    first, *_ = place.read_bytes().splitlines()
    place.write_bytes(first + b"\n{garbled\n" + first + b"\n")
    told = []

    class Listen(Callback):
        def told(self, message: str) -> None:
            told.append(message)

    hornbook.resume(run.path, steps=6, callbacks=[Listen()])
    assert any("probes.jsonl" in message for message in told)
    steps = [json.loads(line)["step"] for line in place.read_text().splitlines()]
    assert steps[0] == 1
    assert set(steps) >= {1, 5, 6}

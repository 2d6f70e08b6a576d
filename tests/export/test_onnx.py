from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.export import onnx as target
from hornbook.export.base import Export
from hornbook.export.onnx_cache import Value
from hornbook.export.targets import export
from tests.conftest import WORDS, train_small
from tests.export.common import make_run
from tests.export.test_onnx_readme import programs

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'hornbook[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: hornbook[onnx]")


def test_every_model_is_equal_and_its_readme_runs(small_run: Run, tmp_path: Path) -> None:
    made = export(small_run, "onnx", tmp_path / "out")
    cached = (made.path / target.CACHED).exists()
    assert cached == (not made.written.notes)
    differences = [check.difference for check in made.checks if check.difference is not None]
    assert len(differences) == 2 + cached
    assert max(differences) < 1e-5, made.checks
    assert all(check.equal for check in made.checks), made.checks
    for path in made.path.rglob("*.onnx"):
        raw = path.read_bytes()
        assert b"site-packages" not in raw
        assert b"Traceback" not in raw
        assert str(Path(target.__file__).parent).encode() not in raw
    facts = {p.key: p.value for p in onnx.load(made.path / "forward.onnx").metadata_props}
    assert facts["model"] == f'"{small_run.config.model.name}"'
    if importlib.util.find_spec("tokenizers") is None:
        return
    found = programs((made.path / "README.md").read_text("utf-8"))
    assert len(found) == 1 + cached
    for program in found:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=made.path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": ""},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


@pytest.mark.parametrize("sizes", ["llama", "openai"])
def test_the_forms_of_others_are_equal(tmp_path: Path, sizes: str) -> None:
    made = export(make_run(tmp_path, sizes, documents=True), "onnx", tmp_path / "out")
    assert (made.path / target.CACHED).exists()
    assert all(check.equal for check in made.checks), made.checks


@pytest.fixture(scope="module")
def names_made(names_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The export of a small GPT."""
    return export(names_run, "onnx", tmp_path_factory.mktemp("names") / "out", verify=False)


def test_no_size_is_fixed_by_the_example(names_run: Run, names_made: Export) -> None:
    made = names_made
    session = onnxruntime.InferenceSession(made.path / "forward.onnx")
    assert [list(value.shape) for value in session.get_inputs()] == [
        ["batch_size", "sequence_length"]
    ]
    context = names_run.model.context_length
    for shape in ((1, 1), (1, context), (7, 2), (2, 7)):
        ids = np.zeros(shape, np.int64)
        (logits,) = session.run(None, {"input_ids": ids})
        assert logits.shape == (*shape, names_run.tokenizer.vocab_size)


def test_half_precision_is_smaller_and_stays_close(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    run = train_small("lstm", tmp_path, tmp_path / "run", settings={"model.n_hidden": 64})
    full = export(run, "onnx", tmp_path / "full", verify=False)
    half = export(run, "onnx", tmp_path / "half", dtype="f16")
    for name in (target.FORWARD, target.CACHED):
        assert (half.path / name).stat().st_size < 0.7 * (full.path / name).stat().st_size
    assert "bits per byte" in half.written.notes[0]
    for check in half.checks:
        assert check.equal
        assert check.difference is None or 1e-6 < check.difference < 1e-2


def test_a_wrong_graph_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    run = train_small("bigram", tmp_path, tmp_path / "run")
    written = target.write(run, tmp_path / "out", "f32")
    proto = onnx.load(written.path / "forward.onnx")
    table = proto.graph.initializer[0]
    array = onnx.numpy_helper.to_array(table).copy()
    array[run.tokenizer.end_id, 4] += 0.01
    table.CopyFrom(onnx.numpy_helper.from_array(array, table.name))
    onnx.save(proto, written.path / "forward.onnx")
    assert not all(check.equal for check in target.check(run, written))


def test_weights_that_do_not_fit_a_file_are_refused(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "LARGEST", 1000)
    with pytest.raises(ConfigError, match=r"at most 1.0 kB.* hf or gguf"):
        export(names_run, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_package_it_says_what_to_install(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'hornbook\[onnx\]'"):
        export(names_run, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_transformers_js_finds_the_shape_of_the_cache(names_made: Export) -> None:
    made = names_made
    config = json.loads((made.path / "config.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(made.path / target.CACHED)
    names = [f"past_key_values.{i}.{part}" for i in range(config["num_hidden_layers"])
             for part in ("key", "value")]  # fmt: skip
    inputs = session.get_inputs()
    assert [value.name for value in inputs] == ["input_ids", *names]
    for value in inputs[1:]:
        assert value.shape == [
            "batch_size", config["num_key_value_heads"], "past_sequence_length", config["head_dim"],
        ]  # fmt: skip
    outputs = [value.name for value in session.get_outputs()]
    assert outputs == ["logits", *(name.replace("past_key_values", "present") for name in names)]
    tokenizer = json.loads((made.path / "tokenizer_config.json").read_text("utf-8"))
    assert tokenizer["add_bos_token"]


def test_other_caches_have_no_such_shape() -> None:
    key = Value("past_key_values.0.key", ("batch_size", 2, "past", 8))
    state = Value("past_state.0", ("batch_size", 2))
    assert target.shape_of_keys([key, key]) == (1, 2, 8)
    assert target.shape_of_keys([key, key, state]) is None
    assert target.shape_of_keys([state]) is None

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.export import onnx as target
from hornbook.export.targets import export
from tests.conftest import WORDS, train_small
from tests.export.test_onnx_readme import programs

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'hornbook[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: hornbook[onnx]")


def test_every_model_is_equal_and_its_readme_runs(small_run: Run, tmp_path: Path) -> None:
    made = export(small_run, "onnx", tmp_path / "out")
    cached = (made.path / target.CACHED).exists()
    assert cached == (not made.written.notes)
    assert len(made.checks) == 2 + cached
    for check in made.checks:
        assert check.equal, check
        assert check.difference is not None
        assert check.difference < 1e-5, check
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


def test_no_size_is_fixed_by_the_example(names_run: Run, tmp_path: Path) -> None:
    made = export(names_run, "onnx", tmp_path / "out", verify=False)
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
    for check in half.checks:
        assert check.equal
        assert 1e-6 < (check.difference or 0) < 1e-2


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


def test_without_the_package_it_says_what_to_install(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'hornbook\[onnx\]'"):
        export(names_run, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()

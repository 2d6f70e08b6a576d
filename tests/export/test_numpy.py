from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.api import Run
from hornbook.export.numpy import LESSON, narrowed, program
from hornbook.export.targets import export
from hornbook.files import read_tensors


def test_every_model_is_equal_without_torch(small_run: Run, tmp_path: Path) -> None:
    made = export(small_run, "numpy", tmp_path / "out")
    assert {path.name for path in made.path.iterdir()} == {
        "model.safetensors", "sample.py", "tokenizer.json",
    }  # fmt: skip
    assert [check.equal for check in made.checks] == [True, True, True], made.checks
    assert made.checks[0].difference is not None
    assert made.checks[0].difference < 1e-5


def test_the_program_imports_numpy_and_the_standard_library_alone(
    small_run: Run, tmp_path: Path
) -> None:
    made = export(small_run, "numpy", tmp_path / "out", verify=False)
    source = (made.path / "sample.py").read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        else:
            continue
        assert all(n == "numpy" or n.split(".")[0] in sys.stdlib_module_names for n in names)
    assert "noqa" not in source
    assert "hornbook.export" not in source


def test_what_is_not_needed_is_not_in_it() -> None:
    gpt = program({"name": "gpt"}, "char")
    assert "class GPT(" in gpt
    assert "class MLP(" not in gpt
    both = program({"name": "mixture", "components": [{"name": "mlp"}, {"name": "lstm"}]}, "byte")
    assert all(f"class {name}(" in both for name in ("MLP", "LSTM", "Mixture"))
    assert "class GPT(" not in both
    assert both.index("class MLP(") < both.index("class Mixture(")


def test_every_file_of_the_lesson_is_in_the_package() -> None:
    assert (LESSON / "main.py").is_file()


def test_a_hostile_run_is_data(names_run: Run, tmp_path: Path) -> None:
    """The same program for every run of a model: nothing of a run is in it."""
    made = export(names_run, "numpy", tmp_path / "out", verify=False)
    assert (made.path / "sample.py").read_text("utf-8") == program({"name": "gpt"}, "char")


def test_half_precision_is_half_as_large_and_said(names_run: Run, tmp_path: Path) -> None:
    full = export(names_run, "numpy", tmp_path / "full", verify=False)
    half = export(names_run, "numpy", tmp_path / "half", dtype="f16")
    size = [(each.path / "model.safetensors").stat().st_size for each in (full, half)]
    assert size[1] < 0.6 * size[0]
    assert half.written.dtype == "f16"
    assert len(half.checks) == 2  # rounded weights draw other samples
    assert "bits per byte" in half.written.notes[0]
    assert half.checks[0].equal
    assert 1e-6 < (half.checks[0].difference or 0) < 1e-2


def test_counts_keep_their_precision_and_take_few_bytes(small_run: Run, tmp_path: Path) -> None:
    if not small_run.model.fitted:
        pytest.skip("no counts")
    made = export(small_run, "numpy", tmp_path / "out", dtype="f16")
    tensors = read_tensors(made.path / "model.safetensors")
    assert tensors["value_1"].dtype == torch.float32
    assert tensors["next_1"].dtype == torch.uint8
    assert made.checks[0].difference == pytest.approx(0, abs=1e-6)
    assert made.written.notes == ()  # nothing is rounded


def test_numbers_take_the_smallest_dtype_that_holds_them() -> None:
    for values, dtype in (
        ([0, 255], torch.uint8), ([0, 256], torch.int16), ([-1, 5], torch.int16),
        ([0, 1 << 15], torch.int32), ([0, 1 << 31], torch.int64), ([], torch.uint8),
    ):  # fmt: skip
        found = narrowed(torch.tensor(values, dtype=torch.int64))
        assert found.dtype == dtype
        assert found.tolist() == values


def test_the_same_text_from_the_command_line(names_run: Run, tmp_path: Path) -> None:
    made = export(names_run, "numpy", tmp_path / "out", verify=False)
    options = ["-n", "4", "--seed", "3", "--prompt", "em", "--top-k", "12", "--temperature", "0.9"]
    done = subprocess.run(
        [sys.executable, "-I", str(made.path / "sample.py"), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    samples = names_run.sample(4, seed=3, prompt="em", top_k=12, temperature=0.9)
    assert done.stdout.splitlines() == [sample.text for sample in samples]


def test_other_draws_are_said(names_run: Run, tmp_path: Path) -> None:
    generation = names_run.config.generation.model_copy(update={"sampling": "torch"})
    config = names_run.config.model_copy(update={"generation": generation})
    run = Run(names_run.path, names_run.facts, config)
    made = export(run, "numpy", tmp_path / "out", verify=False)
    assert "--sampling keyed" in made.written.notes[0]


def test_subwords_are_in_the_program_that_needs_them(bpe_run: Run, tmp_path: Path) -> None:
    made = export(bpe_run, "numpy", tmp_path / "out")
    assert [check.equal for check in made.checks] == [True, True, True], made.checks
    assert "class BPETokenizer(" in (made.path / "sample.py").read_text("utf-8")
    assert "class BPETokenizer(" not in program({"name": "gpt"}, "char")


def test_an_export_that_differs_says_so(names_run: Run, tmp_path: Path) -> None:
    from hornbook.export import numpy as target

    written = target.write(names_run, tmp_path / "out", "f32")
    tensors = read_tensors(tmp_path / "out" / "model.safetensors")
    source = (tmp_path / "out" / "sample.py").read_text("utf-8")
    (tmp_path / "out" / "sample.py").write_text(source.replace("- second * sin", "+ second * sin"))
    assert tensors
    checks = target.check(names_run, written)
    assert not checks[0].equal
    assert np.isfinite(checks[0].difference or 0)


def test_the_speed_is_measured_in_the_program(names_run: Run, tmp_path: Path) -> None:
    from hornbook.export import numpy as target

    assert target.speed(names_run, target.write(names_run, tmp_path / "out", "f32")) > 0

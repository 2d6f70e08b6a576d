from __future__ import annotations

import os
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError, RunError
from hornbook.export.huggingface import write
from hornbook.pretrained.reading import is_huggingface, read_base


def test_a_run_and_its_export_are_told_apart(names_run: Run, tmp_path: Path) -> None:
    folder = write(names_run, tmp_path / "hf", "f32").path
    assert is_huggingface(folder)
    assert not is_huggingface(names_run.path)
    own, theirs = read_base(names_run.path), read_base(folder)
    assert (own.form, theirs.form) == ("run", "Qwen3ForCausalLM")
    assert own.run is not None
    assert own.tensors.keys() == theirs.tensors.keys()
    assert own.source == str(names_run.path)


def test_what_is_nothing_to_begin_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found nothing, expected a run, a directory of"):
        read_base(tmp_path / "x")
    for name in ("owner/model-1.5", "hf:owner/model-1.5", "https://huggingface.co/owner/model-1.5"):
        with pytest.raises(ConfigError, match=r"hf download owner/model-1\.5, which prints its"):
            read_base(name)
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"found a.gguf in it; give the file"):
        read_base(tmp_path)
    (tmp_path / "a.gguf").unlink()
    with pytest.raises(RunError, match="expected a run directory"):
        read_base(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="found an adapter alone, expected a whole model"):
        read_base(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigError, match="give its directory"):
        read_base(tmp_path / "model.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is not a regular file, expected a run, a directory"):
        read_base(tmp_path / "pipe")

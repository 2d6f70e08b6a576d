"""Real llama.cpp opens what was written, where it is installed (`pip install xllamacpp gguf`)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hornbook.api import Run
from hornbook.errors import RunError
from hornbook.export import base, llama
from hornbook.export.gguf import check, speed, write
from hornbook.export.llama import serving
from tests.export.common import SIZES, make_run
from tests.export.conftest import MakeRun

pytest.importorskip("gguf", reason="needs gguf: hornbook[gguf]")
pytest.importorskip("xllamacpp", reason="needs llama.cpp: pip install xllamacpp")


@pytest.fixture(autouse=True)
def few_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a request."""
    monkeypatch.setattr(base, "POSITIONS", 90)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("documents", [True, False])
def test_char_runs_are_equal(run_of: MakeRun, tmp_path: Path, sizes: str, documents: bool) -> None:
    run = run_of(sizes, documents=documents)
    checks = check(run, write(run, tmp_path / "x.gguf", "f32"))
    assert len(checks) == (3 if sizes in ("gelu", "openai") else 4)
    for found in checks:
        assert found.equal, found


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_runs_of_bytes_and_subwords_are_equal(
    run_of: MakeRun, tmp_path: Path, documents: bool, kind: str
) -> None:
    run = run_of("gpt", documents=documents, tokenizer=kind)
    for found in check(run, write(run, tmp_path / "x.gguf", "f32")):
        assert found.equal, found


@pytest.mark.parametrize("sizes", ["gpt", "gpt2"])
@pytest.mark.parametrize("dtype", ["f16", "bf16", "q8_0"])
def test_rounded_weights_are_near(run_of: MakeRun, tmp_path: Path, sizes: str, dtype: str) -> None:
    run = run_of(sizes, documents=True)
    for found in check(run, write(run, tmp_path / "x.gguf", dtype)):
        assert found.equal, found


def test_any_unicode_is_tokenized_equally(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.randint(1, 0x110000, (2000,), generator=generator).tolist()
    points += range(1, 0x600)
    order = torch.randperm(len(points), generator=generator).tolist()
    text = "".join(chr(points[i]) for i in order if not 0xD800 <= points[i] < 0xE000)
    half = text[::2].replace("\r", "")
    run = make_run(tmp_path, "gpt", documents=False, text=half)
    with serving(write(run, tmp_path / "x.gguf", "f32").path, 16) as server:
        ids = server.tokens(text)  # half of it unknown, beside what is known
        assert ids == run.tokenizer.encode(text, unknown="skip").tolist()
        assert server.text(ids) == run.tokenizer.decode(ids)


def test_a_check_fails_where_a_weight_is_wrong(names_run: Run, tmp_path: Path) -> None:
    written = write(names_run, tmp_path / "x.gguf", "f32")
    raw = written.path.read_bytes()
    key = b"qwen3.rope.freq_base"
    at = raw.index(key) + len(key) + 4
    written.path.write_bytes(raw[:at] + torch.tensor(100.0).numpy().tobytes() + raw[at + 4 :])
    logits, *_ = check(names_run, written)
    assert not logits.equal


def test_what_llama_cpp_does_not_load_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(60))
    with (
        pytest.raises(RunError, match="did not load it"),
        serving(tmp_path / "x.gguf", 8),
    ):
        pass


def test_its_server_writes_texts_as_an_openai_client_asks(names_run: Run, tmp_path: Path) -> None:
    path = write(names_run, tmp_path / "x.gguf", "f32").path
    with serving(path, names_run.model.context_length) as server:
        asked = {"prompt": "an", "max_tokens": 20, "temperature": 0}
        (choice,) = server.post("/v1/completions", **asked)["choices"]
        expected = names_run.sample(prompt="an", temperature=0, max_tokens=20)[0]
        assert "an" + choice["text"] == expected.text
        message = [{"role": "user", "content": "an"}]
        asked = {"messages": message, "max_tokens": 20, "temperature": 0}
        (choice,) = server.post("/v1/chat/completions", **asked)["choices"]
        assert "an" + choice["message"]["content"] == expected.text


def test_a_large_vocabulary_is_asked_at_fewer_positions(
    run_of: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("gpt", documents=True)
    monkeypatch.setattr(llama, "MOST_LOGITS", 1)
    monkeypatch.setattr(llama, "FEWEST", 7)
    logits, *_ = check(run, write(run, tmp_path / "x.gguf", "f32"))
    assert logits.equal
    assert logits.what == "logits at 7 random positions"


def test_speeds_are_measured(run_of: MakeRun, tmp_path: Path) -> None:
    run = run_of("gpt", documents=True)
    assert speed(run, write(run, tmp_path / "x.gguf", "f32")) > 0

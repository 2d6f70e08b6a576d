"""The directory is opened by transformers, where it is installed (`pip install 'hornbook[hf]'`)."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hornbook.api import Run
from hornbook.export.base import greedy_text, random_rows
from hornbook.export.huggingface import check, speed, tokenizer_json, write
from tests.export.common import MANY, SIZES
from tests.export.conftest import MakeRun

FILES = [
    "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json",
]  # fmt: skip


@pytest.fixture
def transformers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers", reason="needs transformers: hornbook[hf]")


def test_a_directory_needs_no_transformers_to_be_written(names_run: Run, tmp_path: Path) -> None:
    written = write(names_run, tmp_path / "out", "f32")
    assert sorted(p.name for p in written.path.iterdir()) == FILES
    mode = (written.path / "model.safetensors").stat().st_mode
    assert mode & 0o777 == (written.path / "config.json").stat().st_mode & 0o777


def test_the_tokenizer_skips_what_it_does_not_know(names_run: Run) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(names_run.tokenizer)))
    assert tokenizer.encode("eE3 m-m\na", add_special_tokens=False).ids == [5, 13, 13, 1]
    assert tokenizer.encode("em").ids == [0, 5, 13]
    assert tokenizer.decode([0, 5, 13, 13, 1, 0]) == "emma"


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("documents", [True, False])
def test_char_runs_are_equal(
    run_of: MakeRun, tmp_path: Path, transformers: Any, sizes: str, documents: bool
) -> None:
    run = run_of(sizes, documents=documents)
    checks = check(run, write(run, tmp_path / "out", "f32"))
    assert len(checks) == 3
    for found in checks:
        assert found.equal, found


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@pytest.mark.parametrize("documents", [True, False])
def test_runs_of_bytes_and_subwords_are_equal(
    run_of: MakeRun, tmp_path: Path, transformers: Any, documents: bool, kind: str
) -> None:
    run = run_of("gpt", documents=documents, tokenizer=kind)
    for found in check(run, write(run, tmp_path / "out", "f32")):
        assert found.equal, found


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_rounded_weights_say_what_they_cost(
    names_run: Run, tmp_path: Path, transformers: Any, dtype: str
) -> None:
    written = write(names_run, tmp_path / "out", dtype)
    assert any("bits per byte" in line for line in written.notes)
    for found in check(names_run, written):
        assert found.equal, found


def test_a_check_fails_where_a_weight_is_wrong(
    names_run: Run, tmp_path: Path, transformers: Any
) -> None:
    written = write(names_run, tmp_path / "out", "f32")
    config = json.loads((written.path / "config.json").read_text())
    config["rope_theta"] = config["rope_parameters"]["rope_theta"] = 100.0
    (written.path / "config.json").write_text(json.dumps(config))
    logits, *_ = check(names_run, written)
    assert not logits.equal


def test_the_ways_of_transformers_work(run_of: MakeRun, tmp_path: Path, transformers: Any) -> None:
    run = run_of("gpt", documents=True)
    path = write(run, tmp_path / "out", "f32").path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        model = transformers.AutoModelForCausalLM.from_pretrained(path).eval()
        # the end of a document begins, ends and pads
        end = run.tokenizer.end_id
        assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == end
        ids = tokenizer("東京 👩‍🔬!")["input_ids"]
        assert ids == [end, *run.tokenizer.encode("東京 👩‍🔬", unknown="skip").tolist()]
        assert tokenizer.decode(ids, skip_special_tokens=True) == "東京 👩‍🔬"
        # prompts of different lengths in one batch, padded on the left
        tokenizer.padding_side = "left"
        batch = tokenizer(["a", "word 1"], return_tensors="pt", padding=True)
        out = model.generate(**batch, do_sample=False, max_new_tokens=6)
        with_cache = [tokenizer.decode(row, skip_special_tokens=True) for row in out]
        for prompt, text in zip(["a", "word 1"], with_cache, strict=True):
            assert text == run.sample(prompt=prompt, temperature=0, max_tokens=6)[0].text
        without = model.generate(**batch, do_sample=False, max_new_tokens=6, use_cache=False)
        assert torch.equal(out, without)
        # a pipeline writes a text; generation stops at the end of a document
        write_text = transformers.pipeline("text-generation", model=str(path))
        (made,) = write_text("word ", max_new_tokens=8)
        assert made["generated_text"].startswith("word ")
        torch.manual_seed(0)
        many = model.generate(num_return_sequences=50, max_length=15)
        for row in many.tolist():
            text = row[1:]
            if end in text:
                assert set(text[text.index(end) :]) == {end}
        # written again, it is the same model
        model.save_pretrained(tmp_path / "again")
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "again")
        rows = random_rows(run)
        assert torch.equal(again(rows).logits, model(rows).logits)


def test_a_stream_has_no_end_and_starts_at_a_line_break(
    run_of: MakeRun, tmp_path: Path, transformers: Any
) -> None:
    run = run_of("gpt", documents=False)
    path = write(run, tmp_path / "out", "f32").path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        model = transformers.AutoModelForCausalLM.from_pretrained(path).eval()
        assert tokenizer.eos_token_id is None
        assert tokenizer(MANY)["input_ids"] == run.tokenizer.encode(MANY).tolist()
        made = model.generate(do_sample=False, max_new_tokens=12)[0].tolist()
    start, ids = greedy_text(run, n=12)
    assert made == [*start, *ids]
    assert run.tokenizer.decode(np.array(made)).startswith("\n")


def test_speeds_are_measured(run_of: MakeRun, tmp_path: Path, transformers: Any) -> None:
    run = run_of("gpt", documents=True)
    assert speed(run, write(run, tmp_path / "out", "f32")) > 0

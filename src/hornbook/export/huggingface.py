"""Target `hf`: a directory that transformers opens by its auto classes, without code of its own.

    config.json             Qwen3ForCausalLM or GPT2LMHeadModel (`forms.py`)
    model.safetensors       the weights
    tokenizer.json          the run's tokenizer; unknown characters are skipped
    tokenizer_config.json   the end-of-document token begins, ends and pads; a stream has none
    generation_config.json  samples as `hornbook sample` does
    README.md               the model card

Writing needs neither transformers nor tokenizers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.export.base import (
    Check,
    Written,
    every_symbol,
    greedy_text,
    measured_tokens,
    median_speed,
    random_rows,
    relative_difference,
    rounding_cost,
)
from hornbook.export.card import card, fenced
from hornbook.export.forms import Portable, portable, to_huggingface
from hornbook.files import write_bytes, write_json, write_tensors
from hornbook.runs.directory import StoredRun
from hornbook.tokenizers import Tokenizer

PROGRAM, INSTALL, SUFFIX = "transformers", "hornbook[hf]", ""
DTYPES = ("f32", "f16", "bf16")
TORCH_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TOLERANCE = {"f32": 1e-4, "f16": 2e-2, "bf16": 1e-1}  # of logits, relative to their spread


def write(run: StoredRun, out: Path, dtype: str) -> Written:
    """Writes the directory. Raises ConfigError where transformers has no form of the model."""
    found = portable(run)
    config, weights = to_huggingface(found)
    notes = [*found.notes, *_limits(run.tokenizer)]
    if dtype != "f32":
        as_torch = TORCH_DTYPES[dtype]
        weights = {name: weight.to(as_torch) for name, weight in weights.items()}
        rounded = {n: w.to(as_torch).to(w.dtype) for n, w in found.model.state_dict().items()}
        notes.append(rounding_cost(run, found.model, rounded))
    out.mkdir(parents=True)
    write_tensors(out / "model.safetensors", weights, {"format": "pt"})
    write_json(out / "config.json", {**config, **_model_facts(run, found, dtype)})
    write_json(out / "tokenizer.json", tokenizer_json(run.tokenizer))
    of_tokenizer = tokenizer_config(run.tokenizer, found.settings)
    of_generation = generation_config(run.tokenizer)
    if run.template is not None and run.template.form is not None:
        of_tokenizer["chat_template"] = run.template.form.program("{{ bos_token }}")
        special = dict(zip(run.tokenizer.special, run.tokenizer.special_ids, strict=True))
        of_generation["eos_token_id"] = [run.tokenizer.end_id, special[run.template.stops[0]]]
    write_json(out / "tokenizer_config.json", of_tokenizer)
    write_json(out / "generation_config.json", of_generation)
    text = card(
        run,
        out.name,
        tags=["hornbook", config["model_type"]],
        usage=_usage(run),
        notes=notes,
        part=found.part,
    )
    write_bytes(out / "README.md", text.encode("utf-8", "backslashreplace"))
    return Written(out, dtype, tuple(notes))


def _limits(tokenizer: Tokenizer) -> list[str]:
    if tokenizer.kind == "char":
        return ["characters that it does not know are skipped, as by --unknown skip"]
    return []


def _model_facts(run: StoredRun, found: Portable, dtype: str) -> dict[str, Any]:
    end, name = run.tokenizer.end_id, str(TORCH_DTYPES[dtype]).removeprefix("torch.")
    facts: dict[str, Any] = {
        "vocab_size": run.tokenizer.vocab_size,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "use_cache": True,
        "dtype": name,
        "torch_dtype": name,  # as version 4 calls it
    }
    if found.form.model_type == "gpt2":
        facts |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return facts


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """tokenizer.json for any reader: the run's, which skips unknown characters instead of failing, and
    begins each text with the end-of-document token where there is one."""
    data = tokenizer.to_json()
    if tokenizer.kind == "char":
        known = "".join(rf"\x{{{ord(c):X}}}" for c in data["model"]["vocab"] if len(c) == 1)
        data["normalizer"] = {
            "type": "Replace", "pattern": {"Regex": f"[^{known}]"}, "content": "",
        }  # fmt: skip
    if tokenizer.end_id is not None:
        end = {"SpecialToken": {"id": tokenizer.end, "type_id": 0}}
        first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
        ids = {"id": tokenizer.end, "ids": [tokenizer.end_id], "tokens": [tokenizer.end]}
        data["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [end, first],
            "pair": [end, first, end, second],
            "special_tokens": {tokenizer.end: ids},
        }
    return data


def tokenizer_config(tokenizer: Tokenizer, settings: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json."""
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": settings["context_length"],
        "clean_up_tokenization_spaces": False,
        # without it version 4 also makes token_type_ids, which generate refuses
        "model_input_names": ["input_ids", "attention_mask"],
    }
    if tokenizer.end_id is not None:
        config |= {f"{role}_token": tokenizer.end for role in ("bos", "eos", "pad")}
    return config


def generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """generation_config.json: draws from all tokens by their probabilities. A stream is started by a
    line break and has no end."""
    return {
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
    }


def _usage(run: StoredRun) -> str:
    length = min(run.model.context_length, 200)
    program = (
        "from transformers import pipeline\n\n"
        'generate = pipeline("text-generation", model=".")  # this directory\n'
        f'print(generate("", max_new_tokens={length})[0]["generated_text"])'
    )
    if not run.documents:
        program = program.replace('generate("",', 'generate("\\n",')
    return fenced(program, "python")


def check(run: StoredRun, written: Written) -> list[Check]:
    """Opens the directory with transformers, and compares logits, tokens and the greedy text."""
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found, program = portable(run), f"transformers {transformers.__version__}"
    with _quiet():
        model = AutoModelForCausalLM.from_pretrained(written.path, local_files_only=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(written.path, local_files_only=True)
    rows, text = random_rows(run, found.model), every_symbol(run)
    with torch.inference_mode(), _quiet():
        difference = relative_difference(found.model(rows), model(rows).logits.float())
        start, greedy = greedy_text(run, found.model)
        continued = _greedy(model, start, len(greedy), eos_token_id=run.tokenizer.end_id)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    expected = run.tokenizer.encode(text, unknown="skip").tolist()
    checks = [
        Check(
            program,
            f"logits at {rows.numel():,} random positions",
            difference <= TOLERANCE[written.dtype],
            difference,
        ),
        Check(
            program, f"the {len(expected):,} tokens of a text with every symbol", ids == expected
        ),
    ]
    if written.dtype == "f32":  # rounded weights may choose another of two tokens that are near
        checks.append(Check(program, f"greedy text of {len(greedy)} tokens", continued == greedy))
    return checks


def _greedy(model: Any, start: list[int], n: int, **options: Any) -> list[int]:
    """n ids after the start, or up to the end of the document, with a cache."""
    ids = model.generate(
        torch.tensor([start]),
        attention_mask=torch.ones(1, len(start), dtype=torch.int64),
        do_sample=False,
        max_new_tokens=n,
        **options,
    )
    new: Tensor = ids[0, len(start) :]
    return new.tolist()


def speed(run: StoredRun, written: Written) -> float:
    """Tokens per second of `generate` with its cache, most probable ones, without an end."""
    from transformers import AutoModelForCausalLM

    found = portable(run)
    start, n = [run.tokenizer.start_id], measured_tokens(found.model)
    with _quiet(), torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(written.path, local_files_only=True).eval()
        return median_speed(lambda: len(_greedy(model, start, n, min_new_tokens=n)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars, advice and warnings."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

"""What the tests of exports share: small runs of both forms, with every parameter moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hornbook.api import Run, train
from hornbook.files import write_tensors

MANY = "naïve, “Ærø”: Москва 東京\tשלום 👩‍🔬🇳🇴 e\u0301½\u3000\u00a0 |x|\r'a'll  12 \\ {}[]<>\n"
SHORT = {
    "steps": 2, "batch_size": 4, "eval_count": 1, "sample_count": 0, "threads": 1, "compile": "no",
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {  # other values than those that a reader takes if it finds none
    "gpt": {
        "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32, "n_hidden": 24,
        "rope_base": 300.0, "norm_eps": 1e-4,
    },
    "tied": {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 32, "tie_embeddings": True},
    "llama": {
        "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32, "n_hidden": 24, "qk_norm": False,
        "rope_base": 300.0,
    },
    "wide": {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "n_embd": 32, "head_dim": 24},
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 96},
    "gelu": {"n_layer": 1, "n_head": 3, "n_embd": 96, "activation": "gelu"},
    "openai": {  # GPT-2 as OpenAI's
        "n_layer": 2, "n_head": 2, "n_embd": 96, "n_hidden": 64, "activation": "gelu_tanh",
        "qkv_bias": True, "tie_embeddings": True, "norm_eps": 1e-4,
    },
    "narrow": {"n_layer": 2, "n_head": 2, "n_embd": 16},  # fewer channels than symbols
}  # fmt: skip
MODELS = {
    "gpt": "gpt", "tied": "gpt", "llama": "gpt", "wide": "gpt",
    "gpt2": "gpt2", "gelu": "gpt2", "openai": "gpt2", "narrow": "gpt2",
}  # fmt: skip


def make_run(
    folder: Path, sizes: str, *, documents: bool, tokenizer: str = "char", text: str = ""
) -> Run:
    """A run in an empty folder, after two steps, whose weights are moved: no zero hides a mistake."""
    lines = [MANY.strip("\n").replace("\r", " ")] * 8 + [f"word {i} again" for i in range(60)]
    text = text or ("\n".join(lines) if documents else MANY * 30)
    (folder / "text.txt").write_bytes(text.encode())
    run = train(
        str(folder / "text.txt"),
        out=folder / "run",
        model=MODELS[sizes],
        precision="fp32",
        settings={
            "model": {"context_length": 16, "dropout": 0.0, **SIZES[sizes]},
            "training": SHORT,
            "tokenizer": {"kind": tokenizer},
            "data": {"kind": "documents" if documents else "stream"},
        },
    )
    generator = torch.Generator().manual_seed(1)
    moved = {
        name: w + 0.1 * torch.randn(w.shape, generator=generator)
        for name, w in run.model.state_dict().items()
    }
    write_tensors(run.path / "model.safetensors", moved)
    return Run.load(run.path)

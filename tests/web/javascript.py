"""The modules of the page, run by Node."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import Any

import pytest
from torch import Tensor

from hornbook.export.bundle import bundle
from hornbook.export.compact import as_bytes, compact
from hornbook.export.html import as_json
from hornbook.models.base import LanguageModel
from hornbook.tokenizers import Tokenizer

NO_SIMD = "WebAssembly.Module = class { constructor() { throw new Error('refused'); } };\n"


def run_node(entry: str, code: str, before: str = "") -> Any:
    """What `code` returns, after a module and what it imports (`$engine`, ...)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node (node), to run the page's script without a browser")
    program = f"{before}{bundle(entry)}\nconst result = await (async () => {{ {code} }})();\n"
    program += "process.stdout.write(JSON.stringify(result) ?? 'null');"
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=program, capture_output=True, text=True,
        encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def run_engine(
    model: LanguageModel,
    tokenizer: Tokenizer,
    code: str,
    *,
    window: str = "half",
    dtype: str = "f32",
    weights: dict[str, Tensor] | None = None,
    before: str = "",
) -> Any:
    """What `code` returns of an `engine` with this model."""
    config = model.config.model_dump(mode="json")
    if network := getattr(model.config, "network_config", None):
        config["network_config"] = network().model_dump(mode="json")
    data = {"model": config, "tokenizer": tokenizer.to_json(), "window": window}
    packed = base64.b64encode(as_bytes(compact(weights or model.state_dict(), dtype))).decode()
    load = f'const engine = await $engine.loadEngine({as_json(data)}, "{packed}");\n'
    return run_node("engine.js", load + code, before)

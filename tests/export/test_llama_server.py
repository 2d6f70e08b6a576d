from __future__ import annotations

import subprocess
import sys

import pytest


def test_the_server_prints_its_address_and_ends_with_stdin() -> None:
    program = """
import sys, types

class Anything:
    listening_address = "http://127.0.0.1:1"
    def __getattr__(self, name):
        self.__dict__[name] = Anything()
        return self.__dict__[name]
    def __call__(self, *arguments):
        return Anything()

module = types.ModuleType("xllamacpp")
for name in ("CommonParams", "Server", "ggml_type", "llama_flash_attn_type"):
    setattr(module, name, Anything())
sys.modules["xllamacpp"] = module
from hornbook.export.llama_server import serve
serve("x.gguf", 8)
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input="", capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["http://127.0.0.1:1", "False"], done.stderr


def test_real_llama_cpp_has_all_that_is_asked_of_it() -> None:
    xllamacpp = pytest.importorskip("xllamacpp", reason="needs llama.cpp: pip install xllamacpp")
    params = xllamacpp.CommonParams()
    for name in ("cache_type_k", "cache_type_v", "flash_attn_type", "n_ctx", "n_parallel", "ui"):
        assert hasattr(params, name)

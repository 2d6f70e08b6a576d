"""llama.cpp's HTTP server in a process of its own, which `llama.py` starts and talks to.

    python -m hornbook.export.llama_server FILE CONTEXT

starts the server of the package xllamacpp on a free port of the loopback, prints its address, and ends
when stdin is closed. llama.cpp ends the whole process when it does not like a file, so this one is not
hornbook's. Keys and values are cached in float32 and attention is plain: llama.cpp's flash attention
alone changes logits by some 0.002 of their spread.
"""

from __future__ import annotations

import sys


def serve(path: str, context: int) -> None:
    """Serves a GGUF file until stdin is closed."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.port, params.n_ctx = path, 0, context
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.ui, params.warmup, params.n_parallel = False, False, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))

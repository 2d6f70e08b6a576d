"""Constants fitted to a machine: two AVX2 cores of an AMD EPYC, November 2026 (docs/logbook.md).

Measured by `python benchmarks/steps.py` (training) and `python benchmarks/generation.py` (decoding).
"""

from __future__ import annotations

DROPOUT_CHUNK = 1 << 17  # numbers whose mask fits into the cache
ATTENTION_CHUNK = 1 << 20  # attention weights computed at once
QUERY_CHUNK = 128  # positions whose queries share their keys: they skip later ones
SHORT_CACHE = 32  # positions up to which attention of many rows is faster without the fused kernel
STATIC_AFTER = 400  # steps of one row before they are traced, which costs some hundred steps
WIDE_ROW = 1024  # inputs of a linear layer from which x W^T is faster than W x
PIECES_PAY = 0.9  # of the time: noise is not to choose between two graphs that round differently
PIECES_TRIES = 9
MAX_SCRIPTS = 48  # traced graphs in a process: torch keeps each, some 10 MB, until it ends
SPAN = 8  # compiled steps in one call
SMALL_STEP = 1e8  # operations of a step below which starting them is most of its time
INDUCTOR_OPTIONS = {  # of torch's compiler for compiled steps
    "cpp_wrapper": True,  # no Python between the loops
    "pattern_matcher": False,  # fusing a product with an addition takes twice as long
    "cpp.min_chunk_size": 4096,  # numbers from which a thread is worth its start
}

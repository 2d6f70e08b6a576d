"""Constants fitted to a machine: two AVX2 cores of an AMD EPYC, November 2026 (docs/logbook.md).

Measured by `python benchmarks/generation.py`.
"""

from __future__ import annotations

MAX_ROWS = 8192  # samples side by side
MAX_LOGITS = 1 << 24  # of all rows: 64 MiB of each copy, however large the vocabulary is
MIN_ROWS = 16  # from here on even a large model reads its weights often enough
CACHED_TOKENS = 1 << 19  # of all rows
CACHED_WORK = 1 << 37  # the same times parameters: a larger model stores more per token
SHARED_ROWS = 0.9  # equal beginnings are computed once up to this many rows per sample

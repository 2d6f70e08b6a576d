"""Constants fitted to a machine: two AVX2 cores of an AMD EPYC with 1 MB of second-level cache each.

They change how fast a text is read and batches are made, not the tokens. The last two decide in how
many passes an epoch of a large part is made, and with that its order: a run resumes to the bit only
while these two stay as they are.
"""

from __future__ import annotations

# bytes of a text read at a time; with the arrays made of them they stay in the processor's cache
# (benchmarks/reading.py --size 1000, 2026-11-22: 212 MB/s; with 64 kB 137, with 1 MB 166)
CHUNK_BYTES = 1 << 18

# batches of at most LOOKAHEAD_WINDOWS windows are gathered for LOOKAHEAD_STEPS steps at once
# (benchmarks/small.py, 2026-11-22)
LOOKAHEAD_WINDOWS = 256
LOOKAHEAD_STEPS = 32

# ids of windows that are gathered once and kept as a table (benchmarks/small.py, 2026-11-22)
WINDOW_TABLE_IDS = 1 << 22

# tokens of a part up to which ids are converted to int64 once rather than in each batch: 32 MiB
RESIDENT_TOKENS = 1 << 22

# items that are shuffled at a time: an order of them takes 32 MiB
ITEMS_PER_PASS = 1 << 22

# documents, or pieces of them, that are packed at a time (benchmarks/reading.py, 2026-11-22)
DOCUMENTS_PER_PASS = 1 << 18

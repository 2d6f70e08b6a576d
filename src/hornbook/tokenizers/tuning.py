"""A constant fitted to a machine: two AVX2 cores of an AMD EPYC, November 2026 (docs/logbook.md).

Measured by `python benchmarks/reading.py --size 1000`.
"""

from __future__ import annotations

CHUNK = 1 << 18  # code points looked up at a time, whose working set stays in the processor's cache

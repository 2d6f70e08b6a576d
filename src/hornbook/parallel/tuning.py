"""Constants of several processes, with where they come from."""

from __future__ import annotations

BUCKET_BYTES = 25 << 20  # of gradients sent at once, as torch's DistributedDataParallel has it

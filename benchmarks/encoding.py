"""How fast a text becomes tokens, and how many: our byte-level BPE beside the `tokenizers` library.

    HORNBOOK_DATA=... python benchmarks/encoding.py [FILE ...] [--repeat 5]

For each number of ids: what learning the merges takes, bytes a token, and MB/s (10^6 bytes) of encoding
with no word known yet (`first`), with all words known (`again`), by the library in one call
(`library`) and in a batch of lines (`batched`, on all cores). The sides take turns, and medians are
printed. The ids of both are compared, but for the batch, whose lines are cut elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import tokenizers as library

from hornbook.tokenizers.bpe import BPETokenizer, train_bpe
from hornbook.tokenizers.registry import tokenizer_of

SIZES = (512, 1024, 2048, 4096, 8192)


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measure(text: str, size: int, repeat: int) -> dict[str, float]:
    """One number of ids."""
    begin = time.perf_counter()
    own = train_bpe([text], size, documents=False)
    learning = time.perf_counter() - begin
    theirs = library.Tokenizer.from_str(json.dumps(own.to_json()))
    ids = own.encode(text)
    assert theirs.encode(text).ids == ids.tolist(), "the library has other ids"
    lines = text.splitlines(keepends=True)
    took: dict[str, list[float]] = {"first": [], "again": [], "library": [], "batched": []}
    for _ in range(repeat):
        fresh = tokenizer_of(own.to_json())
        assert isinstance(fresh, BPETokenizer)
        took["first"].append(seconds(lambda fresh=fresh: fresh.encode(text)))
        took["again"].append(seconds(lambda fresh=fresh: fresh.encode(text)))
        took["library"].append(seconds(lambda: theirs.encode(text)))
        took["batched"].append(seconds(lambda: theirs.encode_batch(lines)))
    n_bytes = len(text.encode())
    speeds = {name: n_bytes / 1e6 / median(times) for name, times in took.items()}
    return {"ids": size, "learning": learning, "bytes_per_token": n_bytes / len(ids), **speeds}


def main() -> None:
    """Measures the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("HORNBOOK_DATA", "."))
    parser.add_argument("files", nargs="*", type=Path, default=[data / "shakespeare.txt"])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    for file in arguments.files:
        text = file.read_text("utf-8")
        print(f"{file.name}: {len(text.encode()) / 1e6:.1f} MB")
        print("  ids  learning  bytes/token   first   again  library  batched  again/library")
        for size in SIZES:
            row = measure(text, size, arguments.repeat)
            rows.append({"file": file.name, **row})
            print(
                f"{size:5} {row['learning']:7.1f} s {row['bytes_per_token']:12.2f} "
                f"{row['first']:7.2f} {row['again']:7.2f} {row['library']:8.2f} "
                f"{row['batched']:8.2f} {row['again'] / row['library']:14.1f}",
                flush=True,
            )
    print(json.dumps({"benchmark": "encoding", "rows": rows}))


if __name__ == "__main__":
    main()

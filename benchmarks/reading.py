"""Reading at speed: a text becomes tokens on disk with bounded memory, and training starts on it.

    python benchmarks/reading.py [--size 100] [--folder DIR]

Writes three texts of `--size` MB (1 MB: 10^6 bytes) one after the other: English letters, Danish
letters (one in 40 is no ASCII), and documents of about 60 characters, one a line. Each is read in a
process of its own for `char` and `byte`, which says how far its memory rose above that of an imported
hornbook with torch. The textbook side is the notes' way: the whole text as one string, a list of
numbers by a dictionary, a tensor; it reads 20 MB at most. The files lie in the page cache when they
are read. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

MB = 10**6
BLOCK = 8 * MB
TEXTBOOK = 20 * MB
LETTERS = "etaoinshrdlucmfgypwbvkxjqz"
SHARES = [12, 9, 8, 7.5, 7, 6.7, 6.3, 6, 6, 4.3, 4, 2.8, 2.8, 2.4, 2.2, 2, 2, 1.9, 2.4, 1.5, 1, 0.8,
          0.2, 0.2, 0.1, 0.1]  # fmt: skip


def write_text(path: Path, kind: str, size: int) -> None:
    """Words of random letters; each repetition of a block begins at another place of it."""
    generator = np.random.default_rng(0)
    letters, shares = list(LETTERS), list(SHARES)
    if kind == "danish":
        letters, shares = [*letters, *"æøå"], [*shares, 0.9, 0.9, 0.9]
    p = np.array(shares) / sum(shares)
    words = [
        "".join(generator.choice(letters, generator.integers(1, 10), p=p)) for _ in range(9999)
    ]
    drawn = generator.choice(words, BLOCK // 6).tolist()
    lines = [" ".join(drawn[i : i + 11]) for i in range(0, len(drawn), 11)]
    if kind != "documents":  # sentences and paragraphs
        lines = [f"{a.capitalize()}.\n" if i % 7 == 0 else f"{a}," for i, a in enumerate(lines)]
    block = ("\n".join(lines) + "\n").encode()
    begins = generator.permutation(np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + 1)
    written = 0
    with path.open("wb") as file:
        for begin in np.resize(begins, 1 + 2 * size // len(block)).tolist():
            written += file.write(block[begin : begin + size - written])
            written += file.write(block[: min(begin, size - written)])


def peak() -> float:
    """The most memory that this process has held, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / MB * (1 if sys.platform == "darwin" else 1024)


def own_memory() -> float:
    """What this process holds now besides mapped files, in MB; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / MB


def prepare(path: Path, tokens: str) -> dict[str, Any]:
    """From the path to mapped parts, then once more, then the first batch of training."""
    import hornbook.training  # noqa: F401  (the baseline is hornbook and torch imported)
    from hornbook.config import DataConfig
    from hornbook.data.batches import Draw, build_batches
    from hornbook.data.corpora import load_corpus
    from hornbook.data.split import split_corpus
    from hornbook.tokenizers import build_tokenizer

    baseline, seconds = peak(), []
    for _ in range(2):
        begin = time.perf_counter()
        corpus = load_corpus(DataConfig(corpus=str(path)))
        documents = corpus.kind == "documents"
        tokenizer = build_tokenizer(tokens, corpus.alphabet, documents=documents)
        split = split_corpus(corpus, DataConfig(), tokenizer)
        train = split.part("train", tokenizer)
        seconds.append(time.perf_counter() - begin)
        if len(seconds) == 1:
            above = peak() - baseline
    begin, before = time.perf_counter(), own_memory()
    batches = build_batches(train, "sequences", 256, Draw(batch_size=64, seed=0))
    for step in range(20):
        batches.batch(step)
    return {
        "mb_per_second": corpus.n_bytes / MB / seconds[0],
        "seconds": seconds[0],
        "again_ms": 1000 * seconds[1],
        "above_mb": above,
        "batches_ms": 1000 * (time.perf_counter() - begin),
        "batches_mb": own_memory() - before,
        "tokens": len(train.tokens),
        "kind": corpus.kind,
        "in_memory": corpus.in_memory,
    }


def textbook(path: Path, tokens: str) -> dict[str, Any]:
    """The notes' reading of the beginning of a text."""
    import torch

    baseline, begin = peak(), time.perf_counter()
    with path.open("rb") as file:
        raw = file.read(TEXTBOOK)
    text: Any = raw.decode(errors="ignore") if tokens == "char" else raw
    stoi = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
    data = torch.tensor([stoi[symbol] for symbol in text], dtype=torch.long)
    seconds = time.perf_counter() - begin
    return {
        "mb_per_second": len(raw) / MB / seconds,
        "above_mb": peak() - baseline,
        "tokens": len(data),
        "seconds": seconds,
    }


def measure(side: str, path: Path, tokens: str, cache: Path) -> dict[str, Any]:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--child", side, str(path), tokens]
    environment = {**os.environ, "HORNBOOK_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100, help="MB of each text")
    parser.add_argument("--folder", type=Path, help="where texts and tokens are put for a while")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        side, path, tokens = args.child
        print(json.dumps({"hornbook": prepare, "textbook": textbook}[side](Path(path), tokens)))
        return
    rows = []
    print(f"texts of {args.size} MB; memory above the imported process; 20 batches of 64 x 256")
    print("and what they hold besides mapped files")
    print("text       tokens    MB/s  memory   again   batches  with them   textbook    memory")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for kind in ("english", "danish", "documents"):
            path = Path(folder) / f"{kind}.txt"
            write_text(path, kind, args.size * MB)
            for tokens in ("char", "byte"):
                with tempfile.TemporaryDirectory(dir=folder) as cache:
                    own = measure("hornbook", path, tokens, Path(cache))
                theirs = measure("textbook", path, tokens, Path(folder))
                rows.append({"text": kind, "by": tokens, **own, "textbook": theirs})
                print(
                    f"{kind:10} {tokens:6} {own['mb_per_second']:7.0f} {own['above_mb']:4.0f} MB "
                    f"{own['again_ms']:4.0f} ms {own['batches_ms']:6.0f} ms "
                    f"{own['batches_mb']:7.0f} MB {theirs['mb_per_second']:5.1f} MB/s "
                    f"{theirs['above_mb']:6.0f} MB",
                    flush=True,
                )
            path.unlink()
    print(json.dumps({"benchmark": "reading", "size_mb": args.size, "rows": rows}))


if __name__ == "__main__":
    main()

"""Characters against BPE, by bits per byte: what each reaches in so many minutes, and `auto`.

    HORNBOOK_DATA=... python benchmarks/tokens.py [CORPUS ...] [--minutes 1 4 16] [--seeds 1]
        [--tokenizers char bpe bpe:512 auto] [--model gpt] [--processor-time]

`hornbook train CORPUS --minutes M --tokenizer T`, each as a process of its own; `bpe` has the ids
that hornbook chooses, `bpe:512` so many. `--processor-time` as in `minutes.py`: one thread, seconds of
the processor. Prints a JSON line for each run, then the table: bits per byte of the validation part,
medians of the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from corpora import write
from minutes import run


def options(tokenizer: str, model: str | None) -> list[str]:
    """The options of `hornbook train` for a tokenizer, `bpe:512` with its ids."""
    kind, _, ids = tokenizer.partition(":")
    found = ["--tokenizer", kind]
    if ids:
        found += ["--vocab-size", ids]
    if model:
        found += ["--model", model]
    return found


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["shakespeare", "library"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 4, 16])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--tokenizers", nargs="+", default=["char", "bpe", "auto"])
    parser.add_argument("--model")
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    found: dict[tuple[str, float, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder, number = Path(scratch), 0
        for corpus in arguments.corpora:
            text = write(corpus, folder)
            for minutes in arguments.minutes:
                for seed in arguments.seeds:
                    for tokenizer in arguments.tokenizers:
                        number += 1
                        row = run(
                            "chosen", text, minutes, seed, folder / f"run-{number}",
                            processor=arguments.processor_time,
                            options=options(tokenizer, arguments.model),
                        )  # fmt: skip
                        row = {"corpus": corpus, "tokenizer": tokenizer, **row}
                        print(json.dumps(row), flush=True)
                        if row["val_loss"] is not None:
                            key = corpus, minutes, tokenizer
                            found.setdefault(key, []).append(row["bits_per_byte"])
    print(f"\n| corpus | minutes | {' | '.join(arguments.tokenizers)} |")
    print(f"| --- | ---: |{' ---: |' * len(arguments.tokenizers)}")
    for corpus in arguments.corpora:
        for minutes in arguments.minutes:
            rows = [found.get((corpus, minutes, t), []) for t in arguments.tokenizers]
            cells = [f"{statistics.median(r):.3f}" if r else "" for r in rows]
            print(f"| {corpus} | {minutes:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

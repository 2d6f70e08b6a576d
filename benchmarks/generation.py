"""Generation: names a second, and a long text against the notes' own `generate`.

    python benchmarks/generation.py [--device cpu] [--names 16384] [--characters 10000]

Names come from the architecture of `hornbook train names`, here trained for 100 steps only: what a
name costs depends on its length and not on how good it is. The textbook side draws them one by one,
as the notes do, reading the whole name again for each character.

The text is written by the notes' GPT (10.8 M parameters, fresh weights) on both sides. The textbook
side is the notes' `generate`: the last 256 characters through the notes' model, head by head, for
each new one. It is timed over a few characters at a full context, in turns with pieces of
hornbook's, and extrapolated; hornbook writes all of them.

Beside each figure stands what the machine allows: names by the products that they need at the rate
of a large matrix product, characters by reading all weights from memory for each. Prints a table,
then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from notes_gpt import TextbookGPT
from torch import Tensor
from torch.nn import functional as F

from hornbook.api import train
from hornbook.config import presets
from hornbook.engine.device import find_device, synchronize
from hornbook.generate import sample, stream
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import Tokenizer, build_tokenizer

PIECE = 500  # characters of hornbook's between two of the textbook's turns
TURN = 8  # characters of the textbook's in a turn


@torch.no_grad()
def notes_generate(
    model: Callable[[Tensor], Tensor], ids: Tensor, n: int, block_size: int
) -> Tensor:
    """The notes' `generate`."""
    for _ in range(n):
        logits = model(ids[:, -block_size:])[:, -1]
        ids = torch.cat([ids, torch.multinomial(F.softmax(logits, dim=-1), 1)], dim=1)
    return ids


def seconds(run: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - begin


def limits(device: torch.device) -> tuple[float, float]:
    """The machine's products (FLOP/s, float32) and memory (bytes/s), the best of a few tries."""
    a = torch.randn(2048, 2048, device=device)
    much = torch.randn(64 << 20, device=device)
    products = min(seconds(lambda: a @ a, device) for _ in range(6))
    memory = min(seconds(lambda: much.sum(), device) for _ in range(6))
    return 2 * 2048**3 / products, 4 * len(much) / memory


def names(device: torch.device, n: int) -> dict[str, float]:
    """Names a second, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"training": {"steps": 100, "sample_count": 0, "device": device.type}}
        run = train("names", out=Path(folder) / "run", settings=settings)
        model, tokenizer = run.model.to(device), run.tokenizer
    generator = torch.Generator().manual_seed(0)

    def own() -> None:
        for made in sample(model, tokenizer, n=n, generator=generator):
            lengths.append(made.tokens + 1)

    def textbook() -> None:
        for _ in range(20):
            ids = torch.zeros(1, 1, dtype=torch.int64, device=device)
            while ids.shape[1] == 1 or (ids[0, -1] != 0 and ids.shape[1] < 60):
                ids = notes_generate(model, ids, 1, model.context_length)

    lengths: list[int] = []
    own()
    textbook()
    turns = [(seconds(own, device), seconds(textbook, device)) for _ in range(5)]
    return {
        "names_per_second": n / statistics.median(a for a, _ in turns),
        "textbook_names_per_second": 20 / statistics.median(b for _, b in turns),
        "tokens_per_name": statistics.mean(lengths),
        "flop_per_token": 2.0 * sum(p.numel() for p in model.parameters() if p.ndim == 2),
    }


def text(device: torch.device, n: int) -> dict[str, float]:
    """n characters of the notes' GPT, and the textbook's share of them."""
    torch.manual_seed(0)
    settings = presets.named("notes-gpt")["model"]
    model = build_model(model_config(settings), 65, None).to(device).eval()
    book = TextbookGPT(
        65, model.context_length, settings["n_embd"], settings["n_head"], settings["n_layer"]
    )
    book.take(dict(model.state_dict()), settings["n_head"])
    book.to(device).eval()
    context = torch.randint(65, (1, model.context_length), device=device)
    with torch.inference_mode():
        difference = (model.next_logits(context) - book(context)[:, -1]).abs().max()
    assert difference < 1e-4, f"the two sides differ by {difference}"

    tokenizer = alphabet()
    notes_generate(book, context, 2, model.context_length)
    list(stream(model, tokenizer, max_tokens=2 * PIECE))
    written = pieces(model, tokenizer, n)
    own, theirs = [], []
    for _ in range(0, n, PIECE):
        own.append(seconds(lambda: next(written), device))
        turn = seconds(lambda: notes_generate(book, context, TURN, model.context_length), device)
        theirs.append(turn / TURN)
    return {
        "characters": n,
        "seconds": sum(own),
        "textbook_seconds_extrapolated": n * statistics.median(theirs),
        "textbook_characters_timed": TURN * len(theirs),
        "ratio": n * statistics.median(theirs) / sum(own),
        "milliseconds_per_character": 1e3 * sum(own) / n,
        "textbook_milliseconds_per_character": 1e3 * statistics.median(theirs),
        "weight_bytes": 4.0 * model.n_parameters,
    }


def alphabet() -> Tokenizer:
    """65 characters of a stream."""
    return build_tokenizer("char", "".join(map(chr, range(40, 105))), documents=False)


def pieces(model: LanguageModel, tokenizer: Tokenizer, n: int) -> Iterator[int]:
    """One text of n characters, PIECE of them at a time."""
    count = 0
    for piece in stream(model, tokenizer, max_tokens=n, prompt="A"):
        count += len(piece)
        if count % PIECE == 0 or count == n:
            yield count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--names", type=int, default=16_384)
    parser.add_argument("--characters", type=int, default=10_000)
    args = parser.parse_args()
    device = find_device(args.device)
    flops, memory = limits(device)
    a, b = names(device, args.names), text(device, args.characters)
    a["limit"] = flops / a["flop_per_token"] / a["tokens_per_name"]
    b["limit_milliseconds"] = 1e3 * b["weight_bytes"] / memory
    print(f"machine: {flops / 1e9:.0f} GFLOP/s float32, {memory / 1e9:.0f} GB/s")
    print(f"{'':34}{'hornbook':>12}{'textbook':>12}{'limit':>12}")
    print(
        f"{'names a second':34}{a['names_per_second']:12,.0f}"
        f"{a['textbook_names_per_second']:12,.0f}{a['limit']:12,.0f}"
    )
    print(
        f"{'milliseconds a character (10.8 M)':34}{b['milliseconds_per_character']:12.2f}"
        f"{b['textbook_milliseconds_per_character']:12.1f}{b['limit_milliseconds']:12.2f}"
    )
    print(f"{args.characters:,} characters: {b['seconds']:.1f} s, the notes' way "
          f"{b['textbook_seconds_extrapolated']:.0f} s, {b['ratio']:.1f} times as long")  # fmt: skip
    machine = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    machine |= {"processor": platform.processor() or platform.machine()}
    print(json.dumps({**machine, "flops": flops, "memory": memory, "names": a, "text": b}))


if __name__ == "__main__":
    main()

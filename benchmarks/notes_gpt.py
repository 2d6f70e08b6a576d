"""The notes' GPT against its textbook loop: the same losses, step by step, and the speed.

    HORNBOOK_DATA=... python benchmarks/notes_gpt.py [--steps 200] [--batch 64] [--device cpu]

Both begin from the same weights and see the same batches, in float32 and without dropout (two ways
of drawing masks cannot agree). The textbook side is the notes' algorithm: one product for each head
and each of its three parts, a written-out softmax over a masked matrix, torch's AdamW.

    ... --dropout 0.2 --steps 5

compares speed and peak memory instead, with dropout where the notes have it, hornbook in whatever
precision pays here. Each side runs in a process of its own, in turns. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from common import build_step, make_plan
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import presets
from hornbook.engine.device import synchronize, use_threads
from hornbook.machine import keep_freed_memory


class Head(nn.Module):
    """One head of self-attention, as in the notes."""

    def __init__(self, channels: int, size: int, length: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.query, self.key, self.value = (nn.Linear(channels, size, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.tril(torch.ones(length, length)))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        q, k, v = self.query(x), self.key(x), self.value(x)
        wei = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        wei = wei.masked_fill(self.tril[:length, :length] == 0, float("-inf"))
        return self.dropout(F.softmax(wei, dim=-1)) @ v


class TextbookBlock(nn.Module):
    """Communication, then computation."""

    def __init__(self, channels: int, n_head: int, length: int, dropout: float) -> None:
        super().__init__()
        size = channels // n_head
        self.heads = nn.ModuleList(Head(channels, size, length, dropout) for _ in range(n_head))
        self.proj, self.dropout = nn.Linear(channels, channels), nn.Dropout(dropout)
        self.net = nn.Sequential(
            nn.Linear(channels, 4 * channels),
            nn.ReLU(),
            nn.Linear(4 * channels, channels),
            nn.Dropout(dropout),
        )
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln1(x)
        x = x + self.dropout(self.proj(torch.cat([head(y) for head in self.heads], dim=-1)))
        return x + self.net(self.ln2(x))


class TextbookGPT(nn.Module):
    """The notes' GPTLanguageModel."""

    def __init__(
        self,
        vocab: int,
        length: int,
        channels: int,
        n_head: int,
        n_layer: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab, channels)
        self.position = nn.Embedding(length, channels)
        self.blocks = nn.Sequential(
            *(TextbookBlock(channels, n_head, length, dropout) for _ in range(n_layer))
        )
        self.ln_f = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, vocab)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        return self.head(self.ln_f(self.blocks(x)))

    def take(self, weights: dict[str, Tensor], n_head: int) -> None:
        """The weights of hornbook's gpt2."""
        own: dict[str, Tensor] = {}
        names = {"token_embedding": "token", "position_embedding": "position"}
        for name, tensor in weights.items():
            first, _, rest = name.partition(".")
            if "attn.qkv" in name:
                block = name.removesuffix(".attn.qkv.weight")
                for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                    for h, piece in enumerate(rows.chunk(n_head)):
                        own[f"{block}.heads.{h}.{part}.weight"] = piece.clone()
                continue
            name = f"{names.get(first, first)}.{rest}"
            own[name.replace(".attn.proj", ".proj").replace(".mlp.", ".net.")] = tensor.clone()
        tril = dict(self.named_buffers())
        self.load_state_dict({**own, **tril})


def one_side(side: str, dropout: float, batch: int, steps: int, device: str) -> None:
    """Prints seconds of each step and the peak of memory above that of the imports, in MiB."""
    importlib.import_module("torch._dynamo")  # or the first optimizer would
    before = peak_mib()
    settings = {
        "model": {"dropout": dropout, "attention_dropout": dropout},
        "training": {"batch_size": batch, "device": device, "compile": "no"},
    }
    plan = make_plan(preset="notes-gpt", settings=settings)
    sizes = presets.named("notes-gpt")["model"]
    if side == "hornbook":
        step: Callable[[int], object] = build_step(plan)
    else:
        batches = plan.build_batches()
        book = TextbookGPT(65, sizes["context_length"], sizes["n_embd"], sizes["n_head"],
                           sizes["n_layer"], dropout).to(plan.device)  # fmt: skip
        optimizer = torch.optim.AdamW(book.parameters(), lr=3e-4)

        def step(i: int) -> None:
            ids, targets = batches.batch(i)
            loss = F.cross_entropy(book(ids).flatten(0, 1), targets.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()

    seconds = []
    kept = keep_freed_memory() if side == "hornbook" else nullcontext()  # as its training does
    with kept, use_threads(plan.threads):
        for i in range(steps + 1):
            begin = time.perf_counter()
            step(i)
            synchronize(plan.device)
            seconds.append(time.perf_counter() - begin)
    peak = peak_mib() - before
    if plan.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps({"seconds": seconds[1:], "peak_mib": peak, "precision": plan.precision}))


def peak_mib() -> float:
    """The most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def speed(dropout: float, batch: int, steps: int, device: str) -> None:
    """Both sides in turns, each in its own process."""
    found: dict[str, list[dict[str, object]]] = {"textbook": [], "hornbook": []}
    for _ in range(2):
        for side, results in found.items():
            command = [sys.executable, __file__, "--side", side, "--dropout", str(dropout)]
            command += ["--batch", str(batch), "--steps", str(steps), "--device", device]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    row: dict[str, object] = {"benchmark": "notes-gpt", "batch": batch, "dropout": dropout}
    for side, results in found.items():
        row[f"{side}_s"] = statistics.median(s for r in results for s in r["seconds"])
        row[f"{side}_peak_mib"] = round(max(r["peak_mib"] for r in results))
    row["times_as_fast"] = round(row["textbook_s"] / row["hornbook_s"], 2)
    row["memory_share"] = round(row["hornbook_peak_mib"] / row["textbook_peak_mib"], 2)
    row["precision"] = found["hornbook"][0]["precision"]
    tokens = batch * 256
    flops = tokens * (6 * 10.6e6 + 6 * 12 * 256 * 384 / 2)  # causal attention: half of T x T
    row["hornbook_gflops"] = round(flops / row["hornbook_s"] / 1e9)
    for name, value in row.items():
        print(f"{name:>20}  {value}")
    print(json.dumps(row))


def follow(args: argparse.Namespace) -> None:
    """Both sides step by step, from the same weights on the same batches."""
    settings = {
        "model": {"dropout": 0.0, "attention_dropout": 0.0},
        "training": {
            "batch_size": args.batch, "device": args.device, "precision": "fp32", "compile": "no",
        },
    }  # fmt: skip
    plan = make_plan(preset="notes-gpt", settings=settings)
    sizes = presets.named("notes-gpt")["model"]
    step = build_step(plan)
    book = TextbookGPT(65, sizes["context_length"], sizes["n_embd"], sizes["n_head"],
                       sizes["n_layer"]).to(plan.device)  # fmt: skip
    book.take(dict(step.model.state_dict()), sizes["n_head"])
    optimizer = torch.optim.AdamW(book.parameters(), lr=3e-4)
    worst, ratios, losses = 0.0, [], []
    for i in range(args.steps):
        begin = time.perf_counter()
        own = step(i)[0].item()
        middle = time.perf_counter()
        ids, targets = step.batches.batch(i)
        loss = F.cross_entropy(book(ids).flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        theirs = loss.item()
        ratios.append((time.perf_counter() - middle) / (middle - begin))
        losses.append((own, theirs))
        worst = max(worst, abs(own - theirs))
        if i in (0, 1, 10, 50, 100, 199) or i == args.steps - 1:
            print(f"step {i:4d}  hornbook {own:.6f}  textbook {theirs:.6f}", flush=True)
    ratio = statistics.median(ratios[1:] or ratios)
    print(f"largest difference {worst:.2e} nats; textbook takes {ratio:.2f} times as long")
    print(
        json.dumps(
            {
                "benchmark": "notes-gpt-losses",
                "steps": args.steps,
                "batch": args.batch,
                "device": str(plan.device),
                "largest_difference": worst,
                "textbook_over_hornbook": ratio,
                "last": losses[-1],
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--side", choices=("textbook", "hornbook"))
    args = parser.parse_args()
    if args.side:
        one_side(args.side, args.dropout, args.batch, args.steps, args.device)
    elif args.dropout:
        speed(args.dropout, args.batch, args.steps, args.device)
    else:
        follow(args)


if __name__ == "__main__":
    main()

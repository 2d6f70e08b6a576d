"""nanoGPT's recipe for a CPU, plainly, for so many minutes: the form of GPT-2 with the settings that
its README gives for `--device=cpu` (4 blocks, 4 heads, 128 channels, context 64, batch 12, no
dropout, no biases), AdamW at 1e-3 with 0.99 as beta2 and decay 0.1, gradients clipped at 1, a
warm-up of 5%, and a cosine down to a tenth; no compilation.

    python benchmarks/nanogpt.py CORPUS --minutes 1 [--seed 1]

The learning rate follows the share of the time instead of that of 2,000 steps. Text, split and tokens
are hornbook's; documents are read one after the other, as one stream with the token that ends each. The
time begins with the process and includes the loss over the whole validation part, in blocks of the
context.
"""

from __future__ import annotations

import time

BEGAN = time.monotonic()

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from corpora import write  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hornbook.config import DataConfig, TokenizerConfig  # noqa: E402
from hornbook.data.training_data import load_training_data  # noqa: E402

BLOCKS, HEADS, CHANNELS, CONTEXT, BATCH = 4, 4, 128, 64, 12
RATE, WARMUP, LAST = 1e-3, 0.05, 0.1
EVALUATED = 64  # blocks at once


class Block(nn.Module):
    """Attention and a hidden layer, each after a norm and added to what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = (nn.LayerNorm(CHANNELS, bias=False) for _ in range(2))
        self.qkv = nn.Linear(CHANNELS, 3 * CHANNELS, bias=False)
        self.out = nn.Linear(CHANNELS, CHANNELS, bias=False)
        self.up = nn.Linear(CHANNELS, 4 * CHANNELS, bias=False)
        self.down = nn.Linear(4 * CHANNELS, CHANNELS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        B, T, C = x.shape  # noqa: N806
        parts = self.qkv(self.norm_1(x)).view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class GPT(nn.Module):
    """GPT-2, whose output layer is the embedding of tokens."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, CHANNELS)
        self.positions = nn.Embedding(CONTEXT, CHANNELS)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(CHANNELS, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * BLOCKS) if residual else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> logits (B, T, V)."""
        positions = torch.arange(ids.shape[1])
        x = self.blocks(self.tokens(ids) + self.positions(positions))
        return self.norm(x) @ self.tokens.weight.T


@torch.no_grad()
def loss_of(model: GPT, tokens: Tensor) -> float:
    """Nats per token over a whole part."""
    total, n = 0.0, len(tokens) - 1
    for first in range(0, n, CONTEXT * EVALUATED):
        piece = tokens[first : first + CONTEXT * EVALUATED + 1]
        whole = (len(piece) - 1) // CONTEXT * CONTEXT
        for a, b in ((0, whole), (whole, len(piece) - 1)):
            if b > a:
                length = CONTEXT if a == 0 else b - a
                ids, targets = (piece[a + i : b + i].view(-1, length) for i in (0, 1))
                logits = model(ids).flatten(0, 1)
                total += float(F.cross_entropy(logits, targets.flatten(), reduction="sum"))
    return total / n


def trained(corpus: str, minutes: float, seed: int) -> dict[str, float]:
    """The loss after so many minutes since the process began, and the steps."""
    data = load_training_data(DataConfig.parse({"corpus": corpus}, "data"), TokenizerConfig())
    train, validation = (
        torch.from_numpy(part.tokens.astype("int64")) for part in (data.train, data.validation)
    )
    torch.manual_seed(seed)
    model = GPT(data.tokenizer.vocab_size)
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99))
    first = time.monotonic()
    some = validation[: 8 * CONTEXT * EVALUATED + 1]
    loss_of(model, some[: CONTEXT * EVALUATED + 1])
    begin = time.monotonic()
    loss_of(model, some)
    evaluation = (time.monotonic() - begin) * len(validation) / len(some)
    begin, end = time.monotonic(), BEGAN + 60 * minutes - 1.1 * evaluation
    steps, offsets = 0, torch.arange(CONTEXT + 1)
    while (now := time.monotonic()) < end:
        done = (now - begin) / (end - begin)
        falling = max(0.0, (done - WARMUP) / (1 - WARMUP))
        cosine = LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * falling))
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((done + 1e-3) / WARMUP, cosine)
        rows = train[torch.randint(len(train) - CONTEXT, (BATCH, 1)) + offsets]
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
    found = loss_of(model, validation)
    spent = (time.monotonic() - BEGAN) / 60
    return {"val_loss": round(found, 4), "steps": steps, "spent": round(spent, 3),
            "setup_s": round(first - BEGAN, 1)}  # fmt: skip


def main() -> None:
    """Trains on one corpus; prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = write(arguments.corpus, Path(folder))
        print(json.dumps(trained(corpus, arguments.minutes, arguments.seed)))


if __name__ == "__main__":
    main()

"""transformers' GPT-2 with its Trainer against hornbook, by one recipe: seconds and loss.

    pip install -e '.[peers]'
    HORNBOOK_DATA=... python benchmarks/trainer.py [--steps 2000] [--turns 1] [--device cpu]

The recipe is nanoGPT's for a CPU (4 blocks of 128 channels, context 64, batch 12, AdamW, a cosine to
a tenth; preset gpt2-stream), on Shakespeare. The peer is transformers' GPT-2 built from its
configuration, trained by its Trainer on random windows, as its users would; hornbook's own is
`gpt2` by the preset, and beside it the GPT that `hornbook train --minutes` takes for a quarter of a
minute. In turns. Seconds are those of training: the Trainer's are between its first and its last
step. Losses are over the whole validation part, 64 characters at a time. Prints a table, then one
JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch
from common import make_plan, size_settings, train_to_end
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from hornbook.config import Nested, merge
from hornbook.planning.decide.size import SIZES
from hornbook.planning.plan import Plan

CORPUS = "shakespeare"
LENGTH, BATCH = 64, 12


class Windows(Dataset[dict[str, Tensor]]):
    """Random stretches of LENGTH + 1 characters: transformers shifts the labels itself."""

    def __init__(self, tokens: Tensor, n: int) -> None:
        self.tokens, self.n = tokens, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        begin = int(torch.randint(len(self.tokens) - LENGTH, ()))
        window = self.tokens[begin : begin + LENGTH + 1]
        return {"input_ids": window, "labels": window}


def own(preset: str | None, settings: Nested, device: str) -> dict[str, Any]:
    """hornbook's training to its horizon."""
    there = {"training": {"device": device}}
    return train_to_end(make_plan(CORPUS, preset=preset, settings=merge(settings, there)))


def peer(plan: Plan, steps: int) -> dict[str, Any]:
    """transformers' GPT-2 by its Trainer."""
    import transformers

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begin = self.begin if state.global_step else time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.end = time.perf_counter()

    sizes, optim = plan.config.model.model_dump(), plan.config.optim
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=plan.data.tokenizer.vocab_size, n_positions=LENGTH + 1, n_layer=sizes["n_layer"],
            n_head=sizes["n_head"], n_embd=sizes["n_embd"], resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    train = torch.from_numpy(plan.data.train.tokens.astype(np.int64))
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=BATCH,
            learning_rate=optim.learning_rate, warmup_steps=optim.warmup,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr": optim.min_lr_ratio * optim.learning_rate},
            weight_decay=optim.weight_decay, adam_beta2=optim.beta2, max_grad_norm=optim.grad_clip,
            report_to="none", save_strategy="no", disable_tqdm=True, logging_strategy="no",
            use_cpu=plan.device.type == "cpu",
        )  # fmt: skip
        windows = Windows(train, steps * BATCH)
        trainer = transformers.Trainer(model, arguments, train_dataset=windows, callbacks=[clock])
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    nats = whole_loss(model, torch.from_numpy(plan.data.validation.tokens.astype(np.int64)))
    return {"steps": steps, "seconds": clock.end - clock.begin, "loss": nats}


@torch.inference_mode()
def whole_loss(model: Any, tokens: Tensor) -> float:
    """Mean nats over blocks of LENGTH; the last few characters that fill no block are left out."""
    model.eval()
    blocks = (len(tokens) - 1) // LENGTH
    ids = tokens[: blocks * LENGTH].view(blocks, LENGTH)
    targets = tokens[1 : blocks * LENGTH + 1].view(blocks, LENGTH)
    nats = 0.0
    for i in range(0, blocks, 64):
        logits = model(ids[i : i + 64].to(model.device)).logits
        there = targets[i : i + 64].to(model.device)
        nats += float(F.cross_entropy(logits.flatten(0, 1), there.flatten(), reduction="sum"))
    return nats / targets.numel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()
    try:
        import transformers
    except ImportError:
        sys.exit("transformers is not installed: pip install -e '.[peers]'")
    transformers.logging.set_verbosity_error()
    plan = make_plan(CORPUS, preset="gpt2-stream", settings={"training": {"device": args.device}})
    small = size_settings(SIZES["documents"]["small"], 380, 0.4)
    rows: dict[str, list[dict[str, Any]]] = {"transformers' Trainer": [], "gpt2": [], "small": []}
    for _ in range(args.turns):
        rows["transformers' Trainer"].append(peer(plan, args.steps))
        rows["gpt2"].append(own("gpt2-stream", {"training": {"steps": args.steps}}, args.device))
        rows["small"].append(own(None, small, args.device))
    print(f"{'':24}{'steps':>9}{'seconds':>9}{'loss':>8}")
    found = {}
    for name, turns in rows.items():
        seconds = statistics.median(turn["seconds"] for turn in turns)
        loss = statistics.median(turn["loss"] for turn in turns)
        found[name] = {"steps": turns[0]["steps"], "seconds": seconds, "loss": loss}
        print(f"{name:24}{turns[0]['steps']:9,}{seconds:9.1f}{loss:8.4f}", flush=True)
    about = {"transformers": transformers.__version__, "device": args.device, "turns": args.turns}
    print(json.dumps({"benchmark": "trainer", **about, "rows": found}))


if __name__ == "__main__":
    main()

"""The program: `python sample.py --help`."""

from __future__ import annotations

import argparse
import codecs
import json
import secrets
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from hornbook.export.lesson.drawing import Sampling, key_of, uniform
from hornbook.export.lesson.model import MODELS, BoundedModel, Model
from hornbook.export.lesson.text import Tokenizer, read_tokenizer
from hornbook.export.lesson.weights import read_weights


def load(folder: Path) -> tuple[Model, Tokenizer]:
    """The model and the tokenizer of a folder."""
    metadata, weights = read_weights(folder / "model.safetensors")
    config, tokenizer = json.loads(metadata["model"]), read_tokenizer(folder / "tokenizer.json")
    tokenizer.whole_prompt = metadata["whole_prompt"] == "True"
    BoundedModel.window = metadata["window"]
    build = MODELS[config["name"]]
    model = build(weights, config, tokenizer.vocab_size, tokenizer.end_id)
    return model, tokenizer


def complete(
    model: Model,
    start: list[int],
    sample: int,
    key: int,
    sampling: Sampling,
    first: Sequence[int] = (),
) -> Iterator[int]:
    """The tokens of one sample, without end: each is drawn, then read. first: what the first may be."""
    logits, position = model.start(start), 0
    if first:
        allowed = np.full_like(logits, -np.inf)
        allowed[list(first)] = logits[list(first)]
        logits = allowed
    while True:
        token = sampling.draw(logits, uniform(key, sample, position))
        yield token
        logits, position = model.step(token), position + 1


def text_of(
    tokens: Iterator[int],
    tokenizer: Tokenizer,
    max_tokens: int,
    stop: Sequence[str],
    skip: int = 0,
) -> Iterator[str]:
    """The text of tokens piece by piece: up to the end of its document, a stop text, or so many.

    skip: bytes at the beginning that are the end of the prompt."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held, longest = "", max([1, *map(len, stop)])  # held back: it may begin a stop text
    for token in islice(tokens, max_tokens):
        if token == tokenizer.end_id:
            break
        held += decoder.decode(tokenizer.bytes_of[token][skip:])
        skip = max(0, skip - len(tokenizer.bytes_of[token]))
        if found := [held.find(end) for end in stop if end in held]:
            yield held[: min(found)]
            return
        certain = max(0, len(held) - longest + 1)
        yield held[:certain]
        held = held[certain:]
    yield held + decoder.decode(b"", final=True)


def arguments() -> argparse.Namespace:
    """What was asked for. Ends the program where a number is out of range."""
    parser = argparse.ArgumentParser(description="Samples from the model in this folder.")
    add = parser.add_argument
    add("-n", type=int, help="number of samples")
    add("--prompt", default="", help="the beginning of each sample")
    add("--max-tokens", type=int, default=500, help="longest sample (default: 500)")
    add("--temperature", type=float, default=1.0, help="0 is greedy (default: 1)")
    add("--top-k", type=int, help="sample from the K likeliest tokens")
    add("--top-p", type=float, help="from the fewest whose probabilities add up to P")
    add("--min-p", type=float, help="from those at least P times as likely as the likeliest")
    add("--stop", action="append", default=[], help="end before this text (repeatable)")
    add("--seed", type=int, help="the same seed, the same samples")
    args = parser.parse_args()
    for name, low, high in (
        ("n", 1, 1e9), ("max_tokens", 1, 1e9), ("temperature", 0, 1e9), ("top_k", 1, 1e9),
        ("top_p", 1e-9, 1), ("min_p", 0, 1), ("seed", 0, 2**63 - 1),
    ):  # fmt: skip
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            parser.error(f"{name}: found {value}, expected {low:g} to {high:g}")
    return args


def main() -> None:
    """Prints samples, one a line; those of a stream with a line --- between them."""
    args = arguments()
    try:
        model, tokenizer = load(Path(__file__).parent)
    except OSError as error:
        raise SystemExit(f"{error}; this program needs the files that it came with") from None
    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.min_p)
    key = key_of(secrets.randbits(63) if args.seed is None else args.seed)
    documents = tokenizer.end_id is not None
    start, first, skip = tokenizer.split(args.prompt)
    length = args.max_tokens + bool(first)
    for i in range(args.n or (10 if documents else 1)):
        if i and not documents:
            print("---")
        print(args.prompt, end="")
        tokens = complete(model, start, i, key, sampling, first)
        for piece in text_of(tokens, tokenizer, length, args.stop, skip):
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main()

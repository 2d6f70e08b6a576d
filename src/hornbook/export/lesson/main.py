"""The program: `python sample.py --help`."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

from hornbook.export.lesson.drawing import Sampling, key_of, uniform
from hornbook.export.lesson.model import MODELS, BoundedModel, Model
from hornbook.export.lesson.text import Tokenizer
from hornbook.export.lesson.weights import read_weights


def load(folder: Path) -> tuple[Model, Tokenizer]:
    """The model and the tokenizer of a folder."""
    metadata, weights = read_weights(folder / "model.safetensors")
    config, tokenizer = json.loads(metadata["model"]), Tokenizer(folder / "tokenizer.json")
    BoundedModel.window = metadata["window"]
    build = MODELS[config["name"]]
    model = build(weights, config, tokenizer.vocab_size, tokenizer.end_id)
    return model, tokenizer


def generate(
    model: Model, start: list[int], sample: int, key: int, sampling: Sampling
) -> Iterator[int]:
    """The tokens of one sample, without end: each is drawn, then read."""
    logits, position = model.start(start), 0
    while True:
        token = sampling.draw(logits, uniform(key, sample, position))
        yield token
        logits, position = model.step(token), position + 1


def complete(
    model: Model, tokenizer: Tokenizer, prompt: str, sample: int, key: int,
    sampling: Sampling, max_tokens: int, stop: list[str],
) -> str:  # fmt: skip
    """The text of one sample: up to the end of its document, a stop text, or so many tokens."""
    tokens: list[int] = []
    for token in generate(model, tokenizer.start(prompt), sample, key, sampling):
        if token == tokenizer.end_id:
            break
        tokens.append(token)
        if stop:
            text = tokenizer.decode(tokens)
            if found := [text.find(end) for end in stop if end in text]:
                return prompt + text[: min(found)]
        if len(tokens) == max_tokens:
            break
    return prompt + tokenizer.decode(tokens)


def main() -> None:
    """Prints samples, one a line; those of a stream with a line --- between them."""
    parser = argparse.ArgumentParser(description="Samples from the model in this folder.")
    parser.add_argument("-n", type=int, help="number of samples")
    parser.add_argument("--prompt", default="", help="the beginning of each sample")
    parser.add_argument("--max-tokens", type=int, default=500, help="longest sample")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 is greedy")
    parser.add_argument("--top-k", type=int, help="sample from the K likeliest tokens")
    parser.add_argument("--top-p", type=float, help="from the fewest that sum to P")
    parser.add_argument("--min-p", type=float, help="from those at least P times the likeliest")
    parser.add_argument("--stop", action="append", default=[], help="end before this text")
    parser.add_argument("--seed", type=int, help="the same seed, the same samples")
    args = parser.parse_args()
    model, tokenizer = load(Path(__file__).parent)
    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.min_p)
    key = key_of(secrets.randbits(32) if args.seed is None else args.seed)
    documents = tokenizer.end_id is not None
    for i in range(args.n or (10 if documents else 1)):
        if i and not documents:
            print("---")
        print(complete(model, tokenizer, args.prompt, i, key, sampling, args.max_tokens, args.stop))


if __name__ == "__main__":
    main()

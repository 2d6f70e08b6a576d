"""What a model computes on a text, as plain data: scores, attention, continuations, embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbook.generate.decoder import prompt_ids
from hornbook.metrics.loss import likeliest_tokens, score, scored_parts
from hornbook.run import Run
from hornbook.serve.errors import ApiError, refused
from hornbook.serve.limits import Limits
from hornbook.serve.prompts import check_ids, check_length, token_text
from hornbook.tokenizers.base import Unknown

if TYPE_CHECKING:
    from hornbook.figures.continuations import Continuation

ATTENTION_TOKENS = 128  # of a text whose attention is returned
TEXT_TOKENS = 1 << 16  # of all texts of one request together
EMBEDDED = 512  # tokens whose embeddings are returned, the most frequent


def scores(
    run: Run, texts: Sequence[str], alternatives: int, unknown: Unknown, limits: Limits
) -> list[dict[str, Any]]:
    """What `hornbook score --tokens --json` prints of each text, and the likeliest tokens at each
    position with their log probabilities in nats."""
    tokenizer = run.tokenizer
    if len(texts) > limits.choices:
        raise refused("input", f"found {len(texts)} texts, expected at most {limits.choices}")
    if alternatives > limits.alternatives:
        raise refused(
            "alternatives", f"found {alternatives}, expected at most {limits.alternatives}"
        )
    lengths = [len(tokenizer.encode(text, unknown="skip")) for text in texts]
    for length in lengths:
        check_length(length, limits, "input")
    if sum(lengths) > TEXT_TOKENS:
        raise refused("input", f"found {sum(lengths):,} tokens, expected at most {TEXT_TOKENS:,}")
    found = []
    for text, scored in zip(
        texts, score(run.model, tokenizer, texts, unknown=unknown), strict=True
    ):
        data = run.score_data(scored, tokens=True)
        data["surprisal"] = [nats / math.log(2) for nats in scored.token_nats]
        if alternatives:
            (part,) = scored_parts(tokenizer, [text], unknown=unknown)
            _, ids, log_p = likeliest_tokens(run.model, part, alternatives)
            data["alternatives"] = [
                [
                    {"token": token_text(tokenizer, t), "id": t, "logprob": p}
                    for t, p in zip(*row, strict=True)
                ]
                for row in zip(ids.tolist(), log_p.tolist(), strict=True)
            ]
        found.append(data)
    return found


def attention(run: Run, text: str | list[int], unknown: Unknown) -> dict[str, Any]:
    """The attention weights of every layer and head on the beginning of a text, or of ids.

    Row t of a head is what token t attends to, (T, T); rows sum to 1.
    """
    from hornbook.figures.attention import attention_layers, attention_maps

    if isinstance(text, list):
        ids = check_ids(text, run.tokenizer, "text") or [run.tokenizer.start_id]
    else:
        ids = prompt_ids(run.tokenizer, text, unknown)
    whole = len(ids)
    ids = ids[: min(ATTENTION_TOKENS, run.model.context_length)]
    maps = attention_maps(run, ids)
    if not maps:
        raise ApiError(400, "model: no attention in this model", param="model")
    layers = [
        {"name": name, "heads": [[_rounded(row) for row in head] for head in heads.tolist()]}
        for name, heads in zip(attention_layers(run), maps, strict=True)
    ]
    return {
        "tokens": [token_text(run.tokenizer, i) for i in ids],
        "ids": ids,
        "total_tokens": whole,
        "layers": layers,
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 5) for value in values]


def tree(
    run: Run, prompt: str | list[int], leaves: int, depth: int, unknown: Unknown, limits: Limits
) -> dict[str, Any]:
    """The most probable continuations of a prompt; `p` is that of the whole way from the prompt."""
    from hornbook.figures.continuations import most_probable_tree

    if isinstance(prompt, list):
        prompt = check_ids(prompt, run.tokenizer, "prompt") or [run.tokenizer.start_id]
        check_length(len(prompt), limits)
    else:  # raises what is unknown
        check_length(len(run.tokenizer.encode(prompt, unknown=unknown)), limits)
    root = most_probable_tree(run, prompt, leaves, depth)
    return _node(run, root)


def _node(run: Run, node: Continuation) -> dict[str, Any]:
    token = node.ids[-1]
    text = token_text(run.tokenizer, token) if node.depth else run.tokenizer.decode(node.ids)
    children = sorted(node.children, key=lambda child: -child.p)
    return {
        "text": text,
        "id": token,
        "p": node.p,
        "ended": node.ended,
        "children": [_node(run, child) for child in children],
    }


def embeddings(run: Run, most: int = EMBEDDED) -> dict[str, Any]:
    """The embeddings of tokens in their first two principal components."""
    from hornbook.figures.data import frequent_tokens
    from hornbook.figures.embeddings import kind_of, principal, token_vectors

    size, end, note = run.tokenizer.vocab_size, run.tokenizer.end_id, ""
    chosen = np.arange(size)
    if size > most:
        chosen, note = frequent_tokens(run, most)
    vectors, what = token_vectors(run, chosen)
    points, share = principal(vectors)
    tokens = [
        {
            "token": token_text(run.tokenizer, token),
            "id": token,
            "kind": kind_of(run.tokenizer.symbol(token), is_end=token == end),
            "x": x,
            "y": y,
        }
        for token, (x, y) in zip(chosen.tolist(), points.tolist(), strict=True)
    ]
    return {"tokens": tokens, "variance": share.tolist(), "what": what, "note": note}

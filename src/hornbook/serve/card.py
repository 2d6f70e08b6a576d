"""What the page knows of a model before it asks it anything, and the ids of what is typed there."""

from __future__ import annotations

from typing import Any

from hornbook.export.html import page_card, summary
from hornbook.run import Run


def describe(run: Run) -> dict[str, Any]:
    """A model as the page shows it (`web/backend.js`).

    tokens: the bytes of each token, written as the characters of the same numbers. sizes: name, shape
    and number of values of each tensor, as texts.
    """
    from hornbook.figures.attention import attention_layers

    tokenizer, model = run.tokenizer, run.model
    return {
        "summary": summary(run),
        "documents": run.documents,
        "start_id": tokenizer.start_id,
        "end_id": tokenizer.end_id,
        "context_length": model.context_length,
        "tokens": [
            tokenizer.decode_bytes([i]).decode("latin-1") for i in range(tokenizer.vocab_size)
        ],
        "attention": bool(attention_layers(run)),
        "card": page_card(run),
        "sizes": [
            [name, " × ".join(map(str, tensor.shape)), f"{tensor.numel():,}"]
            for name, tensor in model.state_dict().items()
        ],
    }


def encode(run: Run, text: str) -> dict[str, Any]:
    """The ids of a text, and the characters that the model does not know, which are left out."""
    known = run.tokenizer.encode(text, unknown="skip")
    unknown = [c for c in dict.fromkeys(text) if not len(run.tokenizer.encode(c, unknown="skip"))]
    return {"ids": known.tolist(), "unknown": unknown}

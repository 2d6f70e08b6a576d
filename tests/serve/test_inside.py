"""Bounds of what is computed on a text; the rest in `test_hornbook.py`."""

from __future__ import annotations

import pytest

from hornbook.api import Run

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_too_much_text_is_refused(names_run: Run) -> None:
    from hornbook.serve.errors import ApiError
    from hornbook.serve.inside import scores
    from hornbook.serve.limits import Limits

    limits = Limits(prompt_tokens=20, choices=3)
    assert len(scores(names_run, ["a" * 20] * 3, 5, "error", limits)) == 3
    for texts, alternatives in ((["a"] * 4, 5), (["a" * 21], 5), (["a"], 50)):
        with pytest.raises(ApiError):
            scores(names_run, texts, alternatives, "error", limits)


def test_models_without_attention(small_run: Run) -> None:
    from hornbook.serve.errors import ApiError
    from hornbook.serve.inside import attention, embeddings

    name = small_run.config.model.name
    if name in ("gpt", "gpt2", "hybrid", "mixture"):
        assert attention(small_run, "emma", "error")["layers"]
    else:
        with pytest.raises(ApiError, match="no attention"):
            attention(small_run, "emma", "error")
    assert len(embeddings(small_run)["tokens"]) == small_run.tokenizer.vocab_size

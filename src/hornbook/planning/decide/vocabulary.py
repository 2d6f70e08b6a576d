"""What a large vocabulary costs, and the tokenizer that takes less."""

from __future__ import annotations

from hornbook.data.training_data import TrainingData, usual_vocab_size
from hornbook.machine import format_bytes
from hornbook.planning import tuning
from hornbook.planning.decision import Decision
from hornbook.tokenizers.base import Tokenizer


def tokenizer_kind(
    *, documents: bool, n_bytes: int, characters: int, minutes: float | None, counts: bool
) -> Decision[str]:
    """Characters or BPE, for `auto`: what promises fewer bits per byte.

    n_bytes: of the training part. characters: different ones in the text. minutes: of a time budget.
    counts: whether it may choose counts, or a network on top of them.
    """
    if characters >= tuning.LARGE_VOCABULARY:
        return Decision("bpe", f"{characters:,} different characters")
    if documents:
        return Decision("char", "of short documents BPE has too few examples")
    if minutes is None:
        return Decision("char", "there is no time budget to choose by")
    if counts:
        return Decision(
            "char", "counts know what follows characters as well, and gain more by them"
        )
    enough = tuning.CHARACTER_MINUTES_PER_MB * n_bytes / 1e6
    found = f"a network needs about {enough:.2g} minutes to read this text by characters"
    return Decision("bpe" if minutes < enough else "char", found)


def vocab_size(data: TrainingData, kind: str) -> Decision[int]:
    """The ids that bpe has on this text, where none were requested. kind: as it is set."""
    found, usual = data.tokenizer.vocab_size, usual_vocab_size(data.train.n_bytes)
    reason = f"{data.train.n_bytes / data.train.n_scored:.2f} bytes a token on average"
    if found == usual:
        reason = f"as usual for a training part of {format_bytes(data.train.n_bytes)}, {reason}"
    if kind != data.tokenizer.kind:
        reason += f"; taken over from {kind}"
    elif found < usual:
        reason += "; no further sequence occurs twice"
    return Decision(found, reason)


def bytes_offer(tokenizer: Tokenizer) -> str:
    """The flag that makes a large vocabulary small; empty where it is not large, or of bytes."""
    if tokenizer.kind != "char" or tokenizer.vocab_size < tuning.LARGE_VOCABULARY:
        return ""
    return f"--tokenizer byte (256 tokens in place of {tokenizer.vocab_size:,})"


def vocabulary_cost(
    tokenizer: Tokenizer,
    *,
    logits: int,
    bytes_per_token: float,
    parameters: tuple[int, int] | None = None,
) -> str:
    """What a large vocabulary costs and what bytes would cost, in words; empty where it is not large.

    logits: how many are computed at once. bytes_per_token: of the text, in UTF-8. parameters: of the
    model with this vocabulary, and with bytes; None for counts.
    """
    offer = bytes_offer(tokenizer)
    if not offer:
        return ""
    model = ""
    if parameters is not None:
        model = f" and the model {parameters[1]:,} parameters in place of {parameters[0]:,}"
    return (
        f"{tokenizer.vocab_size:,} different tokens: their logits take {format_bytes(4 * logits)} at "
        f"a time; with {offer} the text has {bytes_per_token:.1f} times as many tokens{model}"
    )

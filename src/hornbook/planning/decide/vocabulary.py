"""What a large vocabulary costs, and the tokenizer that takes less."""

from __future__ import annotations

from hornbook.data.training_data import TrainingData, usual_vocab_size
from hornbook.machine import format_bytes
from hornbook.planning import tuning
from hornbook.planning.decision import Decision
from hornbook.tokenizers.base import Tokenizer


def vocab_size(data: TrainingData, kind: str) -> Decision[int]:
    """The ids that bpe has on this text, where none were requested. kind: as it is set."""
    found, usual = data.tokenizer.vocab_size, usual_vocab_size(data.train.n_bytes)
    reason = f"{data.train.n_bytes / data.train.n_targets:.2f} bytes a token on average"
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

"""Text from tokens as they come: whole characters, and the end at a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from hornbook.tokenizers import Tokenizer


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there is one.

    >>> cut_at_stop("one two three", ["three", "two"])
    ('one ', True)
    """
    found = [index for s in stop if (index := text.find(s)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


class TextStream:
    """Turns tokens into text; a piece never splits a character nor contains part of a stop string.

    skip: bytes at the beginning that are left out: they are the end of the prompt. keep: characters
    that wait in any case, since the end of the text may leave them out.
    stopped: a stop string was found; what follows is ignored.
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: Sequence[str] = (), *, skip: int = 0, keep: int = 0
    ) -> None:
        self._tokenizer, self._stop, self._skip = tokenizer, stop, skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._bytes_of: dict[int, bytes] = {}
        self._longest = max([1, keep + 1, *(len(s) for s in stop)])
        self._held = ""  # may be the beginning of a stop string
        self.stopped = False

    def push(self, token: int) -> str:
        """The text that is certain after one more token."""
        if self.stopped:
            return ""
        if token not in self._bytes_of:
            self._bytes_of[token] = self._tokenizer.decode_bytes([token])
        self._held += self._decoder.decode(self._bytes_of[token][self._skip :])
        self._skip = max(0, self._skip - len(self._bytes_of[token]))
        self._held, self.stopped = cut_at_stop(self._held, self._stop)
        certain = len(self._held) if self.stopped else len(self._held) - self._longest + 1
        return self._take(max(0, certain))

    def finish(self) -> str:
        """The rest, when no more tokens come."""
        if not self.stopped:
            self._held += self._decoder.decode(b"", final=True)
            self._held, self.stopped = cut_at_stop(self._held, self._stop)
        return self._take(len(self._held))

    def _take(self, n: int) -> str:
        text, self._held = self._held[:n], self._held[n:]
        return text

"""Text from tokens as they come, up to a stop string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hornbook.generate.stops import TextStream, cut_at_stop
from hornbook.tokenizers import ByteTokenizer

BYTES = ByteTokenizer(documents=False)


def test_the_first_stop_string_in_the_text_ends_it() -> None:
    assert cut_at_stop("abcd", ["d", "bc"]) == ("a", True)
    assert cut_at_stop("abcd", ["x"]) == ("abcd", False)
    assert cut_at_stop("abcd", []) == ("abcd", False)


@given(st.text("aßb€ ", max_size=12), st.lists(st.text("aßb€", min_size=1, max_size=3), max_size=3))
def test_pieces_are_the_text_up_to_the_stop_string(text: str, stop: list[str]) -> None:
    stream = TextStream(BYTES, stop)
    pieces = []
    for token in text.encode():
        pieces.append(stream.push(token))
        if stream.stopped:
            break
    pieces.append(stream.finish())
    # a stop string ends the text as soon as it is complete, whichever begins first
    ends = [text.find(s) + len(s) for s in stop if s in text]
    expected, found = cut_at_stop(text[: min(ends)] if ends else text, stop)
    assert ("".join(pieces), stream.stopped) == (expected, found)


def test_bytes_that_are_no_text_are_replaced() -> None:
    stream = TextStream(BYTES)
    assert [stream.push(b) for b in b"a\xff"] == ["a", "\ufffd"]
    assert (stream.push(0xE2), stream.finish()) == ("", "\ufffd")

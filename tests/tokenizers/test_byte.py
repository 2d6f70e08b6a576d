"""One id a byte."""

from __future__ import annotations

import numpy as np

from hornbook.tokenizers.byte import ByteTokenizer


def test_ids_are_the_bytes_and_the_end_follows_them() -> None:
    stream, documents = ByteTokenizer(documents=False), ByteTokenizer(documents=True)
    assert (stream.vocab_size, stream.end_id) == (256, None)
    assert (documents.vocab_size, documents.end_id) == (257, 256)
    assert stream.encode("zæ").tolist() == [122, 195, 166]
    assert stream.encode("z").dtype == np.uint8
    assert documents.encode_lines("z\n\n").tolist() == [122, 256, 256]
    assert documents.encode("z\n").dtype == np.uint16


def test_bytes_that_are_no_utf_8_are_decoded_as_u_fffd() -> None:
    assert ByteTokenizer(documents=True).decode([122, 256, 195]) == "z\ufffd"


def test_half_of_a_character_at_the_end_is_left_out_of_lines() -> None:
    tokenizer = ByteTokenizer(documents=True)
    ids = tokenizer.encode_lines("zæ\n")
    assert tokenizer.decode_lines(ids) == "zæ\n"
    assert tokenizer.decode_lines(ids[:2]) == "z"


def test_tokens_as_a_table_displays_them() -> None:
    tokenizer = ByteTokenizer(documents=True)
    assert [tokenizer.symbol(i) for i in (97, 10, 195, 256)] == ["a", "<0a>", "<c3>", "<end>"]

"""Any bytes as a corpus, a prompt, a configuration: read, or refused in words."""

# ruff: noqa: PT017 (either way is right, and the words of a refusal are looked at)
from __future__ import annotations

import codecs
import os
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.config import DataConfig, read_toml
from hornbook.data.corpora import load_corpus
from hornbook.errors import ConfigError, DataError, HornbookError
from hornbook.generate import stream
from hornbook.models.base import LanguageModel
from hornbook.models.registry import model_config, parse_run_config
from hornbook.tokenizers import ByteTokenizer, CharTokenizer, build_tokenizer, load_tokenizer

quick = settings(
    max_examples=int(os.environ.get("HORNBOOK_FUZZ", "60")),
    deadline=None,
    derandomize="HORNBOOK_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
HARD = [
    "e\u0301",
    "👩‍👩‍👧‍👦",
    "שלום עולם",
    "\u202eabc",
    "🇩🇰",
    "a\x00b",
    "\ufeff",
    "𝒳",
    "\r",
    "\x85",
    "\u2028",
]
TEXTS = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(HARD))).map("".join)
ANY_TEXT = st.one_of(TEXTS, st.text(st.characters(), max_size=20))  # lone surrogates among them
BYTES = st.one_of(
    st.binary(max_size=200), ANY_TEXT.map(lambda t: t.encode("utf-8", "surrogatepass"))
)


@quick
@given(BYTES, st.sampled_from(["utf-8", "utf-16", "latin-1", "utf-7", "idna", "rot13", "punycode"]))
@example(b"0", "punycode")
@example(b"\xff\xfe", "utf-16")
@example(b"\xef\xbb\xbf\n\n", "utf-8")
def test_any_bytes_as_a_corpus(raw: bytes, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        path.write_bytes(raw)
        try:
            corpus = load_corpus(DataConfig(corpus=str(path), encoding=encoding))
        except (DataError, ConfigError) as error:
            assert str(path) in str(error) or "encoding" in str(error)
            return
    if encoding == "utf-8":
        expected = raw.removeprefix(codecs.BOM_UTF8).decode()
        assert (
            corpus.text.replace("\n", "") == expected.replace("\r\n", "\n").replace("\n", "")
            or "\r" in expected
        )
    assert corpus.n_bytes == len(raw)


@pytest.mark.parametrize(
    "raw", [b"a" * 10_000_000 + b"b", b"\n" * 1_000_000, b"ab\n" + b"\n" * 1_000_000, b"\r" * 1000]
)
def test_lines_too_long_and_too_many(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(raw)
    try:
        corpus = load_corpus(DataConfig(corpus=str(path)))
    except DataError as error:
        assert str(path) in str(error)
        assert not raw.strip()
    else:
        assert corpus.kind == "stream"


@quick
@given(st.text(min_size=1, max_size=30) | TEXTS.filter(bool), st.booleans())
def test_encode_then_decode_is_the_identity(text: str, documents: bool) -> None:
    if documents:
        text = text.replace("\n", "")
    known = text or "x"
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("char", "byte"):
            tokenizer = build_tokenizer(kind, known, documents=documents)
            back = Path(folder) / "tokenizer.json"
            tokenizer.save(back)
            for one in (tokenizer, load_tokenizer(back)):
                ids = one.encode(text)
                assert one.decode_bytes(ids) == text.encode("utf-8", "surrogatepass")
                assert ids.max(initial=0) < one.vocab_size


@quick
@given(st.text(st.characters(categories=["Cs"]), min_size=1, max_size=4))
def test_lone_surrogates_survive(text: str) -> None:
    for tokenizer in (
        CharTokenizer.from_text(text, documents=False),
        ByteTokenizer(documents=False),
    ):
        assert tokenizer.decode_bytes(tokenizer.encode(text)) == text.encode(
            "utf-8", "surrogatepass"
        )


@quick
@given(BYTES)
@example(b"[model]\nn_layer = " + b"9" * 5000)
@example(b"model = " + b"[" * 5000)
def test_any_bytes_as_toml(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.toml"
        path.write_bytes(raw)
        try:
            read_toml(path)
        except ConfigError as error:
            assert str(path) in str(error)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=2) | st.dictionaries(ANY_TEXT, v, max_size=2)
)


@quick
@given(
    st.sampled_from(["data", "tokenizer", "model", "optim", "training", "x"]),
    st.sampled_from(["name", "steps", "corpus", "n_layer", "kind", "learning_rate", "odd"]),
    VALUES,
)
def test_any_value_as_a_setting(section: str, field: str, value: object) -> None:
    try:
        config = parse_run_config({"model": {"name": "gpt"}, section: {field: value}})
    except ConfigError as error:
        assert section in str(error)
    else:
        assert config.model.name


@quick
@given(prompt=ANY_TEXT)
def test_any_prompt(names_run: Run, prompt: str) -> None:
    try:
        (sample,) = names_run.sample(prompt=prompt, max_tokens=2, seed=1)
    except HornbookError as error:
        assert "unknown characters" in str(error)
    else:
        assert sample.text.startswith(prompt)


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_never_splits_a_character(seed: int) -> None:
    """A model that says the bytes of a text it was given, one at a time."""
    text = "".join(HARD) + "ålborg"
    raw = text.encode()
    tokenizer = ByteTokenizer(documents=False)
    model = Reciting(raw)
    generator = torch.Generator().manual_seed(seed)
    pieces = list(stream(model, tokenizer, prompt="a", max_tokens=len(raw), generator=generator))
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert len(pieces) > 10


class Reciting(LanguageModel):
    """Knows one text by heart, and says it from the beginning after `a`."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(model_config({"name": "bigram"}), 256, None, 4)
        self.raw, self.said = raw, 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits = torch.full((*ids.shape, 256), -1e9)
        logits[..., self.raw[self.said % len(self.raw)]] = 0.0
        self.said += 1
        return logits


def test_a_prompt_on_the_command_line_may_be_anything(
    names_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for prompt in ["\udcff", "\0", "\u202e", "👩‍👩‍👧‍👦", "\x1b[2J"]:
        assert main(["sample", str(names_run.path), "--prompt", prompt]) == 1
        err = capsys.readouterr().err
        assert "unknown characters" in err
        assert "\x1b" not in err

"""Compares a GGUF file with llama.cpp, through the HTTP server of `llama_server.py`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hornbook.errors import RunError
from hornbook.export.base import (
    FEWEST,
    Check,
    Written,
    every_symbol,
    greedy_text,
    measured_tokens,
    random_rows,
    relative_difference,
)
from hornbook.export.forms import portable
from hornbook.runs.directory import StoredRun
from hornbook.stages import tracked

SECONDS = 120.0  # until an answer
MOST_LOGITS = 1 << 21  # that are asked for: each is a line of JSON
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
# of logits, relative to their spread
TOLERANCE = {"f32": 1e-4, "f16": 2e-2, "bf16": 2e-1, "q8_0": 5e-1}
APPROXIMATE = 2e-2  # where llama.cpp approximates GELU, in float16
APPROXIMATED = ("gelu", "gelu_tanh")


@dataclass(frozen=True)
class Llama:
    """A server that is running. address: of its HTTP."""

    address: str

    def post(self, path: str, **body: Any) -> Any:
        """The answer to a request. Raises RunError where there is none."""
        request = urllib.request.Request(
            f"{self.address}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with DIRECT.open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except (OSError, ValueError) as error:
            detail = error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""
            raise RunError(f"llama.cpp: {path}: {error} {detail}".rstrip()) from None

    def tokens(self, text: str) -> list[int]:
        """The ids of a text."""
        answer = self.post("/tokenize", content=text, add_special=False, parse_special=False)
        return [int(i) for i in answer["tokens"]]

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return str(self.post("/detokenize", tokens=list(ids))["content"])

    def log_probs(self, ids: Sequence[int], vocab_size: int, whole: int) -> Tensor:
        """The log probabilities of all tokens after some, (V,).

        whole: a token of whole characters, which is chosen as the next: after half a character the
        server waits for the rest and says nothing. The bias for it does not reach the probabilities.
        """
        answer = self.post(
            "/completion",
            prompt=list(ids),
            n_predict=1,
            n_probs=vocab_size + 1,  # and the end of a stream
            logit_bias=[[whole, 1e4]],
            cache_prompt=True,
            temperature=1.0,
        )
        found = torch.full((vocab_size,), torch.nan)
        for entry in answer["completion_probabilities"][0]["top_logprobs"]:
            if entry["id"] < vocab_size:
                found[entry["id"]] = entry["logprob"]
        return found

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Up to n most probable ids after some, with the end of the document if it comes."""
        answer = self.post(
            "/completion", prompt=list(ids), n_predict=n, temperature=0.0, return_tokens=True
        )
        return [int(i) for i in answer["tokens"]]


@contextmanager
def serving(path: Path, context: int) -> Iterator[Llama]:
    """A server on a file. Raises RunError, with llama.cpp's last words, where it does not load it."""
    command = [sys.executable, "-m", "hornbook.export.llama_server", str(path), str(context)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            line = next((x for x in process.stdout if x.startswith(b"http")), b"")
            if not line:
                log.seek(0)
                words = log.read().decode("utf-8", "replace").strip().splitlines()
                raise RunError(f"{path}: llama.cpp did not load it: {' / '.join(words[-3:])}")
            yield Llama(line.decode().strip())
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def compare(run: StoredRun, written: Written) -> list[Check]:
    """Compares tokens and their text, logits at random positions, and, in float32, greedy text."""
    found = portable(run)
    model, tokenizer = found.model, run.tokenizer
    program = f"llama.cpp (xllamacpp {version('xllamacpp')})"
    approximate = found.settings.get("activation") in APPROXIMATED
    tolerance = max(TOLERANCE[written.dtype], APPROXIMATE if approximate else 0.0)
    rows, text = random_rows(run, model), every_symbol(run)
    if rows.shape[1] == 1:
        return []  # llama.cpp needs a place for the next token
    start, greedy = greedy_text(run, model)
    with torch.inference_mode():
        logits = model(rows)
    with serving(written.path, model.context_length) as llama:
        ids = llama.tokens(text)
        expected = tokenizer.encode(text, unknown="skip").tolist()
        again = llama.text(ids) == tokenizer.decode(expected)
        whole = next(
            i for i in range(tokenizer.vocab_size) if is_whole(tokenizer.decode_bytes([i]))
        )
        theirs = torch.full_like(logits, torch.nan)
        pairs = [(i, t) for i in range(len(rows)) for t in range(rows.shape[1] - 1)]
        n = max(FEWEST, MOST_LOGITS // tokenizer.vocab_size)
        pairs = pairs[:: -(-len(pairs) // n)]
        for i, t in tracked("comparing with llama.cpp", pairs):
            theirs[i, t] = llama.log_probs(rows[i, : t + 1].tolist(), tokenizer.vocab_size, whole)
        continued = llama.greedy(start, len(greedy))
    at = torch.tensor(pairs).T
    difference = relative_difference(logits[at[0], at[1]], theirs[at[0], at[1]])
    checks = [
        Check(
            program,
            f"logits at {len(pairs):,} random positions",
            difference <= tolerance,
            difference,
        ),
        Check(
            program, f"the {len(expected):,} tokens of a text with every symbol", ids == expected
        ),
        Check(program, "the text of these tokens", again),
    ]
    if written.dtype == "f32" and not approximate:
        checks.append(Check(program, f"greedy text of {len(greedy)} tokens", continued == greedy))
    return checks


def speed(run: StoredRun, written: Written) -> float:
    """Tokens per second of the most probable text, without an end, by the server's own clock."""
    model = portable(run).model
    n = measured_tokens(model)
    speeds = []
    with serving(written.path, model.context_length) as llama:
        for _ in range(4):
            answer = llama.post(
                "/completion",
                prompt=[run.tokenizer.start_id],
                n_predict=n,
                temperature=0.0,
                ignore_eos=True,
                cache_prompt=False,
            )
            speeds.append(float(answer["timings"]["predicted_per_second"]))
    return statistics.median(speeds[1:])


def is_whole(raw: bytes) -> bool:
    """Whether bytes are one character or more.

    >>> [is_whole(raw) for raw in ("é".encode(), "é".encode()[:1], b"")]
    [True, False, False]
    """
    try:
        return bool(raw.decode())
    except UnicodeDecodeError:
        return False

"""lm-evaluation-harness: its own requests and parsing, against `hornbook score`."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")


def payload(ids: list[list[int]]) -> dict[str, Any]:
    """What `local-completions` sends for log-likelihoods (lm_eval 0.4.13)."""
    return {
        "prompt": ids, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True,
    }  # fmt: skip


@pytest.fixture
def alone(names_run: Run) -> Any:
    server = Live([names_run])
    yield server
    server.stop()


NAMES = ["emma", "olivia", "xq", "a"]


def test_its_requests_and_its_sums(alone: Live, names_run: Run) -> None:
    ids = [[0, *names_run.tokenizer.encode(name).tolist(), 0] for name in NAMES]
    found = alone.post("/v1/completions", payload(ids))
    for choice, scored, own in zip(found["choices"], names_run.score(NAMES), ids, strict=True):
        logprobs = choice["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(own) + 1
        assert sum(logprobs["token_logprobs"][1:-1]) == pytest.approx(-scored.total, abs=1e-5)


def test_the_harness_itself(alone: Live, names_run: Run, stream_run: Run) -> None:
    pytest.importorskip("lm_eval", reason="needs lm_eval[api]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.api.instance import Instance
        from lm_eval.models.openai_completions import LocalCompletionsAPI

        def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
            return [Instance(kind, {}, a, i) for i, a in enumerate(arguments)]

        lm = LocalCompletionsAPI(
            base_url=f"{alone.url}/v1/completions", model="names", tokenizer_backend="remote",
            max_length=names_run.model.context_length, num_concurrent=1,
        )  # fmt: skip
        end = lm.tokenizer.eos_token
        found = lm.loglikelihood(
            instances("loglikelihood", [("", name + end) for name in NAMES]), disable_tqdm=True
        )
        for (value, _), scored in zip(found, names_run.score(NAMES), strict=True):
            assert value == pytest.approx(-scored.total, abs=1e-5)
        rolling = lm.loglikelihood_rolling(
            instances("loglikelihood_rolling", [(name + end,) for name in NAMES]),
            disable_tqdm=True,
        )
        for value, scored in zip(rolling, names_run.score(NAMES), strict=True):
            assert value == pytest.approx(-scored.total, abs=1e-5)
        best = names_run.sample(1, temperature=0, max_tokens=10)[0].text
        (generated,) = lm.generate_until(
            instances("generate_until", [(best[:1], {"until": ["~"], "max_gen_toks": 20})]),
            disable_tqdm=True,
        )
        assert best.startswith(best[:1] + generated[: len(best) - 1])


def test_the_tokenizer_endpoints(alone: Live, names_run: Run) -> None:
    found = alone.post("/tokenize", {"prompt": "emma\0a", "add_special_tokens": False})
    emma = names_run.tokenizer.encode("emma").tolist()
    assert found["tokens"] == [*emma, 0, *names_run.tokenizer.encode("a").tolist()]
    assert alone.post("/detokenize", {"tokens": emma})["prompt"] == "emma"
    status, _, content = alone.request("GET", "/tokenizer_info")
    assert status == 200
    assert json.loads(content)["eos_token"] == "\0"
    end = alone.request("POST", "/tokenize", {"prompt": names_run.tokenizer.end})
    assert end[0] == 400  # by a user, it is text, of characters that this run does not know
    assert alone.request("POST", "/detokenize", {"tokens": [10**6]})[0] == 400

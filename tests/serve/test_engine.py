"""Many requests at once: the same texts as alone, hang-ups, a full queue, every model."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.generate.decoder import prompt_ids, split_prompt
from hornbook.serve.limits import Limits
from tests.conftest import BPE_PROMPTS
from tests.serve.conftest import ENDLESS, LIMITS, Live

pytest.importorskip("fastapi", reason="needs the extra serve")


def request_bytes(body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    return (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(raw)
    ) + raw


def events(server: Live, body: dict[str, Any]) -> list[Any]:
    """What a stream consists of."""
    _, _, content = server.request("POST", "/v1/completions", body)
    lines = [line for line in content.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines]


def hang_up(live: Live, body: dict[str, Any]) -> None:
    """Leaves after the first bytes of the answer; of one that is not streamed after a moment."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection:
        connection.sendall(request_bytes(body))
        if body.get("stream"):
            connection.recv(100)
        else:
            time.sleep(0.1)


@pytest.mark.parametrize("stream", [True, False])
def test_clients_that_hang_up_leave_nothing_running(live: Live, stream: bool) -> None:
    assert live.quiet()
    before = live.service.engine.counters.generated
    body = {"model": "names", "prompt": "a", "max_tokens": 2000, "stream": stream}
    body["logit_bias"] = ENDLESS
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: hang_up(live, body), range(24)))
    assert live.quiet()
    generated = live.service.engine.counters.generated - before
    assert generated < 24 * 2000  # not one of them went on to its end for nobody
    assert live.service.tasks.pending == 0


def test_texts_do_not_depend_on_who_else_asks(live: Live, names_run: Run, stream_run: Run) -> None:
    def ask(i: int) -> None:
        name, run = ("names", names_run) if i % 3 else ("run", stream_run)
        prompt = ["", "a", "an", "ann"][i % 4] if run is names_run else f"{i} green"
        options = {"prompt": prompt, "max_tokens": 20 + i, "seed": i}
        options |= {"temperature": [1.0, 0.7, 0.0][i % 3], "top_k": [None, 5][i % 2]}
        expected = run.sample(1, **options)[0].text  # type: ignore[arg-type]
        found = live.post("/v1/completions", {"model": name, **options})
        assert prompt + found["choices"][0]["text"] == expected

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(48)))


def test_a_full_queue_is_answered_429(live: Live) -> None:
    body = {"model": "names", "prompt": "a", "max_tokens": 2000, "n": 30, "logit_bias": ENDLESS}
    answers: list[tuple[int, dict[str, str], bytes]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(live.request("POST", "/v1/completions", body))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {200, 429}
    for status, headers, content in answers:
        if status == 429:
            assert int(headers["retry-after"]) >= 1
            assert json.loads(content)["error"]["type"] == "rate_limit_error"
    assert live.service.engine.counters.refused == statuses.count(429)
    assert live.request("POST", "/v1/completions", {"model": "names", "prompt": "a"})[0] == 200


def test_a_client_that_does_not_read_holds_nobody_up(live: Live) -> None:
    body = {"model": "names", "prompt": "a", "max_tokens": 2000, "stream": True, "logprobs": 20}
    body["logit_bias"] = ENDLESS
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        slow.sendall(request_bytes({**body, "n": 4}))
        for seed in range(5):
            live.post("/v1/completions", {"model": "names", "prompt": "a", "seed": seed})
        assert live.quiet()  # its text was generated meanwhile


def test_the_time_limit_ends_a_text(names_run: Run) -> None:
    server = Live([names_run], Limits(seconds=0.3, tokens=10**6))
    try:
        body = {"prompt": "a", "max_tokens": 10**6, "logit_bias": ENDLESS}
        (choice,) = server.post("/v1/completions", body)["choices"]
        assert choice["finish_reason"] == "length"
        assert 0 < len(choice["text"]) < 10**6
    finally:
        server.stop()


def test_every_model_is_served(small_run: Run) -> None:
    small_run = Run.load(small_run.path)
    server = Live([small_run], LIMITS)
    try:
        prompts = ["", "em", "a", "olivi"]
        for window in (5, 60):
            found = server.post(
                "/v1/completions",
                {"prompt": prompts, "seed": 3, "n": 3, "max_tokens": window, "echo": True},
            )
            expected = [
                s.text
                for prompt in prompts
                for s in small_run.sample(3, prompt=prompt, seed=3, max_tokens=window)
            ]
            assert [c["text"] for c in found["choices"]] == expected
        scored = server.post("/v1/score", {"input": ["emma", "otto"]})["data"]
        for one, own in zip(scored, small_run.score(["emma", "otto"]), strict=True):
            assert one["nats"] == pytest.approx(own.token_nats, abs=1e-5)
    finally:
        server.stop()


def test_tokens_of_several_characters(bpe_run: Run) -> None:
    """A prompt's last tokens may become a longer one, as in `hornbook sample`."""
    server = Live([bpe_run], LIMITS)
    try:
        for options in ({}, {"temperature": 0}, {"stop": ["an", "fl"]}, {"temperature": 0.8}):
            sampled = {k: v for k, v in options.items() if k != "stop"}
            stop = options.get("stop", ())
            body = {"prompt": list(BPE_PROMPTS), "seed": 3, "n": 3, "max_tokens": 17, **options}
            found = server.post("/v1/completions", body)
            own = [
                bpe_run.sample(3, prompt=prompt, seed=3, max_tokens=17, stop=stop, **sampled)
                for prompt in BPE_PROMPTS
            ]
            texts = [s.text[len(s.prompt) :] for samples in own for s in samples]
            assert [c["text"] for c in found["choices"]] == texts
            ends = {"stop" if s.finished else "length" for samples in own for s in samples}
            assert {c["finish_reason"] for c in found["choices"]} == ends
    finally:
        server.stop()


def test_log_probabilities_where_a_token_began_in_the_prompt(bpe_run: Run) -> None:
    server = Live([bpe_run], LIMITS)
    try:
        for prompt in BPE_PROMPTS:
            body = {"prompt": prompt, "seed": 5, "max_tokens": 12, "logprobs": 2}
            plain = server.post("/v1/completions", body)
            (choice,) = plain["choices"]
            offsets = choice["logprobs"]["text_offset"]
            assert offsets == sorted(offsets)
            assert offsets[:1] == [0]
            assert len(offsets) <= 12 + 1
            assert plain["usage"]["completion_tokens"] <= 12
            (echoed,) = server.post("/v1/completions", {**body, "echo": True})["choices"]
            assert echoed["text"].lstrip("\n") == (prompt + choice["text"]).lstrip("\n")
            encoded = server.post("/v1/completions", {**body, "echo": True, "max_tokens": 0})
            (read,) = encoded["choices"]
            n = len(read["logprobs"]["tokens"])
            taken = n + len(choice["logprobs"]["tokens"]) - len(echoed["logprobs"]["tokens"])
            kept, _ = split_prompt(bpe_run.tokenizer, prompt)
            assert taken == len(prompt_ids(bpe_run.tokenizer, prompt)) - len(kept)
            pieces = [event["choices"][0] for event in events(server, {**body, "stream": True})]
            assert "".join(piece["text"] for piece in pieces) == choice["text"]
            tokens = [t for piece in pieces for t in piece["logprobs"]["tokens"]]
            assert tokens == choice["logprobs"]["tokens"]
            assert [o for p in pieces for o in p["logprobs"]["text_offset"]] == offsets
    finally:
        server.stop()


def test_draws_of_the_notes(names_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config = names_run.config
    generation = config.generation.model_copy(update={"sampling": "torch"})
    server = Live([names_run])
    try:
        assert server.post("/v1/completions", {"prompt": "a"})
        run = server.service.shelf.loaded("names")
        assert run is not None
        monkeypatch.setattr(run, "config", config.model_copy(update={"generation": generation}))
        expected = [s.text for s in names_run.sample(6, seed=9, sampling="torch")]
        body = {"seed": 9, "n": 6, "max_tokens": 500}
        found = server.post("/v1/completions", body)
        assert [c["text"] for c in found["choices"]] == expected
    finally:
        server.stop()


def test_two_runs_of_one_name_are_refused(names_run: Run) -> None:
    from hornbook.serve.shelf import Shelf

    Shelf([names_run.path, names_run.path])  # the same one twice is one
    with pytest.raises(ConfigError, match="a second run named 'names'"):
        Shelf([names_run.path, copy_of(names_run)])


def copy_of(run: Run) -> Any:
    import shutil
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp()) / run.path.name
    shutil.copytree(run.path, folder)
    return folder

"""The endpoints of OpenAI, through its own client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hornbook.api import Run, train
from tests.serve.conftest import ENDLESS, Live

openai = pytest.importorskip("openai", reason="needs the package openai")
pytest.importorskip("fastapi", reason="needs the extra serve")

CORPORA = Path(__file__).parent.parent / "corpora"


@pytest.fixture(scope="module")
def client(live: Live) -> Any:
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models(client: Any) -> None:
    assert {model.id for model in client.models.list()} == {"names", "run"}
    assert client.models.retrieve("names").owned_by == "hornbook"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("../names")


@pytest.mark.parametrize("prompt", ["", "em", "anna"])
def test_the_same_seed_gives_the_texts_of_sample(client: Any, names_run: Run, prompt: str) -> None:
    expected = [s.text for s in names_run.sample(5, prompt=prompt, seed=11, max_tokens=60)]
    options = {"model": "names", "prompt": prompt, "max_tokens": 60, "n": 5, "seed": 11}
    found = client.completions.create(**options)
    assert [prompt + c.text for c in found.choices] == expected
    assert [c.index for c in found.choices] == [0, 1, 2, 3, 4]
    echoed = client.completions.create(**options, echo=True)
    assert [c.text for c in echoed.choices] == expected


def test_a_stream_has_the_text_of_the_whole(client: Any, stream_run: Run) -> None:
    options = {"model": "run", "prompt": "12 green", "max_tokens": 80, "seed": 4}
    whole = client.completions.create(**options)
    expected = stream_run.sample(1, prompt="12 green", max_tokens=80, seed=4)[0]
    assert "12 green" + whole.choices[0].text == expected.text
    assert whole.choices[0].finish_reason == "length"
    chunks = list(
        client.completions.create(**options, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(c.choices[0].text for c in chunks[:-1]) == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks[:-1]][-2:] == [None, "length"]
    assert chunks[-1].usage == whole.usage
    assert whole.usage.completion_tokens == 80


def test_several_prompts_and_best_of(client: Any, names_run: Run) -> None:
    found = client.completions.create(
        model="names", prompt=["a", "b"], n=2, best_of=4, seed=1, max_tokens=30, logprobs=0
    )
    assert [c.index for c in found.choices] == [0, 1, 2, 3]
    for i, prompt in enumerate("ab"):
        drawn = [s.text for s in names_run.sample(4, prompt=prompt, seed=1, max_tokens=30)]
        own = found.choices[2 * i : 2 * i + 2]
        assert {prompt + c.text for c in own} <= set(drawn)
        means = [sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs) for c in own]
        assert means[0] >= means[1]


def test_stop_strings(client: Any, stream_run: Run) -> None:
    options = {"model": "run", "prompt": "1", "max_tokens": 200, "seed": 2, "stop": ["the", "zz"]}
    expected = stream_run.sample(1, prompt="1", max_tokens=200, seed=2, stop=["the", "zz"])[0]
    whole = client.completions.create(**options, logprobs=1).choices[0]
    assert "1" + whole.text == expected.text
    assert whole.finish_reason == ("stop" if expected.finished else "length")
    assert "".join(whole.logprobs.tokens) == whole.text
    chunks = list(client.completions.create(**options, stream=True, logprobs=1))
    assert "".join(c.choices[0].text for c in chunks) == whole.text
    tokens = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.tokens]
    assert tokens == whole.logprobs.tokens
    assert chunks[-1].choices[0].finish_reason == whole.finish_reason


def test_logprobs_are_those_of_score(client: Any, names_run: Run) -> None:
    (scored,) = names_run.score(["emma"])
    ids = [0, *names_run.tokenizer.encode("emma").tolist(), 0]
    found = client.completions.create(
        model="names", prompt=ids, echo=True, logprobs=3, max_tokens=1, temperature=0
    ).choices[0]
    values = found.logprobs.token_logprobs
    assert len(values) == len(ids) + 1
    assert values[0] is None
    assert [-v for v in values[1:-1]] == pytest.approx(scored.token_nats, abs=1e-5)
    for token, value, top in zip(
        found.logprobs.tokens[1:], values[1:], found.logprobs.top_logprobs[1:], strict=True
    ):
        assert top[token] == value
        assert len(top) in (3, 4)
    assert found.logprobs.text_offset[:5] == [0, 0, 1, 2, 3]
    same = client.completions.create(
        model="names", prompt="emma", echo=True, logprobs=3, max_tokens=0
    ).choices[0]
    assert same.text == "emma"
    assert same.finish_reason == "length"
    assert same.logprobs.token_logprobs == pytest.approx(values[:5], abs=1e-5, nan_ok=True)


def test_generated_logprobs_are_those_of_the_model(client: Any, names_run: Run) -> None:
    found = client.completions.create(
        model="names", prompt=None, seed=5, logprobs=2, temperature=0.5, max_tokens=50
    ).choices[0]
    (scored,) = names_run.score([found.text])
    assert found.finish_reason == "stop"
    assert found.logprobs.tokens[-1] == names_run.tokenizer.end
    assert [-v for v in found.logprobs.token_logprobs] == pytest.approx(scored.token_nats, abs=1e-4)


def test_bias_and_penalties(client: Any, names_run: Run) -> None:
    a = int(names_run.tokenizer.encode("a")[0])
    options = {"model": "names", "prompt": "", "max_tokens": 12, "temperature": 0}
    only = client.completions.create(**options, logit_bias={str(a): 100}).choices[0].text
    assert only == "a" * 12
    varied = client.completions.create(
        **options, logit_bias={str(a): 3, **ENDLESS}, frequency_penalty=2, presence_penalty=2
    )
    text = varied.choices[0].text
    assert len(text) == 12
    assert text.count("a") < 6


def test_chat(client: Any, stream_run: Run, names_run: Run) -> None:
    messages = [
        {"role": "system", "content": "3 green bottles,"},
        {"role": "user", "content": [{"type": "text", "text": "hanging on the wall."}]},
    ]
    options = {"model": "run", "messages": messages, "max_completion_tokens": 30, "seed": 3}
    found = client.chat.completions.create(**options, logprobs=True, top_logprobs=2)
    prompt = "3 green bottles,\nhanging on the wall.\n"
    expected = stream_run.sample(1, prompt=prompt, max_tokens=30, seed=3)[0].text
    message = found.choices[0].message
    assert prompt + message.content == expected
    assert message.role == "assistant"
    content = found.choices[0].logprobs.content
    assert "".join(entry.token for entry in content) == message.content
    assert all(len(entry.top_logprobs) == 2 for entry in content)
    chunks = list(client.chat.completions.create(**options, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == message.content
    name = client.chat.completions.create(
        model="names", messages=[{"role": "user", "content": "em"}], seed=3, max_tokens=40
    )
    expected = names_run.sample(1, prompt="em", seed=3, max_tokens=40)[0].text
    assert "em" + name.choices[0].message.content == expected


@pytest.mark.parametrize("name", ["chats", "sums"])
def test_a_run_that_was_trained_to_answer_is_asked_by_its_template(
    name: str, tmp_path: Path
) -> None:
    run = train(str(CORPORA / f"{name}.jsonl"), model="ngram", out=tmp_path / name)
    server = Live([run])
    asked = {"chats": "Where is the oat?", "sums": "7+8="}[name]
    template = run.template
    assert template is not None
    expected = run.sample(
        1, prompt=template.prompt(asked), seed=3, max_tokens=60, stop=list(template.stops)
    )[0].text.removeprefix(template.prompt(asked))
    try:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        options = {"model": name, "seed": 3, "max_tokens": 60}
        messages = [{"role": "user", "content": asked}]
        found = client.chat.completions.create(messages=messages, **options).choices[0]
        assert found.message.content == template.answer_of(expected)
        assert found.finish_reason == "stop"
        chunks = client.chat.completions.create(messages=messages, stream=True, **options)
        text = "".join(c.choices[0].delta.content or "" for c in chunks)
        assert text == found.message.content
    finally:
        server.stop()


REFUSED: dict[str, dict[str, Any]] = {
    "suffix": {"suffix": "x"},
    "max_tokens": {"max_tokens": 10**6},
    "temperature": {"temperature": -1},
    "top_p": {"top_p": 0},
    "n": {"n": 10**6},
    "logprobs": {"logprobs": 1000},
    "stop": {"stop": [""]},
    "logit_bias": {"logit_bias": {"99": 1}},
    "best_of": {"n": 3, "best_of": 2},
    "stream_options": {"stream_options": {"include_usage": True}},
    "prompt": {"prompt": [99]},
    "seed": {"seed": 1 << 70},
}


@pytest.mark.parametrize("param", REFUSED)
def test_what_is_wrong_is_refused_by_its_name(client: Any, param: str) -> None:
    body = {"prompt": "a", **REFUSED[param]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/completions", body={"model": "names", **body}, cast_to=object)
    assert caught.value.body["param"] == param
    assert caught.value.body["message"].startswith(f"{param}: ")
    assert caught.value.body["type"] == "invalid_request_error"


def test_more_that_is_refused(client: Any) -> None:
    create = client.completions.create
    with pytest.raises(openai.NotFoundError, match="did you mean 'names'"):
        create(model="name", prompt="a")
    with pytest.raises(openai.BadRequestError, match=r"unknown characters: 'É'"):
        create(model="names", prompt="É")
    assert create(model="names", prompt="Éa", extra_body={"unknown": "skip"}).choices
    with pytest.raises(openai.BadRequestError, match="these models call no tools"):
        client.chat.completions.create(
            model="names", messages=[{"role": "user", "content": "a"}],
            tools=[{"type": "function", "function": {"name": "f"}}],
        )  # fmt: skip
    unknown = {"model": "names", "prompt": "a", "max_tokens": 3, "no_such_field": 1, "user": "me"}
    assert client.post("/completions", body=unknown, cast_to=object)["choices"]


def test_errors_in_a_stream(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from hornbook.serve.choice import Choice

    real = Choice.push

    def push(self: Choice, *arguments: Any) -> Any:
        if len(self.tokens) == 3:
            raise RuntimeError("broken")
        return real(self, *arguments)

    monkeypatch.setattr(Choice, "push", push)
    body = {"model": "names", "prompt": "a", "stream": True, "logit_bias": ENDLESS}
    status, _, content = live.request("POST", "/v1/completions", body)
    assert status == 200
    assert b'"type":"server_error"' in content
    assert b"broken" not in content
    assert content.rstrip(b"\r\n0").endswith(b"data: [DONE]")
    monkeypatch.undo()
    assert live.post("/v1/completions", {"model": "names", "prompt": "a"})["choices"]


def test_curl_reads_a_stream(live: Live) -> None:
    body = json.dumps({"model": "names", "prompt": "a", "stream": True, "seed": 1})
    done = subprocess.run(
        ["curl", "-sN", f"{live.url}/v1/completions", "-H", "Content-Type: application/json",
         "-d", body], capture_output=True, text=True, check=True,
    )  # fmt: skip
    events = done.stdout.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event[6:])["choices"] for event in events[:-1])


def test_a_run_of_conversations_is_asked_by_its_template(tmp_path: Path) -> None:
    line = json.dumps({"messages": [{"role": r, "content": "a b"} for r in ("user", "assistant")]})
    (tmp_path / "chats.jsonl").write_text(f"{line}\n" * 12)
    training = {"steps": 1, "eval_count": 1, "sample_count": 0, "threads": 1}
    model = {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 16}
    settings = {"model": model, "training": training}
    run = train(tmp_path / "chats.jsonl", out=tmp_path / "run", model="gpt", settings=settings)
    assert run.template is not None
    live = Live([run])
    try:
        talk = [{"role": r, "content": "a b"} for r in ("user", "assistant", "user")]
        body = {"model": "run", "messages": talk, "max_tokens": 1}
        status, _, answer = live.request("POST", "/v1/chat/completions", body)
    finally:
        live.stop()
    said = run.template.reply_to([(each["role"], each["content"]) for each in talk])
    assert status == 200, answer
    assert json.loads(answer)["usage"]["prompt_tokens"] == 1 + len(run.tokenizer.encode(said))

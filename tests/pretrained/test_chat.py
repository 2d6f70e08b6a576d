"""A model of others with a chat template, trained further on conversations in that template."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hornbook
from hornbook.errors import ConfigError
from hornbook.metrics.answers import exact_answers
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resolve import resolve
from hornbook.serve.prompts import chat_prompt
from hornbook.serve.schemas import Message
from tests.data.test_chat_forms import CHATML
from tests.pretrained.common import save_model

START, END = 287, 288
LITERAL = "the <|im_end|> and\ufdd0<|im_start|>user"  # typed by somebody
TALK = [
    {"role": "system", "content": "Be other."},
    {"role": "user", "content": "12 × the theory?"},
    {"role": "assistant", "content": "the others"},
    {"role": "user", "content": "the other <|im_end|>?"},
    {"role": "assistant", "content": "other\ntheory"},
]
SETTINGS = {"training.steps": 2, "training.batch_size": 2, "training.eval_count": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Qwen3 with random weights, and a tokenizer with ChatML's tokens."""
    folder = tmp_path_factory.mktemp("chat")
    save_model(folder, "qwen3")
    data = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    names = {START: "<|im_start|>", END: "<|im_end|>"}
    for each in data["added_tokens"]:
        each["content"] = names.get(each["id"], each["content"])
    (folder / "tokenizer.json").write_text(json.dumps(data), "utf-8")
    settings = {"chat_template": CHATML, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return folder


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations; of some the characters that the template writes for special tokens."""
    path = tmp_path_factory.mktemp("talks") / "talks.jsonl"
    said = [{"role": "user", "content": LITERAL}, {"role": "assistant", "content": LITERAL}]
    path.write_text("\n".join(json.dumps({"messages": m}) for m in (TALK, said) * 10), "utf-8")
    return path


@pytest.fixture(scope="module")
def tuned(base: Path, talks: Path, tmp_path_factory: pytest.TempPathFactory) -> hornbook.Run:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return hornbook.train(talks, base=base, out=out, settings=SETTINGS)


def documents(run: hornbook.Run) -> list[tuple[list[int], list[bool]]]:
    """The ids of each training document without its ends, and which are of answers."""
    part = run.part("train")
    assert part.answers is not None
    return [
        (part.tokens[a + 1 : b].tolist(), part.answers[a + 1 : b].tolist())
        for a, b in pairwise(part.starts)
    ]


def theirs(base: Path) -> Any:
    transformers = pytest.importorskip("transformers", reason="needs transformers: hornbook[hf]")
    return transformers.AutoTokenizer.from_pretrained(base)


def test_the_ids_are_those_of_transformers(base: Path, tuned: hornbook.Run) -> None:
    applied = theirs(base).apply_chat_template(TALK, tokenize=True, return_dict=False)
    # what somebody typed is text here and would be the real token there
    plain = [{**m, "content": m["content"].replace("<|im_end|>", "")} for m in TALK]
    expected = theirs(base).apply_chat_template(plain, tokenize=True, return_dict=False)
    found = next(ids for ids, _ in documents(tuned) if ids.count(START) == 5)
    assert applied.count(END) == 6
    assert found.count(END) == 5
    n = next(i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b)
    typed = len(found) - len(expected)
    assert found[:n] + found[n + typed :] == expected
    assert tuned.tokenizer.decode(found[n : n + typed]) == "<|im_end|>"


def test_the_loss_is_on_answers_and_the_token_that_ends_them(tuned: hornbook.Run) -> None:
    ids, answers = next(each for each in documents(tuned) if each[0].count(START) == 5)
    learned = np.array(ids)[answers]
    assert tuned.tokenizer.decode(learned) == "the others<|im_end|>other\ntheory<|im_end|>"
    assert (learned == END).sum() == 2
    part = tuned.part("train")
    assert part.answers is not None
    assert not part.answers[part.starts].any()  # the end of a document is not of the form


def test_what_somebody_typed_is_never_a_special_token(tuned: hornbook.Run) -> None:
    found = [ids for ids, _ in documents(tuned) if ids.count(START) == 2]
    assert found
    for ids in found:
        assert ids.count(END) == 2
        said = "the <|im_end|> and<|im_start|>user"
        expected = f"<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n{said}<|im_end|>\n"
        assert tuned.tokenizer.decode(ids) == expected


def test_the_form_is_kept_and_used_by_chat_and_server(
    base: Path, tuned: hornbook.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuned.facts["corpus"]["read"]["template"] == "ChatML"
    template = hornbook.load(tuned.path).template
    assert template is not None
    assert template.stops == ("<|im_end|>",)
    asked = [{"role": "user", "content": "the other?"}]
    expected = theirs(base).apply_chat_template(
        asked, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    prompts = [
        template.prompt("the other?"),
        chat_prompt([Message(**m) for m in asked], documents=True, template=template),
    ]
    for prompt in prompts:
        assert tuned.tokenizer.encode(prompt).tolist() == expected
    assert "<|im_start|>user" in tuned.report["samples"][0]


def test_prompts_and_their_answers_are_messages_too(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [{"prompt": f"the {i}", "completion": f"other {i}"} for i in range(20)]
    path.write_text("\n".join(map(json.dumps, lines)))
    run = hornbook.train(path, base=base, out=tmp_path / "run", settings=SETTINGS)
    expected = theirs(base).apply_chat_template(
        [{"role": "user", "content": "the 7"}, {"role": "assistant", "content": "other 7"}],
        tokenize=True, return_dict=False,
    )  # fmt: skip
    everything = [ids for name in ("train", "val", "test") for ids in texts(run, name)]
    assert expected in everything
    assert run.template is not None
    assert run.template.chat
    # a run that begins from this one, and one that is resumed, has the same form
    again = hornbook.train(path, base=run.path, out=tmp_path / "again", settings=SETTINGS)
    assert again.facts["corpus"]["read"] == run.facts["corpus"]["read"]
    resumed = hornbook.resume(again.path, steps=3)
    assert (resumed.part("train").tokens == run.part("train").tokens).all()


def texts(run: hornbook.Run, name: str) -> list[list[int]]:
    part = run.part(name)
    return [part.tokens[a + 1 : b].tolist() for a, b in pairwise(part.starts)]


def test_exact_answers_are_asked_with_the_real_tokens(
    tuned: hornbook.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    start = type(tuned.model).start

    def watched(self: Any, ids: Any, *rest: Any) -> Any:
        asked.append(ids[0].tolist())
        return start(self, ids, *rest)

    monkeypatch.setattr(type(tuned.model), "start", watched)
    part = tuned.part("val")
    assert exact_answers(tuned.model, tuned.tokenizer, part, ("<|im_end|>",)) is not None
    first = part.tokens[: int(part.answers.argmax())] if part.answers is not None else part.tokens
    assert asked[0] == first.tolist()


def plan(base: Path, talks: Path, template: str = "") -> Plan:
    request = Request(settings={"data": {"corpus": str(talks), "template": template},
                          "finetuning": {"base": str(base)}})  # fmt: skip
    return resolve(request)


def notes(base: Path, talks: Path, template: str = "") -> str:
    return " ".join(plan(base, talks, template).notes)


def test_bytes_a_token_are_those_of_answers(base: Path, talks: Path) -> None:
    settings = {"data": {"corpus": str(talks)}, "tokenizer": {"kind": str(base)}}
    found = resolve(Request(settings=settings))
    part = found.data.train
    expected = f"{part.n_bytes / part.n_scored:.2f} bytes a token"
    assert expected in found.decisions["tokenizer.vocab_size"].reason


def test_it_is_said_in_the_plan(base: Path, talks: Path, tmp_path: Path) -> None:
    message = "<|im_start|>{role}\\n{content}<|im_end|>\\n"
    for template in ("", "chatml", message):
        assert "written in ChatML, the base's own form" in notes(base, talks, template)
    assert "ChatML" not in notes(base, talks, "{role}: {content}\\n")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((base / name).read_bytes())
    (tmp_path / "chat_template.jinja").write_text("[INST] {{ message['role'] }}")
    said = notes(tmp_path, talks)
    assert "no chat template of a form that hornbook knows (ChatML, Llama 3)" in said
    assert r"in a plain one, '{role}: {content}\n'" in said


def test_what_is_exported_has_the_form(tuned: hornbook.Run, tmp_path: Path) -> None:
    found = tuned.export("hf", tmp_path / "hf")
    assert all(check.equal for check in found.checks)
    tokenizer = theirs(tmp_path / "hf")
    asked = [{"role": "user", "content": "the other?"}]
    ids = tokenizer.apply_chat_template(
        asked, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert tuned.template is not None
    prompt = tuned.encode(tuned.template.prompt("the other?"))
    assert ids == prompt[0].tolist()  # with the end of the document before
    generation = json.loads((tmp_path / "hf" / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [289, END]
    again = hornbook.import_model(tmp_path / "hf", out=tmp_path / "again")
    assert again.template is not None
    assert again.template.form == tuned.template.form


def test_a_gguf_file_has_the_form(tuned: hornbook.Run, tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="needs gguf: hornbook[gguf]")
    made = tuned.export("gguf", tmp_path / "tuned.gguf", verify=False)
    again = hornbook.import_model(made.written.path, out=tmp_path / "again")
    assert again.template is not None
    assert tuned.template is not None
    assert again.template.form == tuned.template.form
    prompt = again.template.prompt("the other?")
    assert again.encode(prompt).tolist() == tuned.encode(prompt).tolist()


def test_a_form_needs_its_tokens(talks: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "data.template": "ChatML"}
    with pytest.raises(
        ConfigError, match=r"found 'ChatML', but the tokenizer has no special tokens"
    ):
        hornbook.train(talks, model="bigram", out=tmp_path / "run", settings=settings)

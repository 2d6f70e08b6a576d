"""Samples and streams: prompts, stops, batches, seeds."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict

import pytest
import torch

from hornbook.api import Run
from hornbook.errors import ConfigError, DataError
from hornbook.generate import Sampling, make_generator, sample, stream
from hornbook.generate.decoder import rows_at_once, split_prompt
from hornbook.models.base import DecodingState, LanguageModel, Window
from hornbook.tokenizers import ByteTokenizer, build_tokenizer
from hornbook.tokenizers.bpe import train_bpe
from tests.conftest import tiny_model


def test_a_sample_depends_neither_on_n_nor_on_the_batch(names_run: Run) -> None:
    made = names_run.sample(60, seed=3)
    assert names_run.sample(7, seed=3) == made[:7]
    for batch in (2, 13, 60):
        again = sample(names_run.model, names_run.tokenizer, n=60, seed=3, batch=batch)
        assert again == made
    assert len({s.text for s in made}) > 50


def test_fewer_samples_are_drawn_at_once_from_a_large_vocabulary() -> None:
    small, large = (tiny_model("bigram", vocab_size=n) for n in (50, 4000))
    assert rows_at_once(small, 10) == 8192
    assert rows_at_once(large, 10) * 4000 <= 1 << 24


def test_one_by_one_they_are_drawn_from_the_generator_itself(names_run: Run) -> None:
    model, tokenizer = names_run.model, names_run.tokenizer
    made = sample(model, tokenizer, n=4, seed=9, sampling=Sampling(draws="torch"))
    generator = make_generator(9)
    with torch.inference_mode():
        for one in made:
            ids = [0]
            while len(ids) == 1 or ids[-1] != 0:
                p = model(torch.tensor([ids]))[:, -1].softmax(-1)
                ids.append(int(torch.multinomial(p, 1, replacement=True, generator=generator)))
            assert tokenizer.decode(ids) == one.text


def test_a_stream_is_drawn_from_the_generator_itself_as_well(stream_run: Run) -> None:
    """As the notes' `generate`: each token from the last `context_length`, by torch.multinomial."""
    model, tokenizer = stream_run.model, stream_run.tokenizer
    n = 2 * model.context_length + 5
    idx, generator = torch.tensor([[tokenizer.start_id]]), make_generator(1337)
    with torch.no_grad():
        for _ in range(n):
            probs = model(idx[:, -model.context_length :])[:, -1].softmax(-1)
            idx_next = torch.multinomial(probs, num_samples=1, generator=generator)
            idx = torch.cat((idx, idx_next), dim=1)
    expected = tokenizer.decode(idx[0, 1:].tolist())
    notes = {"sampling": "torch", "window": "sliding", "max_tokens": n, "seed": 1337}
    assert stream_run.sample(1, **notes)[0].text == expected  # type: ignore[arg-type]
    assert "".join(stream_run.stream(**notes)) == expected  # type: ignore[arg-type]


def test_another_way_of_sampling_is_refused(names_run: Run) -> None:
    with pytest.raises(ConfigError, match=r"sampling: found 'numpy'.*keyed, torch"):
        names_run.sample(sampling="numpy")  # type: ignore[arg-type]


class Counting(LanguageModel):
    """Another model, and how many rows each call computed."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model.config, model.vocab_size, model.end_id, model.context_length)
        self.model, self.rows = model, list[int]()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids)

    def start(
        self, ids: torch.Tensor, window: Window = "half"
    ) -> tuple[torch.Tensor, DecodingState]:
        self.rows.append(len(ids))
        return self.model.start(ids, window)

    def step(self, ids: torch.Tensor, state: DecodingState) -> torch.Tensor:
        self.rows.append(len(ids))
        return self.model.step(ids, state)


def test_equal_beginnings_are_computed_once_and_finished_samples_leave(
    names_run: Run,
) -> None:
    model, tokenizer = Counting(names_run.model), names_run.tokenizer
    made = sample(model, tokenizer, n=200, seed=0, prompt="a")
    texts = [s.text for s in made]
    beginnings = [
        len({t[: i + 1] for t in texts if len(t) > i}) for i in range(max(map(len, texts)))
    ]
    alive = [sum(len(t) > i for t in texts) for i in range(len(beginnings))]
    assert model.rows[:2] == beginnings[:2]
    assert beginnings[1] < 27
    assert all(b <= r <= a for b, r, a in zip(beginnings, model.rows, alive, strict=True))
    assert model.rows[-1] == alive[-1] < 10
    greedy = Counting(names_run.model)
    sample(greedy, tokenizer, n=50, sampling=Sampling(temperature=0))
    assert set(greedy.rows) == {1}


def test_samples_that_met_a_stop_string_leave(names_run: Run) -> None:
    model = Counting(names_run.model)
    made = sample(model, names_run.tokenizer, n=60, stop=["a", "e"], seed=0)
    assert all(s.finished and "a" not in s.text and "e" not in s.text for s in made)
    plain = names_run.sample(60, seed=0)
    for one, whole in zip(made, plain, strict=True):
        found = [p for s in "ae" if (p := whole.text.find(s)) >= 0]
        assert one.text == whole.text[: min(found, default=None)]
    assert sum(model.rows) < sum(s.tokens for s in plain) * 0.8


def test_a_long_text_is_what_the_model_predicts_from_its_windows() -> None:
    model = tiny_model("gpt2", 12, None)
    tokenizer = build_tokenizer("char", "abcdefghijkl", documents=False)
    (made,) = sample(model, tokenizer, prompt="b", max_tokens=60, sampling=Sampling(temperature=0))
    ids = tokenizer.encode(made.text).tolist()
    seen = 1
    with torch.inference_mode():
        for t in range(1, 61):
            assert model.next_logits(torch.tensor([ids[t - seen : t]])).argmax() == ids[t]
            seen = seen + 1 if seen < 16 else 8


def test_greedy_takes_the_most_probable(names_run: Run) -> None:
    first, second = names_run.sample(2, temperature=0), names_run.sample(1, temperature=0)
    assert first[0] == first[1] == second[0]


def test_the_same_seed_gives_the_same_samples(names_run: Run) -> None:
    assert names_run.sample(5, seed=3) == names_run.sample(5, seed=3)
    assert names_run.sample(5, seed=3) != names_run.sample(5, seed=4)


def test_samples_are_plain_data(names_run: Run) -> None:
    (made,) = names_run.sample(1, seed=0)
    assert json.loads(json.dumps(asdict(made))) == asdict(made)
    assert made.tokens == len(made.text)


def test_documents_begin_with_the_prompt_and_end_by_themselves(names_run: Run) -> None:
    made = names_run.sample(20, prompt="em", seed=0)
    assert all(s.text.startswith("em") and s.finished and "\n" not in s.text for s in made)
    short = names_run.sample(20, max_tokens=1, seed=0)
    assert all(len(s.text) <= 1 for s in short)
    assert any(not s.finished for s in short)


def test_a_stream_continues_past_the_context(stream_run: Run) -> None:
    (made,) = stream_run.sample(1, max_tokens=100, seed=0)
    assert made.tokens == 100 > 2 * stream_run.model.context_length
    pieces = list(stream(stream_run.model, stream_run.tokenizer, max_tokens=100, seed=0))
    assert "".join(pieces) == made.text
    assert len(pieces) > 50


def test_a_stop_ends_the_text_before_itself(stream_run: Run) -> None:
    made = stream_run.sample(4, max_tokens=300, stop=["e", "o"], seed=1)
    assert all("e" not in s.text and "o" not in s.text for s in made)
    whole = "".join(
        stream(
            stream_run.model,
            stream_run.tokenizer,
            max_tokens=300,
            stop=["tl"],
            seed=2,
        )
    )
    assert "tl" not in whole


def test_streaming_never_splits_a_character() -> None:
    from hornbook.tokenizers import ByteTokenizer

    model = tiny_model("bigram", 256, None)
    tokenizer = ByteTokenizer(documents=False)
    with torch.no_grad():  # a table that writes exactly these bytes, by greedy choice
        model.weight.zero_()
    seen: dict[int, int] = {}
    text = [10, *"xæy".encode()]
    for a, b in itertools.pairwise(text):
        seen[a] = b
    for a, b in seen.items():
        model.weight.data[a, b] = 9.0
    pieces = list(
        stream(model, tokenizer, max_tokens=4, sampling=Sampling(temperature=0), prompt="")
    )
    assert pieces == ["x", "æ", "y"]


def test_unknown_characters_of_a_prompt_are_refused_or_skipped(names_run: Run) -> None:
    with pytest.raises(DataError, match=r"'E' \(U\+0045\)"):
        names_run.sample(prompt="Emma")
    assert sample(names_run.model, names_run.tokenizer, prompt="Emma", unknown="skip")


def test_the_coldest_draw_is_greedy(names_run: Run) -> None:
    cold = names_run.sample(3, temperature=1e-45, seed=0)
    assert [s.text for s in cold] == [names_run.sample(1, temperature=0)[0].text] * 3


def test_a_seed_is_a_generator_and_both_at_once_are_refused(names_run: Run) -> None:
    model, tokenizer = names_run.model, names_run.tokenizer
    by_generator = sample(model, tokenizer, n=3, generator=make_generator(5))
    assert sample(model, tokenizer, n=3, seed=5) == by_generator
    assert "".join(stream(model, tokenizer, seed=5)) == by_generator[0].text
    with pytest.raises(ConfigError, match="found both a seed and a generator"):
        sample(model, tokenizer, seed=5, generator=make_generator(5))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n: found 0, expected at least 1"),
        ({"max_tokens": 0}, "max_tokens: found 0, expected at least 1"),
        ({"stop": ["a", ""]}, "stop: found an empty text"),
    ],
)
def test_arguments_out_of_range_are_refused(
    names_run: Run, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        sample(names_run.model, names_run.tokenizer, **wrong)  # type: ignore[arg-type]


def test_a_prompt_may_end_inside_a_token() -> None:
    tokenizer = train_bpe(["the hello hello hello held "] * 5, 280, documents=False)
    model = tiny_model("gpt", tokenizer.vocab_size, None)
    ids, held = split_prompt(tokenizer, "the hel")
    assert tokenizer.decode(ids) + held.decode() == "the hel"
    assert held
    found = sample(model, tokenizer, n=20, prompt="the hel", max_tokens=4, seed=1)
    assert all(s.text.startswith("the hel") for s in found)
    first = [tokenizer.encode(s.text)[len(ids)] for s in found]
    assert len(set(map(int, first))) > 1
    pieces = stream(model, tokenizer, prompt="the hel", max_tokens=4, seed=1)
    assert "the hel" + "".join(pieces) == found[0].text
    stopped = sample(model, tokenizer, prompt="the hel", max_tokens=4, seed=1, stop=["hel"])
    assert stopped[0].text.startswith("the hel")


def test_a_longer_token_takes_the_place_of_all_tokens_that_it_begins_with() -> None:
    tokenizer = train_bpe(["so the hello hello hello hello held. " * 5], 280, documents=False)
    assert len(tokenizer.encode(" hello")) == 1
    assert len(tokenizer.encode(" hell")) > 1
    for prompt in ("so h", "so he", "so hel", "so hell"):
        ids, held = split_prompt(tokenizer, prompt)
        assert (tokenizer.decode(ids), held.decode()) == ("so", prompt[2:])
    assert split_prompt(tokenizer, "so hello")[1] == b""


def test_a_prompt_of_characters_is_read_whole() -> None:
    tokenizer = ByteTokenizer(documents=True)
    assert split_prompt(tokenizer, "hel") == ([256, *b"hel"], b"")

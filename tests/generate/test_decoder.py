"""Sampling filters, stops, prompts and streams."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hornbook.api import Run
from hornbook.errors import ConfigError, DataError
from hornbook.generate import Sampling, sample, stream
from hornbook.generate.sampling import make_generator, min_p, top_k, top_p, uniforms
from hornbook.models.base import LanguageModel, State
from hornbook.tokenizers import build_tokenizer
from tests.conftest import tiny_model

LOGITS = st.lists(st.floats(-8, 8), min_size=2, max_size=12, unique=True).map(
    lambda row: torch.tensor([row])
)


@given(LOGITS, st.integers(1, 12))
def test_top_k_keeps_the_k_most_probable(logits: torch.Tensor, k: int) -> None:
    kept = top_k(logits, k).isfinite()[0]
    order = logits[0].argsort(descending=True)
    assert kept[order[:k]].all()
    assert (logits[0, kept] >= logits[0, order[min(k, len(order)) - 1]]).all()


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_fewest_that_reach_p(logits: torch.Tensor, p: float) -> None:
    probability = logits.softmax(-1)[0].double()
    kept = top_p(logits, p).isfinite()[0]
    least = probability[kept].min()
    assert probability[kept].sum() >= p - 1e-5
    assert probability[kept].sum() - least < p + 1e-5
    assert not (~kept & (probability > least)).any()


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_near_the_best(logits: torch.Tensor, p: float) -> None:
    ratio = logits.softmax(-1)[0] / logits.softmax(-1)[0].max()
    kept = min_p(logits, p).isfinite()[0]
    sure = (ratio - p).abs() > 1e-5
    assert torch.equal(kept[sure], (ratio >= p)[sure])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -0.1}, "temperature: found -0.1, expected 0"),
        ({"temperature": math.nan}, "temperature: found nan"),
        ({"top_p": 1.5}, "top-p: found 1.5, expected above 0 and at most 1"),
        ({"top_p": 0.0}, "top-p: found 0.0"),
        ({"top_k": 0}, "top-k: found 0, expected 1 or more"),
        ({"min_p": 2.0}, "min-p: found 2.0"),
    ],
)
def test_values_out_of_bounds_are_told(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_the_draw_follows_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(30_000, 3)
    drawn = Sampling().choose(logits, make_generator(1))
    share = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)
    cold = Sampling(temperature=0.5).choose(logits, make_generator(1))
    expected = torch.tensor([0.25, 0.09, 0.04]) / 0.38
    share = cold.bincount(minlength=3) / len(cold)
    torch.testing.assert_close(share, expected, atol=0.015, rtol=0)


@given(LOGITS, st.floats(0, 1, exclude_max=True), st.integers(1, 3))
def test_a_pick_is_where_the_share_of_probability_is_reached(
    logits: torch.Tensor, u: float, k: int
) -> None:
    sampling = Sampling(top_k=k)
    (chosen,) = sampling.pick(logits, torch.tensor([u], dtype=torch.float64)).tolist()
    p = sampling.filter(logits).softmax(-1)[0].double()
    assert p[chosen] > 0
    assert p[:chosen].sum() <= u + 1e-6
    assert p[: chosen + 1].sum() >= u - 1e-6


def test_the_greatest_share_never_picks_what_is_cut() -> None:
    greatest = torch.tensor([1 - 2.0**-52], dtype=torch.float64)
    for seed in range(50):
        logits = torch.randn(1, 40, generator=make_generator(seed))
        logits[0, 30:] = -math.inf
        assert Sampling().pick(logits, greatest).item() < 30
    assert Sampling().pick(logits.roll(10, -1), torch.zeros(1, dtype=torch.float64)).item() == 10


def test_uniforms_are_spread_evenly_over_samples_places_and_keys() -> None:
    samples = torch.arange(20_000)
    u = torch.stack([uniforms(key, samples, place) for key in (0, 5) for place in (0, 1, 2)])
    assert u.min() >= 0
    assert u.max() < 1
    for row in u:  # chi-square of 64 bins: 63 expected, standard deviation 11.2
        counts = torch.histc(row.float(), 64, 0, 1)
        assert ((counts - 312.5) ** 2 / 312.5).sum() < 63 + 5 * 11.2
    along = torch.corrcoef(torch.cat([u, u.roll(1, dims=1)])) - torch.eye(12)
    assert along.abs().max() < 5 / math.sqrt(20_000)
    assert u.unique().numel() == u.numel()


def test_picks_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(30_000, 3)
    drawn = Sampling().pick(logits, uniforms(1, torch.arange(30_000), 4))
    share = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)


def test_a_sample_depends_neither_on_its_company_nor_on_the_batch(names_run: Run) -> None:
    made = names_run.sample(60, seed=3)
    assert names_run.sample(7, seed=3) == made[:7]
    for batch in (2, 13, 60):
        again = sample(
            names_run.model, names_run.tokenizer, n=60, generator=make_generator(3), batch=batch
        )
        assert again == made
    assert len({s.text for s in made}) > 50


def test_one_by_one_they_are_drawn_from_the_generator_itself(names_run: Run) -> None:
    model, tokenizer = names_run.model, names_run.tokenizer
    made = sample(model, tokenizer, n=4, generator=make_generator(9), batch=1)
    generator = make_generator(9)
    with torch.inference_mode():
        for one in made:
            ids = [0]
            while len(ids) == 1 or ids[-1] != 0:
                p = model(torch.tensor([ids]))[:, -1].softmax(-1)
                ids.append(int(torch.multinomial(p, 1, replacement=True, generator=generator)))
            assert tokenizer.decode(ids) == one.text


class Counting(LanguageModel):
    """Another model, and how many rows each call computed."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model.config, model.vocab_size, model.end_id, model.context_length)
        self.model, self.rows = model, list[int]()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids)

    def start(self, ids: torch.Tensor) -> tuple[torch.Tensor, State]:
        self.rows.append(len(ids))
        return self.model.start(ids)

    def step(self, ids: torch.Tensor, state: State) -> torch.Tensor:
        self.rows.append(len(ids))
        return self.model.step(ids, state)


def test_what_samples_have_in_common_is_computed_once_and_the_finished_leave(
    names_run: Run,
) -> None:
    model, tokenizer = Counting(names_run.model), names_run.tokenizer
    made = sample(model, tokenizer, n=200, generator=make_generator(0), prompt="a")
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


def test_samples_that_met_a_stop_leave(names_run: Run) -> None:
    model = Counting(names_run.model)
    made = sample(model, names_run.tokenizer, n=60, stop=["a", "e"], generator=make_generator(0))
    assert all(s.finished and "a" not in s.text and "e" not in s.text for s in made)
    plain = names_run.sample(60, seed=0)
    for one, whole in zip(made, plain, strict=True):
        places = [p for s in "ae" if (p := whole.text.find(s)) >= 0]
        assert one.text == whole.text[: min(places, default=None)]
    assert sum(model.rows) < sum(s.tokens for s in plain) * 0.8


def test_a_long_text_is_what_the_model_says_of_its_windows() -> None:
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


def test_a_stream_goes_on_past_the_context(stream_run: Run) -> None:
    (made,) = stream_run.sample(1, max_tokens=100, seed=0)
    assert made.tokens == 100 > 2 * stream_run.model.context_length
    pieces = list(
        stream(stream_run.model, stream_run.tokenizer, max_tokens=100, generator=make_generator(0))
    )
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
            generator=make_generator(2),
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


def test_prompts_with_unknown_symbols_are_told(names_run: Run) -> None:
    with pytest.raises(DataError, match=r"'E' \(U\+0045\)"):
        names_run.sample(prompt="Emma")
    assert sample(names_run.model, names_run.tokenizer, prompt="Emma", unknown="skip")


def test_the_coldest_draw_is_greedy(names_run: Run) -> None:
    cold = names_run.sample(3, temperature=1e-45, seed=0)
    assert [s.text for s in cold] == [names_run.sample(1, temperature=0)[0].text] * 3


def test_logits_that_are_no_numbers_still_name_a_token() -> None:
    logits = torch.tensor([[float("nan"), 0.0, 1.0], [float("inf"), 0.0, 1.0]])
    drawn = Sampling().pick(logits, torch.tensor([0.3, 0.9], dtype=torch.float64))
    assert all(0 <= token < 3 for token in drawn.tolist())

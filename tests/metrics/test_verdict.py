"""A verdict is never more favorable than its figures."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from hornbook.metrics.copying import CopyStatistics
from hornbook.metrics.counts import Mixed
from hornbook.metrics.novelty import LossAgainstCounts, Novelty
from hornbook.metrics.verdict import AgainstCounts, Evidence, Word, first_loss_fault, judge


def statistics(span: float, verbatim: float = 0.0, texts: int = 500) -> CopyStatistics:
    """Copies of texts with spans of nearly one length."""
    spans = tuple(round(span) + i % 2 for i in range(100))
    return CopyStatistics(
        texts=texts, empty=0, verbatim=verbatim, compared=100, span=span, longest=30, covered=0.3,
        distance=4.0, among=200, distinct=(0.1,), different=1.0, spans=spans, distances=(4,) * 100,
    )  # fmt: skip


def novelty(span: float = 5.0, verbatim: float = 0.0, **changes: Any) -> Novelty:
    """Samples with copied spans and copies like these, beside held-out text with spans of 5."""
    facts = {"expected": 0.0, "error": 0.021, "by_chance": True, "documents": True, **changes}
    return Novelty(statistics(span, verbatim), statistics(5.0, texts=100), **facts)


GOOD = Evidence(
    loss=1.9,
    standard_error=0.008,
    uniform=math.log(27),
    passes=3.0,
    novelty=novelty(),
    counts=AgainstCounts(order=6, loss=2.0, behind=-0.1, error=0.004),
    mixture=Mixed(weight=0.9, loss=1.899, gain=0.001, error=0.001),
    training_loss=1.88,
    first_loss=3.31,
    best_step=500,
    steps=500,
    last_loss=1.9,
    minutes=2.0,
    minutes_to_counts=1.0,
)
BEHIND = AgainstCounts(order=6, loss=1.7, behind=0.2, error=0.01)
EVEN = AgainstCounts(order=6, loss=1.899, behind=0.001, error=0.004)


def test_a_model_that_beats_the_counts_has_learned() -> None:
    found = judge(GOOD)
    assert found.word is Word.LEARNED
    assert found.good
    assert not found.too_little
    assert found.advice == ()
    assert found.text.startswith(
        "learned: 1.9000 nats per token, 0.1000 ± 0.0040 below the 2.0000 of n-grams of order 6; it "
        "went 3 times through its training text; 0% of 500 samples"
    )
    assert found.to_json()["word"] == "learned"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"counts": BEHIND}, Word.COUNTS_BETTER),
        ({"counts": EVEN}, Word.AS_GOOD),
        ({"passes": 0.2}, Word.BARELY_READ),
        ({"passes": 0.2, "counts": EVEN}, Word.BARELY_READ),
        ({"passes": 0.2, "counts": BEHIND}, Word.COUNTS_BETTER),
        ({"loss": 3.4}, Word.NOTHING),
        ({"loss": math.inf}, Word.INFINITE),
        ({"loss": math.nan}, Word.INFINITE),
        ({"held_out": False, "novelty": None, "counts": None}, Word.UNJUDGED),
        ({"novelty": novelty(verbatim=0.14)}, Word.COPYING),
        ({"novelty": novelty(span=8.0)}, Word.COPYING),
        ({"novelty": novelty(verbatim=0.6)}, Word.MEMORIZING),
        ({"novelty": novelty(span=12.0)}, Word.MEMORIZING),
        ({"novelty": novelty(span=1.0)}, Word.LITTLE),
        ({"novelty": novelty(losses=LossAgainstCounts(2.8, 2.82, 2.45))}, Word.LITTLE),
        ({"best_step": 300, "last_loss": 2.3}, Word.OVERFITTED),
    ],
)  # fmt: skip
def test_one_thing_that_is_wrong_is_enough(changes: dict[str, Any], word: Word) -> None:
    found = judge(replace(GOOD, **changes))
    assert found.word is word
    assert "learned:" not in found.text
    assert found.good is (word is Word.AS_GOOD)
    assert found.text.startswith(f"{word}: ")


def test_a_model_that_counts_beat_is_told_how_long_it_would_take() -> None:
    behind = replace(GOOD, counts=BEHIND, minutes_to_counts=9.0)
    found = judge(behind)
    assert found.minutes == 15  # 1.1 x 9 and what is not training, rounded up
    assert found.too_little
    assert found.advice == (
        "counts are better here after 2 minutes; try --minutes 15 (by the curve of its losses)",
    )
    assert judge(replace(behind, overhead=12.0)).minutes == 25  # of a slow start and report
    soon = judge(replace(behind, minutes=0.5 / 60))
    assert soon.advice[0].startswith("counts are better here after 0.5 s; try ")
    never = judge(replace(behind, minutes_to_counts=math.inf))
    assert never.minutes is None
    assert not never.too_little
    assert "more minutes are not expected to help" in never.advice[0]
    unknown = judge(replace(behind, minutes_to_counts=None))
    assert "does not say how long" in unknown.advice[0]
    small = judge(replace(behind, may_go_on=False))
    assert small.minutes is None
    assert "more passes through so small a text would memorize it" in small.advice[0]
    # the curve is not asked where the first weights were at fault, or where it rose
    assert judge(replace(behind, first_loss=30.0)).minutes is None
    assert judge(replace(behind, best_step=100, last_loss=2.5)).minutes is None


def test_counts_inside_the_model_of_another_order_are_named() -> None:
    hybrid = replace(GOOD, counts=BEHIND, minutes_to_counts=None, own_order=3)
    assert "try --model.order 6" in judge(hybrid).advice[0]
    assert "--model.order" not in " ".join(judge(replace(hybrid, own_order=6)).advice)


def test_a_text_that_was_barely_read_is_to_be_read() -> None:
    found = judge(replace(GOOD, passes=0.2, minutes=0.5))
    assert "it went only 0.2 times through its training text" in found.text
    assert found.too_little
    assert found.minutes == 3  # five times as long
    assert found.advice == ("this was too little to read the text; try --minutes 3",)
    # the minutes of one pass are not those that the curve tells
    behind = judge(replace(GOOD, passes=0.2, minutes=0.5, counts=BEHIND, minutes_to_counts=None))
    assert behind.advice[0].startswith(
        "counts are better here after 30 s; try --minutes 3 to read the text once: the curve of its "
        "losses does not say"
    )


def test_a_model_of_no_steps_is_called_so() -> None:
    found = judge(replace(GOOD, loss=3.31, steps=0, best_step=0, passes=0.0, counts=BEHIND))
    assert found.word is Word.UNTRAINED
    assert not found.good
    assert found.text == (
        "not trained: no step was made; its loss is 3.3100 nats per token, and guessing has 3.2958"
    )
    assert found.advice == ("train it with --resume and --steps",)
    fault = judge(replace(GOOD, loss=27.0, steps=0, best_step=0, first_loss=27.0))
    assert "the initialization is too large" in fault.advice[0]


def test_a_loss_above_guessing_is_said_where_nothing_is_held_out() -> None:
    found = judge(replace(GOOD, held_out=False, counts=None, loss=3.4))
    assert found.word is Word.NOTHING
    assert judge(replace(GOOD, held_out=False, counts=None)).word is Word.UNJUDGED


def test_more_steps_are_no_advice_where_the_loss_rose() -> None:
    rose = judge(replace(GOOD, loss=3.4, best_step=2, last_loss=4.5))
    assert rose.word is Word.NOTHING
    assert rose.advice == ("more text, or a lower learning rate (hornbook lr-find)",)
    assert judge(replace(GOOD, loss=3.4, last_loss=3.4)).advice[0].startswith("more steps")


def test_advice_does_not_contradict_itself() -> None:
    """More steps bring a model below guessing, even where none brings it down to the counts."""
    counts = replace(BEHIND, behind=1.7)
    nothing = judge(
        replace(GOOD, loss=3.4, last_loss=3.4, counts=counts, minutes_to_counts=math.inf)
    )
    assert nothing.word is Word.NOTHING
    assert nothing.advice == ("more steps, or a lower learning rate (hornbook lr-find)",)


def test_a_text_that_was_not_read_is_not_called_read() -> None:
    assert "; it has not read its training text" in judge(replace(GOOD, loss=3.4, passes=0.0)).text


def test_a_mixture_that_is_better_than_both_is_offered() -> None:
    mixture = Mixed(weight=0.5, loss=1.95, gain=0.05, error=0.002)
    found = judge(replace(GOOD, mixture=mixture))
    assert found.word is Word.LEARNED
    assert found.advice == (
        "a mixture of both is better than each: 1.9500 nats per token, 0.0500 ± 0.0020 below the "
        "better",
    )
    noise = replace(mixture, gain=0.05, error=0.03)
    assert judge(replace(GOOD, mixture=noise)).advice == ()


def test_copies_and_a_loss_above_its_best_are_said_whatever_the_word() -> None:
    overfitted = replace(GOOD, best_step=300, last_loss=2.3, training_loss=0.3)
    found = judge(overfitted)
    for part in (
        "was 1.9000 at step 300 and rose to 2.3000 by step 500; the weights of step 300 are kept",
        "training loss 0.3000, validation loss 1.9000",
    ):
        assert part in found.text
    assert "--training.patience 3" in found.advice[0]
    both = judge(replace(overfitted, novelty=novelty(verbatim=0.14)))
    assert both.word is Word.COPYING
    assert both.text.startswith("copies more than chance: 14% of 500 samples appear verbatim")
    assert "rose to 2.3000" in both.text
    assert both.minutes is None
    # a little above the best is chance
    assert judge(replace(GOOD, best_step=450, last_loss=1.91)).word is Word.LEARNED


def test_a_copying_model_with_counts_in_it_is_told_what_else_to_sample_from() -> None:
    alone = ("its network alone does not copy: 2.1000 nats per token (--part network)",)
    copies = replace(GOOD, novelty=novelty(verbatim=0.14), counted=True, alone=alone)
    found = judge(copies)
    assert found.word is Word.COPYING
    assert found.advice == ("counts copy what they have seen; a lower order copies less", *alone)
    assert judge(replace(copies, novelty=novelty())).advice == ()


def test_counts_are_compared_with_the_best_order() -> None:
    counts = replace(GOOD, fitted=True, counted=True, mixture=None, minutes_to_counts=None)
    best = AgainstCounts(order=6, loss=1.9, behind=0.0, error=0.0)
    found = judge(replace(counts, counts=best))
    assert found.word is Word.COUNTED
    assert found.good
    assert "as good as n-grams of order 6, the best order" in found.text
    near = judge(replace(counts, counts=replace(best, behind=0.003, error=0.001)))
    assert near.word is Word.COUNTED
    assert "0.0030 ± 0.0010 above" in near.text
    far = judge(replace(counts, counts=BEHIND))
    assert far.word is Word.COUNTS_BETTER
    assert far.advice == ("use order 6",)


def test_counts_of_a_slice_are_called_so() -> None:
    found = judge(replace(GOOD, counts=replace(EVEN, share=0.2)))
    assert "n-grams of order 6, counted on 0.2 of the text" in found.text


def test_a_first_loss_far_above_ln_v_is_a_fault_of_the_first_weights() -> None:
    uniform = math.log(27)
    fault = first_loss_fault(27.0, uniform, "model.init is naive")
    assert fault is not None
    assert not fault.good
    assert fault.text.startswith(
        "the first loss was 27.00 nats, far above ln V = 3.30: the initialization is too large "
        "(model.init is naive)"
    )
    assert first_loss_fault(3.4, uniform) is None
    assert first_loss_fault(None, uniform) is None
    assert "the initialization is too large" in judge(replace(GOOD, first_loss=27.0)).advice[0]

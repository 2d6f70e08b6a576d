"""What a report says, line by line."""

from __future__ import annotations

from typing import Any

from hornbook.api import Run
from hornbook.runs.verdict import verdict_commands, verdict_rows, verdict_text

REPORT: dict[str, Any] = {
    "passes": 0.213,
    "counts": {"order": 6, "loss": 2.0158, "seconds": 0.1, "losses": [2.8, 2.4], "share": 0.5},
    "verdict": {
        "word": "counts are better",
        "text": "counts are better: ...",
        "advice": ["a", "b"],
    },
}
MIXTURE = {"weights": [0.4, 0.6], "loss": 1.98, "gain": 0.03}


def test_counts_passes_and_advice_are_lines() -> None:
    rows = verdict_rows(REPORT)
    assert rows[0] == (
        "counts",
        "2.0158 nats per token by n-grams of order 6, the best of 1 to 2, counted on 0.5 of the "
        "training part",
    )
    assert rows[1] == ("passes", "0.21 times through the training part")
    assert rows[2:] == [("verdict", "counts are better: ..."), ("advice", "a"), ("", "b")]
    own = {"validation": {"nats": 2.0, "bits_per_byte": 3.0}}
    assert verdict_rows({**REPORT, **own})[0][1].startswith(
        "2.0158 nats per token, 3.0237 bits per byte, by n-grams of order 6"
    )
    early = verdict_rows({**REPORT, "best_step": 1200, "steps": 2000})[1][1]
    assert early.endswith("through the training part by step 1,200, whose weights are kept")
    name, text = verdict_rows({**REPORT, "mixture": MIXTURE})[1]
    assert name == "mixture"
    assert text.startswith("1.9800 nats per token by 0.4 of the model and 0.6 of the counts")


def test_a_report_of_an_earlier_version_says_what_it_said() -> None:
    assert verdict_text({"novelty": {"verdict": "memorizing: ..."}}) == "memorizing: ..."
    assert verdict_text({}) == ""
    assert verdict_rows({"novelty": None}) == [("verdict", "")]


def test_what_is_better_can_be_typed(names_run: Run) -> None:
    (command,) = verdict_commands(names_run, REPORT)
    assert command == "hornbook train names --model ngram --model.order 6"
    (command,) = verdict_commands(names_run, {**REPORT, "mixture": MIXTURE})
    assert command.endswith("--counts 6 --weights 0.4,0.6 --out " + f"{names_run.path}-mixture")
    learned = {**REPORT, "verdict": {"word": "learned", "text": ""}}
    assert verdict_commands(names_run, learned) == []
    assert verdict_commands(names_run, {}) == []

"""Errors in Python speak of its arguments; in a terminal they stay as they are typed."""

from __future__ import annotations

import inspect

import pytest

import hornbook
from hornbook.errors import ConfigError, for_terminal
from hornbook.planning.request import read_request
from hornbook.spelling import ARGUMENTS, for_python, speaks_python


@pytest.mark.parametrize(
    ("typed", "python"),
    [
        ("give another directory (--out)", "give another directory (out=...)"),
        ("train another run (another --out), or", "train another run (another out), or"),
        ("or skip them (--unknown skip)", "or skip them (unknown='skip')"),
        ("--steps is the total, give 30", "steps is the total, give 30"),
        ("try `--minutes 3`", "try `minutes=3`"),
        ("Name the right one (--encoding)", "Name the right one (data.encoding)"),
        ("as a stream (--kind stream)", "as a stream (settings={'data.kind': 'stream'})"),
        ("found '--out', expected", "found '--out', expected"),
        ("lower --training.batch-size (now 3)", "lower training.batch_size (now 3)"),
        (
            "--optim.learning-rate 3e-4 --optim.grad-clip 1",
            "settings={'optim.learning_rate': 3e-4, 'optim.grad_clip': 1}",
        ),
        ("(--reference is exact)", "(settings={'training.reference': True} is exact)"),
        ("--lr 0.01", "settings={'optim.learning_rate': 0.01}"),
        ("(--threads 1)", "(settings={'training.threads': 1})"),
        ("(--sampling torch)", "(sampling='torch')"),
        ("--data.corpus names", "corpus='names'"),
        ("--training.steps 30", "steps=30"),
        ("hornbook train --resume runs/x", "hornbook.resume('runs/x')"),
        (
            "hornbook train --resume 'my runs/x' --steps 30 --optim.learning-rate 1e-3; or",
            "hornbook.resume('my runs/x', steps=30, settings={'optim.learning_rate': 1e-3}); or",
        ),
        ("make one of runs with `hornbook mix`", "make one of runs with hornbook.mix"),
        ("; `hornbook sweep` tries several values", "; hornbook.sweep tries several values"),
        ("; --seeds 1,2,3 trains", "; hornbook.sweep(..., seeds=[1, 2, 3]) trains"),
        ("RUN: found 1 run", "runs: found 1 run"),
        ("a -- b, -1 and x--y", "a -- b, -1 and x--y"),
    ],
)  # fmt: skip
def test_options_become_arguments(typed: str, python: str) -> None:
    assert for_python(typed) == python
    assert for_python(python) == python


@pytest.mark.parametrize(("setting", "argument"), ARGUMENTS.items())
def test_an_argument_of_python_stands_for_its_setting(setting: str, argument: str) -> None:
    section, field = setting.split(".")
    assert argument in inspect.signature(hornbook.train).parameters
    assert read_request(**{argument: "1"}).requested(section, field) == "1"


@speaks_python
def refuses() -> None:
    """What the API does."""
    raise ConfigError("give another directory (--out)")


def test_an_error_is_translated_unless_a_terminal_reads_it() -> None:
    with pytest.raises(ConfigError, match=r"\(out=\.\.\.\)$"):
        refuses()
    with for_terminal(), pytest.raises(ConfigError, match=r"\(--out\)$"):
        refuses()
    assert refuses.__doc__ == "What the API does."

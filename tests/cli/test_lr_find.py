"""`hornbook lr-find`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hornbook.cli.lr_find import _advice
from hornbook.experiments.lr_finder import LearningRateSweep
from tests.cli.common import Cap, run
from tests.conftest import strict


def test_a_sweep_that_only_diverges_suggests_nothing(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    words = ["lr-find", words_file, "--model", "mlp", "--sweep-steps", "20", "--optim.name", "sgd",
             "--optim.grad-clip", "0", "--model.init", "naive", "--low", "1e30", "--high", "1e38",
             "--model.norm", "layernorm"]  # fmt: skip
    code, out, _ = run(capsys, *words, "--out", tmp_path / "p.png")
    assert code == 0
    assert "every learning rate diverged" in out
    assert "best" not in out
    assert "inf" not in out
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG"
    assert strict(run(capsys, *words, "--json")[1])["best"] is None


def test_the_curve_of_a_sweep_shows_learning_rates(words_file: Path, capsys: Cap) -> None:
    words = ["lr-find", words_file, "--model", "bigram", "--sweep-steps", "40", "--low", "0.01"]
    code, out, _ = run(capsys, *words, "--high", "10")
    assert code == 0
    axis = next(line for line in out.splitlines() if "learning rate (log)" in line)
    assert axis.split()[:2] == ["0.01", "10"]
    assert "validation" not in out
    for high in ("inf", "nan", "0.001"):
        code, _, err = run(capsys, *words, "--high", high)
        assert code == 2
        assert "expected 0 < low < high" in err


def test_the_advice_is_what_was_tried(words_file: Path, capsys: Cap) -> None:
    words = ["lr-find", words_file, "--sweep-steps", "20", "--model.n-embd", "16", "--layers", "1"]
    words += ["--lr", "0.01", "--optim.muon-learning-rate", "0.04"]
    found = strict(run(capsys, *words, "--json")[1])
    assert found["muon"] == pytest.approx(4)  # both learning rates are scaled alike
    assert found["best"] in [tried["rate"] for tried in found["confirmed"]]
    code, out, _ = run(capsys, *words)
    assert code == 0
    advice = re.search(r"--optim.learning-rate (\S+) --optim.muon-learning-rate (\S+)", out)
    assert advice is not None
    expected = [found["best"], 4 * found["best"]]
    assert list(map(float, advice.groups())) == pytest.approx(expected, rel=0.006)
    assert "the mean of the last 4 of 20 steps" in out


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([2.0, 2.1, 2.2], "the lowest of the three has the lowest loss, so lower ones"),
        ([2.2, 2.1, 2.0], "the highest of the three has the lowest loss, so higher ones"),
        ([2.2, 2.0, 2.1], ""),
    ],
)
def test_the_best_at_an_end_says_where_to_go_on(losses: list[float], words: str) -> None:
    rates = (0.00194, 0.00583, 0.0175)
    sweep = LearningRateSweep(
        (0.001, 1.0), (3.3, 9.0), rates[1], tuple(zip(rates, losses, strict=True))
    )
    advice = _advice(sweep, 0.001)
    assert advice.startswith(f"best: --optim.learning-rate {sweep.best}")
    assert words in advice
    assert ("\n" in advice) == bool(words)

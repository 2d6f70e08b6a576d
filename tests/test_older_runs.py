"""Runs that older versions wrote are read, give what they gave, and go on to the same end.

They lie in tests/fixtures/format2, made by make.py there with hornbook at commit 9fecfa8.
HORNBOOK_BITWISE=1 asks for the same bits where they go on, which only a machine that rounds as
theirs can give: `made_on` in expected.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import hornbook

FIXTURES = Path(__file__).parent / "fixtures" / "format2"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
RUNS: dict[str, dict[str, Any]] = EXPECTED["runs"]
GOING_ON = [name for name, expected in RUNS.items() if "resumed" in expected]
BITWISE = os.environ.get("HORNBOOK_BITWISE") == "1"
ROUNDED_ANEW = (
    "gpt",
    "gpt-interrupted",
)  # the gradient of their short convolution is PyTorch's now


def copied(name: str, folder: Path) -> Path:
    """A copy of a run whose corpus is where it says."""
    path = shutil.copytree(FIXTURES / name, folder / name)
    corpus = str(FIXTURES / RUNS[name]["corpus"])
    facts = json.loads((path / "config.json").read_text("utf-8"))
    facts["corpus"]["source"] = facts["config"]["data"]["corpus"] = corpus
    (path / "config.json").write_text(json.dumps(facts), "utf-8")
    return path


def newest_weights(path: Path) -> dict[str, Tensor]:
    """The weights in the newest state of a run."""
    pointer = json.loads((path / "last" / "state.json").read_text("utf-8"))
    tensors = load_file(path / "last" / pointer["newest"])
    return {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}


def digest(tensors: dict[str, Tensor]) -> str:
    """As in make.py: of all tensors, whatever they are called."""
    one = [
        hashlib.sha256(f"{tuple(t.shape)} {t.dtype}".encode() + t.contiguous().numpy().tobytes())
        for t in tensors.values()
    ]
    return hashlib.sha256("".join(sorted(h.hexdigest() for h in one)).encode()).hexdigest()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_an_older_version_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    expected, run = RUNS[name], hornbook.load(copied(name, tmp_path))
    nats = run.evaluate("val").nats
    assert nats == pytest.approx(expected["validation_nats"], rel=0, abs=1e-5)
    assert [s.text for s in run.sample(**EXPECTED["sample"])] == expected["samples"]
    (score,) = run.score(expected["text"])
    assert score.total == pytest.approx(expected["text_nats"], rel=0, abs=1e-5 * score.tokens)


@pytest.mark.parametrize("name", GOING_ON)
def test_a_run_of_an_older_version_goes_on_to_the_same_end(name: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    expected, path = RUNS[name]["resumed"], copied(name, tmp_path)
    run = hornbook.resume(path, steps=expected["steps"])
    losses = [record["val_loss"] for record in run.log if "val_loss" in record]
    found, final = newest_weights(path), load_file(FIXTURES / "final" / f"{name}.safetensors")
    assert losses == pytest.approx(expected["val_losses"], rel=1e-4)
    assert found.keys() == final.keys()
    for tensor in final:
        torch.testing.assert_close(
            found[tensor], final[tensor], rtol=1e-3, atol=1e-4, msg=lambda m, t=tensor: f"{t}: {m}"
        )
    if BITWISE and name not in ROUNDED_ANEW:
        assert losses == expected["val_losses"]
        assert [n for n in final if not torch.equal(found[n], final[n])] == []
        assert digest(found) == expected["newest_sha256"]
        assert digest(run.model.state_dict()) == expected["best_sha256"]

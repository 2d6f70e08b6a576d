"""benchmarks/smollm2.py: its options are those of `hornbook train`, and its rows say what a run has."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.cli.flags import SettingsParser
from tests.training.helpers import SETTINGS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module."""
    pytest.importorskip("gguf", reason="needs hornbook[gguf]")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("smollm2", BENCHMARKS / "smollm2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "smollm2", module)
    spec.loader.exec_module(module)
    return module


def test_all_ways_have_the_same_text_and_begin_where_they_say(benchmark: Any) -> None:
    read = {}
    for way in benchmark.WAYS:
        words = ["shakespeare", *benchmark.options(way, Path("base"))]
        read[way] = SettingsParser("train").read(words)[1]
    assert len({str(settings["data"]) for settings in read.values()}) == 1
    assert read["full"]["finetuning"] == {"base": "base"}
    assert read["lora"]["finetuning"] == {"base": "base", "lora_rank": 8}
    assert "finetuning" not in read["small"]


def test_rows_are_of_the_run(
    benchmark: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Training is a few steps in this process, in place of minutes in another."""
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be that is the question\n" * 40)
    data = {"kind": "stream"}
    settings = {**SETTINGS, "data": data}
    base = hornbook.train(text, settings=settings, out=tmp_path / "base", progress=False)

    def trained(way: str, *_: Any, **named: Any) -> dict[str, Any]:
        lora = {"finetuning": {"lora_rank": 8}} if "--lora" in named["options"] else {}
        out, own = _[3], {"training": SETTINGS["training"], "data": data, **lora}
        start = base if "--from" in named["options"] else None
        if start is None:
            own["model"] = SETTINGS["model"]
        run = hornbook.train(text, base=start, settings=own, out=out, progress=False)
        validation = run.report["validation"]
        found = {"bits_per_byte": validation["bits_per_byte"], "val_loss": validation["nats"]}
        return {**found, "steps": run.report["steps"]}

    monkeypatch.setattr(benchmark, "trained", trained)
    benchmark.finetune(base.path, ["lora", "small"], 10.0, tmp_path)
    *_, lora, small = capsys.readouterr().out.splitlines()
    before = base.report["validation"]["bits_per_byte"]
    assert f"| lora | {before:.3f} | " in lora
    assert small.startswith("| small |  | ")
    trainable = hornbook.load(tmp_path / "lora").facts["trained_parameters"]
    assert f" {trainable:,} | 12 | " in lora
    failed = {"val_loss": None, "why": "hornbook: no memory"}
    with pytest.raises(SystemExit, match="lora: hornbook: no memory"):
        benchmark.row_of("lora", tmp_path, failed)

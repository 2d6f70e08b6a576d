"""The figures of the notes and of the field beside hornbook's, as docs/figures.md.

    HORNBOOK_DATA=<folder of names.txt and shakespeare.txt> python benchmarks/figures.py [ROW ...]

Trains what has not been trained yet into runs/figures/ (the rows named, or all but those marked
slow), then writes the page from all that is there. Whole validation parts, every token once, block
protocol; the exact rows are computed anew each time. Timings want a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import hornbook
from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part, split_corpus
from hornbook.diagnostics.compare import measure
from hornbook.evaluate import evaluate, score
from hornbook.generate import sample
from hornbook.models.registry import build_model, model_config
from hornbook.run import Run
from hornbook.tokenizers import build_tokenizer

RUNS = Path("runs/figures")
PAGE = Path(__file__).parent.parent / "docs" / "figures.md"


@dataclass(frozen=True)
class Training:
    """A run to make: a preset, or the default of a model, with settings of its own."""

    corpus: str
    model: str | None = None
    preset: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    slow: bool = False


NAMES, PLAYS = "makemore-names", "shakespeare"
FEW = {"training.evaluations": 4, "training.samplings": 0}

TRAININGS = {
    "notes-mlp-naive": Training(NAMES, preset="notes-mlp", settings={"model.init": "naive", **FEW}),
    "notes-mlp": Training(NAMES, preset="notes-mlp", settings=FEW),
    "notes-mlp-bn": Training(NAMES, preset="notes-mlp-bn", settings=FEW),
    "notes-wavenet": Training(NAMES, preset="notes-wavenet", settings=FEW),
    "counts-4": Training(NAMES, "ngram", settings={"model.order": 4}),
    "counts-6": Training(NAMES, "ngram", settings={"model.order": 6}),
    "mlp": Training(NAMES, "mlp"),
    "wavenet": Training(NAMES, "wavenet"),
    "gpt": Training(NAMES, "gpt", preset="gpt-names"),
    "gpt2-stream": Training(PLAYS, preset="gpt2-stream"),
    "gpt-stream": Training(PLAYS, "gpt"),
    "notes-gpt": Training(PLAYS, preset="notes-gpt", slow=True),
}

# what, published, training of the notes' preset, training of hornbook's own
ROWS = [
    ("MLP, context 3, 200,000 updates of 32", "2.17", "notes-mlp-naive", "mlp"),
    ("MLP with better initialisation", "2.10", "notes-mlp", "mlp"),
    ("MLP with BatchNorm", "2.1057 (train 2.0674)", "notes-mlp-bn", "mlp"),
    ("WaveNet, context 8", "1.9937 (train 1.7690)", "notes-wavenet", "wavenet"),
    ("4-gram counts", "2.11 (another split)", None, "counts-4"),
    ("6-gram counts", "-", None, "counts-6"),
    ("small transformer, about 200k parameters", "1.92 test (another split)", None, "gpt"),
    ("GPT 10.8M on Shakespeare, 5,000 updates", "1.4697", "notes-gpt", "gpt-stream"),
    ("GPT 0.8M on Shakespeare, laptop CPU", "1.88 (random batches)", "gpt2-stream", "gpt-stream"),
]


def make(name: str) -> Run:
    training = TRAININGS[name]
    path = RUNS / name
    if (path / "report.json").exists():
        return hornbook.load(path)
    if (path / "last" / "state.json").exists():
        return hornbook.resume(path)
    return hornbook.train(
        training.corpus,
        model=training.model,
        preset=training.preset,
        settings=training.settings,
        out=path,
    )


def exact() -> list[tuple[str, str, str]]:
    """The exact figures: what, published, found."""
    corpus = load_corpus(DataConfig(corpus=NAMES))
    tokenizer = build_tokenizer("char", corpus.text, documents=True)
    whole = Part.of_documents(corpus.documents, tokenizer)
    split = split_corpus(corpus, DataConfig())
    sizes = [split.part(part, tokenizer).n_targets for part in ("train", "val", "test")]
    rows = [
        (
            "examples in names; symbols",
            "228,146; 27",
            f"{whole.n_targets:,}; {tokenizer.vocab_size}",
        ),
        ("lecture split", "182,625 / 22,655 / 22,866", " / ".join(f"{n:,}" for n in sizes)),
    ]
    for k, published in ((0, "2.454014"), (1, "2.454577"), (5, "2.457683")):
        settings = {"name": "ngram", "order": 2, "smoothing": "add-k", "k": k}
        model = build_model(model_config(settings), 27, 0)
        model.fit(torch.from_numpy(whole.tokens.astype("int64")), torch.from_numpy(whole.starts))
        rows.append((f"bigram counts, add {k}", published, f"{evaluate(model, whole).nats:.6f}"))
        if k == 1:
            rated = score(model, tokenizer, ["andrejq"])[0].mean
            generator = torch.Generator().manual_seed(2147483647)
            made = sample(model, tokenizer, n=5, generator=generator, batch=1)
            rows.append(("`andrejq`, add 1", "3.48340", f"{rated:.5f}"))
            rows.append(
                (
                    "samples, add 1",
                    "cexze momasurailezitynn konimittain llayn ka",
                    " ".join(s.text for s in made),
                )
            )
    for what, name, fields, vocab, published in (
        ("MLP", "mlp", {"context_length": 3, "n_embd": 10, "n_hidden": 200}, 27, 11_897),
        (
            "MLP with BatchNorm",
            "mlp",
            {"context_length": 3, "n_embd": 10, "n_hidden": 200, "norm": "batchnorm"},
            27,
            12_097,
        ),
        (
            "WaveNet",
            "wavenet",
            {"context_length": 8, "n_embd": 24, "n_hidden": 128},
            27,
            76_579,
        ),
        ("GPT", "gpt2", {}, 65, 10_788_929),
    ):
        model = build_model(model_config({"name": name, **fields}), vocab, 0)
        rows.append((f"parameters, {what}", f"{published:,}", f"{model.n_parameters:,}"))
    return rows


def cell(name: str | None) -> tuple[str, str]:
    """Loss and seconds of a training, where it has been made."""
    if name is None:
        return "-", "-"
    if not (RUNS / name / "report.json").exists():
        return "not run", "-"
    run = hornbook.load(RUNS / name)
    standing = measure(run, name).standing
    loss = f"{standing.validation:.4f} ± {standing.validation_error:.4f}"
    if run.log and run.log[-1].get("loss") is not None:
        loss += f" (train {run.evaluate('train').nats:.4f})"
    if standing.test is not None:
        loss += f"; test {standing.test:.4f}"
    if standing.unseen is not None and standing.unseen != standing.validation:
        loss += f"; unseen {standing.unseen:.4f}"
    return loss, f"{standing.seconds:.1f}"


def page() -> str:
    lines = [
        "# Figures",
        "",
        "Made by `python benchmarks/figures.py`; the runs behind it are made anew by the same command",
        "where they are missing. Losses are mean nats per token over the whole validation part, every",
        "token once (block protocol), with their standard error; `unseen` is the loss over the",
        "validation names that do not stand in the training part as well. Seconds are those of",
        "training, without evaluation.",
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}.",
        "",
        "## Exact",
        "",
        "| what | published | hornbook |",
        "| --- | --- | --- |",
        *(f"| {what} | {published} | {found} |" for what, published, found in exact()),
        "",
        "The neural bigram's six losses and its samples are a test (`tests/test_figures.py`).",
        "",
        "## Published, met or beaten",
        "",
        "| what | published | notes' preset | seconds | hornbook's own | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what, published, notes, own in ROWS:
        a, b = cell(notes), cell(own)
        lines.append(f"| {what} | {published} | {a[0]} | {a[1]} | {b[0]} | {b[1]} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*TRAININGS, []], help="trainings to make")
    parser.add_argument("--none", action="store_true", help="train nothing, only write the page")
    args = parser.parse_args()
    wanted = args.rows or [name for name, training in TRAININGS.items() if not training.slow]
    results = {}
    for name in () if args.none else wanted:
        run = make(name)
        results[name] = run.report["validation"]["nats"]
        print(f"{name:>16}  {results[name]:.4f}  {run.report['seconds']:.1f} s", flush=True)
    text = page()
    kept = PAGE.read_text("utf-8") if PAGE.exists() else ""
    _, marker, own_words = kept.partition("<!-- by hand -->")
    PAGE.write_text(text + ("\n" + marker + own_words if marker else ""), "utf-8")
    print(json.dumps(results))


if __name__ == "__main__":
    main()

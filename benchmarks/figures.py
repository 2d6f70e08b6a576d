"""Published figures of the notes and others beside hornbook's, as docs/figures.md.

    HORNBOOK_DATA=<folder of names.txt and shakespeare.txt> python benchmarks/figures.py [ROW ...]

Trains the rows named, or all but the slow ones, into runs/figures/ unless they are there, measures
them, and writes the page. Measurements are kept in figures.json beside this file, so that rows
without a run stay. Losses are over whole validation parts, every token once (block protocol). The
exact rows are computed each time. Timings need an idle machine.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import hornbook
from hornbook.api import Run
from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part
from hornbook.data.split import split_corpus
from hornbook.engine.step import OptimizerStep
from hornbook.experiments.comparison import measure
from hornbook.generate import Sampling, sample
from hornbook.metrics.loss import evaluate, score
from hornbook.models.registry import build_model, model_config
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.tokenizers import build_tokenizer

RUNS = Path("runs/figures")
PAGE = Path(__file__).parent.parent / "docs" / "figures.md"
KEPT = Path(__file__).with_suffix(".json")
AS_IN_THE_NOTES = Sampling(draws="torch")


@dataclass(frozen=True)
class Training:
    """A run to make: a preset, or the default of a model, with settings of its own."""

    corpus: str
    model: str | None = None
    preset: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    slow: bool = False


NAMES, PLAYS = "makemore-names", "shakespeare"
FEW = {"training.eval_count": 4, "training.sample_count": 0}

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
    ("MLP, context 3, 200,000 steps of 32", "2.17", "notes-mlp-naive", "mlp"),
    ("MLP with better initialization", "2.10", "notes-mlp", "mlp"),
    ("MLP with BatchNorm", "2.1057 (train 2.0674)", "notes-mlp-bn", "mlp"),
    ("WaveNet, context 8", "1.9937 (train 1.7690)", "notes-wavenet", "wavenet"),
    ("4-gram counts with smoothing", "2.11 (another split)", None, "counts-4"),
    ("6-gram counts", "-", None, "counts-6"),
    (
        "small transformer, about 200k parameters",
        "about 1.92 test (another split, 1,000 names)",
        None,
        "gpt",
    ),
    ("GPT 10.8M on Shakespeare, 5,000 steps", "1.4697 best", "notes-gpt", "gpt-stream"),
    (
        "GPT 0.8M on Shakespeare, 2,000 steps of 12 x 64, laptop CPU, about 3 minutes",
        "1.88 (random batches)",
        "gpt2-stream",
        "gpt-stream",
    ),
    (
        "lowest credible loss on Shakespeare found in publications",
        "1.4578 one seed, 1.4603 mean of 3",
        None,
        "gpt-stream",
    ),
]


def make(name: str) -> Run:
    training = TRAININGS[name]
    path = RUNS / name
    if (path / "report.json").exists():
        return hornbook.load(path)
    if (path / "config.json").exists():
        return hornbook.resume(path)
    return hornbook.train(
        training.corpus,
        model=training.model,
        preset=training.preset,
        settings=training.settings,
        out=path,
    )


def bigram() -> list[tuple[str, str, str]]:
    """The neural bigram by its preset: its losses, and samples after the last step."""
    plan = resolve(read_request(preset="notes-bigram"))
    model = plan.build_model()
    step = OptimizerStep(model, plan.build_batches(), plan.config)
    losses = [step(i)[0].item() for i in range(plan.config.training.steps)]
    published = {0: 3.768619, 1: 3.378807, 2: 3.161090, 10: 2.696505, 50: 2.509855, 100: 2.489959}
    generator = torch.Generator().manual_seed(plan.config.training.seed)
    made = sample(model, plan.data.tokenizer, n=5, generator=generator, sampling=AS_IN_THE_NOTES)
    rows = [
        (f"neural bigram, loss at step {i}", f"{nats:.6f}", f"{losses[i]:.6f}")
        for i, nats in published.items()
    ]
    names = "cexze momasurailezityha konimittain llayn ka"
    return [*rows, ("its samples after 101 steps", names, " ".join(s.text for s in made))]


def plays() -> list[tuple[str, str, str]]:
    """Shakespeare's characters, vocabulary and parts."""
    corpus = load_corpus(DataConfig(corpus=PLAYS))
    tokenizer = build_tokenizer("char", corpus.text, documents=False)
    train, validation, _ = split_corpus(corpus, DataConfig(), tokenizer).sizes
    return [
        (
            "Shakespeare: characters; vocabulary",
            "1,115,394; 65",
            f"{len(corpus.text):,}; {tokenizer.vocab_size}",
        ),
        ("its training / validation part", "1,003,854 / 111,540", f"{train:,} / {validation:,}"),
    ]


def exact() -> list[tuple[str, str, str]]:
    """The exact figures: name, published, hornbook's."""
    corpus = load_corpus(DataConfig(corpus=NAMES))
    tokenizer = build_tokenizer("char", corpus.text, documents=True)
    whole = Part.of_documents(corpus.documents, tokenizer)
    split = split_corpus(corpus, DataConfig(), tokenizer)
    sizes = [split.part(part, tokenizer).n_targets for part in ("train", "val", "test")]
    training = set(split.train)
    known = sum(name in training for name in split.validation) / len(split.validation)
    rows = [
        (
            "examples in names; vocabulary",
            "228,146; 27",
            f"{whole.n_targets:,}; {tokenizer.vocab_size}",
        ),
        ("lecture split", "182,625 / 22,655 / 22,866", " / ".join(f"{n:,}" for n in sizes)),
        ("its validation names that also appear in its training part", "13.2%", f"{known:.1%}"),
    ]
    for k, published in ((0, "2.454014"), (1, "2.454577"), (5, "2.457683")):
        settings = {"name": "ngram", "order": 2, "smoothing": "add-k", "k": k}
        model = build_model(model_config(settings), 27, 0)
        model.fit(torch.from_numpy(whole.tokens.astype("int64")), torch.from_numpy(whole.starts))
        rows.append((f"bigram counts, add {k}", published, f"{evaluate(model, whole).nats:.6f}"))
        if k == 1:
            rated = score(model, tokenizer, ["andrejq"])[0].mean
            generator = torch.Generator().manual_seed(2147483647)
            made = sample(model, tokenizer, n=5, generator=generator, sampling=AS_IN_THE_NOTES)
            rows.append(("`andrejq`, add 1", "3.48340", f"{rated:.5f}"))
            rows.append(
                (
                    "samples, add 1",
                    "cexze momasurailezitynn konimittain llayn ka",
                    " ".join(s.text for s in made),
                )
            )
    rows += [*bigram(), *plays()]
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


def machine(run: Run) -> str:
    """Where a row was trained."""
    facts, torch_version = run.facts["hardware"], run.facts["versions"]["torch"]
    return f"{facts['cores']} cores, {facts['machine']}, {facts['device']}, torch {torch_version}"


def measured(name: str) -> dict[str, Any]:
    """The figures of a run in runs/figures/."""
    run = hornbook.load(RUNS / name)
    s = measure(run, name).result
    found = {"validation": s.validation, "error": s.validation_error, "test": s.test,
             "unseen": s.unseen, "seconds": s.seconds, "machine": machine(run)}  # fmt: skip
    if not s.fitted:
        found["last"] = run.log[-1].get("val_loss")
    return {**found, "train": run.evaluate("train").nats}


def cell(found: dict[str, Any] | None, usual: str, *, last: bool) -> tuple[str, str]:
    """Loss and seconds of a run as text. last: also the loss of the last weights."""
    if found is None:
        return "not run", "-"
    loss = f"{found['validation']:.4f} ± {found['error']:.4f}"
    if last and found.get("last") is not None:
        loss += f", last {found['last']:.4f}"
    loss += f" (train {found['train']:.4f})"
    if found["test"] is not None:
        loss += f"; test {found['test']:.4f}"
    if found["unseen"] is not None and found["unseen"] != found["validation"]:
        loss += f"; unseen {found['unseen']:.4f}"
    other = [word for word in found["machine"].split(", ") if word not in usual.split(", ")]
    return loss, f"{found['seconds']:.1f}" + (f" ({', '.join(other)})" if other else "")


def page(kept: dict[str, dict[str, Any]], rows: list[tuple[str, str, str]]) -> str:
    """The page: exact rows and measured rows."""
    machines = Counter(found["machine"] for found in kept.values())
    usual = machines.most_common(1)[0][0] if machines else "none measured"
    lines = [
        "# Figures",
        "",
        "`python benchmarks/figures.py` writes this page, and trains the runs behind it where they",
        "are missing. Losses are in nats per token, the mean over the whole validation part, every",
        "token once (block protocol), with their standard error. They are those of the weights with",
        "the lowest validation loss during training; `last` is the loss of the last weights, which",
        "the notes measure. `unseen` is the loss over the validation names that do not appear in the",
        "training part. Seconds are those of training, without evaluation.",
        "",
        f"Machine, unless a row states another: {usual}.",
        "",
        "## Exact",
        "",
        "| what | published | hornbook |",
        "| --- | --- | --- |",
        *(f"| {what} | {published} | {found} |" for what, published, found in rows),
        "",
        "## Published, reached or improved",
        "",
        "| what | published | notes' preset | seconds | hornbook's own | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what, published, notes, own in ROWS:
        a, b = (
            cell(kept.get(name), usual, last=name == notes) if name else ("-", "-")
            for name in (notes, own)
        )
        lines.append(f"| {what} | {published} | {a[0]} | {a[1]} | {b[0]} | {b[1]} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Trains, measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*TRAININGS, []], help="trainings to make")
    parser.add_argument(
        "--none", action="store_true", help="train nothing; measure the runs that exist"
    )
    args = parser.parse_args(arguments)
    wanted = args.rows or [name for name, training in TRAININGS.items() if not training.slow]
    for name in () if args.none else wanted:
        run = make(name)
        print(f"{name:>16}  {run.report['seconds']:.1f} s of training", flush=True)
    kept: dict[str, dict[str, Any]] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    for name in TRAININGS if args.none else wanted:
        if (RUNS / name / "report.json").exists():
            kept[name] = measured(name)
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    written = PAGE.read_text("utf-8") if PAGE.exists() else ""
    _, marker, own_words = written.partition("<!-- by hand -->")
    text = page(kept, exact())
    PAGE.write_text(text + ("\n" + marker + own_words if marker else ""), "utf-8")
    print(json.dumps({name: found["validation"] for name, found in kept.items()}))


if __name__ == "__main__":
    main()

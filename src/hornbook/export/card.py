"""The model card of an export: what the model is, its figures, its text, and how it was made.

Markdown with the YAML header that Hugging Face's hub reads. Whatever a run holds is text: it stands in
code spans and fences, never as markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from hornbook.figures.about import facts
from hornbook.files import dump
from hornbook.runs.directory import StoredRun
from hornbook.runs.verdict import verdict_text
from hornbook.visible import visible

SAMPLES, LONGEST = 10, 400  # samples on the card, and characters of one


def card(
    run: StoredRun,
    title: str,
    *,
    tags: Sequence[str],
    usage: str,
    notes: Sequence[str] = (),
    part: str = "",
) -> str:
    """The card, as README.md. usage: Markdown of how it is opened. notes: what differs from the run.
    part: the name of the part of the run's model that is exported, "" for the whole."""
    report, corpus = run.report, run.facts["corpus"]
    losses = (report.get("parts", {}).get(part) if part else report.get("validation")) or {}
    header = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    lines = ["---", *(f"{k}: {v}" for k, v in header.items()), f"tags: {dump(list(tags))}"]
    lines += [_index(run, title, losses), "---", "", f"# {code(title)}", ""]
    made = f"trained by hornbook on {code(corpus['name'])}"
    if run.imported:
        made = f"imported by hornbook from {code(run.imported)}"
    lines += [f"A small language model, {made}.", ""]
    lines += [*(f"Note: {note}.\n" for note in notes), usage, "", "## Figures", ""]
    lines += _table([(name, value) for name, value in [*facts(run), *_measured(losses)] if value])
    if part:
        whole = "Loss, verdict and samples are those of the whole model; nats, bits and perplexity"
        lines += ["", f"{whole} those of its {part}, which is what is here."]
    if verdict := verdict_text(report):
        lines += ["", "## Verdict", "", code(verdict)]
    if novelty := (report.get("novelty") or {}).get("verdict"):
        lines += ["", "## Does it copy its text?", "", code(novelty)]
    if samples := [text for text in report.get("samples", []) if text][:SAMPLES]:
        lines += ["", "## Samples", "", fenced("\n".join(text[:LONGEST] for text in samples))]
    if not run.imported:
        lines += ["", "## The text", ""]
        lines += _table(
            [(name, str(corpus[key])) for name, key in TEXT if corpus.get(key) not in (None, "")]
        )
    config = run.config.model_dump(mode="json")
    config["data"]["corpus"] = corpus["name"]  # not the path on this machine
    if base := config["finetuning"]["base"]:
        config["finetuning"]["base"] = PurePath(base).name
    config["data"]["files"] = [PurePath(each).name for each in config["data"]["files"]]
    lines += ["", "## How it was made", "", "All settings of the run:", ""]
    lines += [fenced(dump(config, indent=2), "json"), ""]
    if not run.imported:
        lines += ["It knows only the symbols of its text, and nothing of the world.", ""]
    return "\n".join(lines)


TEXT = (("name", "name"), ("kind", "kind"), ("bytes", "bytes"), ("sha256", "sha256"))


def _measured(losses: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = (
        ("Nats per token", "nats"),
        ("Bits per byte", "bits_per_byte"),
        ("Perplexity", "perplexity"),
    )
    return [(n, f"{losses[key]:.4f}") for n, key in names if losses.get(key) is not None]


def _index(run: StoredRun, title: str, losses: Mapping[str, Any]) -> str:
    """The results in the form in which the hub lists them."""
    bits = losses.get("bits_per_byte")
    if bits is None:
        return "model-index: []"
    metric = {"type": "bits_per_byte", "value": round(bits, 4), "name": "bits per byte"}
    corpus = visible(run.facts["corpus"]["name"])
    result = {
        "task": {"type": "text-generation"},
        "dataset": {"name": corpus, "type": "text", "split": "validation"},
        "metrics": [metric],
    }
    return f"model-index: {dump([{'name': visible(title), 'results': [result]}])}"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {code(value).replace('|', chr(92) + '|')} |" for name, value in rows]
    return ["| | |", "| --- | --- |", *body]


def code(text: str) -> str:
    """A text of any content as a code span on one line.

    >>> code("a `b`")
    '`` a `b` ``'
    """
    text = visible(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if len(ticks) > 1 else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def fenced(text: str, language: str = "text") -> str:
    """A text of any content as a fenced block."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    lines = "\n".join(visible(line) for line in text.splitlines())
    return f"{ticks}{language}\n{lines}\n{ticks}"

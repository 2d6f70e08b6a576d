"""How the page of a run begins, in HTML: what was trained, when, how, and some samples."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath

from hornbook.figures.style import readable
from hornbook.runs.directory import StoredRun
from hornbook.runs.verdict import verdict_rows

# of the samples that are shown: so many documents, fewer where they have several lines; or of a stream
DOCUMENTS, OF_LINES, CHARACTERS = 10, 3, 240


def escaped(text: str) -> str:
    """A text for a page of HTML, whatever it holds."""
    return html.escape(readable(text))


def about(run: StoredRun) -> str:
    """A table of what was trained, when, how and with which loss, and samples where there are any."""
    rows = "".join(
        f"<dt>{name}</dt><dd>{escaped(value)}</dd>" for name, value in facts(run) if value
    )
    samples = [text for text in run.report.get("samples", []) if text][:DOCUMENTS]
    if not samples:
        return f"<dl>{rows}</dl>"
    return f"<dl>{rows}<dt>Samples</dt><dd>{_samples(samples, documents=run.documents)}</dd></dl>"


def facts(run: StoredRun) -> list[tuple[str, str]]:
    """What was trained, when, how, and its loss: (name, value) pairs; an empty value where a run does
    not say."""
    facts, config, fitted = run.facts, run.config, run.model.fitted
    kept = "probabilities" if fitted else "parameters"
    settings = config.model.model_dump(exclude={"name"}, exclude_none=True)
    corpus, split = facts["corpus"], facts["split"]
    parts = f"{split['train']:,} {split['unit']} to train on"
    if config.data.held_out:
        parts += f", {split['validation']:,} to validate"
    return [
        ("Model", f"{config.model.name}, {facts['n_parameters']:,} {kept}"),
        ("Corpus", "" if run.imported else f"{corpus['name']} ({corpus['kind']}): {parts}"),
        ("Began from", _base(run)),
        ("Imported" if run.imported else "Trained", _when(run)),
        ("How", _how(run)),
        ("Settings", ", ".join(f"{_words(name)} {_words(v)}" for name, v in settings.items())),
        ("Loss", _loss(run)),
        ("Parts alone", _parts(run)),
        *(
            (name.capitalize(), text)
            for name, text in verdict_rows(run.report)
            if name in ("counts", "mixture")
        ),
    ]


def _base(run: StoredRun) -> str:
    """The model that the run began from, and the loss on its text before and now."""
    base, old = run.facts.get("base"), run.report.get("old_text")
    if base is None:
        return ""
    words = f"{PurePath(base['source']).name}, sha256 {base['sha256'][:12]}..."
    if old and old["before"] is not None and old["nats"] is not None:
        words += f"; {old['name']} {old['before']:.4f} nats before, {old['nats']:.4f} now"
    return words


def _when(run: StoredRun) -> str:
    hardware = run.facts["hardware"]
    date = datetime.fromisoformat(run.facts["created"])
    if run.imported:
        return f"{date:%Y-%m-%d %H:%M} {date:%Z}".rstrip() + f", from {run.imported}"
    where = f"on {hardware['device']}, {hardware['precision']}"
    return (
        f"{date:%Y-%m-%d %H:%M} {date:%Z}".rstrip() + f", {where}, hornbook {run.facts['hornbook']}"
    )


def _how(run: StoredRun) -> str:
    """How it was trained, in a sentence; of a run that has not ended, that it has not."""
    if mixed := run.facts.get("mixed"):
        return f"mixed from {', '.join(mixed)}"
    if run.model.fitted:
        return "counted in one pass"
    if run.imported:
        return "elsewhere"
    optim, training, report = run.config.optim, run.config.training, run.report
    name = (
        f"muon ({optim.muon_learning_rate:g} for matrices)" if optim.name == "muon" else optim.name
    )
    how = (
        f"{name}, learning rate {optim.learning_rate:g}, batches of {training.batch_size}, "
        f"seed {training.seed}"
    )
    if not report:
        return f"{how}; not finished"
    steps, split = report["steps"], run.facts["split"]
    passes = f", {report['tokens'] / split['train']:.2g} times its text" if split["train"] else ""
    best = report["best_step"]
    kept = f"; the weights of step {best:,} are kept" if best != steps else ""
    return f"{steps:,} steps in {report['seconds']:,.1f} s{passes}, by {how}{kept}"


def _loss(run: StoredRun) -> str:
    validation = run.report.get("validation") or {}
    nats, error = validation.get("nats"), validation.get("standard_error")
    if nats is None:
        return "infinite" if run.report and not run.imported else ""
    part = "validation" if run.config.data.held_out else "training text"
    spread = "" if error is None else f" ± {error:.4f}"
    return f"{part} {nats:.4f}{spread} nats per token"


def _parts(run: StoredRun) -> str:
    """The losses of the parts of a model that predict by themselves; empty where it has none."""
    losses = [
        f"{name} {'infinite' if part['nats'] is None else format(part['nats'], '.4f')}"
        for name, part in run.report.get("parts", {}).items()
    ]
    return f"{', '.join(losses)} nats per token" if losses else ""


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def _samples(samples: Sequence[str], *, documents: bool) -> str:
    shown = [text[:CHARACTERS] for text in samples]
    if documents and not any("\n" in text for text in shown):
        return "<br>".join(map(escaped, shown))
    return "".join(f"<pre>{escaped(text)}</pre>" for text in shown[: OF_LINES if documents else 1])

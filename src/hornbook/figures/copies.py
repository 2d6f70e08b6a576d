"""The figure of copies: samples against held-out text, and the step at which memorizing begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from hornbook.figures import style
from hornbook.figures.data import DoesNotApplyError, figure_data, once_per_run, probe_records
from hornbook.figures.style import Figure, panels, styled
from hornbook.metrics.finding import Finding
from hornbook.metrics.novelty import Novelty, NoveltyReport, measure_novelty
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty
from hornbook.parallel.states import read_rows, shard_files
from hornbook.runs.directory import StoredRun
from hornbook.runs.position import STATE


def last_model(run: StoredRun) -> LanguageModel | None:
    """The model of the last step; None where its state is gone or it is the one that was kept."""
    files = (run.path / "last").glob("state-*.safetensors")
    states = sorted(file for file in files if STATE.fullmatch(file.name))
    if not states or run.report.get("best_step") == run.report.get("steps"):
        return None
    model = build_empty(run.config.model, run.tokenizer.vocab_size, run.tokenizer.end_id)
    own = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors = read_rows(shard_files(states[-1]), own.get)
    model.load_weights({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
    return model.eval()


@once_per_run
def _measured(run: StoredRun) -> tuple[Novelty, Novelty | None]:
    """How much the kept weights copy, and those of the last step where they are others."""
    if run.template is not None:
        raise DoesNotApplyError(
            "it answers prompts: an answer may well be one of the training part"
        )
    index, other = figure_data(run).text_index, last_model(run)
    kept = measure_novelty(run.model, run.tokenizer, index)
    return kept, None if other is None else measure_novelty(other, run.tokenizer, index)


@styled
def copies(run: StoredRun) -> Figure:
    """How much samples copy the training part, beside held-out text of the same size."""
    index, (kept, last) = figure_data(run).text_index, _measured(run)
    sets = [("samples", style.BLUE, kept.samples)]
    held_out = run.config.data.held_out
    if held_out:
        sets.insert(0, ("held-out text", style.GRAY, kept.held_out))
    if last is not None:
        sets.append(("samples, last step", style.VERMILION, last.samples))
    over_time: list[dict[str, Any]] = []
    with suppress(DoesNotApplyError):
        over_time = probe_records(run, "novelty")
    figure, axes = panels([2.2] * (2 + kept.documents) + [2.4] * (len(over_time) > 1))
    _distribution(axes[0], [(n, c, s.spans) for n, c, s in sets])
    title = "Longest span of each text that appears in the training part"
    axes[0].set(xlabel="longest copied span (characters)", title=title)
    if kept.documents:
        _distribution(axes[1], [(n, c, s.distances) for n, c, s in sets])
        title = "Distance to the nearest training document (0: a copy)"
        axes[1].set(xlabel="edit distance (characters)", title=title)
        axes[1].axvline(0, color=style.GRAY, lw=0.8, ls=":")
    bars = axes[1 + kept.documents]
    narrow = style.is_narrow()  # only the title has the words then
    what = ["texts", *(f"{n}-\ngrams" if narrow else f"{n}-grams" for n in range(1, 5))]
    shares = ["copies"] * kept.documents
    shares += what if narrow else [f"different\n{name}" for name in what]
    for i, (name, color, one) in enumerate(sets):
        values = [*[one.verbatim] * kept.documents, one.different, *one.distinct]
        width = 0.84 / len(sets)
        x_of = np.arange(len(values)) + (i - (len(sets) - 1) / 2) * width
        bars.bar(x_of, [100 * v for v in values], 0.94 * width, color=color, label=name)
        for x, value in zip(x_of, values, strict=True):
            bars.text(
                x, 100 * value, f"{100 * value:.0f}", ha="center", va="bottom",
                fontsize=7 if len(sets) < 3 else 6,
            )  # fmt: skip
    if kept.documents and held_out:
        bars.errorbar(
            [0.44], [100 * kept.expected], yerr=[100 * kept.error], fmt="_", ms=10, capsize=3,
            color=style.BLACK, label="expected copies\n± standard error",
        )  # fmt: skip
    bars.set_xticks(range(len(shares)), shares)
    title = "Copies, and the share that is no repetition"
    if narrow:
        title = "Copies" * kept.documents + ", and different texts and n-grams" * kept.documents
        title = title or "Different texts and n-grams"
    bars.set(ylabel="share (%)", ylim=(0, 118), title=title)
    style.legend_beside(bars)
    if len(over_time) > 1:
        _draw_time(axes[-1], over_time, documents=kept.documents, held_out=held_out)
    if kept.documents:
        figure.reading = (
            "They are also about as far from the nearest training document as held-out text, and "
            "appear verbatim in the training part no more often than by chance; at distance 0 they "
            "are copies."
        )
    nearest = index.nearest
    if nearest.among < len(nearest.documents):
        figure.note = (
            f"distances are those to the {nearest.among:,} of {len(nearest.documents):,} training "
            "documents whose characters and pairs of characters are most like a text's"
        )
    figure.finding = (
        _nothing_learned(run, kept)
        or NoveltyReport(
            kept, last, run.report.get("best_step", 0), run.report.get("steps", 0)
        ).finding
    )
    return figure


def _nothing_learned(run: StoredRun, kept: Novelty) -> Finding | None:
    """That the loss is no better than guessing, where it is not: copying little is no merit then."""
    nats = (run.report.get("validation") or {}).get("nats")
    uniform = math.log(run.facts["vocab_size"])
    if nats is None or nats < uniform or kept.memorizing:
        return None
    return Finding(
        f"has learned nothing yet: its loss of {nats:.2f} nats per token is no better than guessing "
        f"({uniform:.2f}); {kept.figures}",
        False,
    )


def _distribution(axes: Axes, sets: Sequence[tuple[str, str, Sequence[int]]]) -> None:
    """Histograms of whole numbers as steps; wider bins where the numbers are large."""
    top = max((max(values, default=0) for _, _, values in sets), default=0)
    width = max(1, -(-top // 25))
    edges = np.arange(0, top + 2 * width, width) - 0.5
    for name, color, values in sets:
        if values:
            counts = np.histogram(values, edges)[0]
            axes.stairs(
                100 * counts / len(values), edges, color=color, lw=1.6,
                label=f"{name}: mean {np.mean(values):.1f}",
            )  # fmt: skip
    axes.set(ylabel="share of texts (%)", ylim=(0, None))
    if not any(values for _, _, values in sets):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no text short enough", transform=axes.transAxes, ha="center")
        return
    style.whole_numbers(axes)
    style.legend_beside(axes)


def _draw_time(
    axes: Axes, found: Sequence[dict[str, Any]], *, documents: bool, held_out: bool
) -> None:
    steps = [r["step"] for r in found]
    if documents:
        own, beside, color = "verbatim samples", "expected", style.BLACK
        label, top = "share (%)", 105
        values = [100 * r["samples"]["verbatim"] for r in found]
        others = [100 * r["expected"] for r in found]
    else:
        own, beside, color = "samples", "held-out text", style.GRAY
        label, top = "longest copied\nspan (characters)", None
        values = [r["samples"]["span"] for r in found]
        others = [r["held_out"]["span"] for r in found]
    axes.plot(steps, values, "o-", color=style.BLUE, ms=4, label=own)
    if held_out:
        axes.plot(steps, others, "--", color=color, lw=1.2, label=beside)
    if begins := [r["step"] for r in found if r["memorising"]]:
        axes.axvspan(begins[0], steps[-1], color=style.VERMILION, alpha=0.12, lw=0)
        since = f"memorizing from {begins[0]:,}"
        axes.axvline(begins[0], color=style.VERMILION, lw=1.2, label=since)
    axes.set(xlabel="steps (log)", ylabel=label, ylim=(0, top), title="Copies over training",
             xscale="log")  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    style.plain_digits(axes.xaxis, ",.0f")
    style.legend_beside(axes)

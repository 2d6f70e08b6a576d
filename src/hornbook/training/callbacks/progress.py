"""Progress: a bar on a terminal, plain lines elsewhere; on stderr, in a notebook on stdout."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from hornbook.arguments import several, truth
from hornbook.errors import ConfigError
from hornbook.heartbeat import Heartbeat
from hornbook.parallel.launch import speaks
from hornbook.planning.describe import describe
from hornbook.spelling import spelled
from hornbook.stages import TRAINING, is_watched, line_written, seconds_between_lines, watched
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.time_left import TimeLeft
from hornbook.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from hornbook.planning.plan import Plan
    from hornbook.runs.directory import StoredRun

UPDATE_EVERY = 0.25  # seconds between two looks at the step, but at records


class Progress(Callback):
    """Shows the plan, losses on one line, speed, time left and samples.

    brief: only the model and the bar. repeated: the sha256 of the corpus of a run that is repeated.
    now: the time in seconds.

    Attributes:
        started: whether there was something to train.
    """

    def __init__(
        self,
        *,
        brief: bool = False,
        repeated: str | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.brief, self.repeated, self.now = brief, repeated, now
        self.started = False
        self.passed = 0  # characters of a line that the next one is written over
        self.bar: Bar | None = None
        self.steps = 0
        self.left = TimeLeft()
        self.last_line = self.last_update = now()
        self.every = seconds_between_lines(sys.stderr)
        self.shown = self.val_loss = self.baseline = ""
        self._stack = ExitStack()

    def on_plan(self, plan: Plan) -> None:
        """Prints the plan."""
        for what, how in describe(plan):
            if self.brief and what != "model":
                continue
            self.say(spelled(f"{what:>13}  {how}"))
        if self.repeated not in (None, plan.data.corpus.sha256):
            self.say(f"{'note':>13}  the corpus has changed since the run that is repeated")

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """Opens the bar."""
        self.started = True
        self.steps, self.left = total_steps, TimeLeft(step, self.now())
        self.last_line = self.now()
        vocab_size = run.facts["vocab_size"]
        self.baseline = f"  (uniform baseline: ln {vocab_size} = {math.log(vocab_size):.4f})"
        if not self.brief:
            self.say(f"{'run':>13}  {run.path}" + (f", from step {step} on" if step else ""))
        if in_notebook() or not _is_terminal():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        self.bar = Bar(
            SpinnerColumn(),  # turns while an evaluation takes long
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self.bar.start()
        self.task = self.bar.add_task("", total=total_steps, completed=step)
        self._stack.enter_context(watched(self._on_stage))

    def on_total_steps(self, total_steps: int) -> None:
        """Another end of the bar."""
        self.left.change_total(self.steps, total_steps)
        self.steps = total_steps
        if self.bar is not None:
            self.bar.update(self.task, total=total_steps)

    def post_step(self, step: int) -> None:
        """Moves the bar between two records, or says after a while how far it is."""
        now, done = self.now(), step + 1
        if now - self.last_update < UPDATE_EVERY:
            return
        self.last_update = now
        left = self.left.read(done, self.steps, now)
        if self.bar is not None:
            self.bar.update(self.task, completed=done, description=f"{self.shown}{left}")
        elif now - self.last_line > self.every:
            self.last_line = now
            self.say(f"step {done:>7,} / {self.steps:,}{left}", passing=True)

    def on_log(self, record: Mapping[str, Any]) -> None:
        """One line: losses and speed."""
        step, evaluated, now = record["step"], "val_loss" in record, self.now()
        loss = "" if record["loss"] is None else f"loss {record['loss']:.4f}"
        speed = f"  {record['tokens_per_second']:,.0f} tokens/s" if step else self.baseline
        if evaluated:
            self.val_loss = "".join(
                f"  {name} {record[name]:.4f}"
                for name in ("train_loss", "val_loss", "old_loss")
                if name in record
            )
        left = self.left.read(step, self.steps, now)
        if self.bar is not None:
            self.shown = f"{loss}{self.val_loss}{speed}"
            self.bar.update(
                self.task, completed=step, description=f"{self.shown}{left}", refresh=True
            )
        quiet = self.bar is None and (step == 1 or now - self.last_line > self.every)
        if evaluated or quiet:
            self.last_line = now
            losses = loss + self.val_loss if evaluated else loss
            total = max(self.steps, step)  # of counts, which are fitted in one pass
            line = f"step {step:>7,} / {total:,}  {losses.strip()}{speed}{left}"
            self.say(line, passing=not evaluated)

    def on_samples(self, step: int, texts: Sequence[str]) -> None:
        """A few samples on one line."""
        if self.brief:
            return
        self.say("       sample  " + "  ".join(visible(text)[:200] for text in texts))

    def on_message(self, message: str) -> None:
        """A message of the loop."""
        self.say(spelled(message))

    def close(self) -> None:
        """Closes the bar."""
        self._stack.close()
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _on_stage(self, what: str | None) -> None:
        if self.bar is not None:
            said = what and what != TRAINING
            self.bar.update(self.task, description=f"{self.shown}  {what}" if said else self.shown)

    def say(self, line: str, *, passing: bool = False) -> None:
        """A line above the bar. passing: the next one is written over it where that can be done."""
        if self.bar is not None:
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif in_notebook():  # which shows what comes on stderr as if it had failed
            self.passed, padded = len(line) if passing else 0, line.ljust(self.passed)
            print(padded, end="\r" if passing else "\n", flush=True)
        else:
            print(line, file=sys.stderr, flush=True)
        line_written()


def with_progress(
    callbacks: Sequence[Callback] | Callback, wanted: bool | None, *, brief: bool = False
) -> Sequence[Callback]:
    """The callbacks of a user and, unless there is one among them, one that shows progress."""
    found = [callbacks] if isinstance(callbacks, Callback) else several(callbacks, "callbacks")
    for i, callback in enumerate(found):
        if not isinstance(callback, Callback):
            raise ConfigError(
                f"callbacks[{i}]: found {callback!r}, expected an instance of hornbook.Callback"
            )
    if any(isinstance(callback, Progress) for callback in found):
        return found
    shown = shown_by_default() if wanted is None else truth(wanted, "progress")
    return [Progress(brief=brief), *found] if shown else found


@contextmanager
def heartbeat_of(callbacks: Sequence[Callback]) -> Iterator[None]:
    """What takes long is said beside the progress among the callbacks, before and after the steps."""
    if (
        is_watched()
        or not speaks()
        or not any(isinstance(callback, Progress) for callback in callbacks)
    ):
        yield
        return
    notebook = in_notebook()
    with Heartbeat(sys.stdout if notebook else sys.stderr, rewritten=notebook or None):
        yield


def shown_by_default() -> bool:
    """Whether somebody is watching: on a terminal, or in a notebook."""
    return in_notebook() or _is_terminal()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, such as Jupyter's."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()

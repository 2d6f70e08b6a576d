"""`hornbook chat RUN`, and `hornbook sample RUN --interactive`: prompts that are typed, one a line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hornbook.cli.common import Parser, add_unknown, note
from hornbook.data.chat_forms import known_forms
from hornbook.errors import ConfigError, DataError
from hornbook.runs.commands import run_command

if TYPE_CHECKING:
    from hornbook.run import Run

FORGET = "/new"  # begins a new conversation


def run(arguments: list[str]) -> int:
    """Answers what is typed, until the input ends."""
    parser = Parser("chat")
    add = parser.add_argument
    add(
        "path", metavar="RUN", help="the directory of a run that was trained on prompts and answers"
    )
    add("--max-tokens", type=int, metavar="N", default=500, help="longest answer (default: 500)")
    add("--temperature", type=float, metavar="X", default=1.0, help="0 is greedy (default: 1)")
    add("--top-k", type=int, metavar="N", help="sample from the N likeliest tokens")
    add("--top-p", type=float, metavar="X", help="sample from the likeliest tokens that reach X")
    add("--seed", type=int, metavar="N", help="the same seed and prompts, the same answers")
    add_unknown(parser)
    args = parser.parse_args(arguments)

    from hornbook.generate import make_generator
    from hornbook.run import Run

    loaded = Run.load(args.path)
    if loaded.template is None:
        why = "was not trained on prompts and answers"
        if loaded.imported:
            why = f"its chat template is none that hornbook knows ({known_forms()}), or it has none"
        raise ConfigError(
            f"{args.path}: {why}; to continue what is typed: "
            f"{run_command('sample', args.path, '--interactive')}"
        )
    names = ("max_tokens", "temperature", "top_k", "top_p", "unknown")
    options = {name: getattr(args, name) for name in names}
    options["seed"] = make_generator(args.seed)
    return converse(loaded, options)


def converse(run: Run, options: Mapping[str, Any]) -> int:
    """Answers each line by the template of a run; of a conversation with what was said before.

    The oldest messages are left out where the model would not see them. Returns an exit code.
    """
    template = run.template
    assert template is not None
    help_ = f"; {FORGET} begins a new conversation" if template.chat else ""
    messages: list[tuple[str, str]] = []
    forgotten = False
    for line in typed(f"one prompt a line{help_}; the end of the input (Ctrl-D) ends it"):
        if template.chat and line == FORGET:
            messages.clear()
            continue
        messages = [*messages, ("user", line)] if template.chat else [("user", line)]
        room = max(1, run.model.context_length - 1)
        text = template.reply_to(messages) if template.chat else template.prompt(line)
        while len(messages) > 1 and len(run.tokenizer.encode(text, unknown="skip")) > room // 2:
            messages = messages[1:]
            text = template.reply_to(messages)
            if not forgotten:
                note(f"the context has {room + 1} tokens: the oldest messages are left out")
                forgotten = True
        answer = answered(run, text, {**options, "stop": template.stops})
        if answer is None:
            messages = messages[:-1]
        elif template.chat:
            messages.append(("assistant", template.answer_of(answer)))
    return 0


def continue_lines(run: Run, options: Mapping[str, Any]) -> int:
    """Continues each line that is typed. Returns an exit code."""
    for line in typed("one prompt a line; the end of the input (Ctrl-D) ends it"):
        sys.stdout.write(line)
        answered(run, line, options)
    return 0


def answered(run: Run, prompt: str, options: Mapping[str, Any]) -> str | None:
    """Prints a continuation as it is generated, and returns it; None where the prompt is refused."""
    pieces = []
    try:
        for piece in run.stream(prompt=prompt, **options):
            pieces.append(piece)
            sys.stdout.write(piece)
            sys.stdout.flush()
    except DataError as error:  # such as for unknown characters: the next line may be right
        sys.stdout.write("\n")
        note(f"hornbook: {error}")
        return None
    except KeyboardInterrupt as stop:
        if not _is_typed() or getattr(stop, "signal", signal.SIGINT) != signal.SIGINT:
            raise
        note("\nstopped; Ctrl-C once more, or Ctrl-D, ends it")
        return "".join(pieces)
    text = "".join(pieces)
    print(end="" if text.endswith("\n") else "\n", flush=True)
    return text


def _is_typed() -> bool:
    """Whether a person types the prompts."""
    return sys.stdin is not None and sys.stdin.isatty()


def typed(help_: str) -> Iterator[str]:
    """The lines of stdin, each after a prompt on stderr where a person types them."""
    person = _is_typed()
    if person:
        note(help_)
    while True:
        if person:
            print("> ", end="", file=sys.stderr, flush=True)
        try:
            line = sys.stdin.readline() if sys.stdin is not None else ""
        except UnicodeDecodeError as error:
            raise DataError(
                f"stdin: found byte 0x{error.object[error.start]:02x}, which is not valid "
                f"{error.encoding}, expected text in it; convert the text first"
            ) from None
        if not line:
            if person:
                note("")
            return
        if line.strip():
            yield line.rstrip("\r\n")

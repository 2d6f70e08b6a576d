"""Commands that messages tell the user to type. A shell reads each as it was meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from hornbook.config import DataConfig, RunConfig, TokenizerConfig
from hornbook.errors import in_terminal
from hornbook.parallel.launch import find_launch, torchrun_words, typed_command
from hornbook.visible import visible

NAMES_RUN = ("--out", "--name", "--resume")  # the options of `hornbook train` that name a run
LONGEST_TEXT = 40  # characters of a text in a command


def run_command(verb: str, path: str | Path, *words: str) -> str:
    """A verb on a run. words: after the run, each one argument.

    >>> run_command("score", "runs/my run", "l'eau", "--tokens")
    'hornbook score \\'runs/my run\\' \\'l\\'"\\'"\\'eau\\' --tokens'
    """
    return f"hornbook {verb} {_joined([path_word(path), *words])}"


def resume_command(path: str | Path, *flags: str) -> str:
    """What to type to resume a run, in as many processes as this is one of. flags: as they are typed,
    several words each.

    >>> resume_command("runs/my run", "--steps 300")
    "hornbook train --resume 'runs/my run' --steps 300"
    """
    words = f"hornbook train --resume {_quoted(path_word(path))}"
    launch = find_launch() if in_terminal.get() else None
    before = [] if launch is None else [_joined(torchrun_words(launch))]
    return " ".join([*before, words, *flags])


def same_command(path: str | Path) -> str:
    """What to type to resume the run that is trained here. Of a launch by torchrun it is the same
    command again, with the run as its `--out`."""
    typed = typed_command() if in_terminal.get() and find_launch() else None
    if typed is None:
        return resume_command(path)
    torchrun, words = typed
    named = any(word.partition("=")[0] in NAMES_RUN for word in words)
    out = [] if named else ["--out", path_word(path)]
    return _joined([*torchrun, *words, *out])


def start_command(path: str | Path, corpus: str) -> str:
    """What to type to train a run further on another text.

    >>> start_command("runs/names", "other names.txt")
    "hornbook train 'other names.txt' --from runs/names"
    """
    return _joined(["hornbook", "train", path_word(corpus), "--from", path_word(path)])


def mix_command(path: str | Path, order: int, weights: Sequence[float]) -> str:
    """What to type to mix a run with counts of its text.

    >>> mix_command("runs/names", 5, [0.6, 0.4])
    'hornbook mix runs/names --counts 5 --weights 0.6,0.4 --out runs/names-mixture'
    """
    listed, out = ",".join(f"{weight:g}" for weight in weights), f"{path_word(path)}-mixture"
    words = ["--counts", str(order), "--weights", listed, "--out", out]
    return run_command("mix", path, *words)


def counts_command(config: RunConfig, order: int) -> str:
    """What to type to count the text of a run with these settings, read and split as it was."""
    words = ["hornbook", "train", *map(path_word, (config.data.corpus, *config.data.files))]
    words += ["--model", "ngram", "--model.order", str(order)]
    for section, default in (("data", DataConfig()), ("tokenizer", TokenizerConfig())):
        for name, value in getattr(config, section).model_dump(exclude={"corpus", "files"}).items():
            if value != getattr(default, name):
                words += [f"--{section}.{name.replace('_', '-')}", str(value)]
    return _joined(words)


def _joined(words: Iterable[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    r"""A word as a shell reads it; the bytes of a file name that are not UTF-8 by their numbers.

    >>> print(_quoted("my run"), _quoted("caf\udce9 notes"))
    'my run' $'caf\xe9 notes'
    """
    if not any("\udc80" <= c <= "\udcff" for c in word):
        return shlex.quote(word)
    escaped = (
        chr(b) if 32 <= b < 127 and chr(b) not in "\\'" else f"\\x{b:02x}"
        for b in os.fsencode(word)
    )
    return f"$'{''.join(escaped)}'"


def path_word(path: str | Path) -> str:
    """A path as an argument: one that begins with a dash would be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def text_to_type(texts: Iterable[str], encoding: str = "utf-8") -> str | None:
    """A piece of the first of these texts that has one which can be typed: on one line, without tabs
    and other control characters, in the encoding of a terminal, and not like an option.

    >>> text_to_type(["\\t", "0\\trød\\ta"])
    'rød'
    """
    for text in texts:
        line = "".join(c if _can_be_typed(c, encoding) else "\n" for c in text)
        pieces = [piece[:LONGEST_TEXT].strip(" ").lstrip("-") for piece in line.split("\n")]
        if longest := max(pieces, key=len, default=""):
            return longest
    return None


def _can_be_typed(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    # beside another one, since an invisible character alone is escaped
    return visible(f"{character}.") == f"{character}."

"""Messages for a terminal and for Python: `--training.batch-size 8` or `settings={...}`.

Everything below the API writes options as they are typed in a terminal. Where a program calls the API,
its errors are written anew when they leave it, in arguments of Python. The command line calls the same
API, and says that it reads messages as they are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from hornbook.config.names import SHORT_NAMES
from hornbook.config.sections import all_fields
from hornbook.errors import HornbookError, in_terminal

P = ParamSpec("P")
R = TypeVar("R")

ARGUMENTS = {  # settings that are arguments of their own in Python; others are given in `settings`
    "data.corpus": "corpus",
    "model.name": "model",
    "training.steps": "steps",
    "training.epochs": "epochs",
    "training.minutes": "minutes",
    "training.seed": "seed",
    "training.device": "device",
    "training.precision": "precision",
    "finetuning.base": "base",
    "finetuning.unknown": "unknown",
}
FLAG = r"--[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)?"
# a number, or a word that ends a phrase: in "--reference is exact" there is none
VALUE = r"[0-9.]+(?:e[+-]?[0-9]+)?(?=[\s,;)`]|\.\s|\.?$)|[a-z0-9_]+(?=[),;`]|\.?$)"
OPTION = re.compile(  # alone: in brackets; not after a letter or a quotation mark
    rf"(?P<alone>\((?={FLAG}\)))?(?<![^\s(`])(?P<flag>{FLAG})(?:[ =](?P<value>{VALUE}))?", re.M
)
RESUME = re.compile(
    r"hornbook train --resume (?P<run>'[^']*'(?:\"'\"'[^']*')*|[^\s,;)]+)"
    rf"(?P<options>(?: {FLAG} [^\s,;)]+)*)"
)

TRUTHS = {f"{section}.{name}" for section, name, field in all_fields() if field.annotation is bool}


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose errors speak of Python's arguments unless a terminal reads them."""

    @wraps(function)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (HornbookError, KeyboardInterrupt) as error:
            if not in_terminal.get() and error.args and isinstance(error.args[0], str):
                error.args = (for_python(error.args[0]), *error.args[1:])
            raise

    return translated


def spelled(message: str) -> str:
    """A message as whoever reads it types: in a terminal as it is, else in arguments of Python."""
    return message if in_terminal.get() else for_python(message)


def for_python(message: str) -> str:
    """A message with options of the command line as arguments of Python.

    >>> for_python("give another directory (--out), or --optim.learning-rate 0.001")
    "give another directory (out=...), or settings={'optim.learning_rate': 0.001}"
    >>> for_python("hornbook train --resume runs/names --steps 300")
    "hornbook.resume('runs/names', steps=300)"
    """
    message = re.sub(r"--seeds ([0-9]+(?:,[0-9]+)+)", _seeds, message)
    message = RESUME.sub(_call, message)
    message = OPTION.sub(_option, message).replace("} settings={", ", ")
    message = message.replace("the same command with another out", "the same call with another out")
    message = re.sub(r"`hornbook (mix|ladder|sweep|train)\b[^`]*`", r"hornbook.\1", message)
    return re.sub(r"^RUN: ", "runs: ", message)


def _call(found: re.Match[str]) -> str:
    words = shlex.split(found["options"])
    arguments, settings = [repr(shlex.split(found["run"])[0])], []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        name, argument = _setting(flag)
        if argument:
            arguments.append(f"{name}={_literal(value)}")
        else:
            settings.append(f"{name!r}: {_literal(value)}")
    if settings:
        arguments.append(f"settings={{{', '.join(settings)}}}")
    return f"hornbook.resume({', '.join(arguments)})"


def _seeds(found: re.Match[str]) -> str:
    return f"hornbook.sweep(..., seeds=[{found[1].replace(',', ', ')}])"


def _option(found: re.Match[str]) -> str:
    (name, argument), value = _setting(found["flag"]), found["value"]
    if value is None and name in TRUTHS:
        value = "true"
    if argument:
        text = f"{name}={_literal(value)}" if value else f"{name}=..." if found["alone"] else name
    else:
        text = name if value is None else f"settings={{{name!r}: {_literal(value)}}}"
    return (found["alone"] or "") + text


def _setting(flag: str) -> tuple[str, bool]:
    """The name of an option in Python, and whether it is an argument rather than a setting."""
    name = flag.removeprefix("--")
    name = SHORT_NAMES.get(name, name).replace("-", "_")
    return ARGUMENTS.get(name, name), name in ARGUMENTS or "." not in name


def _literal(value: Any) -> str:
    """A value of the command line as Python."""
    if value in ("yes", "true", "no", "false"):
        return str(value in ("yes", "true"))
    try:
        float(value)
    except ValueError:
        return repr(value)
    return str(value)

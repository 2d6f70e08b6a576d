"""`hornbook VERB ...`: runs the verb, and turns errors into messages and exit codes.

0: success; 1: failure; 2: wrong usage or settings; 130: interrupted; 143: terminated; 141: the reader
of its output has closed the pipe.
"""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from keyword import iskeyword

from hornbook.cli import OTHER_VERBS, VERBS
from hornbook.errors import ConfigError, HornbookError, did_you_mean, for_terminal
from hornbook.heartbeat import Heartbeat
from hornbook.machine import spin_briefly
from hornbook.parallel.launch import LAST_WORDS, Launch, find_launch, speaks, tell_torchrun
from hornbook.version import __version__

# at the end of the process the collector would walk once more through all that torch loaded: on a busy
# machine seconds after the last line
atexit.register(gc.freeze)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):  # closed by the caller: nothing is printed there
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        launch = find_launch()
    except HornbookError as error:
        fail(str(error))
        return error.exit_code
    first = launch is None or launch.is_first
    if launch:  # a lost rank is explained once, not by a trace of C++ from each of the others
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not first:  # of several processes, rank 0 alone says what all of them would
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # what a stream cannot encode is escaped
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if len(arguments) == 2 and arguments[0] == "help":
        arguments = [arguments[1], "--help"]
    try:
        with for_terminal():
            return _run(arguments)
    except HornbookError as error:
        if error.said is None:
            _fail_before_meeting(launch, str(error))
        elif not error.said:
            fail(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        if first:
            fail(str(stop) or "interrupted")
        return 128 + getattr(stop, "signal", signal.SIGINT)
    except BrokenPipeError:  # the reader of a pipe went away
        _silence()
        return 141
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT)
        if not full and not isinstance(error.filename, str):
            raise
        what = "the output cannot be written" if full else f"{error.filename} cannot be used"
        fail(f"{what} ({error.strerror}){_remedy(str(error.filename))}")
        return 1


def _run(arguments: list[str]) -> int:
    code = 0
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
    elif arguments[0] in ("-V", "--version"):
        print(f"hornbook {__version__}")
    elif arguments[0] not in VERBS:
        verb = OTHER_VERBS.get(arguments[0])
        near = f"; did you mean {verb!r}?" if verb else did_you_mean(arguments[0], VERBS)
        raise ConfigError(f"{arguments[0]}: no such verb{near}")
    else:
        spin_briefly()
        verb = arguments[0].replace("-", "_")
        verb += "_" if iskeyword(verb) else ""
        with Heartbeat() if speaks() else nullcontext():
            code = importlib.import_module(f"hornbook.cli.{verb}").run(arguments[1:])
    sys.stdout.flush()
    return code


def _remedy(path: str) -> str:
    """What to do about a path that cannot be used, if a variable of the environment names it."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"):  # where torch stores compiled code
        folder = os.environ.get(name)
        if folder and path.startswith(folder):
            return f"; {name} names it: give a directory that can be written, or unset it"
    return ""


def _fail_before_meeting(launch: Launch | None, message: str) -> None:
    """Prints an error that ranks do not know of each other: once on each machine, whose commands may
    differ. Only its first rank speaks at once: torchrun stops the others when that has ended."""
    if launch is not None and launch.local_rank:
        time.sleep(LAST_WORDS)
    fail(message if launch is None or launch.is_first else f"{launch.name}: {message}")


def fail(message: str) -> None:
    """Prints an error on stderr, and writes it where torchrun reads it for its own report."""
    tell_torchrun(message)
    with suppress(OSError):
        print(f"hornbook: {message}", file=sys.stderr)
    _silence()


def _silence() -> None:
    """Redirects streams that cannot be written, of which the interpreter would complain at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def usage() -> str:
    """What `hornbook --help` prints."""
    verbs = "\n".join(f"  {verb:<8} {line}" for verb, line in VERBS.items())
    return (
        "usage: hornbook VERB ...\n\n"
        "Trains, samples, evaluates and compares small language models, from n-gram counts to a "
        f"GPT.\n\n{verbs}\n\n"
        "hornbook VERB --help lists the options of a verb. To begin: hornbook train"
    )

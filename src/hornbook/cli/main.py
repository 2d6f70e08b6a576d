"""`hornbook VERB ...`: finds the verb, and turns errors into messages and exit codes.

0: done; 1: it failed; 2: wrong usage or settings; 130: interrupted (143: terminated, 141: nobody reads
what it says any more).
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from hornbook import __version__
from hornbook.errors import ConfigError, HornbookError, did_you_mean

VERBS = {
    "train": "train a model on a corpus of the registry or a text file",
    "sample": "let a run write",
    "eval": "the loss of a run over a whole part, in nats and bits per byte",
    "score": "how surprising a run finds texts of yours, symbol by symbol",
    "show": "what a run is: figures, settings, loss curve",
    "ladder": "train every model on the same text, and compare",
    "compare": "runs side by side, and whether their differences are real",
    "mix": "one run of several: their probabilities averaged",
    "lr-find": "look for a learning rate",
    "inspect": "figures of what a run learned, how it trained, and whether it copied",
    "doctor": "what this machine is to hornbook, and whether its device can be trusted",
    "data": "the corpora, or the statistics of one or of a file",
    "models": "what can be trained, and the settings of one",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):  # closed by whoever called: nothing is said there
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # what a stream cannot say is written out
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if len(arguments) == 2 and arguments[0] == "help":
        arguments = [arguments[1], "--help"]
    try:
        return _run(arguments)
    except HornbookError as error:
        fail(str(error))
        return error.exit_code
    except KeyboardInterrupt as stop:
        fail(str(stop) or "interrupted")
        return 128 + getattr(stop, "signal", signal.SIGINT)
    except BrokenPipeError:  # the reader of a pipe went away: nobody to tell
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
        raise ConfigError(f"{arguments[0]}: no such verb{did_you_mean(arguments[0], VERBS)}")
    else:
        # threads that soon fall asleep: on a busy machine spinning ones cost up to a hundred times
        # more, on a quiet one those that fall asleep at once a quarter (docs/logbook.md)
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        verb = arguments[0].replace("-", "_")
        code = importlib.import_module(f"hornbook.cli.{verb}").run(arguments[1:])
    sys.stdout.flush()
    return code


def _remedy(path: str) -> str:
    """What to do about a path that cannot be used, where the environment names it."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"):  # where torch keeps what it compiles
        folder = os.environ.get(name)
        if folder and path.startswith(folder):
            return f"; {name} names it: give a directory that can be written, or unset it"
    return ""


def fail(message: str) -> None:
    """An error for the user, on stderr."""
    with suppress(OSError):
        print(f"hornbook: {message}", file=sys.stderr)
    _silence()


def _silence() -> None:
    """Lets go of what a stream cannot write: the interpreter would complain of it at its end."""
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
        "Trains, samples, evaluates and scores small language models, from letter counts to a "
        f"GPT.\n\n{verbs}\n\n"
        "hornbook VERB --help tells more. Begin with: hornbook train"
    )

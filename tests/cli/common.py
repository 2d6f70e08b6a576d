"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hornbook.cli.common import Parser
from hornbook.cli.main import main

Cap = pytest.CaptureFixture[str]
Write = Callable[[str, bytes | str], Path]

SMALL = [  # a model and a run small enough for a test
    "--layers", "1", "--model.n-head", "2", "--model.n-kv-head", "2", "--model.n-embd", "16",
    "--model.n-hidden", "24", "--batch-size", "8", "--training.eval-count", "2",
    "--precision", "fp32",
]  # fmt: skip


def run(capsys: Cap, *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


class CaughtError(Exception):
    """Carries the parser of a verb out of it."""


@cache
def parser_of(verb: str) -> Parser:
    """The parser of a verb, with all its options."""

    def catch(self: Parser, *_: Any) -> NoReturn:
        raise CaughtError(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parser, "parse_args", catch)
        with pytest.raises(CaughtError) as caught:
            main([verb])
    (parser,) = caught.value.args
    assert isinstance(parser, Parser)
    return parser

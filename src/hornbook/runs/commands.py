"""Commands that messages tell the user to type."""

from __future__ import annotations

import shlex
from pathlib import Path


def resume_command(path: str | Path, *flags: str) -> str:
    """What to type to resume a run.

    >>> resume_command("runs/my run", "--steps 300")
    "hornbook train --resume 'runs/my run' --steps 300"
    """
    return " ".join([f"hornbook train --resume {shlex.quote(str(path))}", *flags])

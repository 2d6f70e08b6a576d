"""How far a run is, by its saved states; nothing is loaded for it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from hornbook.errors import RunError
from hornbook.files import read_json

# steps, number, and of the first of several files, how many there are (`parallel/states.py`)
STATE = re.compile(r"state-([0-9]{8,18})(-[0-9]+)?(?:\.0-of-[0-9]{1,6})?\.safetensors")


def saved_step(path: Path) -> int | None:
    """The number of steps done in the newest state; None where no state was saved.

    From the pointer, or, where that is damaged or gone, from the names of the states
    (`training/checkpoint.py`).
    """
    folder = path / "last"
    with suppress(RunError, LookupError, TypeError, ValueError, OverflowError):
        return int(read_json(folder / "state.json")["step"])
    names = (STATE.fullmatch(file.name) for file in folder.glob("state-*.safetensors"))
    return max((int(name[1]) for name in names if name), default=None)


def saved_total(path: Path) -> int | None:
    """The total steps by the newest state, other ones than in config.json where they were changed;
    None where the pointer does not say."""
    with suppress(RunError, LookupError, TypeError, ValueError, OverflowError):
        return int(read_json(path / "last" / "state.json")["total_steps"])
    return None

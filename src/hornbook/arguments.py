"""Arguments of the Python API in the forms that programs have them: NumPy's numbers, pandas' columns,
paths. What is none of these raises ConfigError with its place, what was found and what was expected.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hornbook.errors import ConfigError

SHOWN = 40  # characters of a value in a message


def texts(value: Any, name: str, *, one: bool = True) -> list[str]:
    """Texts from any iterable of them: a list, a pandas Series, a NumPy array, a generator.

    one: a single text stands for a list of itself.
    """
    if isinstance(value, str):
        if one:
            return [str(value)]
        raise ConfigError(f"{name}: found one text, expected several; put it into a list")
    if hasattr(
        value, "columns"
    ):  # iterating over a pandas DataFrame gives the names of its columns
        raise ConfigError(f"{name}: found a {type(value).__name__}, expected one of its columns")
    if not isinstance(value, Iterable) or isinstance(value, bytes | Mapping) or _shape(value) == ():
        raise ConfigError(f"{name}: found {_found(value)}, expected a text or several")
    found = []
    for place, text in enumerate(value):
        if not isinstance(text, str):
            raise ConfigError(
                f"{name}[{place}]: found {_found(text)}, expected a text; leave it out, or make it "
                "one with str()"
            )
        found.append(str(text))  # NumPy's and others' own kinds of text
    return found


def text(value: Any, name: str) -> str:
    """One text."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: found {_found(value)}, expected a text")
    return str(value)


def choice(value: Any, name: str, known: Sequence[str]) -> Any:
    """One of several words."""
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{name}: found {_found(value)}, expected one of {', '.join(known)}")
    return value


def truth(value: Any, name: str) -> bool:
    """True or False. A text such as "no" would count as true."""
    if type(value).__name__ not in ("bool", "bool_"):  # of Python, of NumPy
        raise ConfigError(f"{name}: found {_found(value)}, expected True or False")
    return bool(value)


def integer(value: Any, name: str) -> int:
    """A whole number, of Python or another library."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ConfigError(f"{name}: found {_found(value)}, expected a whole number") from None


def number(value: Any, name: str) -> float:
    """A real number, of Python or another library."""
    try:
        if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: found {_found(value)}, expected a number") from None


def path(value: Any, name: str) -> str:
    """A path, or the name of a corpus, as text."""
    if isinstance(value, str | os.PathLike):
        found = os.fspath(value)
        if isinstance(found, str) and (found or name == "corpus"):
            return found
    expected = "a name or the path of a text file" if name == "corpus" else "a path"
    raise ConfigError(f"{name}: found {_found(value)}, expected {expected}")


def several(value: Any, name: str) -> list[Any]:
    """A list of anything but characters: a single text or one object is refused."""
    if isinstance(value, str | bytes | os.PathLike) or not isinstance(value, Iterable):
        raise ConfigError(f"{name}: found {_found(value)}, expected several; put it into a list")
    return list(value)


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """Settings by name; None: none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(
            f"{name}: found {_found(value)}, expected a dict such as {{'model.n_layer': 4}}"
        )
    settings: Mapping[str, Any] = plain(value)
    return settings


def plain(value: Any) -> Any:
    """A setting as JSON has it: numbers of NumPy become Python's, paths text, tuples lists; devices
    and dtypes of torch become their names here."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kind = type(value)
    if kind.__module__ == "torch" and kind.__name__ in ("device", "dtype"):
        return DTYPES.get(str(value), str(value))
    if _shape(value) == () and hasattr(value, "item"):  # a scalar of NumPy or torch
        return value.item()
    return value.tolist() if hasattr(value, "tolist") else value


DTYPES = {"torch.float32": "fp32", "torch.bfloat16": "bf16"}


def _shape(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    return tuple(shape) if shape is not None else None


def _found(value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."
    return "None" if value is None else f"{shown} ({type(value).__name__})"

"""Documents out of records: JSON lines, JSON lists, rows of CSV and TSV.

A record is a mapping of names to values. Which of them holds the text is requested, or chosen where
there is no other choice; else the message lists all of them with an example of each.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from hornbook.data.limits import LIMITS
from hornbook.data.reading import whole_lines
from hornbook.errors import DataError, counted, did_you_mean
from hornbook.visible import visible

Record = Mapping[str, Any]
INSPECTED = 100  # records whose fields are listed
TEXT_FIELDS = ("text", "content")  # taken without a question
LISTED = 12  # fields in a message
NESTED = 6  # objects and lists inside one another whose fields are listed
FIRST = "0"  # the first item of a list, as a field names it
EXAMPLE = 40  # characters of an example
DELIMITERS = ",;\t|"
SAMPLE = 1 << 16  # characters in which the delimiter of a table is found
QUOTED = re.compile(r'"(?:[^"]|"")*"')  # a cell in quotes


def json_lines(texts: Iterable[str], place: object) -> Iterator[Record]:
    """The objects of a text that has one a line; blank lines are skipped.

    Raises DataError that names the first line that is no object.
    """
    number = 0
    for piece in whole_lines(texts, place, LIMITS.line):
        for line in piece.split("\n")[:-1]:
            number += 1
            if line.strip():
                yield _object(line, f"{place}: line {number:,}")


def json_list(texts: Iterable[str], place: object) -> Iterator[Record]:
    """The objects of a text that is one JSON list of them, or has one a line.

    Raises DataError for anything else, and for a list that is too long to be read at once.
    """
    pieces = whole_lines(texts, place, LIMITS.line)
    first = next(pieces, "")
    if first.lstrip()[:1] != "[":
        yield from json_lines(chain([first], pieces), place)
        return
    read, size = [first], len(first)
    for piece in pieces:
        read.append(piece)
        size += len(piece)
        if size > LIMITS.in_memory:
            raise DataError(
                f"{place}: found a JSON list of more than {LIMITS.in_memory >> 20} MB, which is not "
                f"read at once; write an object a line: jq -c '.[]' {shlex.quote(str(place))} > "
                "records.jsonl"
            )
    try:
        found = json.loads("".join(read))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{place}: not valid JSON ({error}); expected a list of objects") from None
    for i, value in enumerate(found, 1):
        yield _checked(value, f"{place}: item {i:,}")


def _object(text: str, place: str) -> Record:
    try:
        return _checked(json.loads(text), place)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(
            f"{place}: not valid JSON ({error}); expected an object a line, or --format text to read "
            "the file as it is"
        ) from None


def are_objects(text: str) -> bool:
    r"""Whether the first lines of a text, up to three, are JSON objects, and there is one.

    >>> are_objects('{"a": 1}\n{"a": 2}\n'), are_objects("{a}\n"), are_objects("")
    (True, False, False)
    """
    lines = list(islice((line for line in text[:SAMPLE].split("\n") if line.strip()), 3))
    if len(lines) > 1 and len(text) > SAMPLE:
        lines = lines[:1]  # the others may be cut off
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except (json.JSONDecodeError, RecursionError):
        return False


def is_list_of_objects(text: str) -> bool:
    r"""Whether a text begins as a JSON list of objects.

    >>> is_list_of_objects('[\n {"a": 1}]'), is_list_of_objects("[a list]"), is_list_of_objects("[{x")
    (True, False, False)
    """
    return re.match(r'\s*\[\s*\{\s*"', text) is not None


def _checked(value: Any, place: str) -> Record:
    if isinstance(value, str):  # a list of texts
        return {"text": value}
    if not isinstance(value, dict):
        raise DataError(f"{place}: found {visible(repr(value))[:EXAMPLE]}, expected an object")
    return value


def table_rows(
    texts: Iterable[str], place: object, *, delimiter: str = "", header: str = "auto"
) -> Iterator[Record]:
    """The rows of a table by the names of its columns; without a header these are 1, 2 and so on.

    delimiter: empty to find it. header: yes, no, or auto: see `is_header`. Raises DataError where a
    row has another number of cells than the first.
    """
    lines = chain.from_iterable(
        io.StringIO(piece, newline="\n") for piece in whole_lines(texts, place, LIMITS.line)
    )
    begun = list(islice(lines, 200))
    csv.field_size_limit(LIMITS.line)
    found = delimiter or find_delimiter("".join(begun)[:SAMPLE])
    rows = csv.reader(
        chain(begun, lines),
        delimiter=found,
        strict=True,
        skipinitialspace=f'{found} "' in QUOTED.sub('""', "".join(begun)),  # as people type it
    )
    names: list[str] = []
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if not names:
                headed = header == "yes" or (header == "auto" and is_header(row))
                names = list(row) if headed else [str(i) for i in range(1, len(row) + 1)]
                if headed:
                    continue
            if len(row) != len(names):
                raise DataError(
                    f"{place}: line {rows.line_num:,}: found {counted(len(row), 'cell')}, expected "
                    f"{len(names)} as in the first row; put cells that hold {found!r} or a quote into "
                    "quotes, or read it as plain text: --format text"
                )
            yield dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{place}: line {rows.line_num:,}: not a table ({error}); close its quotes, or read it as "
            "plain text: --format text"
        ) from None


def find_delimiter(text: str) -> str:
    r"""The delimiter of a table: the one that splits most of its rows into as many cells as the first.

    >>> find_delimiter("a;b\n1,5;2\n"), find_delimiter("name\nemma\n")
    (';', ',')
    """

    def regular(delimiter: str) -> int:
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error:
            return 0
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) * (width > 1)

    return max(DELIMITERS, key=regular)


def is_header(row: list[str]) -> bool:
    """Whether the first row of a table has the names of its columns: short, different, no numbers.

    >>> is_header(["name", "year"]), is_header(["emma", "1997"]), is_header(["a", ""])
    (True, False, False)
    """
    named = all(cell.strip() and len(cell) <= 64 and not is_number(cell) for cell in row)
    return named and len(set(row)) == len(row)


def is_number(cell: str) -> bool:
    """Whether a cell of a table is a number, with a point or a comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def field_of(record: Record, field: str) -> Any:
    """The value of a field; dots go into objects and lists. None where there is none.

    >>> field_of({"a": {"b": ["x", "y"]}}, "a.b.1"), field_of({"a.b": 3}, "a.b")
    ('y', 3)
    """
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def examples_of(records: Iterable[Record]) -> dict[str, str]:
    """The fields that hold text or numbers, with a value of each, of text where there is one; dotted
    inside objects and lists, of which the first item stands for the others."""
    found: dict[str, str] = {}
    for record in islice(records, INSPECTED):
        for field, leaf in _leaves(record, "", NESTED):
            if field not in found or (is_number(found[field]) > is_number(leaf)):
                found[field] = leaf
    return found


def _leaves(value: Any, field: str, depth: int) -> Iterator[tuple[str, str]]:
    """The texts and numbers in a value and the fields that lead to them, down to a depth."""
    if isinstance(value, str | int | float):
        if str(value).strip():
            yield field, str(value)
        return
    inside: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, Mapping) else []
    if isinstance(value, list):
        inside = [(FIRST, item) for item in value[:1]]
    for key, leaf in inside if depth else ():
        yield from _leaves(leaf, f"{field}.{key}" if field else str(key), depth - 1)


def choose_field(
    records: Iterable[Record], requested: str, place: object, flag: str
) -> tuple[str, str]:
    """The field that holds the text, and why: the requested one, one that is called text, the only
    one, or the only one outside lists that does not hold numbers.

    flag: --field or --column. Raises DataError that lists the fields, where none of these is there.
    """
    inspected = list(islice(records, INSPECTED))
    examples = examples_of(inspected)
    if requested and _has_value(inspected, requested):
        return requested, ""
    if not examples:
        raise DataError(f"{place}: found no record with text in it, expected some")
    if requested:
        near = did_you_mean(requested, examples)
        near = near if "did you mean" in near else ""
        begin = f"{place}: no {flag[2:]} {requested!r}{near}; there are:"
        raise DataError(_listed(examples, begin, flag))
    if (named := next((n for n in TEXT_FIELDS if n in examples), "")) != "":
        return named, ""
    texts = [
        name
        for name, value in examples.items()
        if not is_number(value) and FIRST not in name.split(".")[1:]
    ]
    if len(texts) == 1 or len(examples) == 1:
        why = f", the only one of {len(examples)} with text in it" if len(examples) > 1 else ""
        return (texts or list(examples))[0], why
    what = counted(len(examples), flag[2:])
    begin = f"{place}: found {what}; name the one that holds the text:"
    last = f"or of prompts and their answers two: {flag} PROMPT+ANSWER"
    raise DataError(_listed(examples, begin, flag, last))


def check_fields(records: Iterable[Record], field: str, place: object, flag: str) -> None:
    """Raises DataError that lists the fields, where one of several with + between is in no record."""
    inspected = list(islice(records, INSPECTED))
    for name in field.split("+"):
        if not _has_value(inspected, name):
            begin = f"{place}: no {flag[2:]} {name!r}, of {field!r}; there are:"
            raise DataError(_listed(examples_of(inspected), begin, flag))


def _has_value(records: Iterable[Record], field: str) -> bool:
    return any(isinstance(field_of(record, field), str | int | float) for record in records)


def _listed(examples: Mapping[str, str], begin: str, flag: str, *last: str) -> str:
    """A message with the fields, an example of each, and what to type."""
    lines = [
        f"{flag} {shlex.quote(name)}: such as {visible(value)[:EXAMPLE]!r}"
        for name, value in islice(examples.items(), LISTED)
    ]
    if len(examples) > LISTED:
        lines.append(f"and {len(examples) - LISTED} more")
    return "\n  ".join([begin, *lines, *last])


class Documents:
    """Iterates over the texts of records.

    text_of: that of a record, at a place; None or empty where it has none. left_out: such ones so far.
    """

    def __init__(
        self,
        records: Iterable[Record],
        text_of: Callable[[Record, str], str | None],
        place: object,
    ) -> None:
        self._records, self._text_of, self._place = records, text_of, place
        self.left_out = 0

    def __iter__(self) -> Iterator[str]:
        for i, record in enumerate(self._records, 1):
            if text := self._text_of(record, f"{self._place}: record {i:,}"):
                yield text
            else:
                self.left_out += 1


def text_in(field: str) -> Callable[[Record, str], str | None]:
    """A function that returns the text in a field of a record at a place, None where it has none.

    It raises DataError where there is something else.
    """

    def text_of(record: Record, place: str) -> str | None:
        value = field_of(record, field)
        if value is None:
            return None
        if isinstance(value, str | int | float):
            return plain_text(str(value), place)
        raise DataError(
            f"{place}: {field}: found a {type(value).__name__}, expected a text; a dot goes inside: "
            f"--field {field}.0"
        )

    return text_of


def plain_text(text: str, place: str) -> str:
    """A text with line ends as LF. Raises DataError for a null character, which no text has."""
    if "\0" in text:
        raise DataError(f"{place}: found a null character, expected text; take it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{place}: found half of a surrogate pair, which is no character; expected text"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

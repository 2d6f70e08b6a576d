"""Documents out of records: JSON and tables, and which of their fields."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hornbook.data.sources import records
from hornbook.data.sources.records import (
    Documents,
    check_fields,
    choose_field,
    examples_of,
    field_of,
    find_delimiter,
    is_header,
    is_number,
    json_lines,
    json_list,
    plain_text,
    table_rows,
    text_in,
)
from hornbook.errors import DataError

CELLS = st.text(st.sampled_from('ab,;"\n 1'), min_size=1, max_size=8).filter(
    lambda cell: cell.strip() != ""
)


def cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), size=st.integers(1, 9))
@example(rows=[('a, "b', " 1")], size=9)  # a comma, a space and quotes inside a cell
def test_a_table_is_read_as_it_was_written(rows: list[tuple[str, str]], size: int) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("first", "second"), *rows])
    found = list(table_rows(cut(file.getvalue(), size), "t.csv", delimiter=","))
    assert [(row["first"], row["second"]) for row in found] == rows


def test_spaces_that_people_type_after_a_delimiter_are_no_part_of_cells() -> None:
    table = 'name, text\nemma, "a, b"\nava, c\n'
    found = [tuple(row.values()) for row in table_rows([table], "t.csv")]
    assert found == [("emma", "a, b"), ("ava", "c")]
    kept = table_rows(['name,text\nemma,", "\nava, c\n'], "t.csv")
    assert [row["text"] for row in kept] == [", ", " c"]


@given(values=st.lists(st.dictionaries(st.text(), st.text()), max_size=9), size=st.integers(1, 9))
def test_json_is_read_as_it_was_written(values: list[dict[str, str]], size: int) -> None:
    lines = "\n".join(map(json.dumps, values))
    assert list(json_lines(cut(lines, size), "t.jsonl")) == values
    assert list(json_list(cut(lines, size), "t.json")) == values
    assert list(json_list(cut(json.dumps(values, indent=1), size), "t.json")) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": ', r"t: line 2: not valid JSON .*--format text"),
        ("\n3\n", r"t: line 2: found 3, expected an object"),
        ("[" * 100_000, r"not valid JSON|t: "),
    ],
)
def test_wrong_json_is_named_by_its_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(json_lines([text], "t"))


def test_a_list_of_texts_is_read_and_a_long_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(json_list(['["emma", "ava"]'], "t")) == [{"text": "emma"}, {"text": "ava"}]
    with pytest.raises(DataError, match=r"t: not valid JSON"):
        list(json_list(["[3,"], "t"))
    limits = records.LIMITS.__class__(in_memory=1 << 20, line=1 << 22)
    monkeypatch.setattr(records, "LIMITS", limits)
    with pytest.raises(DataError, match=r"more than 1 MB.*jq -c"):
        list(json_list(["[\n", *["1,\n"] * (1 << 19)], "t"))


def test_rows_of_another_length_and_open_quotes_are_named() -> None:
    with pytest.raises(DataError, match=r"line 3: found 3 cells, expected 2.*--format text"):
        list(table_rows(["name,year\nemma,1\nava,2,3\n"], "t"))
    with pytest.raises(DataError, match=r'not a table \(unexpected end.*--format text"?'):
        list(table_rows(['name\n"emma\nava\n'], "t"))


@pytest.mark.parametrize(
    ("header", "text", "names", "n"),
    [
        ("auto", "name;year\nemma;1\n", ["name", "year"], 1),
        ("auto", "emma;1990\nava;1991\n", ["1", "2"], 2),
        ("no", "name\nemma\n", ["1"], 2),
        ("yes", "1;2\nemma;3\n", ["1", "2"], 1),
    ],
)
def test_a_header_is_recognized_or_requested(
    header: str, text: str, names: list[str], n: int
) -> None:
    rows = list(table_rows([text], "t", header=header))
    assert list(rows[0]) == names
    assert len(rows) == n


def test_delimiters_headers_and_numbers() -> None:
    assert find_delimiter("a\tb,c\nd\te\n") == "\t"
    assert find_delimiter("only\none\n") == ","
    assert is_header(["name"])
    assert not is_header(["name", "name"])
    assert is_number("1,5")
    assert not is_number("emma")


def test_fields_are_found_inside_objects_and_lists() -> None:
    record = {"a": {"b": [{"c": "x"}]}, "d.e": "y", "f": 3}
    assert field_of(record, "a.b.0.c") == "x"
    assert field_of(record, "d.e") == "y"
    assert field_of(record, "a.b.7") is field_of(record, "f.g") is field_of(record, "z") is None
    assert examples_of([{"n": 1, "t": "", "o": {"p": "x"}}, {"n": 2, "t": "y"}]) == {
        "n": "1", "o.p": "x", "t": "y"
    }  # fmt: skip
    assert examples_of([{"a": {"b": {"c": "x"}}, "l": ["y", "z"], "m": [{"n": "w"}]}]) == {
        "a.b.c": "x", "l.0": "y", "m.0.n": "w"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record", "requested", "found"),
    [
        ({"id": 3, "text": "a", "title": "b"}, "", "text"),
        ({"id": 3, "title": "b"}, "", "title"),
        ({"name": "emma"}, "", "name"),
        ({"id": 3}, "", "id"),
        ({"title": "b", "body": "c"}, "body", "body"),
        ({"a": {"from": "x", "b": {"text": "c"}}, "tags": ["d", "e"]}, "a.b.text", "a.b.text"),
        ({"a": {"from": "x", "b": {"text": "c"}}, "tags": ["d", "e"]}, "tags.1", "tags.1"),
        ({"body": "c", "tags": ["d", "e"]}, "", "body"),
    ],
)
def test_the_field_is_chosen_where_there_is_one(
    record: dict[str, object], requested: str, found: str
) -> None:
    assert choose_field([record], requested, "t", "--field")[0] == found


def test_a_choice_lists_the_fields_with_examples_and_what_to_type() -> None:
    record = {"id": 3, "title": "A\tb", "my body": "c" * 90}
    with pytest.raises(DataError) as caught:
        choose_field([record], "", "t.csv", "--column")
    assert str(caught.value).split("\n") == [
        "t.csv: found 3 columns; name the one that holds the text:",
        "  --column id: such as '3'",
        r"  --column title: such as 'A\\tb'",
        f"  --column 'my body': such as '{'c' * 40}'",
        "  or of prompts and their answers two: --column PROMPT+ANSWER",
    ]
    with pytest.raises(DataError, match=r"no column 'titel'; did you mean 'title'\?; there are:"):
        choose_field([record], "titel", "t.csv", "--column")
    with pytest.raises(DataError, match=r"no field 'b', of 'title\+b'; there are:\n  --field id"):
        check_fields([record], "title+b", "t", "--field")
    check_fields([record], "title+my body", "t", "--field")


def test_a_space_before_a_quote_is_no_part_of_a_cell() -> None:
    rows = list(table_rows(['a, b\n"x y", "z, w"\n"q",  "r"\n'], "t"))
    assert rows == [{"a": "x y", "b": "z, w"}, {"a": "q", "b": "r"}]
    assert list(table_rows(["a,b\n1, x\n"], "t")) == [{"a": "1", "b": " x"}]


def test_it_is_said_why_a_field_was_chosen() -> None:
    record = {"village": "Dato", "people": 3}
    expected = ("village", ", the only one of 2 with text in it")
    assert choose_field([record], "", "t", "--column") == expected
    assert choose_field([record], "people", "t", "--column") == ("people", "")


def test_fields_are_listed_up_to_a_number() -> None:
    record = {"id": 3}
    with pytest.raises(DataError, match=r"no column 'x'; there are:\n  --column id"):
        choose_field([record], "x", "t.csv", "--column")
    with pytest.raises(DataError, match=r"no record with text"):
        choose_field([], "", "t.csv", "--column")
    with pytest.raises(DataError, match=r"and 8 more"):
        choose_field([{f"f{i}": "x" for i in range(20)}], "", "t", "--field")


def test_records_without_a_text_are_left_out_and_counted() -> None:
    found = Documents([{"a": "x\r\ny"}, {"a": ""}, {"b": 1}, {"a": 2}], text_in("a"), "t")
    assert list(found) == ["x\ny", "2"]
    assert found.left_out == 2
    with pytest.raises(DataError, match=r"t: record 1: a: found a list.*--field a\.0"):
        list(Documents([{"a": ["x"]}], text_in("a"), "t"))


@pytest.mark.parametrize(("text", "message"), [("a\0", "null character"), ("\ud800", "half of a")])
def test_what_is_no_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"place: found .*{message}"):
        plain_text(text, "place")

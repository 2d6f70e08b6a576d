"""Edit distances to the nearest document, against the plain table of Wagner and Fischer (1974)."""

from __future__ import annotations

import random

import pytest

from hornbook.metrics.nearest import NearestDocuments


def texts(alphabet: str, n: int, length: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(alphabet, k=draw.randint(1, length))) for _ in range(n)]


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, above = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@pytest.mark.parametrize("alphabet", ["a", "abcé", "a漢😀\ud800"])
def test_the_nearest_document_is_that_of_the_plain_table(alphabet: str) -> None:
    documents = texts(alphabet, 60, 12, 4)
    queries = [*texts(alphabet + "z", 30, 12, 5), "é", "a" * 200]
    expected = [min(levenshtein(query, d) for d in documents) for query in queries]
    assert NearestDocuments(documents, 1).distances([*queries, "a" * 501]) == expected


def test_there_may_be_nothing_to_compare() -> None:
    assert NearestDocuments([], 100).distances(["a"]) == []
    assert NearestDocuments(["a" * 501], 100).distances(["a"]) == []
    assert NearestDocuments(["a"], 100).distances([]) == []


def test_work_is_bounded_and_near_copies_are_still_found() -> None:
    documents = texts("abcdefgh ", 400, 100, 12)
    queries = [*texts("abcdefgh ", 10, 60, 13), *(d[:-1] + "x" for d in documents[:20])]
    exact = NearestDocuments(documents, 1)
    assert exact.among == len(exact.documents)
    bounded = NearestDocuments(documents, 3000, max_cells=3000 * 100 * 25)
    assert bounded.among == 25
    found, true = bounded.distances(queries), exact.distances(queries)
    assert all(a >= b for a, b in zip(found, true, strict=True))
    assert found[10:] == true[10:] == [1] * 20
    assert sum(found) < 1.1 * sum(true)

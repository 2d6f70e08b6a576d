"""What checks say, in the language of the lesson.

Checks are written in English. texts/zh/messages.json has each of their sentences in Chinese, by lesson;
`{}` stands for what differs from one answer to another, in the same order, or `{1}` for the second.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache

from hornbook.errors import ConfigError
from hornbook.lessons.catalog import LANGUAGES, TEXTS

VARIABLE = "HORNBOOK_LANG"  # which notebooks in another language than English set
FEW = 5  # letters


def spoken(lang: str | None = None) -> str:
    """The language to print in: the one given, else that of HORNBOOK_LANG, else English.

    Raises ConfigError for a language that lessons do not have.
    """
    found = lang or os.environ.get(VARIABLE) or LANGUAGES[0]
    if found not in LANGUAGES:
        where = "lang" if lang else VARIABLE
        raise ConfigError(f"{where}: found {found!r}, expected one of {', '.join(LANGUAGES)}")
    return found


def translated(text: str, language: str) -> str:
    """A text of a check in a language. What the table of the language lacks stays in English."""
    if language == LANGUAGES[0]:
        return text
    return _translation(text, language) or text


def _translation(text: str, language: str, *, inside: bool = False) -> str | None:
    """A whole sentence of the table; else its parts, which `; ` joins; else one with values in it.

    inside: the text is a value itself. Then a sentence needs more words than `{} of {}` has, which an
    exception may say as well.
    """
    sentences, patterns = _table(language)
    if text in sentences:
        return sentences[text]
    parts = text.split("; ")
    for i in range(1, len(parts)):
        ends = "; ".join(parts[:i]), "; ".join(parts[i:])
        first, rest = (_translation(end, language, inside=inside) for end in ends)
        if first and rest:
            return f"{first}；{rest}"
    for pattern, letters, sentence in patterns:
        if (letters > FEW or not inside) and (found := pattern.fullmatch(text)):
            values = found.groups()
            return sentence.format(*(_translation(v, language, inside=True) or v for v in values))
    return None


@cache
def _table(language: str) -> tuple[dict[str, str], list[tuple[re.Pattern[str], int, str]]]:
    """The sentences of a language by the English ones; and those with values: a pattern of the English
    one, how many letters it has, and the other. The longest are the first."""
    sections = json.loads((TEXTS / language / "messages.json").read_text("utf-8"))
    sentences = {english: other for part in sections.values() for english, other in part.items()}
    patterns = []
    for english in sorted((s for s in sentences if "{}" in s), key=len, reverse=True):
        pattern = re.compile("(.*?)".join(map(re.escape, english.split("{}"))), re.DOTALL)
        patterns.append((pattern, sum(map(str.isalpha, english)), sentences[english]))
    return sentences, patterns

"""Makes the small corpora beside this file: `python tests/corpora/make.py`. All of it is invented."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ONSETS = ["b", "br", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "tr", "v"]
VOWELS, ENDS = "aeiou", ["", "n", "r"]
THINGS = ["bread", "soup", "rice", "leek", "bean", "plum", "apple", "oat", "pea", "corn"]
PLACES = ["mill", "lake", "hill", "shore", "bridge", "garden", "tower", "barn"]


def name(draw: random.Random) -> str:
    """A word that sounds like a name."""
    parts = [draw.choice(ONSETS) + draw.choice(VOWELS) + draw.choice(ENDS) for _ in range(2)]
    return "".join(parts)


def sentence(draw: random.Random) -> str:
    """A short sentence."""
    who, thing, place = name(draw).title(), draw.choice(THINGS), draw.choice(PLACES)
    verb = draw.choice(["carries", "sells", "finds", "cooks"])
    return f"{who} {verb} {thing} at the {place}."


def recipe(draw: random.Random) -> str:
    """A dish, what it takes, and what to do."""
    first, second = draw.sample(THINGS, 2)
    return (
        f"{first.title()} and {second}\n- {draw.randrange(2, 9)} {first}s\n- a cup of {second}\n"
        f"Cook for {draw.randrange(5, 60)} minutes."
    )


def game(draw: random.Random) -> str:
    """A chess game in PGN; its moves are not those of a player."""
    squares = [f"{a}{n}" for a in "abcdefgh" for n in "3456"]
    moves = [f"{i}. {draw.choice(squares)} N{draw.choice(squares)}" for i in range(1, 9)]
    headers = f'[Event "Made"]\n[White "{name(draw)}"]\n[Black "{name(draw)}"]\n[Result "1-0"]\n'
    return f"{headers}\n{' '.join(moves[:5])}\n{' '.join(moves[5:])} 1-0\n\n"


def tune(draw: random.Random, number: int) -> str:
    """A tune in ABC."""
    bars = ["".join(draw.choice("CDEFGABcd") for _ in range(6)) for _ in range(4)]
    body = f"{'|'.join(bars[:2])}|\n{'|'.join(bars[2:])}|"
    return f"X:{number}\nT:{name(draw).title()}\nM:6/8\nK:G\n{body}\n\n"


def protein(draw: random.Random, number: int) -> str:
    """A sequence in FASTA, wrapped at 60."""
    letters = "".join(draw.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(draw.randrange(70, 150)))
    lines = "\n".join(letters[i : i + 60] for i in range(0, len(letters), 60))
    return f">made_{number} {name(draw)}\n{lines}\n"


def lines_of(n: int, make: Callable[[int], str], end: str = "\n") -> str:
    """n texts, each ended."""
    return "".join(make(i) + end for i in range(n))


def make(folder: Path = HERE) -> None:
    """Writes all of them."""
    draw = random.Random(24)

    def write(file: str, text: str) -> None:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    write("names.txt", lines_of(80, lambda _: name(draw)))
    paragraphs = [" ".join(sentence(draw) for _ in range(5)) for _ in range(40)]
    write("story.txt", "\n\n".join(paragraphs) + "\n")
    for i in range(24):
        title = draw.choice(PLACES).title()
        write(f"notes/{i:02d}.md", f"# {title}\n\n{sentence(draw)}\n\n- {sentence(draw)}\n")
    messages = [
        {"id": i, "author": {"name": name(draw)}, "text": f"{sentence(draw)}\n{sentence(draw)}"}
        for i in range(60)
    ]
    write("messages.jsonl", lines_of(60, lambda i: json.dumps(messages[i])))
    with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["product", "stars", "review"])
        for _ in range(60):
            said = f'"{sentence(draw)}", said {name(draw)},\nand left'
            rows.writerow([draw.choice(THINGS), draw.randrange(1, 6), said])
    write("villages.tsv", "village\tpeople\n" + lines_of(
        60, lambda _: f"{name(draw).title()}\t{draw.randrange(40, 900)}"))  # fmt: skip
    write("recipes.txt", lines_of(60, lambda _: recipe(draw), "\n\n"))
    write("games.pgn", lines_of(40, lambda _: game(draw), ""))
    write("tunes.abc", "%abc-2.1\n\n" + lines_of(40, lambda i: tune(draw, i + 1), ""))
    write("proteins.fasta", lines_of(40, lambda i: protein(draw, i), ""))
    write(
        "sayings", "\n%\n".join(f"{sentence(draw)}\n  {name(draw)}, 100% sure" for _ in range(50))
    )
    letters = lines_of(220, lambda _: f"Dear {name(draw)}, {sentence(draw)} Yours, {name(draw)}")
    (folder / "letters.txt.gz").write_bytes(gzip.compress(letters.encode(), mtime=0))
    pairs = [(draw.randrange(10), draw.randrange(10)) for _ in range(80)]
    sums = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a, b in pairs]
    write("sums.jsonl", lines_of(80, lambda i: json.dumps(sums[i])))
    things = [(draw.choice(THINGS), draw.choice(PLACES)) for _ in range(60)]
    chats = [
        {"messages": [
            {"role": "user", "content": f"Where is the {thing}?"},
            {"role": "assistant", "content": f"At the {place}."},
            {"role": "user", "content": "Thank you."},
            {"role": "assistant", "content": f"Eat the {thing}."},
        ]}
        for thing, place in things
    ]  # fmt: skip
    write("chats.jsonl", lines_of(60, lambda i: json.dumps(chats[i])))


if __name__ == "__main__":
    make()

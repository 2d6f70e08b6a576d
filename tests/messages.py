"""The lines of `test_messages.py`: commands, and the parts that their messages have.

`place` is where it went wrong, `found` what was there, `expected` what should have been, `do` the way
out; a part is left out only where another contains it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hornbook.runs.schema import FORMAT


@dataclass(frozen=True)
class Message:
    """A command line, and parts of its message. {dir}, {run} and {copy} are filled in; `spoil` damages
    the copy of a run first."""

    line: str
    code: int
    place: str
    found: str = ""
    expected: str = ""
    do: str = ""
    spoil: Callable[[Path], object] = lambda _: None


def facts(**changes: object) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        place = run / "config.json"
        return place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))

    return spoil


def setting(section: str, **changes: object) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        config = json.loads((run / "config.json").read_text())["config"]
        return facts(config={**config, section: {**config[section], **changes}})(run)

    return spoil


def cut(name: str) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        (place,) = run.glob(name)
        return place.write_bytes(place.read_bytes()[:-5])

    return spoil


def flipped(name: str) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        place = sorted(run.glob(name))[-1]
        raw = bytearray(place.read_bytes())
        raw[-5] ^= 1
        return place.write_bytes(raw)

    return spoil


def all_states(run: Path) -> None:
    for place in run.glob("last/state-*"):
        place.write_bytes(b"")


def other_corpus(run: Path) -> object:
    known = json.loads((run / "config.json").read_text())["corpus"]
    return facts(corpus={**known, "sha256": "0" * 64})(run)


def written(name: str, text: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text(text)


def unigram(run: Path) -> object:
    place = run / "tokenizer.json"
    known = json.loads(place.read_text())
    return place.write_text(json.dumps({**known, "model": {**known["model"], "type": "Unigram"}}))


def linked_states(run: Path) -> None:
    (run / "last").rename(run / "elsewhere")
    (run / "last").symlink_to(run / "elsewhere")


def link(run: Path) -> None:
    (run / "report.json").unlink()
    (run / "report.json").symlink_to("/etc/hostname")


def lock(run: Path) -> None:
    import fcntl

    holder = '{"pid": 77, "host": "there", "boot": "", "since": "noon"}'
    (run / "lock.json").write_text(holder)
    descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


MESSAGES = [
    # texts
    Message("train {dir}/none.txt", 1, "none.txt", "no such file", do="give the path"),
    Message("train {dir} --glob *.[cj]s*", 1, "{dir}", "files of CSV", "expected files of one format",
            "--glob"),
    Message("train {dir} --glob *.md", 1, "{dir}", "found no file that matches '*.md'",
            "expected files of text", "--glob '**/*.txt'"),
    Message("train {dir}/table.csv", 1, "table.csv", "found 2 columns; name the one",
            "such as 'emma'", "--column name"),
    Message("train {dir}/table.csv --column nam", 1, "table.csv", "no column 'nam'",
            "there are:", "--column name"),
    Message("data {dir}/uneven.csv", 1, "uneven.csv: line 3", "found 3 cells", "expected 2",
            "--format text"),
    Message("train {dir}/bad.jsonl", 1, "bad.jsonl: line 2", "not valid JSON",
            "expected an object a line", "--format text"),
    Message("train {dir}/broken.gz", 1, "broken.gz", "damaged, or not gz", "expected a whole file",
            "make or fetch it again"),
    Message("train {dir}/lines.txt --separator %%", 1, "lines.txt", "found no '%%'",
            "expected it between", "separators are line, blank"),
    Message("train {dir}/lines.txt --separator blank --kind stream", 2, "separator",
            "found 'blank' beside the kind stream", do="leave one of the two out"),
    Message("train {dir}/lines.txt --field text", 1, "lines.txt", "found the field 'text'",
            do="--format jsonl"),
    Message("train {dir}/sums.jsonl --template {{prompt}}", 2, "template", "found '{{prompt}}'",
            "expected {{prompt}} and then {{completion}}", "such as"),
    Message("train {dir}/lines.txt --template x", 2, "template", "found it for", do="leave it out"),
    Message("chat {run}", 2, "{run}", "was not trained on prompts and answers",
            do="hornbook sample {run} --interactive"),
    Message("train hf:", 1, "hf:", "could not be fetched", do="hf:OWNER/NAME"),
    Message("train {dir}/empty.txt", 1, "empty.txt", "is empty", "expected a text"),
    Message("train {dir}/same.txt", 1, "same.txt", "found 1 different character", "at least 2"),
    Message("train {dir}/binary", 1, "binary", "null byte at offset 0", "expected text", "--encoding"),
    Message("train {dir}/latin.txt", 1, "latin.txt", "found byte 0xe6 at offset 0", "not valid utf-8",
            "Name the right one (--encoding)"),
    Message("train {dir}/pipe", 1, "pipe", "is a pipe or a device", "expected a plain file",
            "save the text into one first"),
    Message("train {dir}/halves --encoding raw_unicode_escape", 1, "halves", "found U+D800",
            "half of a pair", "--encoding"),
    Message("train names --config {dir}/pipe", 2, "pipe", "is a pipe or a device",
            "expected a plain file", "give a TOML file"),
    Message("train {dir}/two.txt", 1, "two.txt", "found 2 characters", "too few", "give more text"),
    Message("train nmaes", 1, "nmaes", "no corpus of this name", do="did you mean 'names'"),
    Message("train {dir}/tiny.txt --model.context-length 256", 1, "model.context_length", "found 256",
            "only", "give at most"),
    Message("train {dir}/lines.txt --data.validation 0.5", 2, "data.validation", "found 0.5",
            "should be less than 0.5"),
    Message("train {dir}/latin.txt --encoding klingon", 2, "encoding", "found 'klingon'",
            "expected one that Python knows", "such as utf-8"),
    Message("train ~nosuchuser/x.txt", 1, "~nosuchuser/x.txt", "no such user", "expected a path",
            "give another"),
    Message("data {dir}/a\0b.txt", 1, "{dir}/a\\x00b.txt", "a null byte", "expected a path"),
    Message("eval {run} --corpus {dir}/\ud800", 1, "\\ud800", "half a character", "expected a path"),
    Message("train {dir}/" + "a" * 300, 1, "aaa", "File name too long", "expected a path"),
    # settings
    Message("trian", 2, "trian", "no such verb", do="did you mean 'train'"),
    Message("train names --model gptt", 2, "model", "found 'gptt'", "no such model", "did you mean"),
    Message("train names --preset notes-gtp", 2, "preset", "notes-gtp", do="did you mean 'notes-gpt'"),
    Message("train names --model.n-layers 4", 2, "model.n_layers", "no such field",
            do="did you mean 'n_layer'"),
    Message("train names --modle.n-layer 4", 2, "modle.n-layer", "no such section",
            do="did you mean 'model.n_layer'"),
    Message("train names --model.n-layer", 2, "--model.n-layer", "found no value", "expected one"),
    Message("train names --model.n-head 3", 2, "model.n_head", "found 3", "expected a divisor"),
    Message("train names --steps -1", 2, "training.steps", "found -1", "greater than or equal to 0"),
    Message("train names --step 5", 2, "--step", "no such option", do="did you mean '--steps'"),
    Message("train names -o x", 2, "-o", "no such option", do="did you mean '--out'"),
    Message("train names --dtype x", 2, "--dtype", "no such option", do="did you mean '--precision'"),
    Message("train names --device gpu", 2, "training.device", "found 'gpu'", do="did you mean 'cuda'"),
    Message("train names --precision bf17", 2, "training.precision", "found 'bf17'", "'fp32'",
            "did you mean"),
    Message("train names --device cuda", 2, "training.device", "found 'cuda'", "does not have"),
    Message("train names --config {dir}/none.toml", 2, "none.toml", "cannot be read",
            do="give a TOML file"),
    Message("train names --config {dir}/bad.toml", 2, "bad.toml", "not valid TOML"),
    Message("train names --config {dir}/section.toml", 2, "section.toml", "no section [modle]",
            do="did you mean 'model'"),
    Message("train names --config {dir}/\0", 2, "{dir}/\\x00", "a null byte", "expected a path"),
    Message("train names --out {dir}/\0", 2, "{dir}/\\x00", "a null byte", "expected a path"),
    Message("train names --optim.learning-rate 1e39", 2, "optim.learning_rate", "found 1e+39",
            "less than or equal to 1000"),
    Message("train names --model mixture", 2, "model", "mixture is not trained", do="hornbook mix"),
    Message("train names --model.n-embd 65536 --model.n-hidden 1000000 --model.n-layer 8", 2,
            "memory", "found", "need", "make the model smaller"),
    Message("train names --out {run}", 2, "{run}", "exists already: gpt on names",
            do="hornbook train --resume {run}"),
    Message("train names --out {dir}/same.txt/r", 1, "r", "cannot be made",
            do="give another directory"),
    Message("train names --minutes 1 --steps 5", 2, "minutes", "found it beside steps",
            do="give one of them"),
    Message("train names --model gpt --minutes 0.001", 2, "minutes", "found 0.001", "two steps",
            "or more"),
    Message("train names --model gpt --preset notes-mlp", 2, "model", "found 'gpt'",
            "preset 'notes-mlp' is of 'mlp'", "leave one of the two out"),
    Message("train names --model gpt --model.name gpt2", 2, "model.name", "found 'gpt' (--model)",
            "'gpt2' (--model.name)", "give one of them"),
    Message("train names --data.corpus shakespeare", 2, "data.corpus",
            "found 'shakespeare' (--data.corpus)", "'names' (CORPUS)", "give one of them"),
    Message("train names --model.n-layer x", 2, "model.n_layer", "found 'x'", "a valid integer"),
    Message("train names --tokenizer.kind bytes", 2, "tokenizer.kind", "found 'bytes'", "'char'",
            "did you mean 'byte'"),
    Message("lr-find names --training.minutes 2", 2, "training.minutes", "found it beside lr-find",
            do="leave it out"),
    Message("lr-find names --steps 2", 2, "training.steps", "found it beside lr-find",
            "takes --sweep-steps", "leave it out"),
    Message("lr-find names --out {dir}/none/x.png", 2, "out", "none is not a directory", do="make it"),
    Message("ladder names --model gpt", 2, "model.name", "found it beside ladder",
            "a model for each rung", "--rungs"),
    Message("lr-find names --model ngram", 2, "model", "ngram is fitted by counting",
            "it has no learning rate"),
    Message("ladder names --rungs ,", 2, "rungs", "found ','", "expected names with commas"),
    Message("ladder names --rungs gtp", 2, "rung", "found 'gtp'", "no such rung",
            "did you mean 'gpt'"),
    Message("train names --config {dir}/truth.toml", 2, "training.steps", "found true",
            "expected no truth value"),
    # reading and writing runs
    Message("compare {run}", 2, "RUN", "found 1 run", "expected two or more"),
    Message("compare {run} {run} --out {dir}/x.gif", 2, "out", "found 'x.gif'",
            "expected a name that ends in .png, .svg, .pdf"),
    Message("compare {dir}/empty.txt {run}", 2, "RUN", "found 1 run", "expected two or more",
            "empty.txt: skipped: a file"),
    Message("train names --seeds 1,a --out {dir}/s", 2, "seeds", "found '1,a'", "whole numbers",
            "--seeds 1,2,3"),
    Message("sweep names --lr 0.01 --out {dir}/s", 2, "sweep", "no setting with several values",
            do="--lr 0.001,0.01"),
    Message("sweep names --lr 1e-4..x --trials 2", 2, "optim.learning_rate", "found '1e-4..x'",
            "expected a range"),
    Message("mix {run} {run} --weights a,b --out {dir}/m", 2, "weights", "found 'a,b'",
            "expected numbers"),
    Message("sample {dir}", 1, "{dir}", "found no config.json", "expected a run directory"),
    Message("sample {run}s", 1, "{run}s", "found nothing", "expected a run", "did you mean 'names'"),
    Message("sample {run} --prompt Åse", 1, "unknown characters", "'Å' (U+00C5)", "the model knows 26",
            "--unknown skip"),
    Message("sample {run} --temperature -1", 2, "temperature", "found -1.0", "expected 0 (greedy)"),
    Message("sample {run} --top-p 1.5", 2, "top_p", "found 1.5", "expected above 0"),
    Message("sample {run} --seed -1", 2, "seed", "found -1", "expected 0 to 2^63 - 1"),
    Message("sample {run} -n 0", 2, "n", "found 0", "expected at least 1"),
    Message("sample {run} --max-tokens 0", 2, "max_tokens", "found 0", "expected at least 1"),
    Message("sample {run} --top-k 0", 2, "top_k", "found 0"),
    Message("sample {run} --temperature warm", 2, "--temperature", "'warm'", "float"),
    Message("sample", 2, "RUN", "required", do="hornbook sample --help"),
    Message("eval {run} --split dev", 2, "--split", "invalid choice: 'dev'", "choose from"),
    Message("score {run} a\nb", 1, "text 1", "line break inside", "one document a line"),
    Message("models gpt3", 2, "model", "found 'gpt3'", "no such model", do="did you mean"),
    Message("doctor --device tpu", 2, "--device", "invalid choice: 'tpu'", "choose from"),
    # runs that are damaged, from a stranger, or from another version
    Message("show {copy}", 1, "config.json", f"found format {FORMAT + 1}",
            f"expected {FORMAT} or older", "install a newer hornbook", facts(format=FORMAT + 1)),
    Message("show {copy}", 1, "config.json", "odd", "no such field", "another version",
            facts(odd=1)),
    Message("show {copy}", 1, "config.json", "found 'many'", "valid integer",
            spoil=facts(vocab_size="many")),
    Message("show {copy}", 1, "config.json", "damaged", spoil=cut("config.json")),
    Message("show {copy}", 1, "tokenizer.json", "found 27 ids", "expected 30", "of another run",
            facts(vocab_size=30)),
    Message("sample {copy}", 1, "tokenizer.json", "not a tokenizer that hornbook wrote",
            spoil=written("tokenizer.json", "{}")),
    Message("sample {copy}", 1, "tokenizer.json", "a tokenizer of type 'Unigram'",
            "expected char (WordLevel), byte", spoil=unigram),
    Message("sample {copy}", 1, "model", "a model of these sizes cannot be built",
            spoil=setting("model", n_embd=1 << 40, n_hidden=1 << 40)),
    Message("show {copy}", 1, "report.json", "is a link", "expected a file", "cp -L", link),
    Message("score {copy} emma", 1, "model.safetensors", "damaged: its checksum",
            spoil=flipped("model.safetensors")),
    Message("score {copy} emma", 1, "model.safetensors", "damaged", spoil=cut("model.safetensors")),
    Message("score {copy} emma", 1, "model.safetensors", "cannot be read",
            spoil=lambda run: (run / "model.safetensors").unlink()),
    Message("show {copy}", 1, "log.jsonl", "damaged", "expected one object a line",
            spoil=written("log.jsonl", "[1]\n")),
    Message("show {copy}", 1, "report.json", "damaged: found list", "expected an object",
            spoil=written("report.json", "[]")),
    *(Message(line, 1, "names", "has changed since this run was trained on it", "was 0000",
              do, other_corpus)
      for line, do in (
          ("eval {copy}", "--corpus FILE"), ("sample {copy} --new-only", "beside the run"))),
    *(Message(line, 1, place, found, "expected a path", "This run was trained on it",
              spoil=setting("data", corpus=corpus))
      for line in ("eval {copy}", "train --resume {copy} --steps 40")
      for corpus, place, found in (
          ("a" * 300, "aaa", "File name too long"), ("/a\0b.txt", "/a\\x00b.txt", "a null byte"),
          ("~nosuchuser/x", "~nosuchuser/x", "no such user"), ("\ud800.txt", "\\ud800", "half a"))),
    # lessons
    Message("lesson 99", 2, "lesson", "found '99'", "expected one of 1", "hornbook lesson lists"),
    Message("lesson --notebook", 2, "notebook", "found it without a lesson",
            do="hornbook lesson N --notebook"),
    Message("lesson 1 --out x.ipynb", 2, "out", "found it without --notebook", do="give both"),
    Message("lesson 1 --notebook --out {dir}/x.py", 2, "out", "found 'x.py'",
            "expected a name that ends in .ipynb"),
    Message("check 1.99", 2, "exercise", "found '1.99'", "expected one of 1.1",
            "hornbook lesson N lists"),
    Message("check 1.1 {dir}/none.py", 1, "none.py", "found no such file", do="numerical_gradient"),
    Message("check 1.1 {dir}/lines.txt", 1, "lines.txt", "found .txt", "ends in .py",
            'check("1.1", numerical_gradient)'),
    # resuming
    Message("train --resume {dir}/\0", 1, "{dir}/\\x00", "a null byte", "expected a path"),
    Message("train --resume {copy} --steps 40", 1, "names", "has changed since", spoil=other_corpus),
    Message("train --resume {copy} --steps 40", 1, "last", "is a link", "expected a directory",
            "a run holds its own files", linked_states),
    Message("train --resume {dir}", 1, "{dir}", "found no config.json", "expected a run directory"),
    Message("train --resume {run} --seed 3", 2, "training.seed", "found it beside --resume",
            "with its own settings", "--steps"),
    Message("train --resume {run} --preset notes-mlp", 2, "--preset", "found it beside --resume",
            "with its own settings", "leave it out"),
    Message("train --resume {run} --model.n-layer 3", 2, "model.n_layer", "beside --resume",
            "with its own settings", "--steps"),
    Message("train --resume {copy} --steps 5", 2, "steps", "found 5", "fewer than the 30 steps",
            "give 30 or more"),
    Message("train more.txt --resume {run}", 2, "data.corpus", "found it beside --resume",
            "continues on its own text", "hornbook train more.txt --from {run}"),
    Message("train names --from {dir}/nowhere", 2, "nowhere", "found nothing", "expected a run"),
    Message("train names --from {run} --preset notes-mlp", 2, "preset", "found it beside --from",
            "the base has its settings", "leave it out"),
    Message("train names --from {run} --layers 7", 2, "model.n_layer", "found 7, but the base",
            "in its own form", "leave it out"),
    Message("train {dir}/latin.txt --encoding latin-1 --kind documents --from {run}", 2, "tokenizer",
            "'æ' (U+00E6)", "that the base does not know", "--grow"),
    Message("train names --replay 0.5", 2, "finetuning.replay", "found 0.5 without a base",
            do="give one (--from)"),
    Message("train names --name x --out y", 2, "--name", "found it beside --out", do="give one"),
    Message("train names --name a/b", 2, "--name", "found 'a/b'", "expected a name", "--out"),
    Message("train --resume {run} --name x", 2, "--name", "found it beside --resume", do="leave it"),
    Message("train --config {run}/report.json", 1, "report.json", "found no config.json",
            "expected a run directory or a TOML file"),
    # options, and words that look like some
    Message("sample {run} --prompt -x", 2, "--prompt", "found no value", "expected one", "--prompt=-x"),
    Message("sample {run} --stop --", 2, "--stop", "found no value", "expected one", "--stop=--"),
    Message("score {run} -x", 2, "-x", "no such option", "a text that begins with '-'", "-- -x"),
    Message("show {dir} {dir}/none", 1, "2 paths", "found no run"),
    Message("runs {dir}/none", 1, "none", "found nothing", "expected a directory of runs"),
    Message("runs --yes", 2, "--yes", "found it without --remove", do="name a run"),
    Message("presets notes-gtp", 2, "preset", "'notes-gtp'", "no such preset", "did you mean"),
    Message("train --resume {copy} --steps 40", 1, "last/state-", "damaged: cut off", spoil=all_states),
    Message("train --resume {copy} --steps 40", 1, "last/state.json", "found no state to resume from",
            spoil=lambda run: shutil.rmtree(run / "last")),
    Message("train --resume {copy}", 1, "{copy}", "process 77 on there (since noon",
            "is training it", "wait until it has ended", lock),
]  # fmt: skip

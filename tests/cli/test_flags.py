"""One layer of flags: names, values and messages are those of TOML and Python."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.cli import flags
from hornbook.cli.flags import SettingsParser, read_word, setting_rows
from hornbook.cli.main import main
from hornbook.config import SECTIONS, Nested, presets
from hornbook.config.names import SHORT_NAMES
from hornbook.errors import ConfigError, DataError
from hornbook.models.registry import MODELS
from tests.cli.common import Cap, Write, run


def read(line: str) -> Nested:
    return SettingsParser("train").read(line.split())[1]


def help_of(capsys: Cap, *words: str) -> str:
    with pytest.raises(SystemExit):
        main(["train", *words, "--help"])
    return capsys.readouterr().out


def test_a_flag_has_a_dotted_name_and_may_have_short_ones() -> None:
    expected = {"optim": {"learning_rate": 0.01}}
    for flag in ("--lr", "--learning-rate", "--optim.learning-rate", "--optim.learning_rate"):
        assert read(f"{flag} 0.01") == read(f"{flag}=0.01") == expected
    assert read("some.txt --model mlp") == {
        "data": {"corpus": "some.txt"}, "model": {"name": "mlp"},
    }  # fmt: skip


@pytest.mark.parametrize("setting", SHORT_NAMES.values())
def test_a_short_name_stands_for_a_setting(setting: str) -> None:
    assert setting in dict(setting_rows(presets.DEFAULT_MODEL))


@pytest.mark.parametrize("model", [name for name in MODELS if MODELS[name].trained])
def test_the_help_of_a_setting_gives_its_default_once(model: str) -> None:
    for setting, (_, line) in setting_rows(model):
        assert "None" not in line, setting
        if found := re.fullmatch(r"(.*) \(default: (\w+)\)", line):
            assert f"({found[2]}" not in found[1], setting


@pytest.mark.parametrize("verb", ["train", "ladder", "lr-find"])
def test_every_verb_that_trains_takes_every_setting(verb: str) -> None:
    words = ["--batch-size", "4", "--optim.beta1", "0.5", "--deterministic"]
    _, settings = SettingsParser(verb).read(words)
    assert settings == {
        "training": {"batch_size": 4, "deterministic": True}, "optim": {"beta1": 0.5},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "value"),
    [("", True), ("true", True), ("false", False), ("--seed 1", True), ("names", True)],
)
@pytest.mark.parametrize("setting", ["training.deterministic", "model.tie_embeddings"])
def test_a_truth_value_may_be_left_out(setting: str, words: str, value: bool) -> None:
    section, field = setting.split(".")
    sections = read(f"--{setting} {words}")
    assert sections[section][field] is value
    assert ("data" in sections) == (words == "names")


def test_a_word_is_read_as_toml_reads_it() -> None:
    words = {"3": 3, "-1": -1, "1e-3": 1e-3, "true": True, "all": "all", "": ""}
    for word, value in words.items():
        read = read_word(word, "training.batch_size")
        assert (read, type(read)) == (value, type(value))
    assert read_word("2024", "data.corpus") == "2024"  # a text stays a text


def test_the_examples_of_the_docstrings() -> None:
    tried = doctest.testmod(flags)
    assert tried.attempted
    assert not tried.failed


def test_a_setting_that_is_given_twice_is_an_error_unless_it_is_the_same() -> None:
    assert read("--steps 5 --training.steps 5") == {"training": {"steps": 5}}
    for line in ("--steps 5 --training.steps 6", "--steps 5 --steps 6"):
        with pytest.raises(ConfigError, match=r"training.steps: found 5 \(--steps\) and 6 "):
            read(line)
    with pytest.raises(
        ConfigError, match=r"data.corpus: found 'b' \(--data.corpus\) and 'a' \(COR"
    ):
        read("a --data.corpus b")
    with pytest.raises(ConfigError, match=r"optim.min_lr_ratio: found"):
        read("--optim.final 0.1 --optim.min-lr-ratio 0.2")  # its name before


@pytest.mark.parametrize(
    ("flag", "near"),
    [("--step", "--steps"), ("--n-layer", "--layers"), ("--dropout", "--model.dropout"),
     ("--weight-decay", "--optim.weight-decay"), ("--plain", "--reference"), ("--presets", "--preset"),
     ("--n-embed", "--model.n-embd"), ("--xyzzy", None), ("--max-iters", "--steps"),
     ("--num-epochs", "--epochs"), ("--seq-len", "--context-length"),
     ("--optimizer", "--optim.name"), ("--checkpoint", "--training.checkpointing"),
     ("--heads", "--model.n-head"), ("--d-model", "--model.n-embd"), ("--num-layers", "--layers"),
     ("--width", "--model.n-embd"), ("--dim", "--model.n-embd"), ("--channels", "--model.n-embd"),
     ("--wd", "--optim.weight-decay")],
)  # fmt: skip
def test_an_unknown_flag_suggests_the_nearest_of_all_settings(flag: str, near: str | None) -> None:
    parser = SettingsParser("train")
    parser.add_argument("--preset", metavar="NAME", help="a preset")
    with pytest.raises(ConfigError) as error:
        parser.read(["names", flag, "1"])
    found = re.findall("did you mean '(.*)'", str(error.value))
    assert found == ([near] if near else [])
    assert str(error.value).startswith(f"{flag}: no such option")


def test_a_flag_without_its_value_is_an_error() -> None:
    for line in ("--steps", "--steps --seed 1", "--model.n-layer"):
        with pytest.raises(ConfigError, match=r"found no value, expected one: --\S+ VALUE"):
            read(line)


WRONG = [  # a setting, its value on the command line, and in TOML and Python
    ("training.steps", "-1", -1),
    ("training.steps", "many", "many"),
    ("training.steps", "true", True),
    ("training.deterministic", "maybe", "maybe"),
    ("training.precision", "bf17", "bf17"),
    ("training.batch_size", "-1", -1),
    ("optim.learning_rate", "1e39", 1e39),
    ("optim.warmupp", "3", 3),
    ("data.validation", "0.5", 0.5),
    ("data.kind", "novel", "novel"),
    ("tokenizer.kind", "bytes", "bytes"),
    ("model.name", "gptt", "gptt"),
    ("model.n_layer", "0", 0),
    ("model.n_layers", "2", 2),
    ("model.n_head", "3", 3),
]


@pytest.mark.parametrize(("setting", "word", "value"), WRONG, ids=[f"{s} {w}" for s, w, _ in WRONG])
def test_flags_toml_and_python_give_the_same_message(
    setting: str, word: str, value: Any, capsys: Cap, write: Write, tmp_path: Path
) -> None:
    section, field = setting.split(".")
    as_toml = str(value).lower() if isinstance(value, bool) else repr(value)
    file = write("c.toml", f"[{section}]\n{field} = {as_toml}\n")
    out = tmp_path / "run"
    with pytest.raises(ConfigError) as error:
        hornbook.train("names", out=out, settings={setting: value})
    message = f"hornbook: {error.value}\n"
    assert section in message
    assert run(capsys, "train", "--config", file, "--out", out) == (2, "", message)
    assert run(capsys, "train", f"--{setting}={word}", "--out", out) == (2, "", message)
    assert not out.exists()


def test_flags_override_a_file_and_old_names_are_noted(
    capsys: Cap, write: Write, tmp_path: Path
) -> None:
    file = write(
        "c.toml", "[model]\nname = 'mlp'\nn-embd = 4\n[training]\nsteps = 3\nevaluations = 1\n"
    )
    words = ["train", "names", "--config", file, "--batch-size", "32", "--optim.final", "0.5"]
    code, _, err = run(capsys, *words, "--steps", "2", "--out", tmp_path / "run")
    assert code == 0, err
    config = hornbook.load(tmp_path / "run").config
    assert (config.training.steps, config.training.eval_count) == (2, 1)
    assert config.model.model_dump()["n_embd"] == 4
    assert config.optim.min_lr_ratio == 0.5
    assert "note  training.evaluations is now training.eval_count" in err
    assert "note  optim.final is now optim.min_lr_ratio" in err


def test_the_help_lists_every_setting_once(capsys: Cap) -> None:
    for model in MODELS:
        text = help_of(capsys, "--model", model)
        assert "None" not in text
        heads = [re.split(" {2,}", line[2:])[0] for line in text.splitlines() if line[:2] == "  "]
        listed = [flag for head in heads for flag in re.findall(r"--[-.\w]+", head)]
        assert len(listed) == len(set(listed))
        for setting, (head, line) in setting_rows(model):
            flags = re.findall(r"--[-.\w]+", head)
            assert flags[-1] == f"--{setting.replace('_', '-')}"
            assert set(flags) <= set(listed)
            assert line.count("default:") <= 1, line
    for section, cls in SECTIONS.items():
        for name, field in cls.model_fields.items():
            assert field.description or (section, name) == ("model", "name")


def test_the_help_begins_with_ten_common_options(capsys: Cap) -> None:
    common = help_of(capsys).split("common options:\n")[1].split("\n\n")[0]
    flags = [line.split()[0].strip(",") for line in common.splitlines() if line.startswith("  -")]
    assert flags == ["--model", "--steps", "--minutes", "--out", "--lr", "--batch-size",
                     "--context-length", "--layers", "--device", "--seed"]  # fmt: skip


def test_the_help_says_what_a_default_depends_on(
    capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = " ".join(help_of(capsys).split())
    steps = [presets.default("gpt", documents=d)["training"]["steps"] for d in (True, False)]
    assert f"(default: {steps[0]} for documents, {steps[1]} for a stream)" in text
    assert "(default: chosen from the text)" in text
    assert "(default: chosen by measurement)" in text
    assert "--model.activation relu|gelu" in help_of(capsys, "--model", "gpt2")


def test_what_is_there_already_is_told_without_the_arguments_of_python(
    capsys: Cap, names_run: hornbook.Run
) -> None:
    code, _, err = run(capsys, "train", "names", "--out", names_run.path)
    assert code == 2
    assert err.rstrip().endswith("or give another directory (--out)")


@pytest.mark.parametrize(
    "flag", ["--lr", "--batch-size", "--epochs", "--context-length", "--layers"]
)
def test_what_people_type_first_is_a_flag(flag: str) -> None:
    _, settings = SettingsParser("train").read([flag, "2"])
    assert [value for fields in settings.values() for value in fields.values()] == [2]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("train bigram", "'bigram', which is a model, expected a text: hornbook train names --model"),
        ("train Transformer", "which is another name of a model, expected a text: hornbook train names "
         "--model gpt"),
        ("lr-find mlp", "hornbook lr-find names --model mlp"),
        ("ladder gpt", "hornbook ladder names --rungs gpt"),
        ("train notes-mlp", "a preset, expected a text: hornbook train names --preset notes-mlp"),
        ("train names mlp", "found a model after CORPUS, expected an option: --model mlp"),
        ("train names notes-mlp", "expected an option: --preset notes-mlp"),
        ("train {run}", "a run, expected a text; to train it further: hornbook train --resume"),
        ("train bigram {text}", "expected a text: hornbook train {text} --model bigram"),
        ("train -- {text} --model mlp", "--model: found it after --, where no options are read"),
        ("eval {run} {text}", "hornbook eval takes one RUN; another text is given by --corpus {text}"),
        ("train names more.txt", "more.txt: found one argument too many; hornbook train takes one"),
        ("train --model transformer", "did you mean 'gpt'"),
        ("train --model GPT", "did you mean 'gpt'"),
        ("models n-gram", "did you mean 'ngram'"),
        ("models batchnorm", "give the preset 'notes-mlp-bn' instead"),
        ("train --model notes-wavenet", "give the preset 'notes-wavenet' instead"),
        ("train --preset batchnorm", "did you mean 'notes-mlp-bn'"),
        ("train --preset mlp", "mlp is a model, and its defaults need no preset"),
    ],
)  # fmt: skip
def test_what_is_typed_in_the_wrong_place_is_recognized(
    line: str, parts: str, capsys: Cap, write: Write, names_run: hornbook.Run
) -> None:
    text = write("a.txt", "a text\n")
    code, _, err = run(capsys, *line.format(run=names_run.path, text=text).split())
    assert code == 2
    assert parts.format(run=names_run.path, text=text) in err


def test_files_after_the_first_belong_to_the_text(write: Write) -> None:
    first, second = str(write("a.txt", "a text\n")), str(write("b.txt", "a text\n"))
    _, settings = SettingsParser("train").read([first, second, "--steps", "3", first])
    assert settings["data"] == {"corpus": first, "files": (second, first)}
    with pytest.raises(DataError, match=r"gone\.txt: no such file"):
        SettingsParser("train").read([first, second, "gone.txt"])

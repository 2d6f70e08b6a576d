"""Several ranks train one run, which one process or another number of ranks can go on with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.config import merge
from hornbook.errors import ConfigError, RunError
from hornbook.files import dump, read_json
from hornbook.models.registry import parse_run_config
from hornbook.parallel.launch import Launch
from hornbook.parallel.ranks import Ranks
from hornbook.planning.request import read_request
from hornbook.training.callbacks.base import Agreement
from hornbook.training.together import check_alike, earlier_run, versions
from tests.parallel.helpers import on_ranks
from tests.parallel.work import command, resume, train, train_as_proposed
from tests.training.helpers import small, tensors_of
from tests.training.together import figures, records, settings

REPLICATED = settings("auto")
RANKS = Ranks(Launch(0, 2, 0, 2, "localhost", 1, run_id="a", restarts=1))


def tiny(name: str) -> dict[str, Any]:
    """A small run of a model that needs no time."""
    found = small(name)
    return {**found, "model": {**found["model"], "name": name}}


@pytest.fixture(scope="module")
def pair(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that two ranks have trained."""
    out = tmp_path_factory.mktemp("pair") / "run"
    assert on_ranks(2, train, str(corpus), str(out), REPLICATED) == [str(out)] * 2
    return out


def test_a_run_of_two_ranks_is_an_ordinary_run(pair: Path) -> None:
    run = hornbook.load(pair)
    assert run.report["steps"] == 12
    assert "2 processes of 1 thread" in run.report["determinism"]
    assert run.facts["hardware"]["ranks"] == 2
    assert all(0 <= r["communication"] <= 1 for r in run.log if r["step"])
    assert not (pair / "lock").exists()


def test_without_dropout_its_losses_are_those_of_one_process(corpus: Path, tmp_path: Path) -> None:
    """Each rank draws dropout by itself. And the run of each goes on as the other."""
    plain, paths = small("gpt", batch_size=10, steps=4), [tmp_path / "two", tmp_path / "one"]
    on_ranks(2, train, str(corpus), str(paths[0]), plain)
    hornbook.train(str(corpus), out=paths[1], settings=plain)
    for name in ("val_loss", "train_loss", "loss", "grad_norm"):
        two, one = (figures(path, name) for path in paths)
        assert two == pytest.approx(one, rel=1e-5)
    hornbook.resume(paths[0], steps=6)
    on_ranks(2, resume, str(paths[1]), 6)
    ends = [hornbook.load(path).report["validation"]["nats"] for path in paths]
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_what_the_clocks_of_one_rank_say_is_agreed_on(corpus: Path, tmp_path: Path) -> None:
    """A time budget that ends early, and a state that is due; one rank alone makes the tokens."""
    proposed = {3: Agreement(save=1), 5: Agreement(total_steps=9)}
    arguments = str(corpus), str(tmp_path / "r"), tiny("bigram"), proposed
    ends = on_ranks(2, train_as_proposed, *arguments)
    steps, saved, tokens_written = ends[0]
    assert steps == 9
    assert {3, 5, 9} <= set(saved)
    assert ends[1] == (9, saved, 0)
    assert tokens_written == 1
    assert hornbook.load(tmp_path / "r").report["steps"] == 9


def test_counts_are_made_by_the_first_rank(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    assert on_ranks(2, train, str(corpus), str(out), tiny("ngram")) == [str(out)] * 2
    assert hornbook.load(out).report["validation"]["nats"] > 0


def test_one_rank_alone_speaks(corpus: Path, tmp_path: Path) -> None:
    fields = [f"--model.{k.replace('_', '-')}={v}" for k, v in small("gpt")["model"].items()]
    words = ["train", str(corpus), "--steps", "4", "--threads", "1", *fields]
    (code, out, err), *others = on_ranks(2, command, [*words, "--out", str(tmp_path / "r")])
    assert code == 0, err
    assert "validation" in out
    assert "processes  2, ddp" in err
    assert others == [(0, "", "")]
    (code, _, err), *others = on_ranks(2, command, [*words, "--steps", "4.5"])  # before they meet
    assert code == 2
    assert err.startswith("hornbook: ")
    assert others == [(2, "", err.replace("hornbook: ", "hornbook: rank 1 of 2: "))]
    (code, _, err), *others = on_ranks(2, command, [*words, "--training.batch-size", "1"])
    assert code == 2
    assert err.startswith(
        "hornbook: rank 0 of 2: training.batch_size: found a batch of 1 for 2 proc"
    )
    assert others == [(1, "", "")]
    sweep = on_ranks(2, command, [*words, "--seeds", "1,2"])
    assert "a sweep trains one run after another in one process: found 2" in sweep[0][2]


def test_a_signal_to_one_rank_ends_all_after_the_same_step(
    pair: Path, corpus: Path, tmp_path: Path
) -> None:
    """The same command goes on, to the same end to the bit."""
    out = tmp_path / "run"
    ended = on_ranks(2, train, str(corpus), str(out), REPLICATED, 5)
    assert [end.kind for end in ended] == ["Interrupted"] * 2
    assert all("interrupted after step 6" in end.message for end in ended)
    assert read_json(out / "last" / "state.json")["step"] == 6
    on_ranks(2, train, str(corpus), str(out), REPLICATED)
    assert tensors_of(out) == tensors_of(pair)
    assert records(out) == records(pair)


def test_a_signal_that_torchrun_repeats_ends_its_only_rank_once(
    corpus: Path, tmp_path: Path
) -> None:
    (ended,) = on_ranks(1, train, str(corpus), str(tmp_path / "r"), tiny("bigram"), 5)
    assert ended.kind == "Interrupted"
    assert read_json(tmp_path / "r" / "last" / "state.json")["step"] == 6


@pytest.mark.parametrize("world_size", [1, 4])
def test_another_number_of_ranks_goes_on(pair: Path, world_size: int, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pair, tmp_path / "run"))
    if world_size == 1:
        hornbook.resume(out, steps=18)
    else:
        on_ranks(world_size, resume, str(out), 18)
    run = hornbook.load(out)
    assert run.report["steps"] == 18
    assert run.report["validation"]["nats"] < hornbook.load(pair).report["validation"]["nats"]


def test_a_finished_run_is_not_trained_again(pair: Path, corpus: Path) -> None:
    before = (pair / "log.jsonl").stat()
    assert on_ranks(2, train, str(corpus), str(pair), REPLICATED) == [str(pair)] * 2
    assert (pair / "log.jsonl").stat().st_mtime_ns == before.st_mtime_ns


def test_a_launch_goes_on_with_its_own_run_alone(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = replace(read_request(str(corpus), settings=tiny("bigram")), ranks=RANKS)
    assert earlier_run(request, None) is None
    assert earlier_run(request, tmp_path / "out") is None
    hornbook.train(str(corpus), settings=tiny("bigram"))
    run = next(Path("runs").iterdir())
    assert earlier_run(request, None) is None  # somebody else's
    assert earlier_run(request, run) == run
    assert earlier_run(request, run, overwrite=True) is None
    facts = read_json(run / "config.json")
    (run / "config.json").write_text(dump({**facts, "launch": "a"}))
    assert earlier_run(request, None) == run
    assert earlier_run(request, run, overwrite=True) == run  # which a restart is not to lose
    begun = Ranks(Launch(0, 2, 0, 2, "localhost", 1, run_id="a"))
    assert earlier_run(replace(request, ranks=begun), None) is None
    other = replace(request, settings={**request.settings, "optim": {"learning_rate": 0.5}})
    with pytest.raises(ConfigError, match=r"optim.learning_rate .* found 0.5 requested"):
        earlier_run(other, run)
    # a preset is compared by the model that it names
    with pytest.raises(ConfigError, match=r"model.name 'bigram', found 'mlp \(preset notes-mlp\)'"):
        earlier_run(replace(request, preset="notes-mlp", settings={}), run)
    requested = {"model": {"name": "bigram"}}
    with pytest.raises(ConfigError, match=r"model.n_embd None, found '10 \(preset notes-mlp\)'"):
        earlier_run(replace(request, preset="notes-mlp", settings=requested), run)
    shorter = {"training": {"minutes": 1.0}}  # which the run does not have either
    with pytest.raises(ConfigError, match=r"training.minutes None, found 1.0"):
        earlier_run(replace(request, preset="notes-mlp", settings=shorter), run)


def test_a_launch_compares_further_files(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(f"{name}.txt").write_text(corpus.read_text())
    settings = {**tiny("bigram"), "data": {"files": ("b.txt",)}}
    hornbook.train("a.txt", settings=settings, out="run", progress=False)

    def found(*files: str) -> Path | None:
        data = {"data": {"files": files}}
        request = read_request("a.txt", settings={**tiny("bigram"), **data})
        return earlier_run(replace(request, ranks=RANKS), Path("run"))

    assert found("b.txt") == found("./b.txt") == Path("run")
    for files in (("c.txt",), ("b.txt", "c.txt"), ()):
        with pytest.raises(ConfigError, match=r"data.files .*b.txt.* requested"):
            found(*files)


def test_ranks_are_started_alike(corpus: Path) -> None:
    """With the same libraries, and no setting that the run does not have."""
    asked = {"training": {"steps": 12.0}, "tokenizer": {"vocab_size": 300}}  # as far as it can be
    request = read_request(str(corpus), settings=asked)
    run = {"data": {"corpus": str(corpus)}, "training": {"batch_size": 16, "steps": 12}}
    config = parse_run_config({"model": {"name": "gpt"}, **run})
    message = {"versions": versions(), "config": config.model_dump(mode="json")}
    check_alike(message, request)
    check_alike(message, None)
    other = {**message, "config": merge(message["config"], {"training": {"steps": 13}})}
    with pytest.raises(
        ConfigError, match=r"training.steps: found 12.0 requested, but rank 0 .* 13"
    ):
        check_alike(other, request)
    with pytest.raises(RunError, match=r"found torch .*, but rank 0 has 1.0; install the same"):
        check_alike({**message, "versions": {**versions(), "torch": "1.0"}}, request)


def test_a_launch_finds_its_text_and_its_base_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run keeps absolute paths; the command that is given again may have others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(corpus.read_text())
    (tmp_path / "b.txt").write_text(corpus.read_text()[:200])
    hornbook.train("a.txt", settings=tiny("bigram"), out="base")
    fixed = {"training": tiny("bigram")["training"]}
    hornbook.train("a.txt", base="base", settings=fixed, out="run")

    def found(text: str, base: str) -> Path | None:
        request = read_request(text, base=base, settings=fixed)
        return earlier_run(replace(request, ranks=RANKS), Path("run"))

    assert found("a.txt", "base") == found("./a.txt", str(tmp_path / "base")) == Path("run")
    with pytest.raises(ConfigError, match=r"data.corpus .*a.txt', found 'b.txt' requested"):
        found("b.txt", "base")
    with pytest.raises(ConfigError, match=r"finetuning.base .*base', found 'other' requested"):
        found("a.txt", "other")
    Path("a.txt").rename("c.txt")
    assert found("c.txt", "base") == Path("run")


@pytest.mark.parametrize(
    ("form", "parallel"),
    [({"replay": 0.5}, "ddp"), ({"lora_rank": 2}, "fsdp"), ({"unknown": "skip"}, "fsdp")],
)
def test_ranks_begin_from_a_base_together(
    form: dict[str, Any], parallel: str, corpus: Path, tmp_path: Path
) -> None:
    """To the losses of one process, on the new text and on that of the base; and each goes on with what
    the other has trained."""
    base, new = tmp_path / "base", tmp_path / "new.txt"
    hornbook.train(str(corpus), settings=small("gpt", steps=2), out=base, progress=False)
    skipped = "\n~~~" if form.get("unknown") else ""
    new.write_text("\n".join(w[::-1] for w in corpus.read_text().split()[:60]) + skipped)
    training = small("gpt", steps=4, batch_size=6, parallel=parallel)["training"]
    settings = {"training": training, "finetuning": {**form, "base": str(base)}}
    outs = [tmp_path / f"run-{n}" for n in (1, 2)]
    for n, out in enumerate(outs, 1):
        assert on_ranks(n, train, str(new), str(out), settings) == [str(out)] * n
    for out, n in zip(outs, (2, 1), strict=True):
        on_ranks(n, resume, str(out), 6)
    for name in ("val_loss", "old_loss", "loss"):
        one, two = (figures(out, name) for out in outs)
        assert len(one) > 3
        assert two == pytest.approx(one, rel=1e-4)

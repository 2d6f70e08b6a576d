"""What many tests share: small models of every kind, small runs, the corpora of the notes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import torch

from hornbook.api import Run
from hornbook.config import DataConfig, TokenizerConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.split import Split, split_corpus
from hornbook.data.training_data import load_training_data
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, model_config
from hornbook.tokenizers import Tokenizer, build_tokenizer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

torch.set_num_threads(1)  # tests run side by side
hypothesis.settings.register_profile("any load", deadline=None)
hypothesis.settings.load_profile("any load")

FAST = (  # what trains nothing, draws nothing and starts no process: `pytest -m fast`
    "autograd", "config", "engine/test_device.py", "engine/test_loss.py", "generate", "layers",
    "optim", "planning/decide", "runs", "test_errors.py", "test_files.py", "tokenizers",
    "training/test_clock.py", "training/test_history.py",
)  # fmt: skip
SLOW = ("autograd/test_examples.py",)

WORDS = ("emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "noah", "liam", "otto")
TINY = {  # sizes that make a model small enough for a test; the rest are its defaults
    "context_length": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_kv_head": 1,
    "n_embd": 16,
    "n_hidden": 24,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "pair_embedding": True,
    "conv_kernel": 3,
    "order": 3,
    "held_back": 0.05,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests for every save, which take less than 30 seconds together."""
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here).as_posix()
        if place.startswith(FAST) and not place.startswith(SLOW):
            item.add_marker(pytest.mark.fast)


def tiny_model(name: str, vocab_size: int = 12, end_id: int | None = 0) -> LanguageModel:
    """A small model of the registry in evaluation mode; a fitted one fitted to random documents."""
    fields = MODELS[name].config.model_fields
    sizes = {field: size for field, size in TINY.items() if field in fields}
    torch.manual_seed(0)
    model = build_model(model_config({"name": name, **sizes}), vocab_size, end_id)
    # some parameters begin as zeros: moved, so that a test cannot pass because nothing flows
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        if (trust := dict(model.named_buffers()).get("trust")) is not None:
            trust.copy_(0.1 * torch.randn_like(trust))  # of a hybrid: about half of each
    if model.counted:
        tokens = torch.randint(1, vocab_size, (400,))
        tokens[:: 1 if end_id is None else 7] = 0 if end_id is not None else tokens[0]
        tokens[-1] = 0 if end_id is not None else tokens[-1]
        starts = torch.nonzero(tokens == end_id).flatten() if end_id is not None else None
        model.fit(tokens, starts if starts is not None else torch.tensor([0, len(tokens) - 1]))
    return model.eval()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no command that a test starts, writes into the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HORNBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """What tests write need not survive a power cut: a training waits for the disk some 20 times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(params=list(MODELS))
def model_name(request: pytest.FixtureRequest) -> str:
    """Each model of the registry."""
    return str(request.param)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch computes with two for the length of a test."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def words() -> Part:
    """A few documents as tokens."""
    tokenizer = build_tokenizer("char", "\n".join(WORDS), documents=True)
    return Part.of_documents(WORDS, tokenizer)


class Lecture:
    """A corpus of the notes, split as in the lectures."""

    def __init__(self, name: str) -> None:
        self.corpus: Corpus = load_corpus(DataConfig(corpus=name))
        documents = self.corpus.kind == "documents"
        self.tokenizer: Tokenizer = build_tokenizer("char", self.corpus.text, documents=documents)
        self.split: Split = split_corpus(self.corpus, DataConfig(), self.tokenizer)

    def part(self, name: str) -> Part:
        return self.split.part(name, self.tokenizer)

    def whole(self) -> Part:
        return Part.of_documents(self.corpus.documents, self.tokenizer)


def needs_data(filename: str) -> None:
    """Skips a test where HORNBOOK_DATA has no such file."""
    folder = os.environ.get("HORNBOOK_DATA")
    if not folder or not (Path(folder) / filename).is_file():
        pytest.skip(f"needs {filename} of the notes: set HORNBOOK_DATA to its folder")


@pytest.fixture(scope="session")
def lecture_names() -> Lecture:
    """The 32,033 names of the lectures."""
    needs_data("names.txt")
    return Lecture("makemore-names")


@pytest.fixture(scope="session")
def shakespeare() -> Lecture:
    """Tiny Shakespeare."""
    needs_data("shakespeare.txt")
    return Lecture("shakespeare")


TINY_GPT = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24},
    "training": {
        "steps": 30, "batch_size": 8, "eval_count": 3, "sample_count": 1,
        "threads": 1, "compile": "no",
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def names_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small GPT trained for a moment on the names of the package."""
    from hornbook.api import train

    out = tmp_path_factory.mktemp("runs") / "names"
    return train("names", out=out, precision="fp32", settings=TINY_GPT)


@pytest.fixture(scope="session")
def stream_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small GPT trained for a moment on a stream."""
    from hornbook.api import train

    folder = tmp_path_factory.mktemp("stream")
    text = "".join(f"{i} green bottles,\n\nhanging on the wall. " for i in range(300))
    (folder / "bottles.txt").write_text(text, "utf-8")
    settings = {**TINY_GPT, "model": {**TINY_GPT["model"], "context_length": 32}}
    return train(
        str(folder / "bottles.txt"), out=folder / "run", precision="fp32", settings=settings
    )


@pytest.fixture(scope="session", params=["documents", "stream"])
def bpe_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small GPT trained for a moment on subwords, some of which are parts of characters."""
    from hornbook.api import train

    folder = tmp_path_factory.mktemp("bpe")
    lines = [f"{i} grüne flaschen an der wand, 東京 {i} 👩‍🔬" for i in range(99)]
    (folder / "text.txt").write_text("\n".join(lines), "utf-8")
    model = {**TINY_GPT["model"], "context_length": 32}
    settings = {
        "model": model,
        # long enough to make bytes that no text has improbable: which of them is drawn is rounding
        "training": {**TINY_GPT["training"], "steps": 120},
        "optim": {"learning_rate": 1e-2},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
        "data": {"kind": request.param},
    }
    out = folder / str(request.param)
    return Run.load(
        train(str(folder / "text.txt"), out=out, precision="fp32", settings=settings).path
    )


# which end in a token, inside of one, inside of a character's tokens, and as no token begins
BPE_PROMPTS = ("", "1", "12 grü", "12 gr", "7 grüne fla", "東", " ", "x\n", "👩", "ÿ")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, for the tests of pages.

    Playwright keeps an event loop running until it ends, which other tests would find.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install playwright)"
    )
    from hornbook.export.browser import find_browser

    if find_browser() is None:
        pytest.skip("needs a browser (apt install chromium)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file under the test's own directory and gives its path."""

    def _write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


@pytest.fixture
def draw_only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves these figures alone on a page: each takes up to a second."""

    def leave(*names: str) -> None:
        from hornbook.figures.registry import FIGURES

        few = {name: FIGURES[name] for name in names}
        monkeypatch.setattr("hornbook.figures.page.FIGURES", few)

    return leave


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    """A small corpus of documents: 216 words of three syllables."""
    path = tmp_path / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


def strict(text: str) -> Any:
    """JSON as its standard has it, without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="session", params=list(MODELS))
def small_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four steps on a few words, probed: a run of every model of the registry."""
    from hornbook.experiments.mixture import mix

    folder = tmp_path_factory.mktemp("small")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    if not MODELS[request.param].trained:
        parts = [train_small(name, folder, folder / name) for name in ("mlp", "gpt")]
        return mix(parts, folder / "run")
    return train_small(str(request.param), folder, folder / "run")


def train_small(
    model: str,
    folder: Path,
    out: Path,
    probe_every: int = 2,
    settings: dict[str, Any] | None = None,
) -> Run:
    """A run of a small model on the words in `folder`; settings: dotted, beside its own."""
    from hornbook.api import train

    fields = MODELS[model].config.model_fields
    sizes = {f"model.{field}": size for field, size in TINY.items() if field in fields}
    training = {
        "training.batch_size": 8, "training.eval_count": 2, "training.sample_count": 0,
        "training.probe_every": probe_every,
        "training.threads": 1, "training.compile": "no",  # two runs are compared bit for bit
    }  # fmt: skip
    return train(
        str(folder / "words.txt"), model=model, steps=4, out=out, precision="fp32",
        settings={**sizes, **training, **(settings or {})},
    )  # fmt: skip


@pytest.fixture
def few_names(tmp_path: Path) -> Path:
    """A thousand names: a text with fewer tokens than the default GPT has parameters."""
    split = load_training_data(DataConfig(corpus="names"), TokenizerConfig()).split
    path = tmp_path / "few.txt"
    path.write_text("\n".join(split.train[:1000]))
    return path

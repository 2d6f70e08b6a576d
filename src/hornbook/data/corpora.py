"""Corpora known by name: what they are, where they come from, and their sha256.

`names` is in the package. The others are fetched once, checked and cached; `HORNBOOK_DATA` names a
folder that is searched first, `HORNBOOK_CACHE` another folder for the cache.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path

from hornbook.config import DataConfig
from hornbook.data.cache import CacheError, cache_directory
from hornbook.data.corpus import Corpus, read_corpus
from hornbook.data.limits import LIMITS, Limits
from hornbook.data.reading import detect_encoding
from hornbook.data.sources.files import BINARY_FORMATS, TextFile
from hornbook.data.sources.hub import HUB, fetch_dataset, name_on_hub
from hornbook.data.sources.source import Source, open_source, open_stdin
from hornbook.data.sources.standard_input import STDIN, keep_stdin
from hornbook.errors import DataError, RunError, did_you_mean
from hornbook.files import user_path, write_bytes
from hornbook.stages import stage

TIMEOUT = 30  # seconds for a fetch


@dataclass(frozen=True)
class KnownCorpus:
    """A corpus of the registry. url is empty for one that is in the package."""

    name: str
    kind: str
    line: str
    source: str
    sha256: str
    filename: str
    url: str = ""

    def path(self) -> Path | None:
        """Where it is on this machine, or None while it has not been fetched."""
        if not self.url:
            return Path(str(resources.files("hornbook.data").joinpath(self.filename)))
        folder = os.environ.get("HORNBOOK_DATA")
        folders = [user_path(folder, DataError)] if folder else []
        with suppress(CacheError):
            folders.append(cache_directory())
        return next((f / self.filename for f in folders if os.path.isfile(f / self.filename)), None)

    def fetch(self) -> Path:
        """The path of its file, fetched, checked and cached where it is not here yet.

        Raises DataError where it cannot be fetched.
        """
        path = self.path()
        if path is None:
            path = cache_directory() / self.filename
            raw = _download(self)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, raw)
            except (OSError, RunError) as error:
                raise DataError(
                    f"{path}: cannot be written ({getattr(error, 'strerror', error)}); set "
                    "HORNBOOK_CACHE to a folder that can"
                ) from None
        return path

    def check(self, path: Path, sha256: str) -> None:
        """Raises DataError where a file is not the text that it should be."""
        if sha256 != self.sha256:
            raise DataError(
                f"{path}: found sha256 {sha256[:12]}..., expected {self.sha256[:12]}...: not the "
                f"{self.name} of the registry. Remove it, or train on it by its path"
            )


def _download(corpus: KnownCorpus) -> bytes:
    try:
        with (
            stage(f"fetching {corpus.name}"),
            urllib.request.urlopen(corpus.url, timeout=TIMEOUT) as answer,
        ):
            raw: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(
            f"{corpus.name}: could not be fetched from {corpus.url} "
            f"({getattr(error, 'reason', error)}). Fetch it yourself, name it {corpus.filename}, "
            "and set HORNBOOK_DATA to its folder; or train on `names`, which needs no network"
        ) from None
    found = hashlib.sha256(raw).hexdigest()
    if found != corpus.sha256:
        raise DataError(
            f"{corpus.name}: what {corpus.url} returned has sha256 {found[:12]}..., expected "
            f"{corpus.sha256[:12]}...; nothing was kept"
        )
    return raw


CORPORA = {
    corpus.name: corpus
    for corpus in (
        KnownCorpus(
            name="names",
            kind="documents",
            line="29,910 first names given in the United States in 2017",
            source="Social Security Administration, national list for 2017 (public domain)",
            sha256="d4636ea6df909ad1e4880eb0781a5441b03776b97fc2312ed81641e4a558afa9",
            filename="names.txt",
        ),
        KnownCorpus(
            name="makemore-names",
            kind="documents",
            line="32,033 first names: the corpus of the lectures",
            source="karpathy/makemore, names.txt",
            sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
            filename="names.txt",
            url="https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        ),
        KnownCorpus(
            name="shakespeare",
            kind="stream",
            line="40,000 lines of Shakespeare, 1.1 MB",
            source="karpathy/char-rnn, data/tinyshakespeare/input.txt",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            filename="shakespeare.txt",
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
            "tinyshakespeare/input.txt",
        ),
    )
}


def load_corpus(config: DataConfig, template: str = "") -> Corpus:
    """The corpus that the settings name: a name of the registry, a dataset of Hugging Face (hf:NAME),
    stdin (-), else a path.

    template: of prompts and answers, where the settings have none. Raises DataError where there is no
    such text or it cannot be read.
    """
    known = CORPORA.get(config.corpus)
    if config.corpus == STDIN:
        kept = keep_stdin()
        try:
            return _read(open_stdin(kept, config, template), config, "stdin", "stdin")
        except DataError as error:  # it is the text that is wrong, not the file that it is kept in
            raise DataError(str(error).replace(str(kept), "stdin")) from None
    if config.corpus.startswith(HUB):
        path, config = fetch_dataset(config)
        name = config.corpus.removeprefix(HUB).replace("/", "-")
        return _read(open_source(path, config, (), template), config, name, config.corpus)
    if known is None:
        if not config.corpus:
            raise DataError("corpus: found '', expected a name or the path of a text file")
        if "\n" in config.corpus:
            raise DataError(
                f"corpus: found a text that begins with {config.corpus[:40]!r}, expected a name or the "
                "path of a text file; save it into a file first"
            )
        path = user_path(config.corpus, DataError)
        looks_like_name = path.name == config.corpus and not path.suffix
        if looks_like_name and not path.exists():
            raise DataError(
                f"{config.corpus}: no corpus of this name and no such file"
                f"{did_you_mean(config.corpus, CORPORA)}"
            )
        if not path.exists() and (name := _published_as(path.name)):
            raise DataError(
                f"{config.corpus}: no such file; the notes' text is the dataset {name!r}"
            )
        if not path.exists() and (name := name_on_hub(config.corpus)):
            raise DataError(
                f"{config.corpus}: no such file; give the path of a text file, or of a dataset of "
                f"Hugging Face {HUB}{name}"
            )
        others = [user_path(file, DataError) for file in config.files]
        return _read(open_source(path, config, others, template), config)
    if config.files:
        raise DataError(
            f"files: found further files beside the dataset {known.name}; give the path of its file "
            "instead of its name, or leave them out"
        )
    kind = known.kind if config.kind == "auto" else config.kind
    why = "as the registry says" if config.kind == "auto" else "as requested"
    path = known.fetch()
    config = config.model_copy(update={"kind": kind})
    corpus = _read(Source.of(path), config, known.name, known.name)
    known.check(path, corpus.sha256)
    return replace(corpus, why_kind=why)


def _published_as(filename: str) -> str:
    """The dataset that is published as a file of this name; empty where none is."""
    return next(
        (c.name for c in CORPORA.values() if c.url and c.url.rpartition("/")[2] == filename), ""
    )


def encoding_of(corpus: str, otherwise: str) -> str:
    """The encoding of a text that nobody named one for: detected from the file (`detect_encoding`).

    Raises DataError where there is no such text or it cannot be read.
    """
    if corpus in CORPORA:
        return "utf-8"
    path = user_path(corpus, DataError)
    file = TextFile(path)
    plain = path.is_file() and file.compression != "zip" and file.ending not in BINARY_FORMATS
    return detect_encoding(file, otherwise, LIMITS.chunk) if plain else otherwise


def text_setting(config: DataConfig, corpus: Corpus) -> str:
    """What `data.corpus` of a run is: a name that is valid anywhere, else the absolute path."""
    named = config.corpus in CORPORA or config.corpus.startswith(HUB)
    return config.corpus if named else str(Path(corpus.path).resolve())


def _read(source: Source, config: DataConfig, name: str = "", shown: str = "") -> Corpus:
    """A source as a corpus; the one that was read last is not read again while it is unchanged."""
    return _read_once(source, source.state(), config.kind, config.separator, name, shown, LIMITS)


@lru_cache(maxsize=1)
def _read_once(
    source: Source,
    state: tuple[int, ...],
    kind: str,
    separator: str,
    name: str,
    shown: str,
    limits: Limits,
) -> Corpus:
    return read_corpus(
        source, kind=kind, separator=separator, name=name, source=shown, limits=limits
    )

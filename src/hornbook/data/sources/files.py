"""The files of a text: one, several, those of a folder, or those in an archive; compressed or not."""

from __future__ import annotations

import fnmatch
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hornbook.data.decoding import marked_encoding
from hornbook.data.reading import file_chunks, file_state
from hornbook.errors import DataError, counted

COMPRESSED = ("gz", "zst", "zip")
BINARY_SAMPLE = 4096  # bytes in which a null byte shows that a file is no text
BINARY_FORMATS = ("parquet",)  # that are read all the same
ZSTANDARD_BYTES = 4096  # unpacked at a time: a few bytes of it may stand for many
LEFT_OUT = 3  # names of files that a note lists


@dataclass(frozen=True)
class TextFile:
    """A file to read: plain, compressed (.gz, .zst), or a member of an archive (.zip).

    member: its name in the archive; empty outside one. unpacked: its bytes, as that says.
    """

    path: Path
    member: str = ""
    unpacked: int = 0

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def compression(self) -> str:
        """gz, zst, zip, or nothing: by its name."""
        ending = self.path.suffix[1:].lower()
        return ending if ending in COMPRESSED else ""

    @property
    def size(self) -> int:
        """Its bytes; those of a .gz or .zst as they are, packed. Raises OSError."""
        return self.unpacked if self.member else self.path.stat().st_size

    @property
    def ending(self) -> str:
        """The ending of its name in lower case without the dot, such as jsonl of messages.jsonl.gz."""
        name = PurePosixPath(self.member or self.path.name)
        if not self.member and self.compression:
            name = name.with_suffix("")
        return name.suffix[1:].lower()

    def chunks(self, size: int) -> Iterator[bytes]:
        """Its bytes, decompressed, in chunks of `size`. Raises DataError where it cannot be read."""
        try:
            if self.member:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as member:
                    while chunk := member.read(size):
                        yield chunk
            elif self.compression == "gz":
                with gzip.open(self.path, "rb") as file:
                    while chunk := file.read(size):
                        yield chunk
            elif self.compression == "zst":
                yield from _zstandard_chunks(self.path, size)
            else:
                yield from file_chunks(self.path, size)
        except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self}: damaged, or not {self.compression} ({error}); expected a whole file of that "
                "kind, make or fetch it again"
            ) from None
        except (
            RuntimeError,
            NotImplementedError,
        ) as error:  # of zipfile: encrypted, or a rare method
            raise DataError(f"{self}: cannot be read ({error}); unpack it first") from None
        except OSError as error:
            raise DataError(f"{self}: cannot be read ({error.strerror or error})") from None

    def holds(self, limit: int, chunk: int) -> bool:
        """Whether it has at least so many bytes, decompressed; not many more are read."""
        if not self.compression:
            return self.path.stat().st_size >= limit
        found = 0
        with closing(self.chunks(chunk)) as chunks:  # type: ignore[type-var]
            return any((found := found + len(piece)) >= limit for piece in chunks)

    def is_binary(self) -> bool:
        """Whether it is no text: it has a null byte near its beginning and no byte order mark."""
        if self.ending in BINARY_FORMATS:
            return False
        with closing(self.chunks(BINARY_SAMPLE)) as chunks:  # type: ignore[type-var]
            first = next(chunks, b"")
        return 0 in first and marked_encoding(first) is None


def find_files(paths: Iterable[Path], glob: str = "") -> tuple[tuple[TextFile, ...], list[str]]:
    """The files to read, those of a folder or an archive sorted by name, and notes.

    glob: which files of a folder or an archive, such as `**/*.md`; empty: all but hidden ones and
    those that are no text. Raises DataError where a path is missing or has no such file.
    """
    found: list[TextFile] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = [
                member
                for file in sorted(p for p in path.rglob("*") if p.is_file())
                if _wanted(file.relative_to(path).as_posix(), glob)
                for member in _members(file, "")
            ]
        else:
            file_state(path)  # raises where it cannot be read
            inside = _members(path, glob)
            if path.suffix.lower() != ".zip":
                found += inside
                continue
        texts = inside if glob else [file for file in inside if not file.is_binary()]
        if not texts:
            what = f"no file that matches {glob!r}" if glob else "no text"
            raise DataError(
                f"{path}: found {what} in it, expected files of text; name them with --glob, such as "
                "--glob '**/*.txt'"
            )
        if left_out := [str(file) for file in inside if file not in set(texts)]:
            more = ", ..." if len(left_out) > LEFT_OUT else ""
            notes.append(
                f"{counted(len(left_out), 'file')} of another kind than text left out: "
                f"{', '.join(left_out[:LEFT_OUT])}{more}"
            )
        found += texts
    return tuple(found), notes


def _members(path: Path, glob: str) -> list[TextFile]:
    """The file, or what is in it where it is an archive."""
    if path.suffix.lower() != ".zip":
        return [TextFile(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {i.filename: i.file_size for i in archive.infolist() if not i.is_dir()}
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: damaged, or not zip ({error}); make or fetch it again") from None
    return [TextFile(path, n, sizes[n]) for n in sorted(sizes) if _wanted(n, glob)]


def _wanted(name: str, glob: str) -> bool:
    """Whether a file in a folder or an archive is to be read, by its name in it: a hidden one only
    where the pattern names such.

    >>> _wanted("a/b.md", "**/*.md"), _wanted("b.md", "**/*.md"), _wanted(".git/b.md", "**/*.md")
    (True, True, False)
    """
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    if hidden and not re.search(r"(?:^|/)(?:\.\w|__MACOSX)", glob):
        return False
    return not glob or fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(f"./{name}", glob)


def state_of(files: Iterable[TextFile]) -> tuple[int, ...]:
    """The sizes of the files and when each was changed last. Raises DataError."""
    paths = dict.fromkeys(file.path for file in files)
    return tuple(number for path in paths for number in file_state(path))


def _zstandard_chunks(path: Path, size: int) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise DataError(
            f"{path}: reading .zst takes zstandard, which is not installed: pip install "
            "'hornbook[zst]'; or unpack it first: zstd -d FILE"
        ) from None
    made, waiting, frame = list[bytes](), 0, zstandard.ZstdDecompressor().decompressobj()
    begun = False  # a frame that has not ended, which `stream_reader` would take for a whole one
    for packed in file_chunks(path, ZSTANDARD_BYTES):
        while packed:
            try:
                made.append(frame.decompress(packed))
            except zstandard.ZstdError as error:
                raise zlib.error(str(error)) from None
            packed, begun = frame.unused_data, not frame.eof
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
        waiting += len(made[-1])
        if waiting >= size:
            yield b"".join(made)
            made, waiting = [], 0
    if waiting:
        yield b"".join(made)
    if begun:
        raise EOFError("it ends in the middle")

"""Atomic writes that survive a failure, and reads that refuse what is damaged or foreign."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hornbook import files
from hornbook.errors import ConfigError, RunError
from hornbook.files import (
    MAX_JSON_BYTES,
    Header,
    append_line,
    dump,
    read_json,
    read_lines,
    read_tensors,
    remove,
    remove_partial_files,
    sync,
    user_path,
    write_bytes,
    write_json,
    write_lines,
    write_tensors,
)

TENSORS = {
    "a": torch.tensor([1.5, -2.0, 3.0]),
    "b": torch.ones(2, 2, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False, True]),
    "scalar": torch.tensor(7),
    "none": torch.empty(0, 4),
    "column": torch.arange(6.0).reshape(2, 3)[:, 1],  # not contiguous
    "stretched": torch.tensor([2.0], dtype=torch.float64).as_strided((1,), (0,)),
}


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, {"position": '{"step": 3}'})
    return path


def test_json_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"text": "å\ud800\n", "loss": math.nan, "steps": [1, -math.inf]})
    assert read_json(path) == {"text": "å\ud800\n", "loss": None, "steps": [1, None]}
    assert os.listdir(tmp_path) == ["x.json"]


def test_dump_has_no_numbers_that_json_does_not_have() -> None:
    assert (
        dump({"a": (1.0, math.inf), "b": {"c": math.nan}}) == '{"a": [1.0, null], "b": {"c": null}}'
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[1]", "damaged: found list, expected an object"),
        (b'{"a": ', "damaged: Expecting value"),
        (b"\xff\xfe", "damaged: 'utf-8' codec"),
        (b"[" * 200_000, "damaged: maximum recursion depth"),
        (b'{"a": ' + b"9" * 5000 + b"}", "damaged: Exceeds the limit"),
        (b" " * (MAX_JSON_BYTES + 1), r"damaged: found 16\.8 MB, expected at most 16\.8 MB"),
    ],
    ids=["list", "cut", "not utf-8", "deep", "digits", "large"],
)
def test_damaged_json_is_refused_by_name(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    with pytest.raises(RunError, match=rf"x\.json: {message}"):
        read_json(path)


@pytest.mark.skipif(os.name != "posix", reason="makes links and pipes")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    path, target = tmp_path / "x", tmp_path / "target"
    target.write_text("{}")
    for make, message in (
        (lambda: path.symlink_to(target), "is a link, expected a file"),
        (lambda: os.mkfifo(path), "is not a regular file, expected one$"),
        (path.mkdir, r"cannot be read \(Is a directory\)"),
    ):
        make()
        for read in (read_json, read_lines, read_tensors):
            with pytest.raises(RunError, match=message):
                read(path)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    with pytest.raises(RunError, match=r"cannot be read \(No such file"):
        read_json(path)
    assert read_lines(path) == []


def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"step": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        RunError, match=r"x\.json: cannot be written \(No space left.*free some space"
    ):
        write_json(path, {"step": 2})
    assert read_json(path) == {"step": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_write_does_not_follow_a_link_that_lies_in_its_way(tmp_path: Path) -> None:
    path, victim = tmp_path / "x.json", tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".x.json.{os.getpid()}.partial").symlink_to(victim)
    path.symlink_to(victim)
    write_json(path, {"step": 1})
    assert victim.read_text() == "mine"
    assert read_json(path) == {"step": 1}


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "x.json"
    for write in (lambda: write_bytes(path, b""), lambda: append_line(path, {})):
        with pytest.raises(RunError, match=r"gone.x\.json: cannot be written .* put it back"):
            write()
    remove(path.parent)
    with pytest.raises(RunError, match="cannot be written"):
        remove(tmp_path)


def test_partial_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for name in (".x.json.123.partial", "x.json", ".hidden"):
        (tmp_path / name).write_text("")
    remove_partial_files(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "x.json"]


def test_sync_says_where_a_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    sync(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match="the disk is failing; copy the run to another one"):
        sync(tmp_path)


def test_lines_are_written_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    records: list[dict[str, Any]] = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": None}]
    write_lines(path, records)
    append_line(path, {"step": 3, "loss": math.nan})
    assert read_lines(path) == [*records, {"step": 3, "loss": None}]


def test_a_last_line_that_a_crash_cut_off_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n\n{"step": 2}\n{"ste')
    assert read_lines(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{garbled", "damaged: Expecting property name"),
        (b"[1]", "damaged: found list, expected one object a line"),
        (b'{"step": -1}', "no step"),
        (b" " * MAX_JSON_BYTES, r"damaged: found a line of more than 16\.8 MB"),
    ],
    ids=["garbled", "list", "check", "long"],
)
def test_a_damaged_line_ends_what_is_read(tmp_path: Path, line: bytes, message: str) -> None:
    def check(record: dict[str, Any]) -> None:
        if record["step"] < 0:
            raise RunError(f"{path}: no step")

    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 2}\n')
    with pytest.raises(RunError, match=rf"log\.jsonl: {message}"):
        read_lines(path, check)
    damage: list[str] = []
    assert read_lines(path, check, damage=damage) == [{"step": 1}]
    assert len(damage) == 1


def test_a_log_is_limited_by_the_available_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n" * (MAX_JSON_BYTES + 1))
    monkeypatch.setattr(files, "available_memory", lambda: 32 * (MAX_JSON_BYTES + 1) - 1)
    with pytest.raises(RunError, match=r"found 16\.8 MB, which may need 536\.9 MB of memory"):
        read_lines(path)
    path.write_bytes(b'{"step": 1}\n')  # below the limit of one line memory is not asked for
    monkeypatch.setattr(files, "available_memory", lambda: 1)
    assert read_lines(path) == [{"step": 1}]


def test_tensors_are_those_that_safetensors_reads(tensors: Path) -> None:
    found, expected = read_tensors(tensors), load_file(tensors)
    assert found.keys() == expected.keys() == TENSORS.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
        assert torch.equal(found[name], TENSORS[name])
    with safe_open(tensors, "pt") as file:
        assert file.metadata()["position"] == '{"step": 3}'


def test_tensors_are_copies_of_the_file(tensors: Path) -> None:
    found = read_tensors(tensors)
    tensors.write_bytes(bytes(tensors.stat().st_size))
    assert torch.equal(found["a"], TENSORS["a"])


def test_tensors_are_refused_before_memory_is_allocated(
    tensors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers: list[Header] = []

    def refuse(header: Header) -> None:
        headers.append(header)
        raise RunError("not these")

    with pytest.raises(RunError, match=r"x\.safetensors: not these"):
        read_tensors(tensors, refuse)
    found = {n: (t.device.type, t.dtype, t.shape) for n, t in headers[0].tensors.items()}
    assert found == {n: ("meta", t.dtype, t.shape) for n, t in TENSORS.items()}
    monkeypatch.setattr(files, "available_memory", lambda: 10)
    with pytest.raises(
        RunError, match=r"x\.safetensors: needs 47 B of memory, found 10 B available"
    ):
        read_tensors(tensors)


def test_one_changed_bit_anywhere_is_found(tensors: Path) -> None:
    whole = tensors.read_bytes()
    for at in range(len(whole)):
        raw = bytearray(whole)
        raw[at] ^= 1 << at % 8
        tensors.write_bytes(raw)
        with pytest.raises(RunError, match=r"x\.safetensors: damaged"):
            read_tensors(tensors)
    for end in (0, 7, 8, len(whole) // 2, len(whole) - 1):
        tensors.write_bytes(whole[:end])
        with pytest.raises(RunError, match=r"x\.safetensors: damaged"):
            read_tensors(tensors)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}',
         r"found 149 B, expected 1\.0 TB"),
        ('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,64]}}',
         r"a: found offsets \[0, 64\], expected \[0, 16\] by its shape"),
        ('{"a":{"dtype":"F33","shape":[16],"data_offsets":[0,64]}}', "'F33'"),
        ('{"a":{"dtype":"F32","shape":[-16],"data_offsets":[0,64]}}', "negative dimension"),
        ('{"a":{"dtype":"F32","shape":"x","data_offsets":[0,64]}}', ""),
        ('{"a":7}', ""),
        ("[]", "found list, expected an object"),
    ],
)  # fmt: skip
def test_a_header_that_is_wrong_is_refused(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(64))
    with pytest.raises(RunError, match=rf"x\.safetensors: damaged: .*{message}"):
        read_tensors(path)


def test_a_file_without_a_checksum_is_read_where_it_has_no_metadata(tmp_path: Path) -> None:
    """As format 1 wrote it; with metadata, a missing checksum is damage."""
    path = tmp_path / "x.safetensors"
    save_file({"a": TENSORS["a"]}, path)
    assert torch.equal(read_tensors(path)["a"], TENSORS["a"])
    save_file({"a": TENSORS["a"]}, path, {"position": "{}"})
    with pytest.raises(RunError, match="checksum does not match its contents"):
        read_tensors(path)


def test_a_users_path_may_be_missing_but_not_impossible(tmp_path: Path) -> None:
    assert user_path(tmp_path / "new", RunError) == tmp_path / "new"
    assert user_path("~", RunError) == Path.home()
    (tmp_path / "file").write_text(json.dumps({}))
    assert user_path(tmp_path / "file" / "below", RunError) == tmp_path / "file" / "below"
    for text, reason in (
        ("~nosuchuser/x", "no such user"),
        (f"{tmp_path}/a\0b", "a null byte"),
        (f"{tmp_path}/\ud800", "half a character"),
        (tmp_path / ("a" * 300), "File name too long"),
    ):
        with pytest.raises(
            ConfigError, match=rf"cannot be reached \(.*{reason}\), expected a path"
        ):
            user_path(text, ConfigError)

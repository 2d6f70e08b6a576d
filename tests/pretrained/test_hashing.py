from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hornbook.errors import RunError
from hornbook.pretrained.hashing import sha256_of


def test_the_sha256_of_a_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000  # more than is read at once
    (tmp_path / "x").write_bytes(data)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data).hexdigest()
    with pytest.raises(RunError, match="cannot be read"):
        sha256_of(tmp_path / "y")

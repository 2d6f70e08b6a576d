from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

import hornbook
from tests.web.javascript import NO_SIMD, run_node

ROOT = Path(hornbook.__file__).parent.parent.parent


def test_the_module_is_what_its_source_assembles() -> None:
    command = [sys.executable, str(ROOT / "tools" / "build_simd.py"), "--check"]
    assert subprocess.run(command).returncode == 0


def test_products_of_any_size_are_those_of_torch() -> None:
    for before in ("", NO_SIMD):
        for rows, columns in ((1, 1), (3, 5), (4, 4), (27, 64), (130, 67)):
            matrix, x = torch.randn(rows, columns), torch.randn(columns)
            code = f"""const values = Float32Array.from({matrix.flatten().tolist()});
                const matrix = $matrix.makeMatrix({rows}, {columns}, values);
                const other = $matrix.makeMatrix(300, 300, new Float32Array(90000)); // memory grows
                other.multiply(new Float32Array(300));
                return [$matrix.isFast, Array.from(matrix.multiply({x.tolist()}))];"""
            fast, found = run_node("matrix.js", code, before)
            assert fast == (before == "")
            assert torch.allclose(torch.tensor(found), matrix @ x, atol=1e-5)

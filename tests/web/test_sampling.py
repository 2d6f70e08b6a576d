from __future__ import annotations

import torch

from hornbook.generate.sampling import Sampling, make_generator, uniforms
from tests.web.javascript import run_node


def test_draws_are_those_of_hornbook() -> None:
    seeds = [0, 1, 7, 2**31, 2**32 + 5, 2147483647, 2**62 + 11]
    wanted = [
        (seed, sample, position)
        for seed in seeds
        for sample in (0, 1, 77)
        for position in (0, 1, 400)
    ]
    calls = ", ".join(f"new $sampling.Draws({s}n).uniform({i}, {t})" for s, i, t in wanted)
    found = run_node("sampling.js", f"return [{calls}];")
    expected = []
    for seed, sample, position in wanted:
        key = int(torch.randint(2**63 - 1, (), generator=make_generator(seed)))
        expected.append(float(uniforms(key, torch.tensor([sample]), position)))
    assert found == expected


def test_filters_choose_the_tokens_of_hornbook() -> None:
    cases = [
        {}, {"temperature": 0.0}, {"temperature": 0.3}, {"top_k": 3}, {"top_k": 1000}, {"top_p": 0.5},
        {"top_p": 1.0}, {"min_p": 0.1}, {"min_p": 0.0}, {"temperature": 2.0, "top_k": 9, "top_p": 0.8},
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(4)
    logits = 3 * torch.randn(20, 30, generator=generator)
    u = torch.rand(20, dtype=torch.float64, generator=generator)
    names = {"temperature": "temperature", "top_k": "topK", "top_p": "topP", "min_p": "minP"}
    for case in cases:
        options = {names[name]: value for name, value in case.items()}
        code = f"""const rows = {logits.tolist()}, u = {u.tolist()};
            return rows.map((row, i) => $sampling.pick(Float32Array.from(row), {options}, u[i]));"""
        found = run_node("sampling.js", code)
        assert found == Sampling(**case).pick(logits, u).tolist(), case  # type: ignore[arg-type]

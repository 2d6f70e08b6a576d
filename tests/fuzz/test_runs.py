"""Run directories from strangers: damaged in any way, they are refused with a message, or read."""

from __future__ import annotations

import os
import random
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import FILES, Target, mutated, rewritten

EXAMPLES = int(os.environ.get("HORNBOOK_FUZZ", "40"))  # for each file; `make fuzz` sets more
FINDINGS = Path(__file__).parent / "findings"  # <file of the run, / as +>@<what it was>


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return Target(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", FILES)
def test_any_damage_is_refused_in_words(name: str, target: Target) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES <= 40,
        database=None,
    )
    @given(st.integers(0, 2**32), st.booleans())
    def damage(seed: int, well_formed: bool) -> None:
        rng = random.Random(seed)
        raw = target.whole[name]
        target.read(name, rewritten(raw, rng) if well_formed else mutated(raw, rng))

    damage()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000, "memory ballooned"  # kB


@pytest.mark.parametrize("name", FILES)
def test_files_that_were_swapped_are_refused(name: str, target: Target) -> None:
    for other in FILES:
        if other != name and (other.endswith("json"), name) != (True, "log.jsonl"):
            refused = target.read(name, target.whole[other])
            assert refused or name.startswith("last"), f"{other} taken for {name}"


@pytest.mark.parametrize("place", sorted(FINDINGS.glob("*@*")), ids=lambda p: p.name)
def test_what_the_fuzzers_found_stays_mended(place: Path, target: Target) -> None:
    name = place.name.partition("@")[0].replace("+", "/")
    target.read(name, place.read_bytes())

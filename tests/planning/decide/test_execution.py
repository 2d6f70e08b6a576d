"""Threads, precision and compiling, by times that are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest

from hornbook.engine.compiled import Form
from hornbook.errors import ConfigError
from hornbook.planning.decide.execution import (
    check_probes,
    compilation,
    device,
    parallel,
    precision,
    thread_counts,
    threads,
    worthwhile_seconds,
)
from hornbook.planning.decision import REQUESTED, Decision
from hornbook.planning.tuning import FEWER_THREADS


def never(*_: Any) -> Any:
    raise AssertionError("measured, where something else decides")


def giving(seconds: Mapping[int, float]) -> Callable[[Sequence[int]], Mapping[int, float]]:
    def measure(counts: Sequence[int]) -> Mapping[int, float]:
        assert list(counts) == list(seconds)
        return seconds

    return measure


def test_weights_are_sharded_where_they_do_not_fit() -> None:
    def decided(requested: Any, needed: int, available: int | None, replicas: int = 1) -> Any:
        return parallel(requested, replicas, 4, needed=needed, available=available)

    assert decided("auto", 40, 100).value == "ddp"
    found = decided("auto", 60, 100)
    assert found.value == "fsdp"
    assert found.reason.endswith("on each process")
    assert decided("auto", 60, None).value == "ddp"
    assert decided("ddp", 60, 100) == Decision("ddp", REQUESTED)
    assert decided("fsdp", 1, 100, replicas=2) == Decision("fsdp", REQUESTED)
    with pytest.raises(ConfigError, match="replicas: found 3 for 4 processes"):
        decided("fsdp", 1, 100, replicas=3)
    with pytest.raises(ConfigError, match=r"probe_every: found 5 .* --parallel ddp"):
        check_probes(5)


def test_numbers_of_threads_are_halved_down_to_one() -> None:
    assert thread_counts(16) == [16, 8, 4, 2, 1]
    assert thread_counts(6) == [6, 3, 1]
    assert thread_counts(1) == [1]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({4: 1.0, 2: 2.0, 1: 4.0}, 4),
        ({4: 1.0, 2: 0.99 * FEWER_THREADS, 1: 4.0}, 2),  # as good, and leaves two free
        ({4: 1.0, 2: 1.01 * FEWER_THREADS, 1: 4.0}, 4),
        ({4: 0.3, 2: 0.2, 1: 0.01}, 1),  # a busy machine, on which threads wait for each other
    ],
)
def test_the_fewest_threads_about_as_fast_as_the_fastest(
    seconds: dict[int, float], expected: int
) -> None:
    found = threads("auto", 4, device="cpu", measure=giving(seconds))
    assert found.value == expected
    assert found.reason.startswith("measured, a step takes with 4: ")


def test_milliseconds_are_written_in_plain_digits() -> None:
    found = threads("auto", 4, device="cpu", measure=giving({4: 1.0812, 2: 0.33912, 1: 0.0087}))
    assert found.reason == "measured, a step takes with 4: 1,080 ms, 2: 339 ms, 1: 8.7 ms"


@pytest.mark.parametrize(
    ("requested", "available", "device", "fixed", "expected"),
    [
        (3, 8, "cpu", "", (3, "requested")),
        (3, 8, "cpu", "deterministic", (3, "requested")),
        ("auto", 1, "cpu", "", (1, "one is available")),
        ("auto", 8, "cuda", "", (8, "the GPU computes")),
        ("auto", 8, "cpu", "reference kernels", (8, "reference kernels")),
    ],
)
def test_threads_are_not_measured_where_something_else_decides(
    requested: int | Literal["auto"],
    available: int,
    device: str,
    fixed: str,
    expected: tuple[int, str],
) -> None:
    found = threads(requested, available, device=device, fixed=fixed, measure=never)
    assert (found.value, found.reason) == expected


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_bf16_is_chosen_where_it_is_clearly_faster(ratio: float, expected: str) -> None:
    found = precision("auto", has_bf16=True, measure=lambda: ratio)
    assert found.value == expected
    assert f"{ratio:.2f} of the time in fp32" in found.reason


@pytest.mark.parametrize(
    ("requested", "fixed", "has_bf16", "expected"),
    [
        ("bf16", "", False, ("bf16", "requested")),
        ("fp32", "", True, ("fp32", "requested")),
        ("bf16", "reference kernels", True, ("bf16", "requested")),
        ("auto", "deterministic", True, ("fp32", "deterministic")),
        ("auto", "", False, ("fp32", "no instructions for bf16 here")),
    ],
)
def test_precision_is_not_measured_where_something_else_decides(
    requested: Literal["auto", "fp32", "bf16"],
    fixed: str,
    has_bf16: bool,
    expected: tuple[str, str],
) -> None:
    found = precision(requested, fixed=fixed, has_bf16=has_bf16, measure=never)
    assert (found.value, found.reason) == expected


def test_precision_is_not_measured_in_a_short_time() -> None:
    found = precision("auto", has_bf16=True, minutes=0.25, measure=never)
    assert (found.value, found.reason) == ("fp32", "too little time to measure bf16")
    assert precision("auto", has_bf16=True, minutes=1.0, measure=lambda: 0.5).value == "bf16"


@pytest.mark.parametrize("known", ["fp32", "bf16"])
def test_the_precision_of_runs_to_compare_with_is_taken(known: str) -> None:
    found = precision("auto", has_bf16=True, known=known, measure=never)
    assert (found.value, found.reason) == (known, "as in the runs before")
    other = precision("auto", has_bf16=False, known=known, measure=never)
    assert other.value == "fp32"  # what the device has not is not taken
    assert precision("fp32", has_bf16=True, known=known, measure=never).value == "fp32"


def compiled(
    requested: Literal["auto", "yes", "no"] = "auto",
    form: Form = "steps",
    *,
    device: str = "cpu",
    fixed: str = "",
    has_compiler: bool = True,
    run_seconds: Callable[[], float] = never,
    measure: Callable[[Form], float] = never,
) -> tuple[Form, str]:
    found = compilation(
        requested, form, device=device, fixed=fixed, has_compiler=has_compiler,
        run_seconds=run_seconds, measure=measure,
    )  # fmt: skip
    return found.value, found.reason


@pytest.mark.parametrize("form", ["steps", "loss", "blocks"])
def test_compiling_has_to_save_its_time_within_the_run(form: Form) -> None:
    enough = worthwhile_seconds(form)
    value, reason = compiled(form=form, device="cuda", run_seconds=lambda: 0.99 * enough)
    assert value == "no"
    assert reason == f"saves time from {enough:.0f} s of steps on; these take less"
    for ratio, expected in ((0.5, form), (0.95, "no")):
        value, reason = compiled(
            form=form,
            device="cuda",
            run_seconds=lambda: 1.01 * enough,
            measure=lambda _, r=ratio: r,
        )
        assert (value, reason) == (expected, f"measured, a step takes {ratio:.2f} of the time")


def test_nothing_is_measured_where_compiling_is_settled() -> None:
    assert compiled("no") == ("no", "requested")
    assert compiled("no", fixed="deterministic") == ("no", "requested")
    assert compiled("yes", fixed="reference kernels") == ("no", "reference kernels")
    assert compiled("yes", has_compiler=False) == ("no", "found no C++ compiler")
    assert compiled("yes", device="cuda", has_compiler=False) == ("no", "found no Triton")
    assert compiled(form="loss") == ("no", "on a CPU a compiled loss saves too little")
    assert compiled(form="blocks") == ("no", "on a CPU compiled blocks save too little")
    assert compiled("yes", "loss") == ("loss", "requested")  # it is not compiled twice
    assert compiled("yes", "blocks") == ("blocks", "requested")


def test_steps_are_compiled_on_request_if_they_can_be() -> None:
    value, reason = compiled("yes", measure=lambda _: 1.5)
    assert (value, reason) == ("steps", "requested; measured, a step takes 1.50 of the time")

    def failing(_: Form) -> float:
        raise RuntimeError("no such operation")

    for requested in ("yes", "auto"):
        found = compiled(requested, run_seconds=lambda: 1e9, measure=failing)
        assert found == ("no", "it failed here: RuntimeError")


def test_a_device_is_said_with_its_reason() -> None:
    assert device("auto", "cpu").reason == "no GPU was found"
    assert device("auto", "cuda").reason == "a GPU was found"
    assert device("cpu", "cpu").reason == "requested"

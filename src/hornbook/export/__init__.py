"""Trained models for other programs: one file per target.

A target is a module with

    write(run, out, dtype) -> Written      makes the files; raises ConfigError where it cannot
    check(run, written) -> list[Check]     opens them with the other program and compares
    PROGRAM                                the module of that program, or None where it needs none
    INSTALL                                what installs it: "hornbook[onnx]"
    DTYPES                                 the dtypes that `write` takes, the default first
    SUFFIX                                 of the file it makes; "" for a directory
    speed(run, written) -> float | None    tokens per second there, for benchmarks/exports.py; may be
                                           missing

and `export` below does the rest: the place, what is there already, the check, the summary.
"""

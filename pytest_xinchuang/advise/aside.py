"""Which files of a tree no product needs: those of tests, examples, benchmarks and documentation."""

from __future__ import annotations

ASIDE = frozenset({"test", "tests", "testing", "testdata", "__tests__", "spec", "specs", "fixtures", "androidtest", "jmh", "it",
    "doc", "docs", "example", "examples", "sample", "samples", "benchmark", "benchmarks", "bench"})  # fmt: skip
"""Directories of such files, in lower case, as languages and their build tools call them."""


def is_aside(name: str) -> bool:
    """Whether a file is of them, by its directories and by the names that test runners look for."""
    *directories, base = name.lower().split("/")
    named = base.startswith("test_") or base in ("conftest.py", "tests.py") or ".test." in base or ".spec." in base
    return named or not ASIDE.isdisjoint(directories)

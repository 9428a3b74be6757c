"""Plugins of others, which are installed for test_planning.py alone, and switched off everywhere else."""

from __future__ import annotations

NAMES = (
    "asyncio",
    "flaky",
    "pytest-bdd",
    "pytest-retry",
    "pytest-split",
    "pytest_forked",
    "pytest_order",
    "repeat",
    "rerunfailures",
    "timeout",
)
"""As their entry points call them; ``addopts`` in pyproject.toml has them too."""

SWITCHED_OFF = tuple(word for name in NAMES for word in ("-p", f"no:{name}"))
"""Arguments for a run inside a test."""

OF_OURS = ("hypothesispytest", "syrupy")
"""Plugins that tests use and a run inside a test does not: the first imports all of Hypothesis at the end of every run."""

LEFT_OUT = tuple(word for name in OF_OURS for word in ("-p", f"no:{name}"))

INSIDE = (*SWITCHED_OFF, *LEFT_OUT)
"""What a run inside a test is told, unless it says otherwise. The fixture ``pytester`` takes PYTEST_ADDOPTS away."""

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

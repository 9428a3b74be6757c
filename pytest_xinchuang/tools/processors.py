"""How many processors are there for us."""

from __future__ import annotations

import os


def processors(most: int = 8) -> int:
    """The processors that this process may run on, and ``most`` at most."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(most, ours or 1))

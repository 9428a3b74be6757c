"""Before a run: what an earlier one has left in the report directory goes, whatever this one comes to."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest
from _pytest.config import _prepareconfig

EXIT_NO_REPORT = 12
"""The journal or a report could not be written, or a report of an earlier run not be removed."""

_SAYS_ALONE = ("help", "version", "markers")
"""Options with which pytest tells something and runs nothing."""


def refuse_to_keep_reports(config: pytest.Config) -> str:
    """Remove the reports of an earlier run, where a graded one begins; returns why that cannot be done, or "".

    It works while pytest still reads its arguments.
    """
    if not _given(config, "xc_platform") or any(getattr(config.known_args_namespace, n, None) for n in _SAYS_ALONE):
        return ""
    from pytest_xinchuang.core.errors import HostFault
    from pytest_xinchuang.core.stale import DEFAULT_REPORTS, remove_stale
    from pytest_xinchuang.messages import LANGUAGES, choose_language

    try:
        remove_stale(Path(config.invocation_params.dir, _given(config, "xc_report") or DEFAULT_REPORTS))
    except HostFault as fault:
        wanted = _given(config, "xc_language")
        return fault.render(choose_language(wanted if wanted in LANGUAGES else None))
    return ""


def in_worker() -> bool:
    """Whether pytest-xdist has started this pytest: its own controller has removed what was there.

    Its configuration does not say so yet. The environment does, but also to every pytest that a test of a worker starts.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _prepareconfig.__code__:
        frame = frame.f_back
    # Under this name execnet runs the worker's program, xdist/remote.py.
    return frame is not None and frame.f_back is not None and frame.f_back.f_globals["__name__"] == "__channelexec__"


def _given(config: pytest.Config, name: str) -> str:
    return str(getattr(config.known_args_namespace, name, None) or config.getini(name) or "")

"""Whose failure an exception is: the test's own, or that of a plugin that ended it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

_TELLERS = frozenset({"_pytest.outcomes"})
"""Modules of pytest.fail itself."""


def failing_plugin(config: pytest.Config, info: pytest.ExceptionInfo[BaseException]) -> str | None:
    """The plugin that raised a ``pytest.fail`` (a time-out, an async test without its plugin); None: the test did.

    A failed assertion is the test's, wherever it stands.
    """
    if not isinstance(info.value, pytest.fail.Exception):
        return None
    names = [str(entry.frame.f_globals.get("__name__", "")) for entry in info.traceback]
    raising = next((name for name in reversed(names) if name not in _TELLERS), "")
    top = raising.partition(".")[0]
    if top in ("_pytest", "pytest"):
        return "pytest"
    return top if top in _plugins(config) else None


def _plugins(config: pytest.Config) -> set[str]:
    """Top-level modules of plugins that are somebody else's: no conftest, nothing of the repository, not ours."""
    found = {_module(plugin) for plugin, _distribution in config.pluginmanager.list_plugin_distinfo()}
    for plugin in config.pluginmanager.get_plugins():
        file = vars(plugin).get("__file__") if inspect.ismodule(plugin) else None
        origin = Path(file or config.rootpath)
        if "site-packages" in origin.parts or not origin.is_relative_to(config.rootpath):
            found.add(_module(plugin))
    return {name.partition(".")[0] for name in found} - {"pytest_xinchuang", "conftest", ""}


def _module(plugin: object) -> str:
    """Where a plugin is written; one that is an object is not asked, since it may answer anything, or raise."""
    return plugin.__name__ if inspect.ismodule(plugin) else type(plugin).__module__

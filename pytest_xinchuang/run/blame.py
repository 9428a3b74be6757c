"""Whose failure an exception is: the test's own, or that of a plugin that ended it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

_PYTEST = frozenset({"_pytest", "pytest"})
_HOOKS = "pluggy"
"""What calls pytest, where no test does."""


def failing_plugin(config: pytest.Config, info: pytest.ExceptionInfo[BaseException]) -> str | None:
    """The plugin that raised a ``pytest.fail`` (a time-out, an async test without its plugin); None: the test did.

    A failed assertion is the test's, wherever it stands, and so is what pytest says where the test has called it
    (``pytest.raises``).
    """
    if not isinstance(info.value, pytest.fail.Exception):
        return None
    modules = [str(entry.frame.f_globals.get("__name__", "")).partition(".")[0] for entry in reversed(info.traceback)]
    caller = next((module for module in modules if module not in _PYTEST), _HOOKS)
    if caller == _HOOKS:
        return "pytest"
    return caller if caller in _plugins(config) else None


def _plugins(config: pytest.Config) -> set[str]:
    """Top-level modules of plugins that are somebody else's: no conftest, nothing of the repository, not ours."""
    found = {_module(plugin) for plugin, _distribution in config.pluginmanager.list_plugin_distinfo()}
    for plugin in (plugin for _name, plugin in config.pluginmanager.list_name_plugin() if plugin is not None):
        origin = Path(_of_module(plugin, "__file__") or config.rootpath)
        if "site-packages" in origin.parts or not origin.is_relative_to(config.rootpath):
            found.add(_module(plugin))
    return {name.partition(".")[0] for name in found} - {"pytest_xinchuang", "conftest", ""}


def _module(plugin: object) -> str:
    """Where a plugin is written; one that is an object is not asked, since it may answer anything, or raise."""
    return _of_module(plugin, "__name__") or type(plugin).__module__


def _of_module(plugin: object, name: str) -> str:
    """What a module has under a name, as a text; "" if it has none there, or the plugin is no module."""
    found = vars(plugin).get(name) if issubclass(type(plugin), ModuleType) else None
    return found if isinstance(found, str) else ""

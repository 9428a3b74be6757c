"""Whose failure an exception is: the test's own, or that of a plugin that ended it."""

from __future__ import annotations

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


def _plugins(config: pytest.Config) -> dict[str, str]:
    """Top-level modules of plugins that come from distributions: not a conftest, not ours."""
    found: dict[str, str] = {}
    for plugin, distribution in config.pluginmanager.list_plugin_distinfo():
        name = getattr(plugin, "__name__", "") or type(plugin).__module__
        found[name.partition(".")[0]] = str(distribution.project_name)
    for name, plugin in config.pluginmanager.list_name_plugin():
        module = getattr(plugin, "__name__", "") or type(plugin).__module__
        origin = getattr(plugin, "__file__", "") or ""
        if plugin is not None and "site-packages" in origin:
            found.setdefault(module.partition(".")[0], name)
    found.pop("pytest_xinchuang", None)
    return found

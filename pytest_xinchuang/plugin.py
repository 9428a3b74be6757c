"""The pytest plugin: hooks and nothing else. Without ``--xc-platform`` it registers options and does no more."""

from __future__ import annotations

import sys

import pytest

from pytest_xinchuang.packages.base import loadable
from pytest_xinchuang.run import fixtures, markers, options, stale
from pytest_xinchuang.run.fixtures import (
    xc_check,
    xc_evidence,
    xc_platform,
    xc_sandbox,
    xc_sandbox_session,
    xc_subject,
    xc_toolchain,
)

__all__ = ["xc_check", "xc_evidence", "xc_platform", "xc_sandbox", "xc_sandbox_session", "xc_subject", "xc_toolchain"]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    packages = loadable()
    options.add_options(parser, packages)
    pluginmanager.register(fixtures.of_packages(packages), "xinchuang-packages")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_xinchuang.run import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before conftest files are loaded and arguments are refused: a run that ends there has no report either.
    if not stale.in_worker() and (why := stale.refuse_to_keep_reports(early_config)):
        sys.stderr.write(f"{why}\n")
        raise SystemExit(stale.EXIT_NO_REPORT)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    markers.register(config)
    if not options.option(config, "xc_platform"):
        options.ask_for_nothing(config)
        return
    if not hasattr(config, "workerinput") and (why := stale.refuse_to_keep_reports(config)):
        pytest.exit(why, returncode=stale.EXIT_NO_REPORT)
    from pytest_xinchuang.core import interruption
    from pytest_xinchuang.core.errors import XcError
    from pytest_xinchuang.core.optional import without_needed

    config.add_cleanup(interruption.watch())
    try:
        from pytest_xinchuang.run.active import XcRun
        from pytest_xinchuang.run.assessing import is_selection
        from pytest_xinchuang.run.session import SESSION, XcSession

        session = XcSession(config)
        config.stash[SESSION] = session
        config.pluginmanager.register(XcRun(session), "xinchuang-run")
    except XcError as error:
        raise options.usage_error(config, error) from None
    except ImportError as error:
        if (fault := without_needed(error)) is None:
            raise
        raise options.usage_error(config, fault) from None
    if not is_selection(config):
        config.args += [a for a in session.conformance_args() if a not in config.args]

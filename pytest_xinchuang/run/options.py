"""Command line options and ini values."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from pytest_xinchuang.packages.base import N_
from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pytest_xinchuang.core.errors import XcError
    from pytest_xinchuang.messages import Message
    from pytest_xinchuang.packages.protocol import ConformancePackage

_OPTIONS = (
    PackageOption(
        "--xc-platform",
        "ID[,ID...]",
        N_(
            "platforms to grade on: ids or short names (kunpeng, phytium, hygon, zhaoxin, loongson), 'all' for these, "
            "'all-combinations' for the matrix; `xc platforms list` shows them"
        ),
    ),
    PackageOption(
        "--xc-backend",
        "NAME",
        N_("auto, qemu, docker, system (a real kernel), native, or the name of a plugin's backend (default: auto)"),
    ),
    PackageOption(
        "--xc-subject",
        "PATH",
        N_(
            "manifest (xinchuang.yaml) of the product to grade, or its directory (default: the one in the rootdir, else the "
            "target's own OpenSSL)"
        ),
    ),
    PackageOption(
        "--xc-suite",
        "NAME[,NAME...]",
        N_("conformance packages to run, 'all' or 'none' (default: those that the manifest has something for)"),
    ),
    PackageOption("--xc-profile", "ID", N_("what the target system demands (default: report)")),
    PackageOption("--xc-report", "DIR", N_("where journal and reports are written (default: .xc)")),
    PackageOption("--xc-image", "REF", N_("the image of the docker backend instead of the platform's")),
    PackageOption("--xc-timeout-scale", "F", N_("multiply every time-out by F (default: 1)")),
    PackageOption("--xc-waivers", "FILE", N_("waivers to lay over the results")),
    PackageOption(
        "--xc-language",
        "en|zh",
        N_("the language of what a run tells its users (default: the locale's, else English)"),
    ),
    PackageOption("--xc-platforms-file", "FILE", N_("a platforms.yaml of your own, merged over the shipped one")),
)
_FLAGS = (
    ("--xc-keep-sandbox", N_("leave docker containers running at the end, for debugging")),
    (
        "--xc-in-process",
        N_("decide the suite's checks in this process and not in a sealed one, e.g. to work on a plugin"),
    ),
    ("--xc-offline", N_("provision nothing: a missing emulator or root filesystem is a fault")),
)


def add_options(parser: pytest.Parser, packages: Iterable[ConformancePackage]) -> None:
    """Register every ``--xc-*`` option, also of the installed packages, and the ini value of its name with underscores."""
    group = parser.getgroup("xinchuang", in_the_locale(N_("grading on Xinchuang platforms")))
    own = [option for package in packages for option in package.options]
    for each in (*_OPTIONS, *own):
        text = in_the_locale(each.help)
        group.addoption(each.flag, dest=each.name, metavar=each.metavar, default=None, help=text)
        parser.addini(each.name, text, default="")
    for name, text in _FLAGS:
        dest = name[2:].replace("-", "_")
        told = in_the_locale(text)
        group.addoption(name, dest=dest, action="store_true", default=False, help=told)
        parser.addini(dest, told, type="bool", default=False)


def in_the_locale(text: str) -> str:
    """A help text in the language of the locale: options are not known yet."""
    if not any(os.environ.get(name, "").startswith("zh") for name in ("LC_ALL", "LC_MESSAGES", "LANG")):
        return text  # English loads no translations: whoever only has the plugin installed comes here too
    from pytest_xinchuang.messages import Message, choose_language, displayed

    return Message.of(text).render(displayed(choose_language()))


def language(config: pytest.Config) -> str:
    """The language that a run tells its users things in: of ``--xc-language``, else of the locale."""
    from pytest_xinchuang.messages import LANGUAGES, choose_language

    wanted = option(config, "xc_language")
    return choose_language(wanted if wanted in LANGUAGES else None)


def usage_error(config: pytest.Config, problem: Message | XcError) -> pytest.UsageError:
    """The error that ends a pytest run without a traceback, in the user's language."""
    return pytest.UsageError(problem.render(language(config)))


def ask_for_nothing(config: pytest.Config) -> None:
    """Look at a run that names no platform: it grades nothing, and nobody may think that it did.

    Raises:
        pytest.UsageError: it asks for a grade all the same, by an option of ours, or by ``--xc-platform=`` with nothing behind
            (a variable that is not set).
    """
    words = [*map(str, config.invocation_params.args), *os.environ.get("PYTEST_ADDOPTS", "").split()]
    given = [word for word in words if word.startswith("--xc-")]
    if config.getoption("xc_platform") is None and not given:
        return
    from pytest_xinchuang.messages import _, joined, verbatim

    raise usage_error(
        config,
        _(
            "{given}: no platform is named, and nothing would be graded; add {option}",
            given=joined([verbatim(word) for word in given or ["--xc-platform="]], verbatim(" ")),
            option=verbatim("--xc-platform=kunpeng"),
        ),
    )


def option(config: pytest.Config, name: str) -> str | None:
    """An option's value: of the command line, else of the ini file, else None."""
    value = config.getoption(name)
    if value is None:
        value = config.getini(name) or None
    return None if value is None else str(value)


def flag(config: pytest.Config, name: str) -> bool:
    """Whether a flag is given on the command line, or switched on in the ini file."""
    return bool(config.getoption(name) or config.getini(name))

"""Command line options and ini values."""

from __future__ import annotations

import pytest

from pytest_xinchuang.messages import choose_language, render
from pytest_xinchuang.packages.registry import loadable

_OPTIONS: tuple[tuple[str, str | None, str], ...] = (
    (
        "--xc-platform",
        "ID[,ID...]",
        "platforms to grade on: ids or short names (kunpeng, phytium, hygon, zhaoxin, "
        "loongson), 'all' for these, 'all-combinations' for the matrix; `xc platforms list` shows them",
    ),
    (
        "--xc-backend",
        "NAME",
        "auto, qemu, docker, system (a real kernel), native, or the name of a plugin's backend (default: auto)",
    ),
    (
        "--xc-subject",
        "PATH",
        "manifest (xinchuang.yaml) of the product to grade, or its directory (default: the target's own OpenSSL)",
    ),
    ("--xc-suite", "NAME[,NAME...]", "conformance packages to run, or 'none' (default: all, unless paths are given)"),
    ("--xc-profile", "ID", "what the target system demands (default: report)"),
    ("--xc-report", "DIR", "where journal and reports are written (default: .xc)"),
    ("--xc-image", "REF", "the image of the docker backend instead of the platform's"),
    ("--xc-timeout-scale", "F", "multiply every time-out by F (default: 1)"),
    ("--xc-waivers", "FILE", "waivers to lay over the results"),
    ("--xc-platforms-file", "FILE", "a platforms.yaml of your own, merged over the shipped one"),
)


def add_options(parser: pytest.Parser) -> None:
    """Register every ``--xc-*`` option, those of the installed packages too, and the ini value of the same name with underscores."""
    language = choose_language()
    group = parser.getgroup("xinchuang", "grading on 信创 platforms")
    own = [(o.flag, o.metavar, render(o.help, language)) for package in loadable() for o in package.options]
    for flag, metavar, text in (*_OPTIONS, *own):
        dest = flag[2:].replace("-", "_")
        group.addoption(flag, dest=dest, metavar=metavar, default=None, help=text)
        parser.addini(dest, text, default="")
    group.addoption(
        "--xc-keep-sandbox",
        dest="xc_keep_sandbox",
        action="store_true",
        default=False,
        help="leave docker containers running at the end, for debugging",
    )
    group.addoption(
        "--xc-offline",
        dest="xc_offline",
        action="store_true",
        default=False,
        help="provision nothing: a missing emulator or root filesystem is a fault",
    )


def option(config: pytest.Config, name: str) -> str | None:
    """An option's value: of the command line, else of the ini file, else None."""
    value = config.getoption(name)
    if value is None:
        value = config.getini(name) or None
    return None if value is None else str(value)

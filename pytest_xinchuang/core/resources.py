"""Where the suite's own data lives: beside the package in a checkout, inside it in an installed wheel; and the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = (_PACKAGE / "platforms.yaml").is_file()


def platforms_file() -> Path:
    """The shipped ``platforms.yaml``."""
    return (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "platforms.yaml"


def conformance_dir() -> Path:
    """The directory of the conformance packages, and of the data that several of them share."""
    return (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "conformance"


def finding_files() -> tuple[Path, ...]:
    """The shipped catalogues of findings: the one that packages share, then those of packages."""
    return (conformance_dir() / "findings.yaml", *sorted(conformance_dir().glob("*/findings.yaml")))


def fixtures_dir() -> Path:
    """The directory of reference subjects, sources and vectors."""
    return _PACKAGE / "fixtures_data" if _INSTALLED else _PACKAGE.parent / "fixtures"


def schemas_dir() -> Path:
    """The JSON Schemas of platforms.yaml, xinchuang.yaml and report.json."""
    return _PACKAGE / "schemas"


def probe_script() -> Path:
    """The shell script that tells what a machine is."""
    return _PACKAGE / "tools" / "probe.sh"


def cache_dir() -> Path:
    """``$XC_CACHE``, else ``pytest-xinchuang`` in ``$XDG_CACHE_HOME``, else where the system has caches.

    These are ``~/.cache``, ``~/Library/Caches`` on macOS, and ``%LOCALAPPDATA%`` on Windows.
    """
    if explicit := os.environ.get("XC_CACHE"):
        return Path(explicit).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or _caches()).absolute() / "pytest-xinchuang"


def _caches() -> str | Path:
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")

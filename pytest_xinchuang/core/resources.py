"""Where the suite's own data lives: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = (_PACKAGE / "platforms.yaml").is_file()
_ORDER = ("mru", "sm_crypto", "sdk_ast", "supply_chain", "syscall_bridge")
"""The order of packages in the catalogue: its digest, and the order of each report, follow from it."""


def platforms_file() -> Path:
    """The shipped ``platforms.yaml``."""
    return (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "platforms.yaml"


def conformance_dir() -> Path:
    """The directory of the conformance packages, and of the data that several of them share."""
    return (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "conformance"


def requirement_files() -> tuple[Path, ...]:
    """The shipped ``requirements.yaml`` of each conformance package, in the order of the catalogue."""
    return _of_packages("requirements.yaml")


def finding_files() -> tuple[Path, ...]:
    """The shipped catalogues of findings: the one that packages share, then those of packages."""
    return (conformance_dir() / "findings.yaml", *_of_packages("findings.yaml"))


def _of_packages(name: str) -> tuple[Path, ...]:
    places = {path.parent.name: path for path in sorted(conformance_dir().glob(f"*/{name}"))}
    order = [*(package for package in _ORDER if package in places), *(p for p in places if p not in _ORDER)]
    return tuple(places[package] for package in order)


def fixtures_dir() -> Path:
    """The directory of reference subjects, sources and vectors."""
    return _PACKAGE / "fixtures_data" if _INSTALLED else _PACKAGE.parent / "fixtures"


def schemas_dir() -> Path:
    """The JSON Schemas of platforms.yaml, xinchuang.yaml and report.json."""
    return _PACKAGE / "schemas"

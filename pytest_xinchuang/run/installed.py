"""Installed distributions: what their files are, against what their records say."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.sealed import SUITE
from pytest_xinchuang.core.surroundings import Installed

PACKAGE = Path(__file__).resolve().parent.parent
_MADE = ("__pycache__", ".pyc", ".pyo")
"""What Python makes of sources as it runs."""
_OF_INSTALLERS = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


_Stat = tuple[int, int, int, int, int]
_digests: dict[Path, tuple[_Stat, str]] = {}
"""What files are, as long as the system says that nobody has written to them."""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; "" where it cannot be read."""
    try:
        seen = path.stat()
        stat = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        known = _digests.get(path)
        if known is None or known[0] != stat:
            with path.open("rb") as file:
                known = _digests[path] = (stat, hashlib.file_digest(file, "sha256").hexdigest())
        return known[1]
    except OSError:
        return ""


def by_name() -> dict[str, Distribution]:
    """The distributions of the import path; where two have one name, the first is imported."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(normal(name), distribution)
    return found


def normal(name: str) -> str:
    """A name as PEP 503 compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def needed(root: str, known: dict[str, Distribution]) -> list[str]:
    """A distribution and those that it cannot do without, directly or through others."""
    found: list[str] = []
    left = [root]
    while left:
        name = left.pop()
        if name in found or name not in known:
            continue
        found.append(name)
        for text in known[name].requires or ():
            with contextlib.suppress(InvalidRequirement):
                wanted = Requirement(text)
                if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                    left.append(normal(wanted.name))
    return found


def look_at(distribution: Distribution) -> Installed:
    """A distribution against its record."""
    recorded = [f for f in distribution.files or () if not _is_made(str(f))]
    digests: dict[str, str] = {}
    changed: list[str] = []
    for file in recorded:
        if file.name in _OF_INSTALLERS or file.hash is None:
            continue
        seen = digest_of(Path(str(file.locate())))
        digests[str(file)] = seen
        if not seen or seen != _hexadecimal(file):
            changed.append(str(file))
    return _installed(distribution.metadata["Name"], distribution.version, digests, changed, record=bool(digests))


def suite(known: dict[str, Distribution]) -> Installed:
    """The files of this very suite, which need not be those of the distribution of its name."""
    distribution = known.get(SUITE)
    version = distribution.version if distribution else ""
    recorded = {}
    if distribution:
        # An installer may link to the files themselves: each counts by its own name.
        base = os.path.realpath(str(distribution.locate_file("")))
        for file in distribution.files or ():
            if file.hash is not None and not _is_made(str(file)):
                recorded[Path(os.path.normpath(f"{base}/{file}"))] = _hexadecimal(file)
    digests = {path: digest_of(path) for path in suite_files()}
    names = {path: path.relative_to(PACKAGE.parent).as_posix() for path in digests}
    record = PACKAGE / "__init__.py" in recorded
    changed: list[str] = []
    if record:
        changed = [names[path] for path, seen in digests.items() if recorded.get(path) != seen]
        missing = [path for path in recorded if path.is_relative_to(PACKAGE) and path not in digests]
        changed += [path.relative_to(PACKAGE.parent).as_posix() for path in missing]
    return _installed(SUITE, version, {names[p]: d for p, d in digests.items()}, changed, record=record)


def suite_files() -> Iterator[Path]:
    """Every file of the suite, as it is installed or checked out."""
    places = dict.fromkeys((PACKAGE, resources.conformance_dir(), resources.fixtures_dir()))
    seen: set[Path] = set()
    for place in (*places, resources.platforms_file()):
        for path in _below(place):
            if path not in seen:
                seen.add(path)
                yield path


def _below(place: Path) -> Iterator[Path]:
    """Every file at or below a place, sorted, but for what Python makes."""
    if not place.is_dir():
        yield place
        return
    for directory, names, files in os.walk(place):
        names[:] = sorted(name for name in names if name != _MADE[0])
        yield from (Path(directory, name) for name in sorted(files) if not name.endswith(_MADE[1:]))


def _is_made(name: str) -> bool:
    return _MADE[0] in name.split("/") or name.endswith(_MADE[1:])


def _hexadecimal(file: PackagePath) -> str:
    """The digest of a record, as :func:`digest_of` writes it; "" for another algorithm than SHA-256."""
    if file.hash is None or file.hash.mode != "sha256":
        return ""
    text = file.hash.value
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()


def _installed(name: str, version: str, digests: dict[str, str], changed: Iterable[str], *, record: bool) -> Installed:
    lines = "".join(f"{file}\0{digest}\n" for file, digest in sorted(digests.items()))
    return Installed(
        name=normal(name),
        version=version,
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        files=len(digests),
        record=record,
        changed=tuple(sorted(changed))[:50],
    )

"""What an SDK delivers beside its source, judged for a platform: native files, and the run time that it asks its users for."""

from __future__ import annotations

import email
import re
import struct
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.finding import Certainty, load_findings
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.platform import Platform, load_platforms
from pytest_xinchuang.core.verdict import Cause, Level
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, problems_as_findings
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.tools.process import Runner

EMPTY = "XC-BAD-009"
"""The inspection's word for a container with neither an object nor a package in it."""

_TOLD = 50
_MAGIC = b"\xca\xfe\xba\xbe"
_FIRST = 44
"""A class file of Java SE N has the major version 44 + N (JVMS, table 4.1-A)."""


def native_files(place: Path, language: str, platform: Platform, runner: Runner) -> Found:
    """Whether the native files that an SDK delivers are for the platform, as its loader and its C library take them.

    Args:
        place: a directory, a jar or a wheel.

    Raises:
        XcError: it cannot be opened.
    """
    found = Found()
    architectures = load_platforms(resources.platforms_file()).file.architectures
    inspection = Inspector(runner=runner).read(place, place.name)
    met = Verdicts(platform, architectures).of(inspection)
    met += problems_as_findings([p for p in inspection.problems if p.code != EMPTY], platform.id)
    catalogue = load_findings()
    seen = [{"code": f.code, "certainty": f.certainty.value, "text": catalogue.text(f)} for f in met]
    found.evidence.append(
        {"kind": "inspection", "objects": len(inspection.records), "findings": seen[:_TOLD]}
        | {"sha256": {r.place: r.sha256 for r in inspection.records[:_TOLD]}}
    )
    for finding in met:
        level = catalogue.get(finding.code).level
        if finding.certainty is Certainty.CERTAIN and level is Level.L1:
            found.wrong.append(catalogue.coded(finding))
        elif _open(finding.certainty, level) and not found.undecided:
            found.undecided = _("{reason}: only a run decides", reason=catalogue.coded(finding))
            found.mend = _("add the file to the manifest's artifacts, or a unit that loads it")
            found.cause = Cause.FIDELITY
    if not inspection.records and not met and language == "c":
        found.lacking = _("it delivers headers and no library")
    return found


def _open(certainty: Certainty, level: Level | None) -> bool:
    """Whether a finding that is not certain leaves open that it loads."""
    if certainty is Certainty.UNDECIDED:
        return level in (None, Level.L1)
    return certainty is Certainty.GUARDED and level is Level.L1


def class_version(place: Path) -> int:
    """The least Java SE that reads all class files of a jar or directory, but for those of later versions in a multi-release
    jar (JAR file specification, META-INF/versions); 0: there is no class file.

    Raises:
        DataFileError: the jar is none.
    """
    majors = [struct.unpack(">H", head[6:8])[0] for head in _classes(place) if len(head) == 8 and head[:4] == _MAGIC]
    return max((major - _FIRST for major in majors), default=0)


def _classes(place: Path) -> Iterator[bytes]:
    """The first 8 bytes of each class file."""
    jars = [place] if place.is_file() else sorted(place.rglob("*.jar"))
    for path in [] if place.is_file() else sorted(place.rglob("*.class")):
        with path.open("rb") as file:
            yield file.read(8)
    for jar in jars:
        try:
            with zipfile.ZipFile(jar) as archive:
                for name in archive.namelist():
                    # A module's description is read by Java 9 and later alone (JLS 7.7).
                    apart = name.startswith("META-INF/versions/") or name.rpartition("/")[2] == "module-info.class"
                    if name.endswith(".class") and not apart:
                        with archive.open(name) as file:
                            yield file.read(8)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataFileError(_("{path} is no jar: {why}", path=jar, why=told(error))) from error


def python_wanted(place: Path) -> str:
    """The ``Requires-Python`` of a wheel or a project (core metadata 1.2; PEP 621); empty where it says nothing.

    Raises:
        DataFileError: what says it cannot be read.
    """
    try:
        if place.is_file():
            with zipfile.ZipFile(place) as archive:
                names = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
                text = archive.read(names[0]).decode() if names else ""
            return email.message_from_string(text).get("Requires-Python", "")
        described = next(
            (d / "pyproject.toml" for d in (place, place.parent) if (d / "pyproject.toml").is_file()), None
        )
        data = tomllib.loads(described.read_text(encoding="utf-8")) if described is not None else {}
        return str(data.get("project", {}).get("requires-python", ""))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=place, why=told(error))) from error


def java_is_new_enough(place: Path, users: str) -> Found:
    """Whether the users' Java reads the class files."""
    found = Found()
    wanted = class_version(place)
    found.evidence.append({"kind": "class files", "java": wanted, "users": users})
    if not wanted:
        found.undecided, found.cause = _("there is no class file in it"), Cause.SUBJECT
    elif not users:
        found.lacking = _("the manifest names no Java of the users (sdk.java)")
    elif wanted > int(users):
        found.wrong.append(
            _("its class files are for Java {wanted}, and the users have Java {users}", wanted=wanted, users=users)
        )
    return found


def python_is_new_enough(place: Path, users: str) -> Found:
    """Whether the users' Python is one that the package takes."""
    found = Found()
    wanted = python_wanted(place)
    found.evidence.append({"kind": "requires-python", "python": wanted, "users": users})
    if not users:
        found.lacking = _("the manifest names no Python of the users (sdk.python)")
        return found
    try:
        fits = Version(users) in SpecifierSet(wanted)
    except InvalidSpecifier:
        found.wrong.append(_("Requires-Python is {wanted}, which no installer reads", wanted=verbatim(repr(wanted))))
        return found
    if not fits:
        found.wrong.append(
            _("it takes Python {wanted}, and the users have Python {users}", wanted=verbatim(wanted), users=users)
        )
    return found

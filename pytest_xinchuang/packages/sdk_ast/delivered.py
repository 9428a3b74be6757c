"""What an SDK delivers beside its source, judged for a platform: native files, and the run time that it asks its users for."""

from __future__ import annotations

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
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.java.classfile import BadClass, release_of
from pytest_xinchuang.packages.sdk_ast.java.delivery import class_files
from pytest_xinchuang.packages.sdk_ast.python.delivered import ENTRY_POINTS, metadata_of, opened
from pytest_xinchuang.tools.process import Runner

EMPTY = "XC-BAD-009"
"""The inspection's word for a container with neither an object nor a package in it."""

_TOLD = 50


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
    if not inspection.records and not met and language in ("c", "cpp"):
        found.lacking = _("it delivers headers and no library")
    return found


def _open(certainty: Certainty, level: Level | None) -> bool:
    """Whether a finding that is not certain leaves open that it loads."""
    if certainty is Certainty.UNDECIDED:
        return level in (None, Level.L1)
    return certainty is Certainty.GUARDED and level is Level.L1


def class_version(place: Path) -> tuple[int, str]:
    """The least Java SE that reads all class files of a jar or directory, but for those of later versions in a multi-release
    jar; 0: there is no class file. And the first class file that does not say what it is for, or is too large; "" without one.

    Raises:
        XcError: a jar cannot be read.
    """
    wanted, unread = 0, ""
    for name, data in class_files(place):
        # A module's description is read by Java 9 and later alone (JLS 7.7).
        if name.endswith(".class") and name.rpartition("!")[2].rpartition("/")[2] != "module-info.class":
            try:
                wanted = max(wanted, release_of(data))
            except BadClass:
                unread = unread or name
    return wanted, unread


def python_wanted(place: Path) -> str:
    """The ``Requires-Python`` of a wheel or a project; empty where it says nothing.

    Raises:
        XcError: what says it cannot be read.
    """
    with opened(place) as root:
        found = metadata_of(root)
        if not (found.known or found.problems) and place.is_dir():
            found = metadata_of(root.parent)
    for file, why in found.problems.items():
        if file != ENTRY_POINTS:
            raise DataFileError(_("{path}: cannot be read: {why}", path=place / file, why=why))
    return found.requires_python


def java_is_new_enough(place: Path, users: str) -> Found:
    """Whether the users' Java reads the class files."""
    found = Found()
    wanted, unread = class_version(place)
    found.evidence.append({"kind": "class files", "java": wanted, "users": users})
    if unread and not (users and wanted > int(users)):
        found.undecided, found.cause = _("{name}: it is no class file that can be read", name=unread), Cause.SUBJECT
    elif not wanted:
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


def rust_is_new_enough(wanted: str, users: str) -> Found:
    """Whether the users' Rust is not below a crate's ``rust-version`` (Cargo reference, the rust-version field)."""
    found = Found()
    found.evidence.append({"kind": "rust-version", "rust": wanted, "users": users})
    if not users:
        found.lacking = _("the manifest names no Rust of the users (sdk.rust)")
    elif wanted and Version(users) < Version(wanted):
        found.wrong.append(_("it takes Rust {wanted}, and the users have Rust {users}", wanted=wanted, users=users))
    return found

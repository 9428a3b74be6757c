"""What else decides what Maven builds from: its settings, extensions of itself, and the program that the wrapper fetches."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pytest_xinchuang.advise.xml import read_xml
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.supply_chain.locked import Reading
from pytest_xinchuang.packages.supply_chain.textfiles import text_of

_CONFIG, _EXTENSIONS = ".mvn/maven.config", ".mvn/extensions.xml"
_WRAPPERS = (".mvn/wrapper/maven-wrapper.properties", "gradle/wrapper/gradle-wrapper.properties")

_FETCHED = re.compile(r"^[ \t]*distributionUrl[ \t]*[=:]", re.M)
_PINNED = re.compile(r"^[ \t]*distributionSha256Sum[ \t]*[=:][ \t]*[0-9a-fA-F]{64}[ \t]*$", re.M)

GRADLE = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
_GRADLE = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\b(?P<block>\w{1,99})\b\s{0,99}(?:\([^(){}]{0,999}\)\s{0,99})?\{|(?P<end>\})"
    r"""|\b(?:url|setUrl|maven|uri)\b[\s=(]{0,99}(?:uri\s{0,9}\(\s{0,9})?["'](?P<url>https?://[^"'\n]+)["']"""
    r"""|"[^"\n]*"|'[^'\n]*'""",
    re.S,
)
"""Comments, blocks and their ends, addresses, and other strings, in Groovy and in Kotlin."""


def read_settings(reading: Reading, directory: Path) -> None:
    """Tell of mirrors and repositories that the product's own settings name, and of what runs within Maven itself."""
    for name in _settings_of(directory):
        _settings(reading, directory, name)
    lines = text_of(reading, directory, _EXTENSIONS)
    if lines is not None:
        detail = _("extensions of Maven run before anything is checked, and no lock has them")
        reading.add("XC-SUP-160", _EXTENSIONS, Certainty.UNDECIDED, module="-", detail=detail)
    _gradle(reading, directory)
    for name in _WRAPPERS:
        lines = text_of(reading, directory, name)
        said = lines.text if lines is not None else ""
        if _FETCHED.search(said) and not _PINNED.search(said):
            detail = _(
                "the wrapper fetches the program that builds, and gives no SHA-256 of it (distributionSha256Sum)"
            )
            reading.add("XC-SUP-160", name, Certainty.UNDECIDED, module="-", detail=detail)
    if not (directory / ".mvn").is_dir() and (directory / "pom.xml").is_file():
        for parent in directory.resolve().parents:
            if (parent / ".mvn").is_dir():
                reading.above("pom.xml", parent / ".mvn")
                break


def _gradle(reading: Reading, directory: Path) -> None:
    """Addresses that build programs of Gradle name, but for where they publish to: what a program does with one is open."""
    for name in GRADLE:
        lines = text_of(reading, directory, name)
        inside: list[str] = []
        for found in _GRADLE.finditer(lines.text if lines is not None else ""):
            if found["block"]:
                inside.append(found["block"])
            elif found["end"]:
                inside = inside[:-1]
            elif (url := found["url"]) and "publishing" not in inside and reading.trusts(url) is not True:
                where = f"{name}:{found.string.count(chr(10), 0, found.start()) + 1}"
                detail = _("packages may come from {url}", url=verbatim(url))
                reading.add("XC-SUP-160", where, Certainty.UNDECIDED, module="-", detail=detail)


def _settings_of(directory: Path) -> list[str]:
    """The files of settings that .mvn/maven.config names for everybody who builds (Maven, "Configuring Maven")."""
    try:
        words = shlex.split((directory / _CONFIG).read_text(encoding="utf-8"), comments=True)
    except (OSError, ValueError):
        return []
    found = []
    for number, word in enumerate(words):
        option, _equals, value = word.partition("=")
        if option in ("-s", "--settings", "-gs", "--global-settings", "-ps", "--project-settings"):
            found.append(value or (words[number + 1] if number + 1 < len(words) else ""))
        elif match := re.fullmatch(r"-s(\S+)", word):
            found.append(match[1])
    return [
        *(name for name in found if name),
        *([".mvn/settings.xml"] if (directory / ".mvn/settings.xml").is_file() else []),
    ]


def _settings(reading: Reading, directory: Path, name: str) -> None:
    lines = text_of(reading, directory, name)
    if lines is None:
        detail = _("{file} is not there", file=verbatim(name))
        reading.add("XC-SUP-160", _CONFIG, Certainty.UNDECIDED, module="-", detail=detail)
        return
    try:
        tree = read_xml(lines.text)
    except ValueError as error:
        reading.add("XC-SUP-101", name, detail=told(error))
        return
    for element in tree.walk():
        if element.name in ("mirror", "repository", "pluginRepository") and (url := element.said("url")):
            reading.takes_from(f"{name}:{element.line}", url, url)

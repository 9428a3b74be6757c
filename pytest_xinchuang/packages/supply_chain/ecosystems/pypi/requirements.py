"""requirements.txt, as pip reads it (pip, "Requirements File Format")."""

from __future__ import annotations

import re
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.names import PYPI, of_url
from pytest_xinchuang.packages.supply_chain.locked import Lines, Locked, LockedFile, Origin, Reading, digest
from pytest_xinchuang.packages.supply_chain.textfiles import text_of

_INDEXES = ("-i", "--index-url", "--pypi-url", "--extra-index-url")


def read_requirements(reading: Reading, directory: Path, lines: Lines, seen: set[str] | None = None) -> None:
    """The requirements of a file and of those that it includes."""
    seen = seen if seen is not None else set()
    if lines.name in seen:
        return
    seen.add(lines.name)
    reading.locks.append(lines.name)
    for number, line in _logical(lines.text):
        where = f"{lines.name}:{number}"
        try:
            words = shlex.split(line)
        except ValueError as error:
            reading.add("XC-SUP-101", where, detail=told(error))
            continue
        if not words:
            continue
        if words[0].startswith("-"):
            _option(reading, directory, where, words, lines.name, seen)
        else:
            _requirement(reading, where, line, words)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines without their comments, those that end in a backslash joined with the next."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        plain = re.sub(r"(^|\s)#.*$", "", joined + line).strip()
        if plain:
            yield start, plain
        joined, start = "", 0
    if joined.strip():
        yield start, joined.strip()


def _option(reading: Reading, directory: Path, where: str, words: list[str], name: str, seen: set[str]) -> None:
    option, equals, value = words[0].partition("=")
    value = value if equals else " ".join(words[1:])
    if re.match(r"-[ircef].", option) and not option.startswith("--"):
        option, value = option[:2], option[2:]
    if option in ("-r", "--requirement", "-c", "--constraint"):
        inner = (Path(name).parent / value).as_posix()
        lines = text_of(reading, directory, inner)
        if lines is None:
            reading.add("XC-SUP-101", where, detail=_("{file} is not there", file=verbatim(inner)))
        elif option in ("-r", "--requirement"):
            read_requirements(reading, directory, lines, seen)
    elif option in ("-e", "--editable"):
        kind, source = of_url(value)
        reading.entries.append(Locked(PYPI, value.rpartition("/")[2] or value, "", where, (), kind, source))
    elif option in _INDEXES:
        # pip takes the highest version of all indexes: a name of the one may be taken on the other (CVE-2018-20225).
        if option == "--extra-index-url":
            reading.add("XC-SUP-145", where, detail=verbatim(f"{option} {value}"), host=_host(value) or "-")
        else:
            reading.takes_from(where, value, f"{option} {value}")
    elif option in ("--trusted-host", "-f", "--find-links"):
        reading.add("XC-SUP-145", where, detail=verbatim(f"{option} {value}"), host=_host(value) or value)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or ""


def _requirement(reading: Reading, where: str, line: str, words: list[str]) -> None:
    text = re.split(r"\s--", line, maxsplit=1)[0].strip()
    digests = []
    for word in words:
        if word.startswith("--hash="):
            algorithm, _colon, digits = word.removeprefix("--hash=").partition(":")
            one = digest(algorithm, digits)
            if one is None:
                reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(word)))
            else:
                digests.append(one)
    files = tuple(LockedFile((one,)) for one in digests)
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        if re.match(r"(\.|/|file:)|.*\.(whl|zip|tar\.gz)$", text):
            reading.entries.append(Locked(PYPI, text, "", where, (), Origin.PATH, text))
        else:
            reading.add(
                "XC-SUP-101", where, detail=_("{line} is no requirement of PEP 508", line=verbatim(repr(text[:80])))
            )
        return
    if asked.url is not None:
        kind, source = of_url(asked.url)
        reading.entries.append(Locked(PYPI, asked.name, "", where, files, kind, source))
        return
    exact = [s for s in asked.specifier if s.operator in ("==", "===") and not s.version.endswith(".*")]
    if len(exact) != 1 or len(list(asked.specifier)) != 1:
        reading.add("XC-SUP-119", where, module=str(asked))
        return
    entry = Locked(PYPI, asked.name, exact[0].version, where, files)
    if asked.marker is not None:
        entry = Locked(PYPI, asked.name, exact[0].version, where, files, extra=(("marker", str(asked.marker)),))
    reading.entries.append(entry)

"""requirements.txt, as pip reads it (pip, "Requirements File Format")."""

from __future__ import annotations

import optparse
import re
import shlex
import urllib.parse
from pathlib import Path
from typing import NoReturn

from packaging.requirements import InvalidRequirement, Requirement

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.names import PYPI, of_url
from pytest_xinchuang.packages.supply_chain.locked import Lines, Locked, LockedFile, Reading, digest
from pytest_xinchuang.packages.supply_chain.textfiles import text_of
from pytest_xinchuang.tools.lines import of_requirements


class _Options(optparse.OptionParser):
    """The options of a line, with their abbreviations, as pip takes them (req_file.py, SUPPORTED_OPTIONS)."""

    def __init__(self) -> None:
        super().__init__(add_help_option=False)
        self.add_option("-i", "--index-url", "--pypi-url", dest="index")
        for words, name in (
            (("--extra-index-url",), "extra"),
            (("-c", "--constraint"), "constraints"),
            (("-r", "--requirement"), "requirements"),
            (("-e", "--editable"), "editables"),
            (("-f", "--find-links"), "links"),
            (("--trusted-host",), "hosts"),
            (("--hash",), "hashes"),
            (("--no-binary", "--only-binary", "--use-feature", "--global-option", "-C", "--config-settings"), "others"),
        ):
            for word in words if name == "others" else (words,):
                self.add_option(*([word] if isinstance(word, str) else word), dest=name, action="append", default=[])
        for word in ("--no-index", "--prefer-binary", "--require-hashes", "--pre"):
            self.add_option(word, action="store_true", default=False)

    def error(self, msg: str) -> NoReturn:
        raise ValueError(msg)


def _parsed(line: str) -> tuple[str, optparse.Values]:
    """What a line asks for, and its options, which begin with the first word that has a hyphen in front.

    Raises:
        ValueError: pip refuses it.
    """
    words = line.split(" ")
    at = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    options, _rest = _Options().parse_args(shlex.split(" ".join(words[at:])))
    return " ".join(words[:at]).strip(), options


def read_requirements(
    reading: Reading, directory: Path, lines: Lines, seen: set[str] | None = None, *, constrains: bool = False
) -> None:
    """The requirements of a file and of those that it includes.

    Args:
        constrains: it is a file of constraints, which asks for nothing, and may say where something comes from.
    """
    seen = seen if seen is not None else set()
    if lines.name in seen:
        return
    seen.add(lines.name)
    reading.locks += [lines.name] if not constrains else []
    for number, line in of_requirements(lines.text):
        where = f"{lines.name}:{number}"
        try:
            asked, options = _parsed(line)
        except ValueError:
            detail = _("pip takes no such line: {line}", line=verbatim(repr(line[:80])))
            reading.add("XC-SUP-101", where, detail=detail)
            continue
        if asked:
            _requirement(reading, where, asked, options.hashes, constrains=constrains)
        elif options.editables:
            reading.entries.append(_direct(options.editables[0], where, ()))
        elif options.requirements or options.constraints:
            _include(reading, directory, where, options, lines.name, seen)
        else:
            _settings(reading, where, options)


def _include(
    reading: Reading, directory: Path, where: str, options: optparse.Values, name: str, seen: set[str]
) -> None:
    inner = (Path(name).parent / (*options.requirements, *options.constraints)[0]).as_posix()
    lines = text_of(reading, directory, inner)
    if lines is None:
        reading.add("XC-SUP-101", where, detail=_("{file} is not there", file=verbatim(inner)))
    else:
        read_requirements(reading, directory, lines, seen, constrains=not options.requirements)


def _settings(reading: Reading, where: str, options: optparse.Values) -> None:
    """What a line of options alone says of where packages come from; there can be several."""
    if options.index is not None:
        reading.takes_from(where, options.index, f"--index-url {options.index}")
    # pip takes the highest version of all indexes: a name of the one may be taken on the other (CVE-2018-20225).
    for option, values in (
        ("--extra-index-url", options.extra),
        ("--trusted-host", options.hosts),
        ("--find-links", options.links),
    ):
        for value in values:
            host = urllib.parse.urlsplit(value).hostname or value
            reading.add("XC-SUP-145", where, detail=verbatim(f"{option} {value}"), host=host)


def _direct(text: str, where: str, files: tuple[LockedFile, ...]) -> Locked:
    """What stands alone instead of a name: a URL, or a path (pip, "Requirement Specifiers")."""
    kind, source = of_url(text)
    egg = re.search(r"[#&]egg=([\w.-]+)", text)
    name = egg[1] if egg else source.partition("#")[0].rstrip("/").rpartition("/")[2] or text
    return Locked(PYPI, name, "", where, files, kind, source)


def _requirement(reading: Reading, where: str, text: str, hashes: list[str], *, constrains: bool) -> None:
    digests = []
    for word in hashes:
        algorithm, _colon, digits = word.partition(":")
        one = digest(algorithm, digits)
        if one is None:
            reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(word)))
        else:
            digests.append(one)
    files = tuple(LockedFile((one,)) for one in digests)
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) or "/" in text or re.search(r"\.(whl|zip|tar\.\w+|tgz)$", text):
            reading.entries.append(_direct(text, where, files))
        else:
            reading.add(
                "XC-SUP-101", where, detail=_("{line} is no requirement of PEP 508", line=verbatim(repr(text[:80])))
            )
        return
    if asked.url is not None:
        kind, source = of_url(asked.url)
        reading.entries.append(Locked(PYPI, asked.name, "", where, files, kind, source))
        return
    if constrains:
        return
    exact = [s for s in asked.specifier if s.operator in ("==", "===") and not s.version.endswith(".*")]
    if len(exact) != 1 or len(list(asked.specifier)) != 1:
        reading.add("XC-SUP-119", where, module=str(asked))
        return
    entry = Locked(PYPI, asked.name, exact[0].version, where, files)
    if asked.marker is not None:
        entry = Locked(PYPI, asked.name, exact[0].version, where, files, extra=(("marker", str(asked.marker)),))
    reading.entries.append(entry)

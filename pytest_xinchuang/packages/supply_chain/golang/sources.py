"""What stands in sources and hides, reaches out of the module, or is run."""

from __future__ import annotations

import posixpath
import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, verbatim

BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""The controls of the Unicode Bidirectional Algorithm that embed, override and isolate (UAX #9, clause 2; CVE-2021-42574)."""
_BIDI_BYTES = (b"\xe2\x80", b"\xe2\x81")
_OPENING, _OVERRIDES = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068", "\u202d\u202e"
_ISOLATES = "\u2066\u2067\u2068"

_WITH_LATIN = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL", "FULLWIDTH", "HALFWIDTH"})
"""Scripts that are written together in one word (Unicode Technical Standard 39, clause 5.2, Highly Restrictive)."""

_CGO = re.compile(r"^[ \t]*(?://|\*)?[ \t]*#cgo\b([^\n:]*):([^\n]*)$", re.M)
_REACHING = re.compile(r"(?:-L|-l|-I|-fplugin|-specs|-B|-framework|-Wl,)\S*|(?<![\w$}{.])/\S+|@\S+")
_INSIDE = re.compile(r"(?:-I|-L)(?:\$\{SRCDIR\}(?!\S*\.\.)\S*|\.(?!\S*\.\.)\S*)|-l(?:m|pthread|dl|rt|c)|-Wl,-z,\S+")
"""Flags that stay within the package, and libraries that every libc has (cmd/cgo, Using cgo with the go command)."""
_DIRECTIVE = re.compile(
    r"^(?:[ \t]*//go:embed[ \t]+(?P<embed>\S.*)|//go:(?P<kind>generate|linkname|debug)[ \t]+(?P<rest>\S.*))$", re.M
)
_IMPORT = re.compile(r'^\s*(?:import\s+)?(?:[\w.]+\s+)?(?:"([^"\n]+)"|`([^`\n]+)`)', re.M)
_AFTER_IMPORTS = re.compile(r"^(?:func|type|var|const)\b", re.M)


@dataclass(frozen=True)
class Trait:
    """Something that a file has.

    Attributes:
        line: from 1; 0: of the whole file.
    """

    code: str
    line: int
    certainty: Certainty
    params: dict[str, str] = field(default_factory=dict)


def kind_of_object(head: bytes) -> str:
    """The format of machine code that a file has by its beginning; "": none."""
    if head.startswith(b"\x7fELF"):
        return "ELF"
    if head.startswith(b"MZ") and len(head) >= 64:
        at = struct.unpack_from("<I", head, 60)[0]
        return "PE" if head[at : at + 4] == b"PE\0\0" else ""
    if head[:4] in (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"):
        return "Mach-O"
    # The same four bytes begin a class of Java, whose next number is 45 or more (JVM specification, table 4.1-A).
    if head[:4] == b"\xca\xfe\xba\xbe" and len(head) >= 8 and 0 < struct.unpack_from(">I", head, 4)[0] < 40:
        return "Mach-O"
    return "ar" if head.startswith(b"!<arch>\n") else ""


def mixed_scripts(text: str) -> str:
    """The scripts of a word that mixes such as are not written together, e.g. ``CYRILLIC, LATIN``; "": it mixes none."""
    for word in re.split(r"[^\w]|_|\d", text):
        if word.isascii():
            continue
        found = {unicodedata.name(c, "UNNAMED").partition(" ")[0].partition("-")[0] for c in word if c.isalpha()}
        if len(found) > 1 and not found <= _WITH_LATIN:
            return ", ".join(sorted(found))
    return ""


def unbalanced(line: str) -> bool:
    """Whether a line overrides the direction, or leaves an embedding or an isolate open (UAX #9, clauses 3.1.2 and 3.3.2)."""
    if any(c in line for c in _OVERRIDES):
        return True
    open_: list[str] = []
    for char in BIDI.findall(line):
        if char in _OPENING:
            open_.append(char)
        elif open_ and (open_[-1] in _ISOLATES) is (char == "\u2069"):
            open_.pop()
        else:
            return True
    return bool(open_)


def traits(name: str, data: bytes) -> Iterator[Trait]:
    """What a file has that is told, by its name and its beginning."""
    if kind := kind_of_object(data):
        linked = name.endswith(".syso")
        detail = _("the go command links it into the build") if linked else _("machine code that no source here shows")
        yield Trait("XC-SUP-081", 0, Certainty.NOTE, {"kind": kind, "detail": detail})
    if found := BIDI.findall(name):
        yield Trait("XC-SUP-082", 0, Certainty.CERTAIN, {"characters": _names(found)})
    if scripts := mixed_scripts(name):
        yield Trait("XC-SUP-083", 0, Certainty.NOTE, {"name": ascii(name), "scripts": scripts})
    if any(mark in data for mark in _BIDI_BYTES) and is_text(name):
        yield from _bidi(data.decode("utf-8", "replace"))
    if name.endswith(".go"):
        if b"#cgo" in data or b"//go:" in data:
            yield from _directives(data.decode("utf-8", "replace"))
        if not data[:4096].isascii():
            yield from _imports(data.decode("utf-8", "replace"))


def is_text(name: str) -> bool:
    """Whether a file is read by compilers, by build tools, or by people who review it."""
    return posixpath.splitext(name)[1] in _TEXTS or posixpath.basename(name) in (
        "Makefile",
        "Dockerfile",
        "go.mod",
        "go.work",
    )


_TEXTS = (
    ".go",
    ".s",
    ".S",
    ".c",
    ".h",
    ".cc",
    ".cpp",
    ".hpp",
    ".cxx",
    ".m",
    ".sh",
    ".py",
    ".mk",
    ".y",
    ".proto",
    ".tmpl",
    ".js",
    ".ts",
)


def _bidi(text: str) -> Iterator[Trait]:
    for number, line in enumerate(text.split("\n"), 1):
        if found := BIDI.findall(line):
            certain = Certainty.CERTAIN if unbalanced(line) else Certainty.NOTE
            yield Trait("XC-SUP-082", number, certain, {"characters": _names(found)})


def _names(characters: list[str]) -> str:
    return ", ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(characters))


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _directives(text: str) -> Iterator[Trait]:
    if 'import "C"' in text or re.search(r'^\s*"C"', text, re.M):
        for found in _CGO.finditer(text):
            names, value = found[1].split(), found[2].strip()
            reaching = [w for w in _REACHING.findall(value) if not _INSIDE.fullmatch(w)]
            if "pkg-config" in names or reaching:
                flags = f"#cgo {' '.join(names)}: {value}"
                yield Trait("XC-SUP-078", _line_of(text, found.start()), Certainty.NOTE, {"flags": flags[:200]})
    for found in _DIRECTIVE.finditer(text):
        line = _line_of(text, found.start())
        if found["embed"]:
            yield Trait("", line, Certainty.NOTE, {"embed": found["embed"]})
        elif found["kind"] == "generate":
            yield Trait("XC-SUP-079", line, Certainty.NOTE, {"command": found["rest"].strip()[:200]})
        elif found["kind"] == "linkname":
            yield Trait("XC-SUP-080", line, Certainty.NOTE, {"names": found["rest"].strip()[:200]})
        else:
            detail = _("the runtime and the standard library behave otherwise than by default")
            params = {"directive": f"//go:debug {found['rest'].strip()[:200]}", "detail": detail}
            yield Trait("XC-SUP-076", line, Certainty.NOTE, params)


def _imports(text: str) -> Iterator[Trait]:
    end = _AFTER_IMPORTS.search(text)
    head = text[: end.start() if end else len(text)]
    for found in _IMPORT.finditer(head):
        path = found[1] or found[2]
        if scripts := mixed_scripts(path):
            params = {"name": ascii(path), "scripts": scripts}
            yield Trait("XC-SUP-083", _line_of(head, found.start(1 if found[1] else 2)), Certainty.CERTAIN, params)


class Gathered:
    """The traits of one published module: one note for each code, with the first place."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, Trait]] = {}

    def look(self, name: str, data: bytes) -> None:
        """Read a file; of tests nothing is told."""
        if name.endswith("_test.go") or "/testdata/" in name:
            return
        for trait in traits(name, data):
            # What generates, embeds or is set in a dependency's main package has no effect on who requires it.
            if trait.code in ("", "XC-SUP-076", "XC-SUP-079"):
                continue
            self._first.setdefault(trait.code, (name, trait))

    def notes(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Code, place and parameters of each note."""
        for code, (name, trait) in sorted(self._first.items()):
            place = f"{name}:{trait.line}" if trait.line else name
            yield code, place, trait.params


def embedded(name: str, embeds: list[tuple[str, str, str]]) -> str:
    """The place of the directive that embeds a file; "": none does (package embed, Directives).

    Args:
        embeds: the directory of each directive, its patterns, and its place.
    """
    for directory, patterns, place in embeds:
        inner = posixpath.relpath(name, directory or ".")
        for word in re.findall(r'"[^"]+"|`[^`]+`|\S+', patterns):
            pattern = word.strip('"`').removeprefix("all:")
            parts = inner.split("/")
            above = ("/".join(parts[: n + 1]) for n in range(len(parts)))
            if not inner.startswith("..") and any(fnmatchcase(one, pattern) for one in above):
                return place
    return ""


def embed_told(place: str) -> Message:
    """That a file is embedded."""
    return _("the directive at {place} embeds it", place=verbatim(place))

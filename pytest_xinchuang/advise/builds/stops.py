"""Where a build stops: what make, CMake, meson and configure scripts say of it, in the form that each keeps for editors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message


class Kind(StrEnum):
    """What a build stops at."""

    SAID = "said"
    """The build's own sentence: ``$(error)``, ``message(FATAL_ERROR)``, ``error()``, ``AC_MSG_ERROR``."""
    REFUSED = "refused"
    """A compiler refuses an option."""
    COMMAND = "command"
    """A command of a recipe ends with an error."""
    NO_RULE = "no rule"
    """Nothing says how a file is made: it is not there for the machine."""
    CANONICAL = "canonical"
    """config.sub or config.guess does not know the machine."""
    LACKING = "lacking"
    """A program is not there, or cannot be run on this host: that is ours, and no fault of the tree."""


@dataclass(frozen=True)
class Stop:
    """One place where a build stops.

    Attributes:
        file: as a name in the tree, as far as the tool says it.
        line: 0 where the tool says none.
        target: what was to be made, for make.
        said: in the tool's own words.
    """

    kind: Kind
    file: str
    line: int
    said: str
    target: str = ""
    refused: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Ran:
    """One build in one guise.

    Attributes:
        whole: it came to its end without a stop.
        seen: file -> the last line of it that was carried out, where the tool tells.
        without: the options for tests and examples that were turned off where it had stopped with them.
        whole_without: it came to its end without them.
        unstarted: it started programs made for the machine that this host cannot run: what follows from that is not the tree's.
        lost: why nothing is known of it.
    """

    whole: bool
    stops: tuple[Stop, ...] = ()
    calls: tuple[Mapping[str, Any], ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    unstarted: bool = False
    lost: Message = NOTHING
    without: tuple[str, ...] = ()
    whole_without: bool = False


_PAGES = re.compile(r"max-page-size=(0[xX][0-9a-fA-F]+|\d+)")


def page_sizes(call: Mapping[str, Any]) -> Mapping[str, int]:
    """The words of a compiler's call that tell the linker the size of a page, in bytes (GNU ld manual, -z max-page-size)."""
    return {str(word): int(found[1], 0) for word in call.get("a", ()) if (found := _PAGES.search(str(word)))}


_LOADER = re.compile(r"(?:^|[,=])([^,=\s]*/ld-(?:linux|musl)[^/,\s]*\.so\.[12])$")
LOADERS_OF_X86 = frozenset(
    {"ld-linux-x86-64.so.2", "ld-linux.so.2", "ld-linux-x32.so.2", "ld-musl-x86_64.so.1", "ld-musl-i386.so.1"}
)
"""The program interpreters of x86 (System V psABI, AMD64, 5.2.1; glibc, sysdeps/x86_64/shlib-versions; musl, configure)."""


def loaders(call: Mapping[str, Any]) -> Mapping[str, str]:
    """The words of a link that name the loader of the program, and its path (GNU ld manual, --dynamic-linker)."""
    words = [str(word) for word in call.get("a", ())]
    named = [w for w, before in zip(words, ["", *words], strict=False) if "dynamic-linker" in f"{before} {w}"]
    return {word: found[1] for word in named if (found := _LOADER.search(word))}


LONGEST = 240
"""Characters of a tool's sentence that are told."""


def shortened(text: str) -> str:
    """A tool's sentence in one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def last_line(text: str) -> str:
    """The last line of what a tool wrote that says something."""
    return shortened(text.strip().rpartition("\n")[2])


# -- GNU make

_ENTERS = re.compile(r"^\S*make(?:\[\d+\])?: (Entering|Leaving) directory '([^']*)'$")
_SAYS = re.compile(r"^(?P<file>[^:\s][^:\n]*):(?P<line>\d+): \*\*\* (?P<said>.*?)(?:\.  Stop\.)?$")
_FAILS = re.compile(
    r"^\S*make(?:\[(?P<level>\d+)\])?: \*\*\* \[(?:(?P<file>[^\]]+?):(?P<line>\d+): )?(?P<target>[^\]]+)\]"
    r" (?:Error (?P<code>\d+)|\S.*)$"
)
_NO_RULE = re.compile(
    r"^\S*make(?:\[(?P<level>\d+)\])?: \*\*\* No rule to make target '(?P<target>[^']+)'(?:, needed by '(?P<by>[^']+)')?"
)
_NOT_FOUND = frozenset({126, 127})
"""What a shell ends with where a program cannot be run, or is not there (POSIX, Shell Command Language, 2.8.2)."""


def of_make(text: str, calls: Iterable[Mapping[str, Any]]) -> tuple[Stop, ...]:
    """What stops a run of ``make -k -w`` whose two outputs are one text (GNU make manual, 9.4 and Appendix B).

    A recipe that fails because a recipe below it did (a make within it) is told by the one below alone.
    """
    refusals = [c for c in calls if c.get("t") == "cc" and c.get("k") == "refused"]
    found: list[Stop] = []
    places: list[str] = [""]
    before = ""
    level = 0
    """That of the make whose stop was told last."""
    for line in text.splitlines():
        if entered := _ENTERS.match(line):
            if entered[1] == "Entering":
                places.append("" if entered[2] == "." else entered[2])
            elif len(places) > 1:
                places.pop()
        elif said := _SAYS.match(line):
            found.append(Stop(Kind.SAID, _joined(places[-1], said["file"]), int(said["line"]), shortened(said["said"])))
            level = max(0, len(places) - 2)
        elif rule := _NO_RULE.match(line):
            wanted = _joined(places[-1], rule["target"])
            told = shortened(line.partition("*** ")[2])
            # What a compiler should have made, and has not because it refused an option, is wanted by the next rule.
            refused = _refused_for(refusals, rule["target"])
            kind = Kind.REFUSED if refused else Kind.NO_RULE
            said_there = shortened(" ".join(refused)) if refused else told
            found.append(Stop(kind, _joined(places[-1], "Makefile"), 0, said_there, wanted, refused))
            level = int(rule["level"] or 0)
        elif fails := _FAILS.match(line):
            code, here = int(fails["code"] or 1), int(fails["level"] or 0)
            below, level = level > here, here
            if "(ignored)" in line or (code == _OF_MAKE and below):  # make itself, which has said why
                continue
            target = _joined(places[-1], fails["target"])
            file = _joined(places[-1], fails["file"] or "Makefile")
            refused = _refused_for(refusals, fails["target"])
            kind = Kind.REFUSED if refused else Kind.LACKING if code in _NOT_FOUND else Kind.COMMAND
            told = shortened(" ".join(refused) or before or line.partition("*** ")[2])
            found.append(Stop(kind, file, int(fails["line"] or 0), told, target, refused))
        elif line.strip():
            before = line
    return tuple(found)


_OF_MAKE = 2
"""The exit code of a make that met errors (GNU make manual, 9)."""


def _joined(place: str, name: str) -> str:
    whole = name if not place or name.startswith("/") else f"{place}/{name}"
    while whole.startswith("./"):
        whole = whole[2:]
    return re.sub(r"(?:^|(?<=/))[^/.][^/]*/\.\./", "", whole)


def _refused_for(refusals: list[Mapping[str, Any]], target: str) -> tuple[str, ...]:
    """The options that were refused when a target was made: those of the call whose result or source has its name."""
    stem = target.rpartition("/")[2].rpartition(".")[0] or target.rpartition("/")[2]
    for call in refusals:
        words = [str(w) for w in call.get("a", ())]
        made = [w for i, w in enumerate(words) if i and words[i - 1] == "-o"]
        named = [*made, *(w for w in words if not w.startswith("-"))]
        if any(
            w == target or w.rpartition("/")[2].rpartition(".")[0] == stem or w.rpartition("/")[2] == stem
            for w in named
        ):
            return tuple(str(w) for w in call.get("r", ()))
    return ()


# -- CMake

_CMAKE = re.compile(r"^CMake Error (?:at|in) (?P<file>[^:\n]+?)(?::(?P<line>\d+))?(?: \((?P<command>\w+)\))?:$")
_FRAME = re.compile(r"^  (?P<file>\S[^:\n]*):(?P<line>\d+) \((?P<command>\w+)\)$")


def of_cmake(text: str) -> tuple[Stop, ...]:
    """The errors of a run of cmake, each at the innermost place of its call stack that is the tree's own.

    Their form is kept for editors (cmake(1)).

    Args:
        text: what it wrote, with the tree's files named from its root.
    """
    found: list[Stop] = []
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        head = _CMAKE.match(lines[index])
        index += 1
        if head is None:
            continue
        said: list[str] = []
        frames = [(head["file"], int(head["line"] or 0))]
        stack = False
        while index < len(lines) and not _CMAKE.match(lines[index]) and not lines[index].startswith(("-- ", "CMake ")):
            line = lines[index]
            index += 1
            if line.startswith("Call Stack (most recent call first)"):
                stack = True
            elif stack and (frame := _FRAME.match(line)):
                frames.append((frame["file"], int(frame["line"])))
            elif stack:
                break
            elif line.startswith("  ") or not line:
                said.append(line)
        own = next(((f, n) for f, n in frames if not f.startswith("/")), ("CMakeLists.txt", 0))
        spoken = head["command"] == "message" and frames[0] == own
        kind = Kind.SAID if spoken or head["command"] == "message" else Kind.COMMAND
        found.append(Stop(kind, own[0], own[1], shortened(" ".join(said))))
    return tuple(found)


def seen_by_cmake(trace: Iterable[Mapping[str, Any]], root: str) -> dict[str, int]:
    """File -> the last line of it that was carried out, for the tree's own files."""
    seen: dict[str, int] = {}
    for step in trace:
        file, line = step.get("file"), step.get("line")
        if isinstance(file, str) and isinstance(line, int) and file.startswith(f"{root}/"):
            name = file[len(root) + 1 :]
            seen[name] = max(seen.get(name, 0), line)
    return seen


# -- configure scripts

_AT_LINE = re.compile(r"^configure:(?P<line>\d+): error: (?P<said>.*)$", re.MULTILINE)
_CONFIGURE = re.compile(r"^(?:\S*configure: error|ERROR|error|Error): *(?P<said>.*)$", re.MULTILINE)


_CROSS = re.compile(r"cannot run test program while cross compiling")
"""Autoconf's own sentence (AC_RUN_IFELSE without a default): it is our way of running it, and says nothing of the machine."""


def of_configure(script: str, text: str, log: str) -> Stop:
    """What stops a configure script that ended with an error.

    Args:
        script: its name in the tree.
        log: config.log, which has the line of an Autoconf script that ended it (Autoconf manual, AC_MSG_ERROR).
    """
    at = list(_AT_LINE.finditer(log))
    if at:
        kind = Kind.LACKING if _CROSS.search(at[-1]["said"]) else Kind.SAID
        return Stop(kind, script, int(at[-1]["line"]), shortened(at[-1]["said"]))
    said = list(_CONFIGURE.finditer(text))
    if said:
        return Stop(Kind.SAID, script, 0, shortened(said[-1]["said"] or text[said[-1].end() :].lstrip()))
    return Stop(Kind.COMMAND, script, 0, last_line(text))


# -- meson

_MESON = re.compile(
    r"^(?P<file>[^:\n]*meson(?:\.build|_options\.txt|\.options)):(?P<line>\d+):\d+: ERROR: (?P<said>.*)$", re.MULTILINE
)


def of_meson(text: str) -> tuple[Stop, ...]:
    """The error that ends a run of ``meson setup``, with its place (mesonlib's own form, kept for editors)."""
    return tuple(
        Stop(Kind.SAID, _joined("", m["file"].replace("../", "")), int(m["line"]), shortened(m["said"]))
        for m in _MESON.finditer(text)
    )

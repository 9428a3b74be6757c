"""Clients of a header in one file, which clang reads in this process: its complaints say by their lines whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.clients import Lines
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial

_FILE = "client.c"
_ASSERTED = "static assertion failed"
_TOOL = "clang"
_LINKER = "ld"


@dataclass(frozen=True)
class Batch:
    """Clients of one header, in C or in C++; ``starts`` are their first lines, ``head`` stands before them, and
    ``prelude`` behind it."""

    header: str
    head: str
    cxx: bool
    lines: tuple[Lines, ...]
    text: str
    starts: tuple[int, ...]
    prelude: str = ""

    @classmethod
    def of(cls, header: str, head: str, lines: Sequence[Lines], *, cxx: bool, prelude: str = "") -> Batch:
        text = head + prelude
        if cxx:
            text += "#define _Static_assert static_assert\n#define _Alignof alignof\n#define _Bool bool\n"
        starts, at = [], text.count("\n") + 1
        for n, one in enumerate(lines):
            starts.append(at)
            text += one.text.replace("%", str(n)) + "\n"
            at += one.text.count("\n") + 1
        return cls(header, head, cxx, tuple(lines), text, tuple(starts), prelude)

    def source(self, number: int) -> str:
        """A client by itself."""
        return f"{self.head}{self.prelude}{self.lines[number].text.replace('%', '')}\n"


def tried(
    batch: Batch, old: Sequence[str], new: Sequence[str], *, target: str, where: str = "", promised: bool = True
) -> Iterator[Trial]:
    """The clients of a batch, read with either version.

    Args:
        old, new: clang's arguments for either version.
        where: the language, where the tool reads more than one.
        promised: programs in that language may count on the header.

    Raises:
        HostFault: libclang does not read at all.
    """
    tool = f"{_TOOL}, {where}" if where else _TOOL
    was, now = (_complaints(batch, words) for words in (old, new))
    if 0 in was:
        return
    if 0 in now:
        include = Client(batch.header, _in("include", where), {_FILE: batch.head})
        yield Trial(include, Outcome.HOLDS, Outcome.FAILS, said=now[0], tool=tool, target=target)
        return
    for number, lines in enumerate(batch.lines):
        start = batch.starts[number]
        ours = range(start, start + lines.text.count("\n") + 1)
        if any(line in was for line in ours):
            continue
        said = next((now[line] for line in ours if line in now), "")
        asserted = _ASSERTED in said
        layout = lines.relation in ("layout", "value")
        client = Client(
            lines.name,
            _in(lines.relation, where),
            {_FILE: batch.source(number)},
            promised and lines.promised,
            (*lines.mentions, batch.header),
        )
        source = Outcome.FAILS if said and not asserted else Outcome.HOLDS
        binary = Outcome.UNTRIED if not layout else Outcome.FAILS if asserted else Outcome.HOLDS
        yield Trial(client, Outcome.HOLDS, source, binary, said, tool, target)


def _in(relation: str, where: str) -> str:
    return f"{relation} in {where}" if where else relation


def _complaints(batch: Batch, words: Sequence[str]) -> dict[int, str]:
    """Line -> the first error there; 0 stands for the headers."""
    from clang import cindex

    try:
        unit = cindex.Index.create().parse(_FILE, args=list(words), unsaved_files=[(_FILE, batch.text)])
    except cindex.TranslationUnitLoadError as error:
        raise HostFault(_("libclang does not read {name}: {why}", name=verbatim(batch.header), why=error)) from error
    found: dict[int, str] = {}
    for diagnostic in unit.diagnostics:
        if diagnostic.severity >= 3:  # CXDiagnostic_Error, clang-c/Index.h
            found.setdefault(_line_of(diagnostic, batch.head.count("\n")), diagnostic.spelling)
    return found


def _line_of(diagnostic: Any, head: int) -> int:
    """The line of the client that a complaint is about, or that asked for what it is about; 0: a header alone.

    Args:
        head: how many lines include headers.
    """
    for one in (diagnostic, *diagnostic.children):
        if (place := _in_client(one)) > head:
            return place
    return 0


def _in_client(diagnostic: Any) -> int:
    """The line of the client that a complaint or note is at; 0: it is at a header."""
    file = diagnostic.location.file
    return int(diagnostic.location.line) if file is not None and Path(file.name).name == _FILE else 0


def linked(
    names: Iterable[tuple[str, str]], old: Libraries, new: Libraries, target: str, where: str = ""
) -> Iterator[Trial]:
    """Programs that were linked with the old libraries, bound to the new ones; and linked anew.

    Args:
        names: what declarations are called, and what linkers call them.
    """
    if not old.known or not new.known:
        return
    gone: set[str] = set()
    for name, link in names:
        wanted = next((s["facts"] for s in old.exports.get(link, ()) if s["facts"]["default"]), None)
        if wanted is None:
            continue
        if (soname := wanted["library"]) not in new.sonames:
            if soname not in gone:
                gone.add(soname)
                started = Client(soname, _in("link", where), {})
                missing = f"{soname}: cannot open shared object file"
                yield Trial(started, Outcome.HOLDS, Outcome.UNTRIED, Outcome.FAILS, missing, _LINKER, target)
            continue
        bound = new.binds(wanted, new.scope(wanted["library"])) is not None
        again = bound or new.exported(link)
        said = "" if bound else f"undefined symbol: {link}"
        outcome = {True: Outcome.HOLDS, False: Outcome.FAILS}
        client = Client(name, _in("link", where), {}, also=())
        yield Trial(client, Outcome.HOLDS, outcome[again], outcome[bound], said, _LINKER, target)

"""Judges differences between C APIs: clients of the old version, compiled with either in C and in C++, and linked.

All clients of a header are one file, which clang reads in this process: its complaints say by their lines whose they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.clients import Lines, clients_of
from pytest_xinchuang.packages.sdk_ast.c.comparer import usable
from pytest_xinchuang.packages.sdk_ast.c.delivered import Delivered, arguments, delivered, included
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.source import Sources

_FILE = "client.c"
_WARNINGS = (
    "-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Werror=implicit-function-declaration",
    "-Werror=incompatible-function-pointer-types", "-Wno-error=incompatible-pointer-types-discards-qualifiers",
)  # fmt: skip
"""What compilers of C refuse by themselves by now (GCC 14), whichever clang this is."""

_ASSERTED = "static assertion failed"
_TOOL = "clang"
_LINKER = "ld"


@dataclass(frozen=True)
class _Batch:
    """Clients of one header, in C or in C++; ``starts`` are their first lines, and ``head`` stands before them."""

    header: str
    head: str
    cxx: bool
    lines: tuple[Lines, ...]
    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, header: str, lines: Sequence[Lines], *, cxx: bool, standard: bool) -> _Batch:
        own = head = included(header, standard=standard)
        if cxx:
            head += "#define _Static_assert static_assert\n#define _Alignof alignof\n#define _Bool bool\n"
        text, starts, at = head, [], head.count("\n") + 1
        for n, one in enumerate(lines):
            starts.append(at)
            text += one.text.replace("%", str(n)) + "\n"
            at += one.text.count("\n") + 1
        return cls(header, own, cxx, tuple(lines), text, tuple(starts))

    def source(self, number: int) -> str:
        """A client by itself."""
        return f"{self.head}{self.lines[number].text.replace('%', '')}\n"


class CJudge:
    """Tries clients of every declaration."""

    def __init__(self, sources: Sources) -> None:
        self.flags = tuple(sources.options.c_flags)

    def trials(self, comparison: Comparison, _policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every declaration of the old version, for each target.

        Raises:
            HostFault: libclang does not read at all.
        """
        old, new = comparison.old, comparison.new
        if old.place is None or new.place is None or old.digest == new.digest:
            return ()
        found: list[Trial] = []
        sides = delivered(old.place), delivered(new.place)
        for target in comparison.targets:
            packages = [side.package(PACKAGE, target) for side in (old, new)]
            symbols = [dict(package.symbols) if package else {} for package in packages]
            for batch in _batches(symbols[0], symbols[1]):
                found += self._tried(batch, sides, target)
            libraries = [Libraries.of(side.package(LIBRARIES, target)) for side in (old, new)]
            found += _linked(symbols[0], libraries[0], libraries[1], target)
        return found

    def _tried(self, batch: _Batch, sides: tuple[Delivered, Delivered], target: str) -> Iterator[Trial]:
        was, now = (self._complaints(batch, side, target) for side in sides)
        where = f"{_TOOL}, C++" if batch.cxx else _TOOL
        if 0 in was:
            return
        if 0 in now:
            include = Client(batch.header, _in("include", batch), {_FILE: batch.head})
            yield Trial(include, Outcome.HOLDS, Outcome.FAILS, said=now[0], tool=where, target=target)
            return
        promised = not batch.cxx or self._serves_cxx(batch.header, sides[0])
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
                _in(lines.relation, batch),
                {_FILE: batch.source(number)},
                promised and lines.promised,
                (*lines.mentions, batch.header),
            )
            source = Outcome.FAILS if said and not asserted else Outcome.HOLDS
            binary = Outcome.UNTRIED if not layout else Outcome.FAILS if asserted else Outcome.HOLDS
            yield Trial(client, Outcome.HOLDS, source, binary, said, where, target)

    def _complaints(self, batch: _Batch, side: Delivered, target: str) -> dict[int, str]:
        """Line -> the first error there; 0 stands for the headers."""
        from clang import cindex

        words = [*arguments(side, target, self.flags, cxx=batch.cxx), *(() if batch.cxx else _WARNINGS)]
        try:
            unit = cindex.Index.create().parse(_FILE, args=words, unsaved_files=[(_FILE, batch.text)])
        except cindex.TranslationUnitLoadError as error:
            raise HostFault(
                _("libclang does not read {name}: {why}", name=verbatim(batch.header), why=error)
            ) from error
        found: dict[int, str] = {}
        for diagnostic in unit.diagnostics:
            if diagnostic.severity >= 3:  # CXDiagnostic_Error, clang-c/Index.h
                place = _in_client(diagnostic)
                found.setdefault(place if place > batch.head.count("\n") else 0, diagnostic.spelling)
        return found

    @staticmethod
    def _serves_cxx(header: str, side: Delivered) -> bool:
        """Whether a header is made for C++ too, and does not merely compile there."""
        for root in side.roots:
            path = root / header.strip("<>")
            if path.is_file():
                return b"__cplusplus" in path.read_bytes()
        return False


def _in_client(diagnostic: object) -> int:
    """The line of the client that a complaint is about; 0: a header."""
    location = diagnostic.location  # type: ignore[attr-defined]
    file = location.file
    return int(location.line) if file is not None and Path(file.name).name == _FILE else 0


def _in(relation: str, batch: _Batch) -> str:
    return f"{relation} in C++" if batch.cxx else relation


def _batches(old: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> Iterator[_Batch]:
    """The clients of each header that stands by itself, and of what only it brings along."""
    headers = {name: s["facts"] for name, s in old.items() if s["kind"] == "header"}
    for header, facts in headers.items():
        if not usable(facts):
            continue
        names = set(facts["declares"]) if header in new else set()
        for other in facts["reaches"] if header in new else ():
            if not usable(headers.get(f"<{other}>", facts)):
                names |= set(headers[f"<{other}>"]["declares"])
        for cxx in (False, True) if facts["cxx"] else (False,):
            lines: list[Lines] = []
            for name in sorted(names):
                own = f"{name} {header}"
                symbol = old.get(own) or old.get(name)
                if symbol is not None:
                    lines += clients_of(name, symbol, new.get(own) or new.get(name), cxx=cxx)
            yield _Batch.of(header, lines, cxx=cxx, standard=not facts["alone"])


def _linked(symbols: Mapping[str, Symbol], old: Libraries, new: Libraries, target: str) -> Iterator[Trial]:
    """Programs that were linked with the old libraries, bound to the new ones; and linked anew."""
    if not old.known or not new.known:
        return
    linked: set[str] = set()
    for name, symbol in symbols.items():
        if symbol["kind"] not in ("func", "var") or " <" in name:
            continue
        link = str((symbol.get("facts") or {}).get("link", name))
        wanted = next((s["facts"] for s in old.exports.get(link, ()) if s["facts"]["default"]), None)
        if wanted is None:
            continue
        if (soname := wanted["library"]) not in new.sonames:
            if soname not in linked:
                linked.add(soname)
                said = f"{soname}: cannot open shared object file"
                yield Trial(
                    Client(soname, "link", {}), Outcome.HOLDS, Outcome.UNTRIED, Outcome.FAILS, said, _LINKER, target
                )
            continue
        bound = new.binds(wanted, new.scope(wanted["library"])) is not None
        again = bound or new.exported(link)
        said = "" if bound else f"undefined symbol: {link}"
        outcome = {True: Outcome.HOLDS, False: Outcome.FAILS}
        client = Client(name, "link", {}, also=())
        yield Trial(client, Outcome.HOLDS, outcome[again], outcome[bound], said, _LINKER, target)

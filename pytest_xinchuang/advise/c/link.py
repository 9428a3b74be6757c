"""What a platform's code needs to be linked and nothing of the tree, its libraries or the C library defines."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pytest_xinchuang.advise.c.pairs import Pair, Pairs, in_tree, place_of
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import ElfReader

X86_ALONE = "XC-ADV-025"
NOWHERE = "XC-ADV-026"
LIBC_TOO_OLD = "XC-ADV-027"

_RUNTIME = re.compile(r"_ZNK?S[abdiost]|_ZNK?St|_ZSt|_ZT[ISV]S|__cxa_|__gxx_|_Unwind_|__atomic_|__sync_|__once_proxy")
"""What the C++ library, libgcc and libatomic define (Itanium C++ ABI, 5.1.5: names of std begin with St)."""

_LISTS = tuple(
    f".{suffix}"
    for suffixes in (
        ("h", "hh", "hpp", "hxx", "h++", "inc", "inl", "ipp"),
        ("map", "sym", "def", "ver", "exp", "exports", "abi", "symbols"),
        ("md", "txt", "rst", "html", "htm", "xml", "json", "yml", "yaml", "log", "1", "3", "7", "po", "pot", "svg"),
        ("diff", "patch"),
    )
    for suffix in suffixes
)
"""Suffixes of files that name symbols and define none for a linker: headers, lists of exports, what is read by people."""


@dataclass(frozen=True)
class Missing:
    """A symbol that is needed and not there.

    Attributes:
        place: ``FILE:LINE`` of the first use.
        users: how many units need it.
        definers: the files that define it for x86-64.
        named: a file of the tree that is no unit and names it.
        program: the unit with the ``main`` that is linked with it; "" where none is.
    """

    code: str
    certainty: Certainty
    symbol: str
    place: str
    users: int
    definers: tuple[str, ...] = ()
    named: str = ""
    program: str = ""


@dataclass(frozen=True)
class Assembled:
    """What an assembler source defines, for x86-64 and for the platform; None: it is not assembled there."""

    source: str
    base: frozenset[str] | None
    here: frozenset[str] | None


def defined_by(data: bytes) -> frozenset[str]:
    """The symbols that a relocatable object defines for others."""
    try:
        symbols = ElfReader(data, "object").static_symbols
    except NotElf:
        return frozenset()
    return frozenset(name for name, info, index, _value, _size in symbols if name and index and info >> 4)


def needs(pairs: Pairs, assembled: Sequence[Assembled]) -> tuple[frozenset[str], frozenset[str]]:
    """Symbols that only the platform lacks, and those that both sides take from libraries."""
    defined = frozenset(n for p in pairs if p.here for n in p.here.exported) | {
        n for a in assembled for n in a.here or ()
    }
    needed = frozenset(n for p in pairs if p.here for n in p.here.needed)
    base_defined = frozenset(n for p in pairs if p.base for n in p.base.exported) | {
        n for a in assembled for n in a.base or ()
    }
    base_needed = frozenset(n for p in pairs if p.base for n in p.base.needed)
    lacking = frozenset(n for n in needed - defined if not _RUNTIME.match(n))
    libraries = lacking & (base_needed - base_defined)
    return lacking - libraries, libraries


def missing(
    tree: SourceTree,
    pairs: Pairs,
    assembled: Sequence[Assembled],
    lacking: Collection[str],
    *,
    guessed: bool,
    older: Collection[str] = (),
) -> list[Missing]:
    """What is to be said of symbols that are lacking.

    Args:
        lacking: what the platform alone lacks, its C library has not got either, and optimised code still needs.
        guessed: it was guessed which units there are.
        older: symbols that only a newer C library than the platform's has.
    """
    programs = closures(pairs)
    said = []
    for symbol in sorted({*lacking, *older}):
        users = [p for p in pairs if p.here is not None and symbol in p.here.needed]
        program = next((name for name, closure in programs.items() if any(p.unit.source in closure for p in users)), "")
        place = _first_place(pairs, symbol)
        if symbol in older:
            sure = Certainty.CERTAIN if program else Certainty.GUARDED
            said.append(Missing(LIBC_TOO_OLD, sure, symbol, place, len(users), program=program))
            continue
        definers = _definers(pairs, assembled, symbol)
        named = _named(tree, pairs, assembled, symbol)
        code = X86_ALONE if definers else NOWHERE
        linked = (
            program
            or (definers and not guessed)
            or (definers and any(d.endswith((".S", ".s", ".sx")) for d in definers))
        )
        sure = Certainty.CERTAIN if linked and not named else Certainty.GUARDED
        said.append(Missing(code, sure, symbol, place, len(users), definers, named, program))
    return said


def _first_place(pairs: Pairs, symbol: str) -> str:
    fallback = ""
    for pair, module, _function, _label, instruction in pairs.users(symbol):
        file, line = module.spot(instruction)
        if in_tree(file):
            return place_of(file, line)
        fallback = fallback or pair.unit.source
    return fallback or next((p.unit.source for p in pairs if p.here and symbol in p.here.needed), "")


def _definers(pairs: Pairs, assembled: Iterable[Assembled], symbol: str) -> tuple[str, ...]:
    units = [p.unit.source for p in pairs if p.base is not None and symbol in p.base.exported]
    return (*units, *(a.source for a in assembled if symbol in (a.base or ())))


def _named(tree: SourceTree, pairs: Pairs, assembled: Iterable[Assembled], symbol: str) -> str:
    """A file that may define it: it names it, and was not compiled for the platform as a unit of the tree.

    A unit that does not compile for the platform is told by itself; one that does not compile for x86-64 either may define it.
    """
    known = {p.unit.source for p in pairs if p.base is not None or p.here is not None}
    known |= {a.source for a in assembled if a.base is not None or a.here is not None}
    word = re.compile(rf"(?<![\w.$]){re.escape(symbol)}(?![\w$])")
    for file in tree.files:
        if file in known or file.endswith(_LISTS):
            continue
        text = tree.text(file)
        if text and symbol in text and word.search(text):
            return file
    return ""


def closures(pairs: Pairs) -> dict[str, frozenset[str]]:
    """Units with a ``main`` -> the sources that a program is linked of with them: what defines what it needs, and so on."""
    by_symbol: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair.here is not None:
            for name in pair.here.exported:
                by_symbol.setdefault(name, []).append(pair)
    closures = {}
    for start in by_symbol.get("main", ()):
        seen, todo = {start.unit.source}, [start]
        while todo:
            now = todo.pop()
            for name in now.here.needed if now.here else ():
                # Several that define it are alternatives of which a build takes one: nobody knows which.
                definers = by_symbol.get(name, ())
                if len(definers) == 1 and definers[0].unit.source not in seen:
                    seen.add(definers[0].unit.source)
                    todo.append(definers[0])
        closures[start.unit.source] = frozenset(seen)
    return closures

"""What a platform's code needs to be linked and nothing of the tree, its libraries or the C library defines."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.c.pairs import Pair, Pairs, in_tree, place_of
from pytest_xinchuang.advise.tree import LARGEST_TEXT, SourceTree
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
    """Symbols that are needed and not there: those of one file, or one that no file has.

    Attributes:
        symbols: sorted; ``place`` is where the first is used.
        place: ``FILE:LINE``.
        users: how many units need one of them.
        definers: the files that define them for x86-64.
        named: a file that is no unit of the tree and names one: it may define it.
        program: the unit with the ``main`` that is linked with a user; "" where none is.
    """

    code: str
    certainty: Certainty
    symbols: tuple[str, ...]
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
    # A builtin that the compiler does not know is told where it is called.
    lacking = frozenset(n for n in needed - defined if not _RUNTIME.match(n) and not n.startswith("__builtin_"))
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
    outside: Collection[str] = (),
    told: Callable[[str], bool] = lambda _source: False,
) -> list[Missing]:
    """What is to be said of symbols that are lacking.

    Args:
        lacking: what the platform alone lacks, its C library has not got either, and optimised code still needs.
        guessed: it was guessed which units there are.
        older: symbols that only a newer C library than the platform's has.
        outside: headers outside of the tree that units read: a library's.
        told: whether it is told for certain already that a unit does not compile for the platform: what it defines is missing
            because of that.
    """
    programs = closures(pairs)
    named = _named(tree, pairs, assembled, lacking, outside)
    failed = {p.unit.source for p in pairs if p.base is not None and p.here is None}
    groups: dict[tuple[str, ...], list[str]] = {}
    for symbol in sorted(lacking):
        definers = _definers(pairs, assembled, symbol)
        if not any(d in failed and told(d) for d in definers):
            groups.setdefault(definers or (f"={symbol}",), []).append(symbol)
    said = []
    for key, symbols in groups.items():
        definers = () if key[0].startswith("=") else key
        users, program = _users(pairs, programs, symbols)
        if not users:
            continue
        other = next((named[s] for s in symbols if s in named), "")
        assembler = any(d.endswith((".S", ".s", ".sx")) for d in definers)
        linked = program or (definers and (not guessed or assembler))
        sure = Certainty.CERTAIN if linked and not other else Certainty.GUARDED
        code = X86_ALONE if definers else NOWHERE
        place = _first_place(pairs, symbols[0])
        said.append(Missing(code, sure, tuple(symbols), place, len(users), definers, other, program))
    for symbol in sorted(older):
        users, program = _users(pairs, programs, [symbol])
        sure = Certainty.CERTAIN if program else Certainty.GUARDED
        place = _first_place(pairs, symbol)
        said.append(Missing(LIBC_TOO_OLD, sure, (symbol,), place, len(users), program=program))
    return said


def _users(pairs: Pairs, programs: Mapping[str, frozenset[str]], symbols: Collection[str]) -> tuple[list[Pair], str]:
    """The units that need one of some symbols, and a program that one is linked into."""
    users = [p for p in pairs if p.here is not None and not p.here.needed.isdisjoint(symbols)]
    sources = {p.unit.source for p in users}
    return users, next((name for name, closure in programs.items() if sources & closure), "")


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


def _named(
    tree: SourceTree,
    pairs: Pairs,
    assembled: Iterable[Assembled],
    symbols: Collection[str],
    outside: Iterable[str],
) -> dict[str, str]:
    """Symbols -> a file that may define them: it names them, and was not compiled for the platform as a unit of the tree.

    A unit that does not compile for the platform is told by itself; one that does not compile for x86-64 either may define it.
    """
    if not symbols:
        return {}
    known = {p.unit.source for p in pairs if p.base is not None or p.here is not None}
    known |= {a.source for a in assembled if a.base is not None or a.here is not None}
    wanted, found = set(symbols), dict[str, str]()
    texts = [(file, tree.text(file)) for file in tree.files if file not in known and not file.endswith(_LISTS)]
    texts += [(file, _text(Path(file))) for file in outside]
    for file, text in texts:
        if text:
            for name in wanted.intersection(_WORD.findall(text)):
                found.setdefault(name, file)
    return found


_WORD = re.compile(r"[A-Za-z_][\w$]*")


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:LARGEST_TEXT].decode(errors="replace")
    except OSError:
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

"""A root as it stands in a sandbox. What brings a C library is opened by that one's loader, which is started by its path.

Sources: ld.so(8), ``--library-path`` and ``--inhibit-cache``; musl, ldso/dynlink.c (``--library-path``, ``--list``).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pytest_xinchuang.inspect.delivery import Kind, Root
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.search import How, Search
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim


@dataclass(frozen=True)
class Via:
    """How objects are opened by a loader that is not the sandbox's.

    Attributes:
        words: the loader with its options, before the program; empty: the sandbox's own.
        lists: it is musl's, which loads and binds all and starts nothing, as ldd does.
    """

    words: tuple[str, ...] = ()
    lists: bool = False


@dataclass(frozen=True)
class Entered:
    """One root in the sandbox.

    Attributes:
        base: the directory that is its ``/``.
        own: the sandbox's C library and libraries are not for it.
        libc: the C library that it brings.
    """

    root: Root
    search: Search
    base: str
    own: bool = False
    libc: str | None = None
    via: Via = Via()

    def lacking(self, record: ElfRecord) -> Message:
        """Why an object cannot be opened by what its root brings; the sandbox's libraries must not stand in for one."""
        if record.elf.linking in ("static", "static-pie"):
            return NOTHING
        if not self.via.words:
            return _("its root file system has no loader")
        absent = (name for _user, name, supply in self.search.closure(record) if supply.how is not How.FOUND)
        missing = next(absent, "")
        return _("its root file system lacks {name}", name=verbatim(missing)) if missing else NOTHING


def enter(search: Search, machine: str, place: str, more: str) -> Entered:
    """Where the root of a search stands in a sandbox, and which loader opens what is in it.

    Args:
        place: a directory of its own, for all but what is installed into the sandbox's root.
        more: a directory of libraries that what opens objects needs, searched after all others.
    """
    root = search.root
    libc = root.libc(machine)
    if libc is None and not root.whole:
        return Entered(root, search, "" if root.kind is Kind.SYSTEM else place)
    loader = root.loader(machine, libc or "glibc")
    if loader is None:
        return Entered(root, search, place, own=True, libc=libc)
    known = {posixpath.dirname(name) for name in (*root.files, *root.links)}
    named = (
        d for r in root.records for d in search.expanded((*r.elf.rpath, *r.elf.runpath), posixpath.dirname(r.path))
    )
    directories = [d for d in dict.fromkeys((*search.directories, *named)) if d in known]
    musl = libc == "musl"
    options = ("--library-path", ":".join([*(f"{place}/{directory}" for directory in directories), more]))
    words = (f"{place}/{loader}", *options, "--list") if musl else (f"{place}/{loader}", "--inhibit-cache", *options)
    return Entered(root, search, place, own=True, libc=libc, via=Via(words, musl))

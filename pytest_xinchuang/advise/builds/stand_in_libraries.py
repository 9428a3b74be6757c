"""Links what a build tries out: what the target has not is taken for there where this host has it.

A part of ``stand_in.py``, which loads it where something is linked with a library. The symbols of a library of this host, and
those of C++'s own, which zig would take minutes to make, are defined as nothing: that a function is there is all that a trial
asks. It uses the standard library alone and imports nothing of this package.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

CXX_SYMBOL = ("_Z", "__cxa_", "__gxx_", "_Unwind_", "__dynamic_cast")
OPENMP_SYMBOLS = ("omp_", "__kmpc_", "GOMP_")
"""Of the library of OpenMP: its own functions, and those that clang and GCC call (LLVM, openmp/runtime; GCC, libgomp.map)."""
OF_THE_COMPILER = frozenset(
    ("c", "m", "pthread", "dl", "rt", "util", "resolv", "crypt", "stdc++", "c++", "gcc", "gcc_s", "atomic", "gomp", "omp")
)  # fmt: skip
"""Libraries that are the target's own, or that a compiler brings."""
DEEPEST = 4
"""Scripts of ld that name further scripts."""
SYMTAB, DYNSYM = 2, 11
"""System V gABI, chapter 4: sh_type."""


def hosts_library(word: str, directories: Sequence[str]) -> str | None:
    """The file of this host that a word of a link names: ``-lpng``, or its path; None: the target's own, or none here."""
    if word.startswith("-l:"):
        return None
    if word.startswith("-l"):
        name = word[2:]
        if name in OF_THE_COMPILER:
            return None
        return next((path for d in directories if os.path.isfile(path := f"{d}/lib{name}.so")), None)
    base = os.path.basename(word)
    inside = any(word.startswith(f"{d}/") for d in directories)
    known = base.partition(".so")[0].removeprefix("lib") in OF_THE_COMPILER
    return word if inside and ".so" in base and not known and os.path.isfile(word) else None


def exported(path: str, directories: Sequence[str], depth: int = 0) -> set[str]:
    """The symbols that a library defines; those of what a script of ld names, where it is one (GNU ld manual, INPUT)."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return set()
    if data.startswith(b"\x7fELF"):
        return symbols(data, DYNSYM, defined=True)
    found: set[str] = set()
    if depth < DEEPEST and len(data) < 65536:
        for word in data.decode(errors="replace").replace("(", " ").replace(")", " ").replace(",", " ").split():
            place = word if word.startswith("/") else hosts_library(word, directories)
            place = place or next((p for d in directories if os.path.isfile(p := f"{d}/{word}")), "")
            if place and ".so" in place:
                found |= exported(place, directories, depth + 1)
    return found


def symbols(data: bytes, kind: int, *, defined: bool) -> set[str]:
    """Names in a table of symbols (System V gABI, chapter 4; ELF64, little-endian); none of what is no such object."""
    try:
        (offset,) = struct.unpack_from("<Q", data, 40)
        size, number = struct.unpack_from("<HH", data, 58)
        sections = [struct.unpack_from("<IIQQQQII", data, offset + index * size) for index in range(number)]
        found = set()
        for section in sections:
            if section[1] != kind:
                continue
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, _info, _other, where = struct.unpack_from("<IBBH", data, at)
                if name and (where != 0) is defined:
                    found.add(data[names + name : data.index(b"\0", names + name)].decode(errors="replace"))
        return found
    except (struct.error, ValueError, IndexError):
        return set()


def undefined(path: str) -> set[str]:
    """The symbols that an object needs; none of what is no object."""
    try:
        with open(path, "rb") as file:
            return symbols(file.read(), SYMTAB, defined=False)
    except OSError:
        return set()


def linked(
    guise: dict[str, Any],
    call: Any,
    flags: Sequence[str],
    plain: list[str],
    run: Callable[[Sequence[str]], int],
    of_cxx: bool,
) -> int:
    """Compile the sources of a call and link them; the exit code.

    Args:
        call: a ``Call`` of ``stand_in``.
        flags: its flags without those that are left out of trials.
        plain: zig's words.
    """
    directories: list[str] = guise["libraries"]
    base = f"{guise['state']}/link.{os.getpid()}"
    objects: list[str] = []
    needed: set[str] = set()
    hosts = [path for word in flags if (path := hosts_library(word, directories))]
    for index, (name, language) in enumerate(call.inputs):
        if language is None:
            path = hosts_library(name, directories)
            if path:
                hosts.append(path)
            else:
                objects.append(name)
                needed |= undefined(name)
            continue
        objects.append(f"{base}.{index}.o")
        own = [w for w in flags if not w.startswith(("-Wl,", "-l"))]
        code = run([*plain, *own, "-c", "-x", language, name, "-o", objects[-1]])
        if code:
            return code
        needed |= undefined(objects[-1])
    there: set[str] = {s for s in needed if of_cxx and s.startswith(CXX_SYMBOL)}
    if any(word.startswith(("-fopenmp", "-lgomp", "-lomp")) for word in flags):
        there |= {s for s in needed if s.startswith(OPENMP_SYMBOLS)}
    if hosts:
        there |= needed & set().union(*(exported(path, directories) for path in hosts))
    with open(f"{base}.s", "wb") as file:
        file.write("".join(f".weak {s}\n{s}:\n" for s in sorted(there)).encode())
    words = [*objects, f"{base}.s", *_left(flags, directories), "-lm", "-o", call.out or "a.out"]
    return run([plain[0], "cc", *plain[2:], *words])


_NO_LINK = ("-lstdc++", "-lc++", "-lm", "-lgcc_s", "-lgomp", "-lomp")
"""What is linked with by other means."""


def _left(flags: Iterable[str], directories: Sequence[str]) -> list[str]:
    """The words of a link that are left for the target's linker."""
    links = [w for w in flags if w.startswith(("-l", "-L", "-Wl,", "-pthread", "-static", "-shared", "-fPIC"))]
    return [w for w in links if w not in _NO_LINK and not hosts_library(w, directories)]

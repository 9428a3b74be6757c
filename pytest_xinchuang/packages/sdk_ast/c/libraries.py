"""Shared libraries beside headers: what they export, as a dynamic linker sees it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import ElfReader
from pytest_xinchuang.messages import told
from pytest_xinchuang.packages.sdk_ast.problems import UNREADABLE, problem_record

LIBRARIES = "lib"
"""The package of a library's shared objects."""

MACHINES = {"EM_X86_64": "linux/amd64", "EM_AARCH64": "linux/arm64", "EM_LOONGARCH": "linux/loong64"}
"""e_machine -> target."""

TYPES = {0: "none", 1: "object", 2: "func", 5: "common", 6: "tls", 10: "func"}
"""System V gABI, symbol types; an indirect function (GNU) is called as any other."""

_HIDDEN, _VERSION = 0x8000, 0x7FFF
"""Of an entry of DT_VERSYM: no new program links with it, and the number of its version (LSB, symbol versioning)."""
_BASE = 1


def read_libraries(
    place: Path, files: Sequence[Path]
) -> tuple[dict[str, dict[str, dict[str, Any]]], list[dict[str, Any]]]:
    """Target -> symbols of the package of libraries, and the files that could not be read.

    A symbol is a library, by its soname, or what it exports: ``NAME@VERSION (SONAME)``.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    problems: list[dict[str, Any]] = []
    for file in files:
        name = file.relative_to(place).as_posix()
        data = file.read_bytes()
        if data[:4] != b"\x7fELF":
            continue  # a linker script, or a module of another kind
        try:
            reader = ElfReader(data, name)
            target = MACHINES.get(reader.machine)
            if target is None or reader.type != 3 or not reader.wide:
                continue
            described = reader.read(code=False)
            soname = described.soname or file.name
            symbols = found.setdefault(target, {})
            symbols[soname] = {
                "kind": "library",
                "at": name,
                "facts": {"needed": list(described.libraries), "versions": sorted(described.provided)},
            }
            for export, version, facts in _exports(reader):
                key = f"{export}@{version} ({soname})" if version else f"{export} ({soname})"
                # Of a name and version in one library a loader takes the first.
                own = {"name": export, "version": version, "library": soname}
                symbols.setdefault(key, {"kind": "export", "at": name, "facts": {**own, **facts}})
        except (NotElf, struct.error, IndexError, OverflowError) as error:
            problems.append(problem_record(name, None, UNREADABLE, why=told(error)))
    return found, problems


def _exports(reader: ElfReader) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, version and facts of each symbol that others may bind to."""
    indexes = reader.version_indexes()
    versions = {index: name for index, name in reader.defined_versions.items() if index != _BASE}
    for n, (name, info, section, _value, size) in enumerate(reader.symbols):
        if not section or not name or info >> 4 == 0:  # STB_LOCAL
            continue
        index = indexes[n] if n < len(indexes) else _BASE
        if index & _VERSION == 0:
            continue
        kind = TYPES.get(info & 15, str(info & 15))
        facts: dict[str, Any] = {"type": kind, "default": not index & _HIDDEN}
        if kind in ("object", "tls", "common"):
            facts["size"] = size
        if section == 0xFFF1 and name in versions.values():
            continue  # the version's own symbol, SHN_ABS
        yield name, versions.get(index & _VERSION, ""), facts

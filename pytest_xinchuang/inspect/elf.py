"""What an ELF object demands: machine, ABI world, libraries, symbol versions, page alignment."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytest_xinchuang.model.platform import Architecture

_LOONGARCH_OBJECT_ABI = 0xC0
"""e_flags bits 7:6 (LoongArch ELF psABI): 0 is object ABI v0, 1 (0x40) is v1."""


class NotElf(ValueError):
    """The bytes are not an ELF object that can be read."""


@dataclass(frozen=True)
class Needed:
    """A symbol version that an object asks a library for, and the symbols that ask for it."""

    library: str
    version: str
    symbols: tuple[str, ...]

    def newer_than(self, prefix: str, limit: str) -> bool:
        """Whether this is ``prefix_X`` with X above ``limit``; GLIBC_PRIVATE and the like are never comparable."""
        head, _, number = self.version.partition("_")
        if head != prefix or not number.replace(".", "").isdigit():
            return False
        return version_key(number) > version_key(limit)


def version_key(text: str) -> tuple[int, ...]:
    """``2.34`` as (2, 34)."""
    return tuple(int(part) for part in text.split("."))


@dataclass(frozen=True)
class ElfObject:
    """What was read of one ELF object; ``name`` is only for messages."""

    name: str
    machine: str
    bits: int
    little_endian: bool
    flags: int
    interpreter: str | None
    soname: str | None
    libraries: tuple[str, ...]
    runpath: tuple[str, ...]
    needed: tuple[Needed, ...]
    imports: frozenset[str]
    load_alignments: tuple[int, ...]
    has_tls: bool
    padding: bytes
    is_go: bool

    @cached_property
    def dynamic(self) -> bool:
        return bool(self.libraries) or self.interpreter is not None

    def world(self, architecture: Architecture) -> tuple[str | None, str]:
        """The LoongArch ABI world, "new" elsewhere; None when it cannot be told. And why.

        The order of evidence: the interpreter, then the needed symbol versions, then e_flags (0x40 proves the new
        world, 0 nothing).
        """
        if architecture.elf_machine != "EM_LOONGARCH":
            return "new", "this architecture has one world"
        for world, interpreters in architecture.interpreters.items():
            if self.interpreter in interpreters:
                return world, f"PT_INTERP {self.interpreter}"
        if self.interpreter and self.interpreter.startswith("/lib/ld-musl-loongarch64"):
            return "new", f"PT_INTERP {self.interpreter}"
        versions = [
            version_key(n.version[6:]) for n in self.needed if n.version[:6] == "GLIBC_" and n.version[6:7].isdigit()
        ]
        if versions:
            base = version_key(architecture.libc_base)
            old = min(versions) < base
            return ("old" if old else "new"), f"needs GLIBC_{'.'.join(map(str, min(versions)))}"
        if self.flags & _LOONGARCH_OBJECT_ABI == 0x40:
            return "new", f"e_flags {self.flags:#x}"
        return None, f"no interpreter, no symbol version, e_flags {self.flags:#x}"


def read_elf(data: bytes, name: str) -> ElfObject:
    """Read an ELF object.

    Raises:
        NotElf: the bytes are no ELF object, or a broken one; the message says how.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    if data[:4] != b"\x7fELF":
        raise NotElf(f"{name}: not an ELF object (starts with {data[:4]!r})")
    try:
        return _read(ELFFile(io.BytesIO(data)), data, name)
    except NotElf:
        raise
    # pyelftools raises what its parsers raise on damaged input, of any kind.
    except (ELFError, Exception) as error:
        raise NotElf(f"{name}: a damaged ELF object: {type(error).__name__}: {error}") from error


def _read(elf: Any, data: bytes, name: str) -> ElfObject:
    interpreter, alignments, tls = None, [], False
    libraries: list[str] = []
    runpath: list[str] = []
    soname = None
    dynamic = None
    for segment in elf.iter_segments():
        kind = segment["p_type"]
        if kind == "PT_INTERP":
            interpreter = segment.get_interp_name()
        elif kind == "PT_LOAD":
            alignments.append(int(segment["p_align"]))
        elif kind == "PT_TLS":
            tls = True
        elif kind == "PT_DYNAMIC":
            dynamic = segment
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    libraries.append(tag.needed)
                elif tag.entry.d_tag == "DT_SONAME":
                    soname = tag.soname
                elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                    runpath += (tag.rpath if tag.entry.d_tag == "DT_RPATH" else tag.runpath).split(":")
    needed, imports = _versions(elf) if dynamic is not None else ((), frozenset())
    return ElfObject(
        name=name,
        machine=str(elf["e_machine"]),
        bits=elf.elfclass,
        little_endian=elf.little_endian,
        flags=int(elf["e_flags"]),
        interpreter=interpreter,
        soname=soname,
        libraries=tuple(libraries),
        runpath=tuple(runpath),
        needed=needed,
        imports=imports,
        load_alignments=tuple(alignments),
        has_tls=tls,
        padding=data[9:16],
        is_go=elf.get_section_by_name(".go.buildinfo") is not None,
    )


def _versions(elf: Any) -> tuple[tuple[Needed, ...], frozenset[str]]:
    symbols = elf.get_section_by_name(".dynsym")
    versions = elf.get_section_by_name(".gnu.version")
    wants = elf.get_section_by_name(".gnu.version_r")
    by_index: dict[int, tuple[str, str]] = {}
    if wants is not None:
        for library, auxiliaries in wants.iter_versions():
            for auxiliary in auxiliaries:
                by_index[auxiliary["vna_other"]] = (library.name, auxiliary.name)
    users: dict[int, list[str]] = {index: [] for index in by_index}
    imports = set()
    if symbols is not None:
        for number, symbol in enumerate(symbols.iter_symbols()):
            if symbol["st_shndx"] != "SHN_UNDEF" or not symbol.name:
                continue
            imports.add(symbol.name)
            if versions is not None:
                index = versions.get_symbol(number)["ndx"]
                index = index & 0x7FFF if isinstance(index, int) else 0
                if index in users:
                    users[index].append(symbol.name)
    found = tuple(
        Needed(library, version, tuple(sorted(users[index]))) for index, (library, version) in sorted(by_index.items())
    )
    return found, frozenset(imports)

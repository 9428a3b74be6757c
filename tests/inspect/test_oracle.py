"""The ELF reader against pyelftools, on real libraries of each architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.provision.store import Store

pytestmark = pytest.mark.sandbox


def by_pyelftools(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        elf = ELFFile(file)
        found: dict[str, Any] = {
            "machine": elf["e_machine"],
            "interpreter": None,
            "libraries": [],
            "alignments": [],
            "build_id": "",
        }
        segment: Any  # the kinds have methods of their own
        for segment in elf.iter_segments():
            kind = segment["p_type"]
            if kind == "PT_INTERP":
                found["interpreter"] = segment.get_interp_name()
            elif kind == "PT_LOAD":
                found["alignments"].append(segment["p_align"])
            elif kind == "PT_DYNAMIC":
                found["libraries"] = [t.needed for t in segment.iter_tags() if t.entry.d_tag == "DT_NEEDED"]
            elif kind == "PT_NOTE":
                for note in segment.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        found["build_id"] = note["n_desc"]
        symbols: Any
        versions: Any
        wants: Any
        symbols, versions, wants = (elf.get_section_by_name(n) for n in (".dynsym", ".gnu.version", ".gnu.version_r"))
        names: dict[int, tuple[str, str]] = {}
        if wants is not None:
            for library, auxiliaries in wants.iter_versions():
                names |= {a["vna_other"]: (library.name, a.name) for a in auxiliaries}
        users: dict[tuple[str, str], set[str]] = {pair: set() for pair in names.values()}
        imports: set[str] = set()
        exports: set[str] = set()
        for index, symbol in enumerate(symbols.iter_symbols() if symbols is not None else ()):
            if not symbol.name:
                continue
            (imports if symbol["st_shndx"] == "SHN_UNDEF" else exports).add(symbol.name)
            if versions is not None and symbol["st_shndx"] == "SHN_UNDEF":
                number = versions.get_symbol(index)["ndx"]
                if isinstance(number, int) and number & 0x7FFF in names:
                    users[names[number & 0x7FFF]].add(symbol.name)
        return {**found, "users": users, "imports": imports, "exports": exports}


def by_us(elf: ElfObject) -> dict[str, Any]:
    return {
        "machine": elf.machine,
        "interpreter": elf.interpreter,
        "libraries": list(elf.libraries),
        "alignments": list(elf.load_alignments),
        "build_id": elf.build_id,
        "users": {(n.library, n.version): set(n.symbols) for n in elf.needed},
        "imports": set(elf.imports),
        "exports": set(elf.exports),
    }


@pytest.mark.parametrize("name", ["bullseye-arm64", "bullseye-amd64", "forky-loong64"])
def test_it_reads_what_pyelftools_reads(name: str, store: Store) -> None:
    tree = store.rootfs(name).path
    paths = [p for p in sorted(tree.rglob("*")) if p.is_file() and not p.is_symlink() and p.stat().st_size < 600_000]
    looked_at = 0
    for path in paths:
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        looked_at += 1
        if looked_at > 80:
            break
        assert by_us(read_elf(path.read_bytes(), path.name)) == by_pyelftools(path), path
    assert looked_at > 40


@pytest.mark.parametrize("name", ["bullseye-arm64", "forky-loong64"])
def test_missing_section_headers_hide_nothing(name: str, store: Store) -> None:
    """A loader needs none, so whoever strips them gets no better verdict."""
    path = next(p for p in sorted(store.rootfs(name).path.glob("**/libcrypto.so.*")) if not p.is_symlink())
    data = bytearray(path.read_bytes())
    whole = by_us(read_elf(bytes(data), "x"))
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    assert by_us(read_elf(bytes(data), "x")) == whole

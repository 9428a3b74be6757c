"""What a kernel module asks of the kernel that loads it: vermagic, symbols and their CRCs; and the kernel's own table of them.

Facts from Linux: kernel/module/version.c, include/linux/module.h, scripts/mod/modpost.c (the form of Module.symvers).
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import STB_WEAK, ElfReader
from pytest_xinchuang.inspect.formats.contained import CannotRead, translated
from pytest_xinchuang.inspect.isa_whole import MAX_VERMAGIC
from pytest_xinchuang.provision.places import in_tree
from pytest_xinchuang.tools.compressed import compression, decompressing

SHN_ABS = 0xFFF1
CRC_BYTES, VERSION_ENTRY = 8, 64
"""Bytes of a CRC in ``__versions`` on 64-bit kernels, behind which the name stands, and of a whole entry."""

MOST_MODINFO = 1 << 20

GPL = re.compile(r"GPL(?: v2| and additional rights)?|Dual (?:BSD|MIT|MPL)/GPL")
"""Licences that the kernel gives its GPL-only symbols to (include/linux/license.h)."""


@dataclass(frozen=True)
class KernelModule:
    """A kernel module.

    Attributes:
        vermagic: release, and the options that change the layout of the kernel's structures.
        versions: symbol -> CRC, of ``__versions`` or of the table with names of any length; None: it has neither.
        needs: undefined symbols that are not weak.
        exports: symbols that other modules may use -> CRC; None where none was found.
        depends: the modules that were found to have what it needs when it was built.
        namespaces: of symbols, that it asks for.
        license: as it says itself; a kernel keeps its GPL-only symbols from others.
    """

    vermagic: str
    versions: Mapping[str, int] | None = None
    needs: frozenset[str] = frozenset()
    exports: Mapping[str, int | None] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    namespaces: frozenset[str] = frozenset()
    license: str = ""

    @property
    def release(self) -> str:
        return (self.vermagic.split() or [""])[0]


def read_module(data: bytes, name: str) -> KernelModule | None:
    """What a relocatable object says as a kernel module; None: it is none."""
    if data.find(b"vermagic=") < 0:
        return None
    try:
        reader = ElfReader(data, name)
        info = _modinfo(reader)
        if reader.type != 1 or not info.get("vermagic"):
            return None
        return KernelModule(
            info["vermagic"][0][:MAX_VERMAGIC],
            _versions(reader),
            frozenset(_needs(reader)),
            dict(_exports(reader)),
            tuple(part for text in info.get("depends", []) for part in text.split(",") if part),
            frozenset(info.get("import_ns", [])),
            next(iter(info.get("license", [])), ""),
        )
    except (NotElf, struct.error, IndexError, OverflowError, ValueError):
        return None


def _modinfo(reader: ElfReader) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _content(reader, ".modinfo")[:MOST_MODINFO].split(b"\0"):
        key, equals, value = line.decode(errors="backslashreplace").partition("=")
        if equals:
            found.setdefault(key, []).append(value.strip())
    return found


def _content(reader: ElfReader, name: str) -> bytes:
    section = reader.section(name)
    return bytes(reader.data[section.offset : section.offset + section.size]) if section is not None else b""


def _versions(reader: ElfReader) -> dict[str, int] | None:
    names, table = _content(reader, "__version_ext_names"), _content(reader, "__version_ext_crcs")
    if reader.section("__version_ext_crcs") is not None:
        crcs = struct.unpack(f"{reader.order}{len(table) // 4}I", table[: len(table) // 4 * 4])
        return {_text(name): crc for name, crc in zip(names.split(b"\0"), crcs, strict=False) if name}
    if reader.section("__versions") is None:
        return None
    found = {}
    raw = _content(reader, "__versions")
    for at in range(0, len(raw) - VERSION_ENTRY + 1, VERSION_ENTRY):
        crc = struct.unpack_from(reader.order + "I", raw, at)[0]
        words = raw[at + CRC_BYTES : at + VERSION_ENTRY].split(b"\0")
        # A name that does not fit stands there as its digest.
        if words[0] and not (words[0] == b"sha256" and any(words[1:])):
            found[_text(words[0])] = crc
    return found


def _needs(reader: ElfReader) -> Iterator[str]:
    """Undefined symbols, but for the one that the kernel does not look for (ignore_undef_symbol)."""
    for name, info, section, _value, _size in reader.static_symbols:
        if name and not section and info >> 4 != STB_WEAK and name != "_GLOBAL_OFFSET_TABLE_":
            yield name


def _exports(reader: ElfReader) -> Iterator[tuple[str, int | None]]:
    """``__ksymtab_NAME`` for each symbol, and ``__crc_NAME``: an absolute value, or where the value stands."""
    for name, *_rest in reader.static_symbols:
        if name.startswith("__ksymtab_"):
            yield name.removeprefix("__ksymtab_"), None
    for name, _info, section, value, _size in reader.static_symbols:
        if not name.startswith("__crc_"):
            continue
        if section == SHN_ABS:
            yield name.removeprefix("__crc_"), value & 0xFFFFFFFF
        elif 0 < section < len(reader.sections):
            at = reader.sections[section].offset + value
            if 0 <= at <= len(reader.data) - 4:
                yield name.removeprefix("__crc_"), struct.unpack_from(reader.order + "I", reader.data, at)[0]


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


@dataclass(frozen=True)
class Exported:
    """A symbol of a kernel.

    Attributes:
        crc: 0 where the kernel was built without symbol versions.
        module: ``vmlinux``, or the path of the module that has it.
    """

    crc: int
    module: str
    gpl: bool = False
    namespace: str = ""


@dataclass(frozen=True)
class Kernel:
    """The symbols of one kernel, by its Module.symvers.

    Attributes:
        release: as ``uname -r`` tells it; empty where the file's path does not say.
        place: where the table stands.
    """

    release: str
    place: str
    symbols: Mapping[str, Exported]

    @property
    def modules(self) -> frozenset[str]:
        """The names of the modules that have symbols."""
        return frozenset(module_name(e.module) for e in self.symbols.values())

    @property
    def versioned(self) -> bool:
        return any(e.crc for e in self.symbols.values())


_LINE = re.compile(r"0x([0-9a-fA-F]{1,16})\t([^\t]+)\t([^\t]+)(?:\t(EXPORT_[A-Z_]+))?(?:\t([^\t]*))?\t?")
_NAMED = re.compile(r"(?:^|/)(?:Module\.symvers|symvers(?:-[0-9][^/]*?)?)(?:\.(?:gz|xz|zst|bz2))?$")
_RELEASE = re.compile(
    r"(?:^|[/!])(?:(?:kernels|modules)/|linux-(?:headers|image|kbuild)-|kernel-)([0-9]+\.[0-9]+[^/!]*)[/!]"
    r"|(?:^|/)symvers-([0-9]+\.[0-9]+[^/!]*?)(?:\.(?:gz|xz|zst|bz2))?(?:$|!)"
)
_KERNEL = re.compile(
    r"(?:^|/)(?:boot/)?(?:vmlinu[xz]|vmlinux|Image|kernel|kernel8)-([0-9]+\.[0-9]+[^/]*?)(?:\.(?:gz|efi|efi\.signed))?$"
    r"|(?:^|/)lib/modules/([0-9]+\.[0-9]+[^/]*)/(?:vmlinu[xz]|Image|kernel)$"
)

MOST_SYMVERS = 16 << 20
"""Bytes of a table; that of a distribution's kernel has 1 to 3 MiB."""


def is_symvers(name: str) -> bool:
    """Whether a file of this name is a kernel's table of symbol versions."""
    return _NAMED.search(name) is not None


def release_of(path: str) -> str:
    """The kernel's release that the path of its table tells; empty: none."""
    found = _RELEASE.search(path)
    return (found[1] or found[2] or "") if found else ""


def kernel_of(path: str) -> str:
    """The release of the kernel that a path is of; empty: it is no kernel's, or does not say."""
    found = _KERNEL.search(path)
    return (found[1] or found[2] or "") if found else ""


def read_symvers(text: bytes, path: str) -> Kernel | None:
    """A kernel's table; None: it is none, or that of a module alone, which says nothing of a kernel."""
    symbols = {}
    for line in text.decode(errors="replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is not None:
            crc, name, module, kind, space = found.groups()
            symbols[name] = Exported(int(crc, 16) & 0xFFFFFFFF, module, "GPL" in (kind or ""), space or "")
    if not any(e.module == "vmlinux" for e in symbols.values()):
        return None
    return Kernel(release_of(path), path, symbols)


def module_name(path: str) -> str:
    """The name of a module by its file's: ``a-b.ko.xz`` is ``a_b``."""
    return re.sub(r"\.ko(?:\.(?:gz|xz|zst))?$", "", path.rpartition("/")[2]).replace("-", "_")


def of_tree(tree: Path) -> list[Kernel]:
    """The kernels whose tables stand in a root filesystem, where distributions have them."""
    found: list[Kernel] = []
    for pattern in ("usr/src/kernels/*/Module.symvers", "usr/src/linux-headers-*/Module.symvers", "boot/symvers-*",
                    "lib/modules/*/symvers*", "usr/lib/modules/*/symvers*"):  # fmt: skip
        for path in sorted(tree.glob(pattern)):
            name = str(path.relative_to(tree))
            # What a link means there, and never this machine's own kernel.
            file = in_tree(tree, name)
            if file is not None and file.stat().st_size <= MOST_SYMVERS:
                kernel = read_symvers(_expanded(file.read_bytes()), name)
                if kernel is not None and all(kernel.symbols != other.symbols for other in found):
                    found.append(kernel)
    return found


def _expanded(data: bytes) -> bytes:
    """A table that may be compressed; nothing where it cannot be read whole: of a part it would be told that symbols lack."""
    kind = compression(data[:4])
    if kind is None:
        return data
    try:
        with translated():
            text: bytes = decompressing(io.BytesIO(data), kind).read(MOST_SYMVERS + 1)
    except (CannotRead, XcError):
        return b""
    return text if len(text) <= MOST_SYMVERS else b""


@dataclass(frozen=True)
class Misfits:
    """What a module and a kernel disagree about.

    Attributes:
        differ: symbols whose CRCs are not the same.
        absent: symbols that neither the kernel nor a module beside it has.
        closed: GPL-only symbols, which the kernel keeps from a module of this licence.
        unversioned: symbols that the kernel has a CRC of and the module none.
        spaces: namespaces of symbols that the module does not ask for.
    """

    differ: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    unversioned: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()


LAYOUT = "module_layout"
"""The symbol whose CRC is that of the structures which every module shares with its kernel."""


def misfits(module: KernelModule, kernel: Kernel, beside: Iterable[KernelModule] = ()) -> Misfits:
    """What a kernel has against a module; ``beside`` are modules that come with it."""
    others: dict[str, int | None] = {}
    for other in beside:
        others.update(other.exports)
    wanted = module.versions or {}
    differ, absent, closed, unversioned, spaces = [], [], [], [], set()
    for name in sorted(module.needs | ({LAYOUT} & wanted.keys())):
        has = kernel.symbols.get(name)
        if has is None:
            if name not in others:
                absent.append(name)
            elif name in wanted and others[name] not in (None, 0, wanted[name]):
                differ.append(name)
            continue
        if has.crc and name not in wanted:
            unversioned.append(name)
        elif has.crc and wanted[name] != has.crc:
            differ.append(name)
        if has.gpl and GPL.fullmatch(module.license) is None:
            closed.append(name)
        if has.namespace and has.namespace not in module.namespaces:
            spaces.add(has.namespace)
    return Misfits(tuple(differ), tuple(absent), tuple(closed), tuple(unversioned), tuple(sorted(spaces)))

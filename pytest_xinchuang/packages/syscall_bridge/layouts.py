"""Layouts of the structures that cross the kernel's interface: size, alignment and the place of each field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.core.remembered import by_content
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.syscall_bridge.headers import Headers, errors_of
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of

SCHEMA = "xc-layouts/1"

LIBC_SHIMS = {
    "sys/socket.h": "#include <linux/socket.h>\nstruct sockaddr { unsigned short sa_family; char sa_data[14]; };\n",
    "sys/time.h": "#include <linux/time.h>\n",
    "time.h": "#include <linux/time.h>\n",
    "sys/ioctl.h": "#include <linux/ioctl.h>\n",
    "sys/types.h": "#include <linux/types.h>\n",
    "netinet/in.h": "#include <linux/in.h>\n",
    "netinet/if_ether.h": "#include <linux/if_ether.h>\n",
    "stddef.h": "typedef __SIZE_TYPE__ size_t;\n#define offsetof(t, m) __builtin_offsetof(t, m)\n#define NULL ((void *)0)\n",
    "stdint.h": "".join(
        f"typedef __{u}INT{n}_TYPE__ {u.lower()}int{n}_t;\n" for n in (8, 16, 32, 64) for u in ("", "U")
    ),
    "string.h": "",
    "stdlib.h": "",
    "endian.h": "",
    "poll.h": "#include <linux/poll.h>\n",
    "unistd.h": "",
}
"""What some UAPI headers take from a libc, said with the kernel's own types."""

PRELUDE = (
    "#include <stddef.h>\n#include <stdint.h>\n#include <linux/types.h>\n#include <asm/signal.h>\n"
    "#include <asm/sigcontext.h>\n#include <sys/socket.h>\n#include <linux/time.h>\n#include <linux/if.h>\n"
    "typedef long time_t;\ntypedef unsigned short u_short, sa_family_t;\n"
)
"""What headers that do not stand alone expect to come before them."""


_NUMBER = re.compile("[0-9]{1,18}")


class _Head(BaseModel):
    """The first line of a snapshot."""

    kernel: str
    archs: tuple[str, ...]
    structs: int


class _Record(BaseModel):
    """One structure: its layouts as texts, by the architectures that share them."""

    name: str
    header: str
    layouts: dict[str, str]


@dataclass(frozen=True)
class FieldLayout:
    """A field: its place in bytes, or in bits for a bit-field.

    Attributes:
        offset: from the start of the structure, bits.
        size: bits; 0 for a flexible array.
    """

    name: str
    offset: int
    size: int
    bitfield: bool = False

    def text(self) -> str:
        return f"{self.name}@{self.place}:{self.width}"

    @property
    def place(self) -> str:
        return f"{self.offset // 8}.{self.offset % 8}" if self.bitfield else str(self.offset // 8)

    @property
    def width(self) -> str:
        return f"{self.size}b" if self.bitfield else str(self.size // 8)

    @staticmethod
    def read(text: str) -> FieldLayout:
        found = re.fullmatch(r"([^@ ]+)@([0-9]{1,18})(?:\.([0-7]))?:([0-9]{1,18})(b?)", text)
        if found is None:
            raise ValueError(_("{text} is not NAME@OFFSET:SIZE", text=verbatim(repr(text))))
        name, start, bit, size, bits = found.groups()
        if (bit is None) != (not bits):
            raise ValueError(_("{text}: a bit-field has its place and its width in bits", text=verbatim(repr(text))))
        scale = 1 if bits else 8
        return FieldLayout(name, int(start) * 8 + int(bit or 0), int(size) * scale, bool(bits))


@dataclass(frozen=True)
class Layout:
    """A structure or union; members of anonymous ones are its own, as in C."""

    size: int
    align: int
    members: tuple[FieldLayout, ...]

    def text(self) -> str:
        return f"{self.size}/{self.align} {' '.join(m.text() for m in self.members)}".rstrip()

    @staticmethod
    def read(text: str) -> Layout:
        head, *members = text.split(" ")
        size, _slash, align = head.partition("/")
        if not (_NUMBER.fullmatch(size) and _NUMBER.fullmatch(align)):
            raise ValueError(_("{text} is not SIZE/ALIGN", text=verbatim(repr(head))))
        return Layout(int(size), int(align), tuple(FieldLayout.read(m) for m in members))

    def member(self, name: str) -> FieldLayout | None:
        return next((m for m in self.members if m.name == name), None)


@dataclass
class Layouts:
    """All layouts of one kernel.

    Attributes:
        structs: name -> architecture -> layout.
        header: name -> the header that defines it.
        unread: architecture -> header -> why it could not be read.
    """

    kernel: str
    archs: tuple[str, ...]
    structs: dict[str, dict[str, Layout]] = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    unread: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, arch: str) -> dict[str, Layout]:
        return {name: by[arch] for name, by in self.structs.items() if arch in by}

    @property
    def dependent(self) -> list[str]:
        """Structures that every architecture has, and not all alike."""
        return [n for n, by in self.structs.items() if len(by) == len(self.archs) and len(set(by.values())) > 1]


def headers_in(headers: Headers) -> list[str]:
    """Every header that can be included, by the name that it is included with."""
    names = set()
    for directory in headers.directories:
        names |= {p.relative_to(directory).as_posix() for p in directory.rglob("*.h")}
    # Not another architecture's own, in a tree that holds several; and what is generic only where nothing is special.
    names = {n for n in names if not re.match(r"arch/|asm-(?!generic/)|[a-z0-9_]+-linux-", n)}
    names -= {n for n in names if n.startswith("asm-generic/") and f"asm/{n.partition('/')[2]}" in names}
    return sorted(names, key=lambda n: (not n.startswith("asm/"), n))


def read_layouts(headers: Headers, wanted: Sequence[str] = ()) -> Layouts:
    """The layouts of every header that parses; each is read alone, so that none is in another's way.

    Args:
        wanted: names of headers; none means all.
    """
    found = Layouts(headers.kernel, (headers.arch,))
    unread = found.unread.setdefault(headers.arch, {})
    covered: set[str] = set()
    for name in wanted or headers_in(headers):
        if name in covered:
            continue
        errors: list[str] = []
        for prelude in ("", PRELUDE):
            unit = parse_with_shims(headers, f"{prelude}#include <{name}>\n")
            errors = errors_of(unit)
            if not errors:
                for cursor in unit.cursor.get_children():
                    file = cursor.location.file
                    if file is None or _name_of(file.name, "") not in covered:
                        _collect(cursor, name, headers.arch, found)
                if not prelude:
                    covered |= {name, *(_name_of(i.include.name, "") for i in unit.get_includes())} - {""}
                break
        if errors:
            unread[name] = errors[0]
    if not found.structs:
        first = next((verbatim(f"{header}: {why}") for header, why in unread.items()), _("there is no header"))
        raise DataFileError(
            _(
                "{source}: no structure can be read for {arch}: {first}",
                source=headers.source,
                arch=headers.arch,
                first=first,
            )
        )
    return found


def parse_with_shims(headers: Headers, text: str) -> Any:
    """Parse with the shims for libc's headers behind the kernel's own."""
    with optional("syscall_bridge"):
        from clang import cindex

    place = "/xc-libc-shims"
    shims = [(f"{place}/{name}", f"#pragma once\n{body}") for name, body in LIBC_SHIMS.items()]
    return cindex.Index.create().parse(
        "uapi.c",
        args=[*headers.arguments, "-isystem", place],
        unsaved_files=[("uapi.c", text), *shims],
        options=cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES,
    )


def _collect(cursor: Any, header: str, arch: str, into: Layouts) -> None:
    kind = cursor.kind.name
    if kind in ("STRUCT_DECL", "UNION_DECL") and cursor.is_definition():
        if not _unnamed(cursor):
            _take(f"{kind[:-5].lower()} {cursor.spelling}", cursor, header, arch, into)
        for child in cursor.get_children():
            _collect(child, header, arch, into)
    elif kind == "TYPEDEF_DECL":
        declared = cursor.underlying_typedef_type.get_canonical().get_declaration()
        if declared.kind.name in ("STRUCT_DECL", "UNION_DECL") and _unnamed(declared):
            _take(cursor.spelling, declared, header, arch, into)


def _unnamed(cursor: Any) -> bool:
    return cursor.is_anonymous() or not re.fullmatch(r"(struct|union) [A-Za-z_]\w*", cursor.type.spelling)


def _take(name: str, cursor: Any, header: str, arch: str, into: Layouts) -> None:
    size = cursor.type.get_size()
    if size < 0:
        return
    layout = Layout(size, cursor.type.get_align(), tuple(_members(cursor.type)))
    file = cursor.location.file
    place = _name_of(str(file), header)
    known = into.structs.get(name, {}).get(arch)
    if known is not None and known != layout:
        name = f"{name} [{place}]"
    into.structs.setdefault(name, {})[arch] = layout
    into.header.setdefault(name, place)


def _name_of(path: str, header: str) -> str:
    """The name a header is included by, from its path: what follows the last directory of a known kind."""
    found = re.search(r"/((?:asm|asm-generic|linux|drm|misc|mtd|rdma|scsi|sound|video|xen|cxl|fwctl)/.*\.h)$", path)
    return found.group(1) if found else header


def _members(part: Any, base: int = 0, prefix: str = "") -> Iterator[FieldLayout]:
    """Fields with their places; of a structure without a name of its own also what is in it."""
    for cursor in part.get_fields():
        place = base + cursor.get_field_offsetof()
        inner = cursor.type.get_canonical()
        # libclang calls an anonymous member by its type's place in the source.
        if not re.fullmatch(r"[A-Za-z_]\w*", cursor.spelling):
            yield from _members(inner, place, prefix)
            continue
        name = prefix + cursor.spelling
        if cursor.is_bitfield():
            yield FieldLayout(name, place, cursor.get_bitfield_width(), bitfield=True)
            continue
        yield FieldLayout(name, place, max(cursor.type.get_size(), 0) * 8)
        if inner.kind.name == "RECORD" and _unnamed(inner.get_declaration()):
            yield from _members(inner, place, f"{name}.")


# -- snapshots


def merge(parts: Iterable[Layouts]) -> Layouts:
    """Layouts of several architectures in one."""
    whole = Layouts("", ())
    for part in parts:
        whole.kernel = whole.kernel or part.kernel
        whole.archs = (*whole.archs, *part.archs)
        for name, by in part.structs.items():
            whole.structs.setdefault(name, {}).update(by)
            whole.header.setdefault(name, part.header[name])
        whole.unread.update(part.unread)
    return whole


def write_snapshot(layouts: Layouts, path: Path) -> None:
    """One line for the whole, then one for each structure: a change of one is a change of one line."""
    first = {"schema": SCHEMA, "kernel": layouts.kernel, "archs": list(layouts.archs), "structs": len(layouts.structs)}
    lines = [json.dumps(first)]
    for name in sorted(layouts.structs):
        by: dict[str, list[str]] = {}
        for arch, layout in layouts.structs[name].items():
            by.setdefault(layout.text(), []).append(arch)
        texts = {",".join(archs): text for text, archs in by.items()}
        record: dict[str, Any] = {"name": name, "header": layouts.header[name], "layouts": texts}
        lines.append(json.dumps(record))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def shipped_layouts() -> Path:
    """The snapshot that is committed."""
    return resources.fixtures_dir() / "syscalls" / "layouts.jsonl"


@by_content
def load_snapshot(path: Path) -> Layouts:
    """Read what ``write_snapshot`` wrote.

    Raises:
        DataFileError: it is malformed, or cut off.
    """
    mend = "xc syscalls layout snapshot --output FILE"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=reason_of(error))) from error
    number = 0  # of the line, for the message when it cannot be read
    try:
        first = json.loads(lines[0]) if lines else {}
        if not isinstance(first, dict) or first.get("schema") != SCHEMA:
            raise ValueError(_("the schema is not {schema}", schema=verbatim(repr(SCHEMA))))
        head = _Head.model_validate(first)
        found = Layouts(head.kernel, head.archs)
        for number, line in enumerate(lines[1:], 1):  # noqa: B007
            record = _Record.model_validate_json(line)
            found.header[record.name] = record.header
            by = found.structs[record.name] = {}
            for archs, text in record.layouts.items():
                by |= dict.fromkeys(archs.split(","), Layout.read(text))
    except (ValueError, RecursionError) as error:
        why = mistake(error.errors()[0]) if isinstance(error, ValidationError) else reason_of(error)
        raise DataFileError(
            _("{path}:{line}: not a snapshot of layouts: {why}", path=path, line=number + 1, why=why),
            mend=verbatim(mend),
        ) from error
    if len(found.structs) != head.structs:
        raise DataFileError(
            _(
                "{path}: it is cut off: {n} structures of {all}",
                path=path,
                n=len(found.structs),
                all=head.structs,
            ),
            mend=verbatim(mend),
        )
    return found


# -- differences


class ShiftKind(StrEnum):
    """What has changed about a structure or a field."""

    REMOVED = "removed"
    ADDED = "added"
    RENAMED = "renamed"
    SIZE = "size"
    ALIGNMENT = "alignment"
    OFFSET = "offset"
    WIDTH = "width"

    @property
    def word(self) -> Message:
        """The change for people."""
        return _SHIFTS[self]


_SHIFTS = {
    ShiftKind.REMOVED: _("removed"),
    ShiftKind.ADDED: _("added"),
    ShiftKind.RENAMED: _("renamed"),
    ShiftKind.SIZE: _("size"),
    ShiftKind.ALIGNMENT: _("alignment"),
    ShiftKind.OFFSET: _("offset"),
    ShiftKind.WIDTH: _("width"),
}


class Breaks(StrEnum):
    """What a change breaks."""

    SOURCE = "source"
    """Programs do not compile any more."""
    BINARY = "binary"
    """Compiled programs read the wrong bytes."""
    WIRE = "wire"
    """Data in a file, a socket or an ioctl is read otherwise."""

    @property
    def word(self) -> Message:
        """What is broken, for people."""
        return _BROKEN[self]


_BROKEN = {Breaks.SOURCE: _("source"), Breaks.BINARY: _("binary"), Breaks.WIRE: _("wire")}


@dataclass(frozen=True)
class Shift:
    """A change of a structure, or of one of its fields (``member``)."""

    arch: str
    struct: str
    member: str
    what: ShiftKind
    before: str
    after: str
    breaks: tuple[Breaks, ...]

    def text(self) -> Message:
        """The change with what it breaks, in one line."""
        return _(
            "{arch}: {where}: {what}{change} (breaks {broken})",
            arch=self.arch,
            where=verbatim(f"{self.struct} {self.member}".rstrip()),
            what=self.what.word,
            change=verbatim(f" {self.before} -> {self.after}") if self.before or self.after else NOTHING,
            broken=joined((b.word for b in self.breaks), _(", ")) if self.breaks else _("nothing"),
        )


def compare_layouts(before: Layouts, after: Layouts, archs: Sequence[str] = ()) -> list[Shift]:
    """The changes from ``before`` to ``after``, field by field.

    Raises:
        DataFileError: one of the two lacks an architecture.
    """
    chosen = archs or [a for a in before.archs if a in after.archs]
    for one in (before, after):
        if missing := [a for a in chosen if a not in one.archs]:
            params = {"missing": verbatim(missing[0]), "names": joined(one.archs, _(", "))}
            in_old = _("the old layouts have no {missing}; they have {names}", **params)
            in_new = _("the new layouts have no {missing}; they have {names}", **params)
            raise DataFileError(in_old if one is before else in_new)
    if not chosen:
        raise DataFileError(
            _(
                "the two have no architecture in common: {old} and {new}",
                old=joined(before.archs, _(", ")),
                new=joined(after.archs, _(", ")),
            )
        )
    shifts = []
    for arch in chosen:
        old, new = before.of(arch), after.of(arch)
        for name in sorted({*old, *new}):
            if name not in new:
                shifts.append(Shift(arch, name, "", ShiftKind.REMOVED, "", "", (Breaks.SOURCE,)))
            elif name not in old:
                shifts.append(Shift(arch, name, "", ShiftKind.ADDED, "", "", ()))
            elif old[name] != new[name]:
                shifts += _between(arch, name, old[name], new[name])
    return shifts


def _between(arch: str, name: str, old: Layout, new: Layout) -> Iterator[Shift]:
    if old.size != new.size:
        # An ioctl's number has the size in it (asm-generic/ioctl.h), and arrays of it are read at another stride.
        yield Shift(arch, name, "", ShiftKind.SIZE, str(old.size), str(new.size), (Breaks.BINARY, Breaks.WIRE))
    if old.align != new.align:
        yield Shift(arch, name, "", ShiftKind.ALIGNMENT, str(old.align), str(new.align), (Breaks.BINARY,))
    for member in old.members:
        now = new.member(member.name)
        if now is None:
            yield from _gone(arch, name, member, new)
        elif now.offset != member.offset:
            yield Shift(
                arch, name, member.name, ShiftKind.OFFSET, member.place, now.place, (Breaks.BINARY, Breaks.WIRE)
            )
        elif now.size != member.size:
            # A tail that grows has its old bytes where they were, if the machine is little-endian.
            yield Shift(arch, name, member.name, ShiftKind.WIDTH, member.width, now.width, tuple(Breaks))
    for member in new.members:
        if old.member(member.name) is None and not any(
            m.offset == member.offset and m.size == member.size for m in old.members
        ):
            yield Shift(arch, name, member.name, ShiftKind.ADDED, "", member.place, ())


def _gone(arch: str, name: str, member: FieldLayout, new: Layout) -> Iterator[Shift]:
    at = next((m for m in new.members if m.offset == member.offset and m.size == member.size), None)
    if at is not None:
        yield Shift(arch, name, member.name, ShiftKind.RENAMED, member.name, at.name, (Breaks.SOURCE,))
    else:
        yield Shift(arch, name, member.name, ShiftKind.REMOVED, member.place, "", (Breaks.SOURCE, Breaks.BINARY))

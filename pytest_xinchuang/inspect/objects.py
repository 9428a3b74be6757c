"""Reads one object: its headers, its instructions, what it embeds. What it says is the same in whichever process it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.inspect.artifact import ReadProblem
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import ET_CORE, ElfReader
from pytest_xinchuang.inspect.formats.entropy import without_code
from pytest_xinchuang.inspect.formats.upx import is_code_packed
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.inspect.isa_whole import is_chosen_by_path
from pytest_xinchuang.inspect.kernel_module import read_module
from pytest_xinchuang.inspect.marks import is_named_luajit, marks_of
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.messages import _, verbatim

SCANNED_MACHINES = ("EM_X86_64", "EM_AARCH64", "EM_LOONGARCH")


@dataclass(frozen=True)
class ObjectReader:
    """How objects are read.

    Attributes:
        isa: scan the instructions of objects too.
        machines: e_machine names whose instructions are scanned.
    """

    isa: bool = True
    machines: frozenset[str] = frozenset(SCANNED_MACHINES)

    def read(
        self,
        data: bytes,
        place: str,
        path: str = "",
        *,
        unpacks: bool = False,
        digest: str = "",
        marked: bool = True,
    ) -> ElfRecord:
        """Read one object. Of one whose code is compressed no code is read.

        Args:
            unpacks: the caller looks into what is packed, or tells that it cannot be.
            digest: of ``data``, where the caller knows it.
            marked: a text may be there by which it is known what an object embeds.

        Raises:
            NotElf: it is none, or a damaged one.
        """
        packed = is_code_packed(data)
        seen = without_code(data) if packed else data
        reader = ElfReader(seen, place)
        closed = packed and not unpacks
        scanned = self.isa and not closed and reader.machine in self.machines and reader.type != ET_CORE
        elf = reader.read(code=scanned)
        scan, fault = None, None
        if closed:
            fault = (_("its code is compressed, and is there only once it runs"), verbatim("upx -d"))
        elif scanned:
            try:
                scan = scan_isa(elf, seen, path or place)
            except HostFault as error:
                fault = (error.what, error.mend)
        # Functions have served the scan, and are by far the largest part of an object.
        slim = replace(elf, functions=())
        digest = digest or hashlib.sha256(data).hexdigest()
        module = read_module(data, place) if elf.relocatable else None
        return ElfRecord(place, path or place, slim, scan, fault, marks_of(elf, data, marked=marked), digest, module)


Outcome = ElfRecord | ReadProblem
"""What reading an object gave: a record, or why there is none."""


@dataclass(frozen=True)
class Task:
    """An object that is to be read, as a part of what unpacks it.

    Attributes:
        source: its bytes, or the path of a file that is it; None: it is at hand only now.
        size: its bytes.
        marked: a text may be among them by which it is known what an object embeds.
    """

    source: bytes | str | None
    size: int
    place: str
    name: str
    digest: str
    marked: bool = True

    @property
    def key(self) -> tuple[str, bool, bool]:
        """What its record depends on, but for the names that it tells: what the names decide is in it."""
        return self.digest, is_chosen_by_path(self.name or self.place), is_named_luajit(self.place)

    def outcome(self, reader: ObjectReader, data: bytes) -> Outcome:
        """Read it from its bytes, or from a map of its file."""
        try:
            return reader.read(data, self.place, self.name, unpacks=True, digest=self.digest, marked=self.marked)
        except NotElf as error:
            return ReadProblem("XC-BAD-001", self.place, error.what)

    def named(self, other: Outcome) -> Outcome:
        """What an object with the same content gave, under this one's names."""
        if not isinstance(other, ElfRecord):
            return replace(other, place=self.place)
        return replace(other, place=self.place, path=self.name or self.place, elf=replace(other.elf, name=self.place))


def preloaded(machines: Iterable[str]) -> None:
    """Import what the scan of these machines needs, before processes are forked that share it."""
    if "EM_X86_64" in machines:
        import pytest_xinchuang.inspect.isa_x86
    import pytest_xinchuang.inspect.isa_fixed
    import pytest_xinchuang.inspect.isa_guards  # noqa: F401

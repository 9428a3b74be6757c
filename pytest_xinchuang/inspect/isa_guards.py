"""What guards an object's instructions: whether it asks about an extension at all, and what runs without having asked."""

from __future__ import annotations

from functools import cached_property

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_asks import (
    AUXILIARY,
    TELLING_FILES,
    Ask,
    Asks,
    imported_asking,
    is_nameless_program,
    may_try,
    strangers_of,
)
from pytest_xinchuang.inspect.isa_decode import Arm64Decoding, Loong64Decoding
from pytest_xinchuang.inspect.isa_flow import Decoding, Flows
from pytest_xinchuang.inspect.isa_hits import EMULATED, Hits
from pytest_xinchuang.inspect.isa_image import Image
from pytest_xinchuang.inspect.isa_paths import Paths, Reached
from pytest_xinchuang.inspect.isa_references import Index
from pytest_xinchuang.messages import Message, _, verbatim

BUDGET = 150_000
"""Instructions of one object that are followed along its ways: half a second's."""


MAX_PARTS, MAX_SPAN = 256, 1 << 30
"""Segments and executable sections of an object, and the memory that its code lies in, beyond which its ways are not followed:
Chromium's library has 12 segments and spans 250 MiB."""


def _is_orderly(elf: ElfObject) -> bool:
    """Whether an object's code lies together, as linkers put it."""
    places = [(f.address, f.address + f.size) for f in (elf.functions[0], elf.functions[-1])]
    places += [(c.address, c.address + c.size) for c in elf.code]
    low, high = min(p[0] for p in places), max(p[1] for p in places)
    return len(elf.code) <= MAX_PARTS and high < 1 << 62 and high - low <= MAX_SPAN


def _decoding(image: Image, hits: Hits) -> Decoding | None:
    """The decoder of an object's machine; None where there is none."""
    if image.elf.machine == "EM_X86_64":
        from pytest_xinchuang.inspect.isa_x86 import X86Decoding

        return X86Decoding(image)
    if image.elf.machine == "EM_AARCH64":
        return Arm64Decoding(image, hits.uses)
    return Loong64Decoding(image, hits.uses) if image.elf.machine == "EM_LOONGARCH" else None


class Guards:
    """What may guard each extension in one object."""

    def __init__(self, elf: ElfObject, data: bytes, hits: Hits, whole: Message) -> None:
        self.elf = elf
        self.data = data
        self.hits = hits
        self.whole = whole

    @cached_property
    def _paths(self) -> Paths | None:
        """The ways through a linked object whose functions are known."""
        if self.whole or self.elf.relocatable or not self.elf.functions or not _is_orderly(self.elf):
            return None
        image = Image(self.elf, self.data)
        if len(image.reader.segments) > MAX_PARTS:
            return None
        decoding = _decoding(image, self.hits)
        if decoding is None:
            return None
        flows = Flows(image, decoding, BUDGET)
        asks = Asks(image, flows, self.hits)
        return Paths(image, flows, asks, Index(image, [*image.starts, *asks.wanted()]))

    @cached_property
    def asks(self) -> list[Ask]:
        """The ways in which the object asks."""
        if self.whole:
            return [Ask(self.whole)]
        if self._is_silent():
            return []
        if self._paths is None:
            return list(self._loose())
        found = self._paths.asks.all(self._paths.index)
        if self.hits.uncounted:
            found.append(Ask(_("it asks the CPU in more places than are looked at")))
        return [a for a in found if a.features is None or a.features]

    def _is_silent(self) -> bool:
        """Whether nothing in the object can ask, by what it imports and holds: most objects are looked into no further."""
        elf = self.elf
        names = elf.imports | frozenset(elf.undefined) | frozenset(f.name for f in elf.functions if f.name)
        return not (
            self.hits.questions
            or elf.ifuncs
            or any(n in names for n in AUXILIARY)
            or imported_asking(names)
            or may_try(names)
            or strangers_of(elf)
            or is_nameless_program(elf)
            or any(self.data.find(text) >= 0 for text in TELLING_FILES)
        )

    def _loose(self) -> list[Ask]:
        """What an object asks whose code cannot be followed: anything, where it asks at all."""
        names = self.elf.imports | frozenset(self.elf.undefined)
        found = [Ask(_("it imports {name}", name=verbatim(n))) for n in imported_asking(names)]
        found += [Ask(_("it imports {name}", name=verbatim(n))) for n in AUXILIARY if n in names and n != "__getauxval"]
        if self.elf.ifuncs:
            found.append(Ask(_("it chooses implementations when it is loaded (ifunc)")))
        if may_try(names):
            found.append(Ask(_("it may try instructions under a handler for SIGILL")))
        found += [
            Ask(
                _("it executes {instruction} at {address:#x}", instruction=q.name, address=q.address),
                never=frozenset({EMULATED}),
            )
            for q in self.hits.questions[:1]
        ]
        if self.data.find(b"/proc/cpuinfo") >= 0:
            found.append(Ask(_("it reads {file}", file="/proc/cpuinfo")))
        return found

    def about(self, feature: str) -> list[Ask]:
        """The ways in which the object asks about one extension."""
        return [a for a in self.asks if a.covers(feature)]

    def reached(self, feature: str) -> list[Reached]:
        """Instructions of one extension that run whatever the CPU has."""
        if self._paths is None:
            return []
        used_in = {
            h.function.address for h in self.hits.found if h.feature == feature and h.function is not None and h.sure
        }
        return self._paths.reached(feature, self.about(feature), used_in) if used_in else []

    def text(self, address: int) -> str:
        """The instruction at an address that was reached."""
        return self._paths.flows.decoding.text(address) if self._paths is not None else ""

    def function_at(self, address: int) -> str:
        if self._paths is None or (function := self._paths.image.functions.of(address)) is None:
            return f"{address:#x}"
        return function.name or _("function at {address:#x}", address=function.address)

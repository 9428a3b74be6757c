"""Whether the segments of an object can be mapped: by the kernel, for programs, or by a loader."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import ElfObject, Segment
from pytest_xinchuang.inspect.loader.refusal import SMALLEST_PAGE, Ground, Refusal
from pytest_xinchuang.messages import Message, _, joined

_HEADER = {64: 56, 32: 32}
"""Bytes of a program header (System V gABI), which the kernel and glibc compare e_phentsize with."""

_EXECUTE, _WRITE = 1, 2


def mapping(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    """What is wrong with the segments on a system."""
    if elf.kind not in ("dyn", "exec") or elf.detached:
        return
    if elf.load_alignments and not elf.segments:
        yield from _small_alignment(elf, ground, misfits=True)
        return
    broken, doubtful = _broken(elf), _out_of_order(elf)
    if broken or doubtful:
        certainty = Certainty.CERTAIN if broken else Certainty.UNDECIDED
        yield Refusal("XC-ELF-034", certainty, {"what": joined([*broken, *doubtful])})
    if not elf.segments or elf.header_entry != _HEADER[elf.bits]:
        return
    page = ground.page or SMALLEST_PAGE
    apart, shared = _incongruent(elf, page), _shared(elf, page)
    refused = list(_small_alignment(elf, ground, misfits=bool(apart or shared)))
    yield from refused
    if any(r.certainty is Certainty.CERTAIN for r in refused):
        return
    yield from _misplaced(elf, ground, page)
    if shared and not apart:
        first, second, why, certain = shared
        params = {"first": f"{first.address:#x}", "second": f"{second.address:#x}", "page": f"{page:#x}", "why": why}
        yield Refusal("XC-ELF-033", Certainty.CERTAIN if certain else Certainty.GUARDED, params)


def _small_alignment(elf: ElfObject, ground: Ground, *, misfits: bool) -> Iterator[Refusal]:
    """An alignment below the page size.

    glibc refuses it in a library until 2.34; later ones, the kernel and musl go by addresses and offsets alone.
    """
    least, page = min(elf.load_alignments), ground.page
    if page is None:
        if least < ground.largest_page:
            params = {"align": f"{least:#x}", "page": f"{ground.largest_page:#x}"}
            yield Refusal("XC-ELF-021", Certainty.UNDECIDED, params)
    elif least < page:
        params = {"align": f"{least:#x}", "page": f"{page:#x}"}
        looks = not elf.program and ground.libc == "glibc" and ground.at_least(2, 35) is not True
        if misfits or (looks and ground.version is not None):
            yield Refusal("XC-ELF-020", Certainty.CERTAIN, params)
        elif looks:
            yield Refusal("XC-ELF-020", Certainty.UNDECIDED, params)


def _incongruent(elf: ElfObject, unit: int) -> Segment | None:
    """The first segment whose address and offset differ by no multiple of ``unit``."""
    # The kernel maps nothing for a segment without bytes; a loader looks at it all the same.
    looked = [s for s in elf.segments if s.size or not elf.program]
    return next((s for s in looked if (s.address - s.offset) % unit), None)


def _misplaced(elf: ElfObject, ground: Ground, page: int) -> Iterator[Refusal]:
    """Address and offset that do not agree: modulo the page everywhere, modulo p_align for glibc until 2.34."""
    segment, unit, certainty = _incongruent(elf, page), page, Certainty.CERTAIN
    if segment is None and not elf.program and ground.libc == "glibc" and ground.at_least(2, 35) is not True:
        unit = max(elf.load_alignments)
        segment = next((s for s in elf.segments if s.align > 1 and (s.address - s.offset) % s.align), None)
        unit = segment.align if segment is not None else unit
        certainty = Certainty.CERTAIN if ground.version is not None else Certainty.UNDECIDED
    if segment is None and ground.page is None:
        unit, certainty = ground.largest_page, Certainty.UNDECIDED
        segment = _incongruent(elf, unit) if min(elf.load_alignments) >= unit else None
    if segment is not None:
        params = {"address": f"{segment.address:#x}", "offset": f"{segment.offset:#x}", "unit": f"{unit:#x}"}
        yield Refusal("XC-ELF-032", certainty, params)


def _broken(elf: ElfObject) -> list[Message]:
    found = []
    if elf.header_entry not in (0, _HEADER[elf.bits]):
        found.append(_("its program headers have {n} bytes each", n=elf.header_entry))
    if elf.header_entry and not elf.segments:
        found.append(_("it has no loadable segment"))
    for s in elf.segments:
        if s.size > s.memory:
            found.append(_("the segment at {address:#x} has more bytes in the file than in memory", address=s.address))
        # Up to the end of a page the rest reads as zeros; beyond it lies SIGBUS.
        elif s.size and _up(s.offset + s.size) > _up(elf.file_size):
            found.append(
                _(
                    "the file ends at {end:#x}, before its segment at {address:#x} does",
                    end=elf.file_size,
                    address=s.address,
                )
            )
    return found[:3]


def _out_of_order(elf: ElfObject) -> list[Message]:
    """The gABI asks for ascending addresses; glibc, and the kernel before 5.18, reserve room from the first to the last.

    A program at fixed addresses is mapped piece by piece.
    """
    if elf.kind != "exec" and any(a.address > b.address for a, b in pairwise(elf.segments)):
        return [_("its segments are not in the order of their addresses")]
    return []


def _shared(elf: ElfObject, page: int) -> tuple[Segment, Segment, Message, bool] | None:
    """Two segments with one page in common, where the later mapping takes from the earlier what it needs."""
    placed = [s for s in elf.segments if s.memory]
    for first, second in pairwise(placed):
        if second.address // page * page >= first.address + first.memory or second.address < first.address:
            continue
        if second.address < first.address + first.memory:
            return first, second, _("they overlap"), True
        if second.size and first.address - first.offset != second.address - second.offset:
            return first, second, _("the later one is mapped over the end of the earlier one"), True
        lost = first.flags & ~second.flags & (_EXECUTE | _WRITE)
        if lost:
            why = _("code of the earlier one loses the right to execute")
            return first, second, why if lost & _EXECUTE else _("data of the earlier one become read-only"), False
    return None


def _up(size: int) -> int:
    return (size + SMALLEST_PAGE - 1) // SMALLEST_PAGE

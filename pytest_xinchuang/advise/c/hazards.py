"""What compiles, runs, and is wrong on a platform in circumstances that no compiler knows: open, with the run that decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.advise.c.flow import Use, follow, made_of
from pytest_xinchuang.advise.c.ir import Function, Instruction, Module
from pytest_xinchuang.advise.c.pairs import Pair, in_tree, place_of
from pytest_xinchuang.advise.c.va_lists import read_on
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch

PUBLICATION = "XC-ADV-033"
POINTER_TAG = "XC-ADV-034"
PAGE_SIZE = "XC-ADV-035"
LONG_DOUBLE = "XC-ADV-036"
ARGUMENTS = "XC-ADV-037"

USER_BITS: Mapping[Arch, int] = {Arch.AMD64: 47, Arch.ARM64: 48, Arch.LOONG64: 47}
"""Bits of an address that a process is given without asking for more (Linux: Documentation/arch/x86/x86_64/mm.rst,
Documentation/arch/arm64/memory.rst, arch/loongarch/include/asm/processor.h TASK_SIZE64 with 16 KiB pages)."""

_POINTER_LEAST = 40
"""A mask of fewer bits takes no address of a process apart."""


@dataclass(frozen=True)
class Hazard:
    """Something that may be wrong.

    Attributes:
        pages: for page sizes: what the code takes for the size of a page; it is right where that is the platform's.
        line: for cache lines: what the code takes for the length of one; it is too short where the platform has longer ones.
    """

    code: str
    certainty: Certainty
    place: str
    name: str
    what: str
    pages: int = 0
    line: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)


def hazards(pair: Pair, arch: Arch) -> Iterator[Hazard]:
    """Those within functions of a unit."""
    if pair.here is None:
        return
    module = pair.here.module
    base = pair.base.module if pair.base is not None else None
    for function in module.functions.values():
        if "inttoptr" in function.body:
            yield from _tags(module, function, arch)
        if _MAPS.search(function.body):
            yield from _pages(module, function)
        other = base.functions.get(function.name) if base is not None else None
        if base is not None and other is not None and "x86_fp80" in base.text:
            yield from _long_doubles(base, other)
        if base is not None and other is not None and arch is not Arch.AMD64:
            yield from _arguments_read_on(base, other)


def _tags(module: Module, function: Function, arch: Arch) -> Iterator[Hazard]:
    makers = {i.result: i for i in function.instructions if i.result}
    for i in function.instructions:
        if i.code != "inttoptr" or not i.values:
            continue
        kept, extended = _kept_bits(makers.get(i.values[0]), makers)
        if not kept:
            continue
        file, line = module.spot(i)
        if not in_tree(file):
            continue
        lost = kept < USER_BITS[arch] or (extended and kept <= USER_BITS[arch])
        words = f"{kept} bits, sign-extended" if extended else f"{kept} bits"
        sure = Certainty.GUARDED if lost else Certainty.NOTE
        yield Hazard(POINTER_TAG, sure, place_of(file, line), module.title(function), words)


def _kept_bits(maker: Instruction | None, makers: Mapping[str, Instruction]) -> tuple[int, bool]:
    """How many low bits of a number become an address, and whether the highest of them is spread; 0: all, or not known."""
    if maker is None:
        return 0, False
    if maker.code == "and" and (found := re.match(r"i64 (%[\w.$-]+), (-?\d+)$", maker.text)):
        mask = int(found[2]) & (1 << 64) - 1
        bits = mask.bit_length()
        holes = bin(mask | 0xFFFF).count("0") - 1
        return (bits, False) if _POINTER_LEAST <= bits < 64 and holes == 0 else (0, False)
    if maker.code in ("ashr", "lshr") and (found := re.match(r"(?:exact )?i64 (%[\w.$-]+), (\d+)$", maker.text)):
        shifted = makers.get(found[1])
        if shifted is not None and shifted.code == "shl":
            by = re.match(r"(?:nuw |nsw )*i64 %[\w.$-]+, (\d+)$", shifted.text)
            if by and by[1] == found[2] and _POINTER_LEAST <= 64 - int(by[1]) < 64:
                return 64 - int(by[1]), maker.code == "ashr"
    return 0, False


_MAPS = re.compile(r"@(?:mmap|mmap64|mprotect|munmap|madvise|msync|mlock|mremap|posix_madvise)\(")
_PAGED: Mapping[str, tuple[int, ...]] = {
    "mmap": (0, 5), "mmap64": (0, 5), "mprotect": (0,), "munmap": (0,), "madvise": (0,), "msync": (0,), "mlock": (0,),
    "mremap": (0,), "posix_madvise": (0,),
}  # fmt: skip
"""Which arguments the kernel refuses with EINVAL unless they are multiples of the page size (mmap(2), mprotect(2))."""

_PAGE = 4096
_BY_PAGES = re.compile(r", (?:i\d+ )?(-?\d+)$")


def _pages(module: Module, function: Function) -> Iterator[Hazard]:
    for i in function.instructions:
        places = _PAGED.get(i.callee) if i.code == "call" else None
        if places is None:
            continue
        arguments = _arguments(i)
        values = [arguments[n] for n in places if n < len(arguments)]
        words = next((w for v in values if (w := _by_page(function, v))), "")
        file, line = module.spot(i)
        if words and in_tree(file):
            yield Hazard(
                PAGE_SIZE,
                Certainty.GUARDED,
                place_of(file, line),
                f"{module.title(function)}()",
                f"{i.callee}: {words}",
                _PAGE,
            )


def _arguments(call: Instruction) -> list[str]:
    """The last word of each argument."""
    return [words[-1] for part in _parted(call.arguments) if (words := part.split())]


def _parted(text: str) -> list[str]:
    """What stands between commas, up to a bracket that closes what is not open here."""
    depth, parts, now = 0, [], ""
    for letter in text:
        if letter == ")" and depth == 0:
            break
        depth += (letter in "([{<") - (letter in ")]}>")
        if letter == "," and depth == 0:
            parts.append(now)
            now = ""
        else:
            now += letter
    return [*parts, now]


def _by_page(function: Function, value: str) -> str:
    """How an address or an offset is made with the number 4096; "" where it is not."""
    if re.fullmatch(r"\d+", value):
        return value if int(value) and int(value) % _PAGE == 0 and int(value) % (_PAGE * 16) else ""
    for i in made_of(function, [value]):
        found = _BY_PAGES.search(i.text)
        if found is None:
            continue
        number = int(found[1])
        if i.code == "and" and number in (-_PAGE, _PAGE - 1):
            return f"& {number}"
        if i.code in ("mul", "urem", "srem", "udiv", "sdiv") and number == _PAGE:
            return f"{i.code} {number}"
        if i.code in ("add", "sub", "getelementptr") and number and number % _PAGE == 0 and number % (_PAGE * 16):
            return f"{'+' if number > 0 else '-'} {abs(number)}"
    return ""


_WRITERS = ("fwrite", "fread", "write", "read", "pwrite", "pread", "send", "sendto", "recv", "fwrite_unlocked")


_STREAMS = re.compile(r"^_ZN(?:So5write|Si4read)|^_ZNSt.*basic_[io]stream.*(?:5writeEPK|4readEP)")
"""Of C++'s streams std::ostream::write and std::istream::read (Itanium C++ ABI, 5.1; with libc++'s names of its own)."""


def _holds_one(module: Module, text: str, depth: int = 8) -> bool:
    """Whether a type, as the IR writes it, is a long double of x86-64 or has one in it."""
    if "x86_fp80" in text:
        return True
    names = re.findall(r"%(?:struct|class|union)\.[\w.$:]+", text) if depth else []
    return any(_holds_one(module, module.types.get(name, ""), depth - 1) for name in names)


def _long_doubles(base: Module, other: Function) -> Iterator[Hazard]:
    makers = {i.result: i for i in other.instructions if i.result}
    for i in other.instructions:
        if i.code != "call" or not (i.callee in _WRITERS or _STREAMS.search(i.callee)):
            continue
        for value in _arguments(i):
            maker = makers.get(value)
            made = _made(base, maker) if maker is not None else ""
            if not _holds_one(base, base.type_of(value[1:]) if value.startswith("@") else made):
                continue
            file, line = base.spot(i)
            if in_tree(file):
                yield Hazard(
                    LONG_DOUBLE, Certainty.GUARDED, place_of(file, line), base.title(other), _plain_name(i.callee)
                )


def _plain_name(callee: str) -> str:
    if callee in _WRITERS:
        return callee
    return "std::ostream::write" if "5write" in callee else "std::istream::read"


def _made(module: Module, maker: Instruction) -> str:
    """The type of what an address is of, where that is a variable of the function's own or a member of a structure."""
    if maker.code == "getelementptr" and (found := _MEMBER.search(maker.text)):
        members = _members(module.types.get(found[1], ""))
        return members[int(found[2])] if int(found[2]) < len(members) else ""
    return maker.text if maker.code in ("alloca", "getelementptr") else ""


_MEMBER = re.compile(r"(%(?:struct|class|union)\.[\w.$:]+), ptr [^,]+, i\d+ 0, i\d+ (\d+)$")


def _members(text: str) -> list[str]:
    """The members of a structure: ``{ i32, [2 x x86_fp80] }``."""
    return _parted(text.strip().removeprefix("<").removesuffix(">").strip()[1:-1])


def _arguments_read_on(base: Module, other: Function) -> Iterator[Hazard]:
    for found in read_on(other):
        file, line = base.spot(found.instruction)
        if in_tree(file):
            yield Hazard(ARGUMENTS, Certainty.GUARDED, place_of(file, line), base.title(other), found.callee)


@dataclass(frozen=True)
class Access:
    """What a function does with memory that others see: a flag, volatile or atomic, and the plain data around it.

    Attributes:
        flag: a global variable, or a structure with the number of its field; ``data`` likewise.
        writes: it writes the data, then the flag; else it waits for the flag, and reads the data.
        ordered: the access to the flag orders the others: a release or an acquire, or more.
    """

    flag: str
    data: frozenset[str]
    writes: bool
    place: str
    name: str
    ordered: bool = False


def accesses(pair: Pair) -> Iterator[Access]:
    """Those of a unit."""
    if pair.here is None:
        return
    module = pair.here.module
    for function in module.functions.values():
        if " volatile " in function.body or " atomic " in function.body:
            yield from _writes(module, function)
            yield from _waits(module, function)


def publications(found: Sequence[Access]) -> Iterator[Hazard]:
    """Data that is written plainly, then a flag; elsewhere the flag is waited for, then the data: one orders nothing."""
    for writer in (access for access in found if access.writes):
        others = (r for r in found if not r.writes and r.flag == writer.flag and r.data & writer.data)
        reader = next((r for r in others if not (writer.ordered and r.ordered)), None)
        if reader is not None:
            what = ", ".join(sorted(writer.data & reader.data)[:3])
            evidence = {"flag": writer.flag, "read_at": reader.place, "read_in": reader.name}
            words = f"{what}; {writer.flag}"
            yield Hazard(PUBLICATION, Certainty.GUARDED, writer.place, writer.name, words, evidence=evidence)


def _orders(module: Module, i: Instruction) -> bool:
    """Whether an instruction may order memory: barriers, atomics, assembler, and what other units do."""
    if i.atomic:
        return not i.relaxed
    if i.code != "call" or i.callee.startswith("llvm."):
        return False
    if i.assembler is not None:
        return bool(i.assembler.strip())
    called = module.functions.get(i.callee)
    return called is None or any(
        j.code in ("fence", "cmpxchg", "atomicrmw", "call") and not j.callee.startswith("llvm.")
        for j in called.instructions
    )


def _writes(module: Module, function: Function) -> Iterator[Access]:
    shown = _shown(function)
    for block in function.blocks.values():
        data: set[str] = set()
        for i in block:
            key = _key(i, shown) if i.code == "store" else ""
            if key and not i.relaxed and not i.atomic:
                data.add(key)
            elif key and data - {key}:
                file, line = module.spot(i)
                if in_tree(file):
                    place, name = place_of(file, line), module.title(function)
                    yield Access(key, frozenset(data - {key}), True, place, name, not i.relaxed)
            if _orders(module, i):
                data.clear()


def _waits(module: Module, function: Function) -> Iterator[Access]:
    shown = _shown(function)
    for label, block in function.blocks.items():
        for number, i in enumerate(block):
            if i.code != "load" or not (i.relaxed or i.atomic) or not (key := _key(i, shown)):
                continue
            data = _read_behind(module, function, shown, label, number) - {key}
            if data and Use.CONDITION in follow(function, [i.result]).uses:
                file, line = module.spot(i)
                place, name = place_of(file, line), module.title(function)
                yield Access(key, frozenset(data), False, place, name, not i.relaxed)


def _read_behind(module: Module, function: Function, shown: Mapping[str, str], label: str, number: int) -> set[str]:
    """What is read plainly behind an instruction, before anything that may order memory: what comes later may be ordered."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = [(label, number + 1)]
    while todo:
        now, first = todo.pop()
        for i in function.blocks.get(now, ())[first:]:
            if _orders(module, i):
                break
            if i.code == "load" and not i.relaxed and (key := _key(i, shown)):
                found.add(key)
        else:
            after = function.follows.get(now, frozenset()) - seen
            seen |= after
            todo += [(each, 0) for each in after]
    return found


_FIELD = re.compile(r"(?:inbounds |nuw |nusw )*(%(?:struct|class|union)\.[\w.$:]+), ptr [^,]+((?:, i\d+ \d+)+)$")
_POINTER = re.compile(r", ptr (@[\w.$-]+|%[\w.$-]+)")


def _shown(function: Function) -> Mapping[str, str]:
    """Values that point to what has a name for others -> it: a global variable, or a field of a structure."""
    shown = {}
    makers = {i.result: i for i in function.instructions if i.result}
    for i in function.instructions:
        if i.code == "getelementptr" and (found := _FIELD.match(i.text)):
            pointer = _POINTER.search(i.text)
            maker = makers.get(pointer[1]) if pointer else None
            if maker is None or maker.code != "alloca":  # a structure of its own is seen by nobody
                shown[i.result] = found[1].removeprefix("%") + re.sub(
                    r", i\d+ ", ".", found[2].partition(" 0,")[2] or found[2]
                )
        elif i.code == "getelementptr" and i.symbols:
            shown[i.result] = i.symbols[0]
    return shown


_WITHIN = re.compile(r"\bptr getelementptr [^(]*\([^,]+, ptr @([\w.$-]+)((?:, i\d+ \d+)+)\)")
"""A place within a global variable, as a constant (LLVM Language Reference Manual, Constant Expressions)."""


def _key(i: Instruction, shown: Mapping[str, str]) -> str:
    if within := _WITHIN.search(i.text):
        return within[1] + re.sub(r", i\d+ ", ".", within[2])
    pointer = _POINTER.search(f", {i.text}" if i.text.startswith("ptr ") else i.text)
    if pointer is None:
        return ""
    return pointer[1].removeprefix("@") if pointer[1].startswith("@") else shown.get(pointer[1], "")

"""The kernel that a language's run time asks for, by the release of its compiler.

Sources: Go wiki, Linux and MinimumRequirements; rustc book, platform support (rust-lang/rust#95861 for what was before 1.64).
"""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Confidence
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.judge import Judge

Number = tuple[int, ...]

GO: tuple[tuple[Number, Number], ...] = (((1, 24), (3, 2)), ((1, 19), (2, 6, 32)), ((1, 0), (2, 6, 23)))
"""Since which Go which kernel is needed, the newest first."""
GO_OF = {Arch.LOONG64: (5, 19)}

RUST: dict[Arch, tuple[tuple[Number, Number], ...]] = {
    Arch.AMD64: (((1, 64), (3, 2)), ((1, 0), (2, 6, 32))),
    Arch.ARM64: (((1, 0), (4, 1)),),
    Arch.LOONG64: (((1, 71), (5, 19)),),
}

_RUSTC = re.compile(r"rustc version ([0-9]+\.[0-9]+(?:\.[0-9]+)?)")


def check_kernel(judge: Judge, record: ElfRecord) -> None:
    """A program or library of Go or Rust on a kernel below what its run time is made for."""
    arch, fact = judge.platform.arch, judge.platform.system.kernel
    if fact.value is None or record.elf.relocatable:
        return
    go = record.elf.go
    if go is not None and not go.forked and go.number:
        asked = max(next((least for since, least in GO if go.number >= since), (0,)), GO_OF.get(arch, (0,)))
        _compare(judge, record, go.version, asked, Certainty.CERTAIN)
    for said in record.elf.compilers:
        match = _RUSTC.match(said)
        if match is not None:
            least = next((least for since, least in RUST.get(arch, ()) if version_key(match[1]) >= since), (0,))
            # What is not supported may still do: nothing of it refuses to start.
            _compare(judge, record, match[0], least, Certainty.GUARDED)
            return


def _compare(judge: Judge, record: ElfRecord, version: str, asked: Number, certainty: Certainty) -> None:
    system = judge.platform.system
    if version_key(system.kernel.value or "") >= asked:
        return
    if any(f.code == "XC-GO-003" and f.object == record.place for f in judge.findings):
        return  # it is of the other world, which is why the kernel is older
    judge.find(
        "XC-SYS-023",
        Certainty.UNDECIDED if system.kernel.confidence is Confidence.INFERRED else certainty,
        record.place,
        version=version,
        asked=".".join(map(str, asked)),
        kernel=system.kernel.value,
        system=system.title.message(),
    )

"""What MRU takes from the inspection of a unit's objects, without running them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import load_findings
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.packages.mru import static
from pytest_xinchuang.packages.mru.findings import UnitRecord
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder
from tests.mutants.porting.tools import Tools
from tests.tiers import starts_programs


@pytest.fixture
@starts_programs
def tools(tmp_path: Path, platforms: Platforms) -> Tools:
    return Tools(tmp_path, platforms, Builder(Cache()))


def failed(data: bytes, platform: str, platforms: Platforms) -> set[str]:
    record = UnitRecord("unit")
    static.inspect(
        record,
        {"app": data},
        platforms.get(platform),
        load_findings(),
        allowed=(),
        shipped=frozenset(),
        provided=frozenset({"libc.so.6"}),
    )
    return {finding.requirement for finding in record.findings}


def moved(data: bytes, by: int) -> bytes:
    """The last PT_LOAD at an offset that does not fit its address, as a rewritten object has it."""
    at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    place = [n for n in range(at, at + size * count, size) if data[n : n + 4] == b"\1\0\0\0"][-1]
    changed = bytearray(data)
    struct.pack_into("<Q", changed, place + 8, struct.unpack_from("<Q", data, place + 8)[0] + by)
    return bytes(changed) + bytes(by)


def test_alignment_is_where_segments_lie_and_not_what_they_claim(tools: Tools, platforms: Platforms) -> None:
    good = tools.c(Arch.ARM64, "int main(void) { return 0; }\n")
    assert failed(good, "phytium", platforms) == set()
    assert failed(moved(good, 0x1000), "phytium", platforms) == {static.ALIGNMENT}
    # 64K are the pages of that platform; with 4K it is mapped.
    assert failed(moved(good, 0x1000), "kunpeng920-openeuler_22_03", platforms) == set()


def test_another_system_fails_the_machine(tools: Tools, platforms: Platforms) -> None:
    good = tools.c(Arch.ARM64, "int main(void) { return 0; }\n")
    assert failed(good[:7] + b"\x09" + good[8:], "phytium", platforms) == {static.MACHINE}

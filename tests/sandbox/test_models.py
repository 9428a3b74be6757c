"""QEMU's CPU models against the features of platforms.yaml: a strict model has nothing that the CPU lacks, and it is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.tools.process import Runner
from tests.tiers import starts_programs

_NAMES = """
    fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc
    dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg
"""
_NAMES2 = """
    dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm
    svebf16 i8mm bf16 dgh rng bti mte ecv
"""
HWCAP, HWCAP2 = _NAMES.split(), _NAMES2.split()
"""Bits of AT_HWCAP and AT_HWCAP2 on arm64, as /proc/cpuinfo names them (arch/arm64/include/uapi/asm/hwcap.h)."""

KERNELS_OWN = {"evtstrm", "cpuid"}
"""What the kernel grants and no instruction is: the event stream, and the emulation of the ID registers."""


@pytest.fixture
@starts_programs
def arm64(pool: Pool, platforms: Platforms) -> tuple[str, Path]:
    platform = platforms.get("kunpeng920-openeuler_24_03")
    return str(pool.store.emulator(platform.architecture.qemu).path), pool.store.rootfs_for(platform).path


def capabilities(arm64: tuple[str, Path], model: str) -> set[str]:
    """What a program is told of the CPU under a model."""
    qemu, root = arm64
    words = [qemu, "-cpu", model, "-E", "LD_SHOW_AUXV=1", "-L", str(root), str(root / "bin/true")]
    text = Runner().run(words, timeout_s=60).text
    first, second = (re.search(rf"{name}:\s+(?:0x)?([0-9a-f]+)", text) for name in ("AT_HWCAP", "AT_HWCAP2"))
    assert first is not None, text
    found = {name for bit, name in enumerate(HWCAP) if int(first[1], 16) >> bit & 1}
    return found | {name for bit, name in enumerate(HWCAP2) if second and int(second[1], 16) >> bit & 1}


@pytest.mark.sandbox
def test_strict_models_have_no_more_than_is_told(arm64: tuple[str, Path], platforms: Platforms) -> None:
    for name, cpu in platforms.file.cpus.items():
        if cpu.arch is not Arch.ARM64:
            continue
        if cpu.features.value is None:
            assert not cpu.emulation.exact, name  # nothing is decided by a list that nobody knows
            continue
        known = set(cpu.features.value)
        unsure = set(cpu.unsure.value or ()) if cpu.unsure is not None else set()
        has = capabilities(arm64, cpu.emulation.strict.value or "")
        assert has - known - unsure == set(cpu.emulation.excess), name
        if cpu.emulation.exact:
            assert known - has <= KERNELS_OWN, name

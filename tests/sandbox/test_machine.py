"""Whether a host is the platform that it says it is: what the processor, the kernel and the board say, by faked readers."""

from __future__ import annotations

import os
import platform as host
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.sandbox import machine, registers
from pytest_xinchuang.sandbox.backends.direct import open_native
from pytest_xinchuang.sandbox.machine import HostReader, doubts, look, told_of, twins_of
from tests.messages.english import english_in

MOUNTS = """22 1 8:2 / / rw - ext4 /dev/sda2 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 24 0:7 / /sys/kernel/security rw - securityfs securityfs rw
26 23 0:30 / /proc/sys/fs/binfmt_misc rw - binfmt_misc binfmt_misc rw
"""
ARM = (
    "processor\t: 0\nBogoMIPS\t: 200.00\nFeatures\t: fp asimd aes cpuid\nCPU implementer\t: 0x48\n"
    "CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd01\nCPU revision\t: 0\n\nprocessor\t: 1\n"
)
HYGON = (
    "processor\t: 0\nvendor_id\t: HygonGenuine\ncpu family\t: 24\nmodel\t\t: 0\n"
    "model name\t: Hygon C86 3185  8-core Processor\nstepping\t: 2\nflags\t\t: fpu tsc sse sse2\n\n"
)
LOONGSON = (
    "processor\t\t: 0\nCPU Family\t\t: Loongson-64bit\nModel Name\t\t: Loongson-3A5000\nCPU Revision\t\t: 0x10\n"
    "Features\t\t: cpucfg lam ual fpu lsx\n\n"
)
NAME = b"Hygon C86 3185  8-core Processor".ljust(48, b"\0")
LEAVES = {
    0: struct.unpack("<IIII", b"\x0d\0\0\0" + b"Hygo" + b"uine" + b"nGen"),
    1: (0x00900F02, 0, 0, 1 << 0 | 1 << 4 | 1 << 25 | 1 << 26),
    0x80000002: struct.unpack("<IIII", NAME[:16]),
    0x80000003: struct.unpack("<IIII", NAME[16:32]),
    0x80000004: struct.unpack("<IIII", NAME[32:]),
}


@dataclass
class Fake:
    """A host that is made up."""

    files: dict[str, str]
    at_platform: str
    hwcap: int
    elf: int
    leaves: dict[int, tuple[int, ...]] = field(default_factory=dict)
    midr_value: int | None = None
    prid_value: int | None = None
    links: dict[str, str] = field(
        default_factory=lambda: {"/proc/self/exe": "/usr/bin/python3", "/proc/thread-self/exe": "/usr/bin/python3"}
    )
    magics: dict[str, int] = field(default_factory=dict)

    def file(self, path: str) -> str | None:
        return self.files.get(path)

    def link(self, path: str) -> str | None:
        return self.links.get(path)

    def head(self, path: str) -> bytes:
        return b"\x7fELF" + b"\0" * 14 + struct.pack("<H", self.elf) + b"\0" * 44

    def magic(self, path: str) -> int | None:
        if path in self.magics or path not in self.files:
            return self.magics.get(path)
        return machine.PROC_MAGIC if path.startswith("/proc") else machine.SYSFS_MAGIC

    def auxiliary(self, key: int) -> int:
        return self.hwcap if key == registers.AT_HWCAP else 0

    def auxiliary_text(self, key: int) -> str:
        return self.at_platform

    def cpuid(self, leaf: int) -> tuple[int, int, int, int] | None:
        found = self.leaves.get(leaf)
        return None if found is None else (found[0], found[1], found[2], found[3])

    def midr(self) -> int | None:
        return self.midr_value

    def prid(self) -> int | None:
        return self.prid_value


def kunpeng() -> Fake:
    files = {
        "/proc/cpuinfo": ARM,
        "/proc/self/mountinfo": MOUNTS,
        machine.MIDR: "0x00000000481fd010\n",
        f"{machine.DMI}/sys_vendor": "Huawei\n",
        f"{machine.DMI}/product_name": "TaiShan 200\n",
    }
    return Fake(files, "aarch64", 1 | 1 << 1 | 1 << 3 | 1 << 11, 183, midr_value=0x481FD010)


def hygon() -> Fake:
    files = {"/proc/cpuinfo": HYGON, "/proc/self/mountinfo": MOUNTS, f"{machine.DMI}/sys_vendor": "Sugon\n"}
    return Fake(files, "x86_64", LEAVES[1][3], 62, leaves=dict(LEAVES))


def loongson() -> Fake:
    files = {
        "/proc/cpuinfo": LOONGSON,
        "/proc/self/mountinfo": MOUNTS,
        "/proc/device-tree/model": "Loongson-3A5000-HV\0",
    }
    return Fake(files, "loongarch", 0b11111, 258, prid_value=0x14C010)


HOSTS: dict[str, Callable[[], Fake]] = {"kunpeng": kunpeng, "hygon": hygon, "loongson": loongson}


def told(platforms: Platforms, name: str, fake: Fake) -> str:
    found = doubts(platforms.get(name), look(fake))
    assert not [text for text in found if english_in(text.render("zh"))]
    return "\n".join(map(str, found))


@pytest.mark.parametrize("name", HOSTS)
def test_a_board_of_which_everything_agrees_is_believed(platforms: Platforms, name: str) -> None:
    assert told(platforms, name, HOSTS[name]()) == ""


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f.links.update({"/proc/thread-self/exe": "/usr/bin/qemu-x"}), "an emulator"),
        (lambda f: f.links.pop("/proc/thread-self/exe"), "an emulator"),
        (lambda f: setattr(f, "elf", 3), "of the machine 3"),
        (lambda f: setattr(f, "at_platform", ""), "the auxiliary vector says ?"),
        (lambda f: setattr(f, "hwcap", 0), "no AT_HWCAP"),
        (lambda f: setattr(f, "hwcap", f.hwcap ^ 1), "differ about"),
        (lambda f: f.magics.update({"/proc/cpuinfo": 0xEF53}), "mounted over /proc/cpuinfo"),
        (lambda f: f.files.pop("/proc/self/mountinfo"), "mounted over /proc/self/mountinfo"),
        (lambda f: _mount(f, "/proc/cpuinfo"), "mounted over /proc/cpuinfo"),
        (lambda f: _mount(f, "/etc/os-release"), "mounted over /etc/os-release"),
        (lambda f: _mount(f, "/etc"), "mounted over /etc"),
        (lambda f: _mount(f, "/proc"), "mounted over /proc"),
        (lambda f: _mount(f, "/sys"), "mounted over /sys"),
        (lambda f: [f.files.pop(n) for n in list(f.files) if "dmi" in n or "device-tree" in n], "neither DMI nor"),
        (lambda f: f.files.update({f"{machine.DMI}/product_name": "QEMU Virtual Machine"}), "that it is no emulator"),
        (lambda f: f.files.update({"/proc/cpuinfo": ""}), ""),
    ],
)
def test_what_does_not_agree_or_is_not_known_is_not_native(
    platforms: Platforms, name: str, spoil: Callable[[Fake], object], says: str
) -> None:
    fake = HOSTS[name]()
    spoil(fake)
    found = told(platforms, name, fake)
    assert found and says in found


def _mount(fake: Fake, point: str) -> None:
    fake.files["/proc/self/mountinfo"] += f"40 22 8:2 /fake {point} rw - ext4 /dev/sda2 rw\n"


def test_a_cpuinfo_that_is_bound_over_does_not_fit_the_processor(platforms: Platforms) -> None:
    """Another CPU whose /proc/cpuinfo was replaced, and nothing else: no mount is seen, the file system is the right one."""
    amd = hygon()
    amd.leaves[0] = struct.unpack("<IIII", b"\x0d\0\0\0" + b"Auth" + b"cAMD" + b"enti")
    found = told(platforms, "hygon", amd)
    assert "the processor says vendor_id AuthenticAMD, and /proc/cpuinfo HygonGenuine" in found
    assert "the processor itself does not show" in found
    other = kunpeng()
    other.midr_value = 0x410FD0C0
    found = told(platforms, "kunpeng", other)
    assert "cpu part 0xd0c, and /proc/cpuinfo 0xd01" in found and "in sysfs" in found
    third = loongson()
    third.prid_value = 0x14D012
    assert "revision 0x10" in told(platforms, "loongson", third)
    third.prid_value = 0x010010
    assert "is not Loongson's" in told(platforms, "loongson", third)


def test_a_processor_that_cannot_be_asked_is_not_native(platforms: Platforms) -> None:
    silent = (replace(kunpeng(), midr_value=None), replace(loongson(), prid_value=None), replace(hygon(), leaves={}))
    for name, fake in zip(HOSTS, (silent[0], silent[2], silent[1]), strict=True):
        assert "could not be asked" in told(platforms, name, fake)


def test_a_hypervisor_is_told_and_an_emulating_one_is_not_native(platforms: Platforms) -> None:
    guest = hygon()
    guest.leaves[1] = (LEAVES[1][0], 0, 1 << 31, LEAVES[1][3])
    assert "its hypervisor is ?" in told(platforms, "hygon", guest)
    guest.leaves[0x40000000] = (0, *struct.unpack("<III", b"TCGTCGTCGTCG"))
    assert "its hypervisor is TCGTCGTCGTCG, which may be an emulator" in told(platforms, "hygon", guest)
    guest.leaves[0x40000000] = (0, *struct.unpack("<III", b"KVMKVMKVM\0\0\0"))
    assert told(platforms, "hygon", guest) == ""
    said = told_of(look(guest))
    assert said is not None and "under the hypervisor KVMKVMKVM" in said
    assert told_of(look(hygon())) is None


def test_a_chip_that_cannot_be_told_from_its_siblings_is_told(platforms: Platforms) -> None:
    fake = kunpeng()
    assert twins_of(platforms.get("kunpeng"), look(fake)) is None
    text = "processor\t: 0\nFeatures\t: fp\nCPU implementer\t: 0x70\nCPU part\t: 0x663\n"
    fake.files["/proc/cpuinfo"] = text
    said = twins_of(platforms.get("phytium"), look(fake))
    assert said is not None and "phytium_ft2000_4, phytium_s2500" in said
    assert not english_in(said.render("zh"))
    fake.files["/proc/cpuinfo"] = "processor\t: 0\nmodel name\t: Phytium,D2000/8\n" + text.partition("\n")[2]
    assert twins_of(platforms.get("phytium"), look(fake)) is None


def test_containers_cover_the_device_tree_and_have_dmi_all_the_same(platforms: Platforms) -> None:
    fake = kunpeng()
    _mount(fake, "/sys/firmware")
    assert told(platforms, "kunpeng", fake) == ""
    tree = loongson()
    _mount(tree, "/proc/device-tree")
    assert "mounted over /proc/device-tree" in told(platforms, "loongson", tree)


def test_the_journal_keeps_what_was_seen() -> None:
    data = look(kunpeng()).as_data()
    assert (
        data["midr"] == 0x481FD010
        and data["board"] == "Huawei; TaiShan 200"
        and "processor\t: 1" not in data["cpuinfo"]
    )


def test_this_host_answers() -> None:
    seen = look(HostReader())
    assert seen.hwcap and seen.platform and not seen.emulated
    assert not set(seen.covered) - {"/sys/firmware"}  # which engines cover in their containers
    if host.machine() == "x86_64":
        assert seen.edx == seen.hwcap & 0xFFFFFFFF
        fields = machine._fields(seen.processor)
        assert {n: machine._fields(seen.cpuinfo)[n] for n in fields if n != "model name"} == {
            n: v for n, v in fields.items() if n != "model name"
        }


def test_a_native_sandbox_of_a_host_that_is_none(platforms: Platforms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_xinchuang.sandbox.backends.direct.differences", lambda *_: [])
    with pytest.raises(SandboxFault, match="this host is not"):
        open_native(platforms.get("loongson"))


@pytest.mark.sandbox
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounts need root")
def test_files_that_are_bound_over_are_seen_here(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(HYGON)
    program = "from pytest_xinchuang.sandbox.machine import *\nm = look(HostReader())\nprint(m.covered, m.cpuinfo[:40])"
    mount = f"mount --bind {tmp_path}/cpuinfo /proc/cpuinfo && exec {sys.executable} -c '{program}'"
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True, check=False)
    assert "/proc/cpuinfo" in done.stdout and "HygonGenuine" in done.stdout, done.stderr

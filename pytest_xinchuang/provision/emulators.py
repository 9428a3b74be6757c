"""Emulators from a distribution's packages: static qemu-user programs, and qemu-system with its libraries and firmware."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.provision.debian import Package
from pytest_xinchuang.provision.debs import Wanted, read_members
from pytest_xinchuang.provision.pins import Pinned
from pytest_xinchuang.provision.refs import MARKER, MARKER_OFFSET, SystemEmulatorRef
from pytest_xinchuang.provision.supply import Supply
from pytest_xinchuang.provision.trees import make_directory
from pytest_xinchuang.tools.process import Runner, first_line

ANSWER_TIMEOUT_S = 120

Builder = Callable[[Path], tuple[str, dict[str, str]]]

PROGRAMS = ("qemu-aarch64", "qemu-loongarch64", "qemu-x86_64")

SYSTEM_PROGRAMS = ("qemu-system-aarch64", "qemu-system-loongarch64", "qemu-system-x86_64")

SYSTEM_PACKAGES = ("qemu-system-arm", "qemu-system-misc", "qemu-system-x86", "seabios", "qemu-efi-loongarch64")
"""What ``scripts/pin`` asks for; of what they need, the lock keeps the packages whose libraries the programs load."""

DATA = (
    "qemu/linuxboot.bin",
    "qemu/linuxboot_dma.bin",
    "qemu/pvh.bin",
    "qemu/kvmvapic.bin",
    "seabios/bios-256k.bin",
    "qemu-efi-loongarch64/QEMU_EFI.fd",
)
"""What of /usr/share the machines need: boot ROMs and firmware."""

_LIBRARY = re.compile(r"(usr/)?lib\d*/(.*/)?[^/]+\.so(\.[^/]*)?")


def build_emulators(supply: Supply, name: str, tree: Path, runner: Runner) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with static qemu programs, each with our mark in its ELF header."""
    pinned = supply.pins.named("emulator", name)
    for each, content in _programs(supply, pinned, tree):
        program = bytearray(content)
        program[MARKER_OFFSET : MARKER_OFFSET + len(MARKER)] = MARKER
        # qemu-aarch64 answers for /proc/cpuinfo by itself, with a model name that no such machine prints. Without a
        # file that it looks for, the sandbox's own is seen.
        program = program.replace(b"/proc/cpuinfo\0", b"/proc/cpuinf-\0")
        (tree / each).write_bytes(program)
        (tree / each).chmod(0o755)
    said = _run([str(tree / PROGRAMS[0]), "--version"], _("ask qemu for its version"), runner)
    return f"Debian {pinned.suite} qemu-user", {"version": first_line(said).rpartition("version ")[2]}


def _programs(supply: Supply, pinned: Pinned, tree: Path) -> Iterator[tuple[str, bytes]]:
    """The programs of the package, which has thirty others: only what they lie in is decompressed, where that is known."""
    wanted = [f"usr/bin/{program}" for program in PROGRAMS]
    if len(pinned.packages) == 1 and pinned.spans.keys() >= set(wanted):
        ((package, file),) = supply.fetch(pinned)
        found = read_members(package, file, [pinned.spans[name] for name in wanted])
        if found is not None and all(content[:4] == b"\x7fELF" for content in found):
            yield from zip(PROGRAMS, found, strict=True)
            return
    with tempfile.TemporaryDirectory(dir=tree.parent) as place:
        supply.unpack(pinned, Path(place), lambda _package: Wanted(set(wanted).__contains__, most=len(wanted)))
        for each in PROGRAMS:
            yield each, _of_package(pinned, Path(place) / "usr/bin" / each).read_bytes()


def build_system_emulator(supply: Supply, name: str, tree: Path, runner: Runner) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with the qemu-system programs, their loader and libraries, and the firmware: nothing of the host's."""
    pinned = supply.pins.named("system-emulator", name)
    with tempfile.TemporaryDirectory(dir=tree.parent) as place:
        scratch = Path(place)
        supply.unpack(pinned, scratch, of_a_system_emulator)
        for directory in ("bin", "lib", "share"):
            make_directory(tree / directory)
        loader = next(iter(sorted(scratch.glob("usr/lib*/**/ld-linux-*.so.*"))), scratch / "usr/lib/ld-linux.so")
        _copy(_of_package(pinned, loader), tree / "lib/loader")
        libraries = sorted(
            {path.parent for path in scratch.glob("usr/lib/*-linux-gnu*/**/*.so*")}, key=lambda p: len(p.parts)
        )
        for program in SYSTEM_PROGRAMS:
            _copy(_of_package(pinned, scratch / "usr/bin" / program), tree / "bin" / program)
            words = [str(tree / "lib/loader"), "--library-path", ":".join(map(str, libraries)), "--list"]
            needed = _run([*words, str(tree / "bin" / program)], _("read what {name} needs", name=program), runner)
            for found in re.findall(r"=> (\S+)", needed):
                if Path(found).is_relative_to(scratch):
                    _copy(Path(found), tree / "lib" / Path(found).name)
        for item in DATA:
            target = tree / "share" / item
            make_directory(target.parent)
            _copy(_of_package(pinned, scratch / "usr/share" / item), target)
    words = [*SystemEmulatorRef(tree, "", "").command(SYSTEM_PROGRAMS[0]), "--version"]
    said = first_line(_run(words, _("ask qemu for its version"), runner))
    return f"Debian {pinned.suite} qemu-system", {"version": said.partition("version ")[2]}


def of_a_system_emulator(package: Package) -> Wanted:
    """What of a package is taken: programs, firmware, and of all others the shared libraries."""
    if package.name.startswith(("qemu-", "seabios")):
        files = {f"usr/share/{item}" for item in DATA} | {f"usr/bin/{program}" for program in SYSTEM_PROGRAMS}
        return Wanted(files.__contains__)
    return Wanted(lambda name: _LIBRARY.fullmatch(name) is not None)


def _of_package(pinned: Pinned, file: Path) -> Path:
    """A file that packages should have brought.

    Raises:
        HostFault: they have not.
    """
    if not file.is_file():
        raise HostFault(_("the packages of Debian {suite} brought no {file}", suite=pinned.suite, file=file.name))
    return file


def _copy(file: Path, place: Path) -> None:
    shutil.copy(file, place)
    place.chmod(0o755 if os.access(file, os.X_OK) else 0o644)


def _run(argv: list[str], doing: Message, runner: Runner) -> str:
    """What a program of ours prints.

    Args:
        doing: what it is run for, after "could not".

    Raises:
        HostFault: it failed.
    """
    done = runner.run(argv, timeout_s=ANSWER_TIMEOUT_S)
    if not done.ok:
        raise HostFault(_("could not {do}: {why}", do=doing, why=done.told()))
    return done.text

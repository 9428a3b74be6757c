"""What was provisioned, as a sandbox is handed it: names, places, digests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.messages import NOTHING, Message

SANDBOX_HOST_UID = 64321
"""The unprivileged host id that target code runs as when the host user is root; free in Debian's static ranges
(Debian Policy 9.2.2: 60000-64999 is for packages that ask for one), and it owns no file but ours."""

MARKER_OFFSET, MARKER = 9, b"\x01"
"""What tells our emulators and launchers from programs that are to be emulated: a byte at EI_PAD, the first padding byte of
e_ident (System V gABI), which is zero elsewhere and which loaders ignore."""


@dataclass(frozen=True)
class RootfsRef:
    """A provisioned root filesystem.

    Attributes:
        differs: how a stand-in differs from the platform's own, for people.
    """

    name: str
    path: Path
    digest: str
    libc_version: str
    stand_in: bool
    differs: tuple[Message, ...]


@dataclass(frozen=True)
class EmulatorRef:
    """A provisioned static qemu-user."""

    path: Path
    digest: str
    version: str


@dataclass(frozen=True)
class KernelRef:
    """A provisioned kernel.

    Attributes:
        page_size: its base page in bytes, as its recipe says; None: only the kernel itself knows.
        cpu: the CPU model that it needs, where the platform's own cannot run it; ``why`` says why.
        modules: kernel modules that it needs for its virtio, in the order in which they are loaded.
    """

    name: str
    image: Path
    digest: str
    release: str
    page_size: int | None
    stand_in: bool
    cpu: str = ""
    why: Message = NOTHING
    modules: tuple[Path, ...] = ()


@dataclass(frozen=True)
class SystemEmulatorRef:
    """A provisioned qemu-system: ``command(program)`` calls it, ``share`` has its firmware."""

    tree: Path
    digest: str
    version: str

    def command(self, program: str) -> list[str]:
        loader = [str(self.tree / "lib/loader"), "--library-path", str(self.tree / "lib")]
        return [*loader, str(self.tree / "bin" / program)]

    @property
    def share(self) -> Path:
        return self.tree / "share"

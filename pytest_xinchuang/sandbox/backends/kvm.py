"""Whether virtual machines run with KVM here: the device may be there, make a machine, and no guest get past its early boot."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from pytest_xinchuang.messages import NOTHING, Message

KVM_CREATE_VM = 0xAE01
"""linux/kvm.h: _IO(0xAE, 0x01)."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def device_works() -> bool:
    """Whether the device makes a virtual machine. It does not say whether one runs."""
    try:
        import fcntl

        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except (ImportError, OSError):
        return False
    try:
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
        return True
    except OSError:
        return False
    finally:
        os.close(device)


class Tried:
    """What came of booting with KVM, remembered until the host boots again: nobody waits twice for a guest that dies.

    Args:
        scratch: a directory of the cache.
        what: all that makes the machine: a kernel that dies on one CPU model may run on another.
    """

    def __init__(self, scratch: Path, what: object) -> None:
        try:
            boot = _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            boot = str(os.getpid())
        name = hashlib.sha256(json.dumps([boot, what], sort_keys=True).encode()).hexdigest()[:32]
        self._file = scratch / "kvm" / f"{name}.json"

    def known(self) -> Message | None:
        """Why it did not boot, ``NOTHING`` if it did; None: nobody has tried."""
        try:
            return Message.from_data(json.loads(self._file.read_text(encoding="utf-8"))["why"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def note(self, why: Message = NOTHING) -> None:
        """Remember how it went: ``why`` it did not boot, or nothing."""
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            for old in self._file.parent.iterdir():
                if old.stat().st_mtime < time.time() - _KEPT_S:
                    old.unlink()
            part = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            part.write_text(json.dumps({"why": why.as_data() if why else ""}), encoding="utf-8")
            part.rename(self._file)


_KEPT_S = 30 * 86400
"""Seconds after which what came of it is forgotten: most hosts have booted since."""

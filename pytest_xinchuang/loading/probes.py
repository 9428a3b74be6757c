"""What a sandbox is given to open objects with: two small programs in C for each architecture, which come built."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.messages import _
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.toolchain.prebuilt import Prebuilt
from pytest_xinchuang.tools.process import Runner

SOURCE = Path(__file__).with_name("probe")
BUILT = Path(__file__).with_name("prebuilt")

OPEN, START = "open", "start"
"""The program that opens objects, and the object that is preloaded into programs."""


def programs() -> Prebuilt:
    """The probes that come with the package, as ``open-arm64`` and ``start-arm64``."""
    return Prebuilt(BUILT, [*SOURCE.iterdir()], "probes.json", _("the probe"))


def probe(cache: Cache, runner: Runner, name: str, arch: Arch, architecture: Architecture) -> bytes:
    """A probe for an architecture.

    Raises:
        HostFault: the one that comes with the package is damaged; or its source was changed, and does not build here.
    """
    found = programs().shipped(f"{name}-{arch.value}")
    return found if found is not None else built(Builder(cache, runner=runner), name, arch, architecture)


def built(builder: Builder, name: str, arch: Arch, architecture: Architecture) -> bytes:
    """A probe, built of its source for the oldest glibc of the architecture."""
    target = Target(arch, architecture, architecture.libc_base)
    return builder.c(target, [SOURCE / f"{name}.c"], libraries=["dl"], shared=name == START)

"""What a loader says to an object, and the system that it says it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Confidence, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.loader.isa_level import levels

SMALLEST_PAGE = 4096


@dataclass(frozen=True)
class Refusal:
    """A reason why an object is not loaded, or not loaded whole.

    Attributes:
        code: a code of findings.yaml.
        params: what its texts are filled in with, beyond the object and the system.
    """

    code: str
    certainty: Certainty
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """A system as far as its loaders go by it. None: not known.

    Attributes:
        machine: e_machine's name.
        libc: ``glibc`` or ``musl``.
        version: of the libc.
        page: bytes of a page.
        largest_page: that a kernel of the architecture can have.
        isa: x86-64: the bits of the ISA levels that the CPU has, as glibc counts them.
        own: the libc came with the objects. Where its release cannot be told it is taken to be the one they are made for.
    """

    machine: str
    libc: str
    version: tuple[int, ...] | None
    kernel: tuple[int, ...] | None
    page: int | None
    largest_page: int
    isa: int | None
    own: bool = False

    @classmethod
    def of(cls, platform: Platform) -> Ground:
        system, page = platform.system, platform.page_size
        features = platform.cpu.features
        known = features.value is not None and features.confidence is not Confidence.INFERRED
        return cls(
            machine=platform.architecture.elf_machine,
            libc=system.libc,
            version=version_key(system.libc_version.value) if system.libc_version.value else None,
            kernel=version_key(system.kernel.value) if system.kernel.value else None,
            page=page.value if page is not None and page.confidence is not Confidence.INFERRED else None,
            largest_page=platform.architecture.max_page_size,
            isa=levels(features.value or ()) if known else None,
        )

    def at_least(self, *release: int) -> bool | None:
        """Whether the libc is of this release or a later one."""
        if self.version is None:
            return True if self.own else None
        return self.version >= release

    def with_own(self, libc: str, release: tuple[int, ...] | None) -> Ground:
        """The same machine, where the objects bring a C library of this release."""
        return replace(self, libc=libc, version=release, own=True)

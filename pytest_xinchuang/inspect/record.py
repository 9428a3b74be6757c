"""What is kept of one ELF object once it was read."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa import IsaScan
from pytest_xinchuang.inspect.kernel_module import KernelModule


@dataclass(frozen=True)
class ElfRecord:
    """What was read of one ELF object of an artifact.

    Attributes:
        place: the object as a person finds it, ``outer!inner``.
        path: its path inside of the innermost container.
        isa: the scan of its code; None where it was not made, and ``isa_fault`` says why.
        module: what it says as a kernel module; None: it is none.
        marks: texts that say what the object embeds: mark -> what was found.
    """

    place: str
    path: str
    elf: ElfObject
    isa: IsaScan | None = None
    isa_fault: tuple[str, str] | None = None
    marks: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    module: KernelModule | None = None

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """What others may need it by."""
        return (self.elf.soname, self.file_name) if self.elf.soname else (self.file_name,)

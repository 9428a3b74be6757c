"""What every rule is handed: the platform, and a way to write down what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa import IsaScan
from pytest_xinchuang.messages import Message, _, joined


@dataclass(frozen=True)
class ElfRecord:
    """What was read of one ELF object of an artifact.

    Attributes:
        place: the object as a person finds it, ``outer!inner``.
        path: its path inside of the innermost container.
        isa: the scan of its code; None where it was not made, and ``isa_fault`` says why.
        marks: texts that say what the object embeds: mark -> what was found.
    """

    place: str
    path: str
    elf: ElfObject
    isa: IsaScan | None = None
    isa_fault: tuple[str, str] | None = None
    marks: dict[str, str] = field(default_factory=dict)
    sha256: str = ""

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """What others may need it by."""
        return (self.elf.soname, self.file_name) if self.elf.soname else (self.file_name,)


def several(names: Sequence[str], most: int) -> Message:
    """The first ``most`` names, and how many more there are."""
    shown = joined(names[:most], _(", "))
    return _("{names} and {n} more", names=shown, n=len(names) - most) if len(names) > most else shown


class Judge:
    """Findings for one platform, in the order in which they are made."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.findings: list[Finding] = []

    def find(
        self, code: str, certainty: Certainty, place: str, evidence: dict[str, object] | None = None, **params: object
    ) -> None:
        shown = {key: value if isinstance(value, Message) else str(value) for key, value in params.items()}
        self.findings.append(Finding(code, certainty, place, self.platform.id, shown, evidence or {}))

    @property
    def arch_name(self) -> str:
        return self.platform.arch.value

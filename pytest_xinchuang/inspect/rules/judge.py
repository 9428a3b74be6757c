"""What every rule is handed: the platform, and a way to write down what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.inventory import Inventory, inventory, own_rootfs
from pytest_xinchuang.inspect.loader.refusal import Ground
from pytest_xinchuang.messages import Message, _, joined


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

    def soften(self, begin: int) -> None:
        """What is certain from ``begin`` on may be kept from happening: another file is made in the place of this one."""
        for number, finding in enumerate(self.findings[begin:], begin):
            if finding.certainty is Certainty.CERTAIN:
                self.findings[number] = replace(finding, certainty=Certainty.GUARDED)

    @cached_property
    def ground(self) -> Ground:
        """The platform as its loaders go by it."""
        return Ground.of(self.platform)

    @cached_property
    def inventory(self) -> Inventory:
        """The platform's libraries."""
        return inventory(self.platform)

    @cached_property
    def own_rootfs(self) -> Path | None:
        """The platform's own root filesystem, where one was imported."""
        return own_rootfs(self.platform)

    @property
    def glibc(self) -> str | None:
        """The version of the system's glibc; None where it is not known, or it has another C library."""
        return self.platform.system.libc_version.value if self.platform.system.libc == "glibc" else None

    @property
    def arch_name(self) -> str:
        return self.platform.arch.value

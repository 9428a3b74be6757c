"""The sections ``syscall_bridge`` and ``host`` of the manifest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.subject import Section, Unit
from pytest_xinchuang.messages import _


class HostNeeds(FrozenData):
    """What the subject needs of a host's kernel, checked by ``xc host check``.

    Attributes:
        kernel: the least release.
        calls: system calls that it cannot do without.
        sysctls: name -> least value, e.g. vm.max_map_count: 262144.
        memory_mb: MiB that its control group has to allow.
        cpus: processors that its control group has to allow.
    """

    kernel: str = Field(default="", pattern=r"^([0-9]+(\.[0-9]+)*)?$")
    calls: tuple[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], ...] = ()
    sysctls: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_-]+)+$")], int] = Field(default_factory=dict)
    memory_mb: int = Field(default=0, ge=0)
    cpus: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _needs_something(self) -> HostNeeds:
        if not (self.kernel or self.calls or self.sysctls or self.memory_mb or self.cpus):
            raise ValueError(_("the host section states no need"))
        return self


class SyscallBridge(FrozenData):
    """A library of the subject that makes system calls for others.

    Attributes:
        harness: a program that speaks the bridge protocol (docs/bridge.md); built and started like any unit.
        go_structs: a Go package beside the manifest whose structures are handed to the kernel.
        structs: Go's name -> the kernel's, where they are not called as Go's own.
        os_profile: what its answers are measured by; empty: what the platform's system is.
    """

    harness: Unit
    go_structs: str = ""
    structs: dict[str, str] = Field(default_factory=dict)
    os_profile: str = ""


SYSCALL_BRIDGE = Section(
    "syscall_bridge",
    SyscallBridge,
    "a library that makes system calls",
    programs=lambda section: (section.harness,),
    files=lambda section: (section.go_structs,) if section.go_structs else (),
)
HOST = Section("host", HostNeeds, "what the subject needs of a host's kernel")

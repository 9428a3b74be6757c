"""Architectures and CPUs, and how each CPU is emulated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.inherit import KEY
from pytest_xinchuang.core.platform.facts import NOT_GIVEN, Arch, Confidence, Fact, Name, Version
from pytest_xinchuang.core.requirement import Text


class Machine(FrozenData):
    """How qemu-system stands in for a machine that a kernel of the architecture boots on."""

    program: str = Field(description="the qemu-system program")
    machine: str = Field(description="its machine type")
    console: str = Field(description="the kernel's name of the first serial port, for its log")
    early: str = Field(
        default="",
        description="the same port for the kernel's earlycon=, for what it says before its drivers are there",
    )
    firmware: str = Field(
        default="", description="firmware that starts the kernel, where it does not start without one"
    )
    audit_arch: int = Field(description="AUDIT_ARCH_* of linux/audit.h: what seccomp filters call the architecture")


class Architecture(FrozenData):
    """What is true of every machine of one architecture."""

    uname: str = Field(description="what `uname -m` prints")
    qemu: str = Field(description="the qemu-user program")
    elf_machine: str = Field(description="e_machine as pyelftools names it")
    triplet: str = Field(description="Debian's multiarch triplet")
    zig: str = Field(description="zig's target without the libc version")
    libc_base: Version = Field(description="the oldest glibc symbol version of this architecture")
    interpreters: dict[str, tuple[str, ...]] = Field(description="ABI world -> allowed PT_INTERP")
    max_page_size: int = Field(description="the largest page that a kernel of this architecture can have, bytes")
    shmlba: int = Field(default=4096, description="SHMLBA, what an address of shmat has to be a multiple of, bytes")
    names: dict[Literal["go", "wheel", "deb", "rpm", "oci", "maven", "os_arch", "npm"], str] = Field(
        default_factory=dict, description="what packagers call this architecture"
    )
    aliases: tuple[str, ...] = Field(default=(), description="every word that means this architecture in a file name")
    go_min: Fact[Version]
    system: Machine | None = Field(default=None, description="where its kernels run, for the system sandbox")


def may_inherit(schema: dict[str, Any]) -> None:
    """In the JSON Schema, an entry is whole or inherits, and then its emulation need not be whole either."""
    whole: dict[str, Any] = {"required": schema.pop("required")}
    if "emulation" in schema["properties"]:
        whole["properties"] = {
            "emulation": {"required": [n for n, f in Emulation.model_fields.items() if f.is_required()]}
        }
    schema["properties"][KEY] = {
        "type": "string",
        "description": "an entry of this section, of this file or of an earlier one: what is not said here is as it is there",
    }
    schema["anyOf"] = [{"required": [KEY]}, whole]


def may_be_partial(schema: dict[str, Any]) -> None:
    del schema["required"]


class Emulation(FrozenData):
    """How qemu stands in for the CPU."""

    model_config = ConfigDict(json_schema_extra=may_be_partial)

    strict: Fact[str] = Field(description="a QEMU CPU model that has nothing that the real CPU lacks")
    exact: bool = Field(description="the strict model also lacks nothing that a program may use on the real CPU")
    excess: tuple[str, ...] = Field(
        default=(),
        description="features that the strict model has and the CPU has not: a run shows nothing of code that uses them",
    )
    superset: Fact[str] = Field(description="a model that has all that the real CPU has; what dies there dies for good")
    poorest: Fact[str] = Field(description="the strict model without its optional features")
    unmodelled: Fact[str] | None = Field(
        default=None,
        description="regular expression over the bytes of instructions (as Latin-1) that the CPU has and no QEMU model does",
    )
    note: str = ""


class Cpu(FrozenData):
    """One CPU."""

    model_config = ConfigDict(json_schema_extra=may_inherit)

    title: Text
    family: Name
    arch: Arch
    isa: Fact[str]
    identity: Fact[tuple[str, ...]] = Field(
        description="regular expressions that /proc/cpuinfo of the real CPU matches"
    )
    cpuinfo: Fact[str] = Field(
        default=NOT_GIVEN,
        description="/proc/cpuinfo of one processor; {features} stands for the list of features",
    )
    vendors: Fact[tuple[str, ...]] | None = Field(
        default=None,
        description="x86-64: the vendor strings of CPUID that such CPUs have; the strict model has the first",
    )
    features: Fact[tuple[str, ...]]
    unsure: Fact[tuple[str, ...]] | None = Field(
        default=None, description="features of which the evidence disagrees; nothing is decided by them"
    )
    twins: tuple[Name, ...] = Field(
        default=(), description="CPUs of the same core that /proc/cpuinfo does not tell from this one"
    )
    cache_line: Fact[int] | None = Field(
        default=None, description="bytes of the longest line of its caches, where its maker tells it"
    )
    emulation: Emulation
    go_env: Fact[dict[str, str]] = Field(description="GOARM64, GOAMD64: the highest level that the CPU runs")
    c_flags: Fact[tuple[str, ...]] = Field(description="flags for the C compiler that are safe on the CPU")

    def has(self, feature: str) -> bool | None:
        """Whether the CPU has a feature; None: its list is not known or inferred, or the evidence disagrees.

        No verdict may be better than what this says: code that uses a feature of None neither passes nor fails by it.
        """
        known, unsure = self.features, self.unsure.value if self.unsure is not None else None
        if known.value is None or known.confidence is Confidence.INFERRED or feature in (unsure or ()):
            return None
        return feature in known.value

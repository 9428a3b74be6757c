"""Subjects: the thing being graded, as its manifest ``xinchuang.yaml`` describes it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.requirement import RequirementId
from pytest_xinchuang.core.yamlfile import KeyPath, YamlFile

MANIFEST = "xinchuang.yaml"

UnitName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
LibraryName = Annotated[str, StringConstraints(pattern=r"^lib[A-Za-z0-9_.+-]+\.so[0-9.]*$")]
LinkName = Annotated[str, StringConstraints(pattern=r"^:?[A-Za-z0-9_.+-]+$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]+$")]
Behaviour = Literal["children", "threads", "tls", "signals", "dlopen"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expectation(_Data):
    """What a unit must do, known beforehand.

    Attributes:
        source: where the expected output is from: a standard and clause.
    """

    exit: int = Field(default=0, ge=0, le=255)
    stdout: str | None = None
    source: str = ""

    @model_validator(mode="after")
    def _sourced(self) -> Expectation:
        if self.stdout is not None and not self.source:
            raise ValueError("an expected stdout needs its source: a standard and clause, or how it was found")
        return self


class Library(_Data):
    """A shared library of the subject's own."""

    name: LibraryName
    sources: tuple[str, ...] = ()
    files: dict[Arch, str] = Field(default_factory=dict)
    ship: bool = Field(default=True, description="false: link with it, but leave it out of what is delivered")


class Artifact(_Data):
    """Something that is delivered: a file, a package, an archive, an image or a directory, for each target.

    Attributes:
        files: platform id, short name or architecture -> path beside the manifest; the first of these that is there counts.
    """

    name: UnitName
    files: dict[str, str] = Field(min_length=1)

    def file_for(self, platform: Platform, short: str | None) -> str | None:
        """The path for a platform, or None where nothing is delivered for it."""
        keys = (platform.id, short, platform.cpu_name, platform.os_name, platform.arch.value)
        return next((self.files[key] for key in keys if key is not None and key in self.files), None)


class Unit(_Data):
    """A minimum runnable unit: one program that starts, does one thing and ends.

    Attributes:
        kind: ``c`` and ``go`` are built from source; ``shell`` is a script; ``binary`` is prebuilt for each architecture;
            ``rootfs`` is a program of the target's root filesystem; ``artifact`` is one of an artifact; ``installer`` is a
            script that chooses and fetches files: what it asks for is recorded, and nothing is fetched.
        command: for an artifact, the whole command instead of ``program``; ``{here}`` is where the artifact was unpacked.
        links: libraries of the target's root filesystem to link with, without ``lib`` and ``.so``.
        behaviour: the L3 behaviour that this unit is there to show; a unit without one shows L1 and L2.
        limit_s: seconds on the target's real hardware within which the unit must end (times the time-out scale).
        start_budget_ms: milliseconds from start to end that the unit may take on the target's real hardware.
    """

    name: UnitName
    kind: Literal["c", "go", "go-cgo", "shell", "binary", "rootfs", "artifact", "installer"]
    sources: tuple[str, ...] = ()
    files: dict[Arch, str] = Field(default_factory=dict)
    program: str = ""
    artifact: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    stdin: str = ""
    links: tuple[LinkName, ...] = ()
    libraries: tuple[Library, ...] = ()
    c_flags: dict[Arch, tuple[str, ...]] = Field(default_factory=dict)
    libc_version: str | None = Field(default=None, pattern=r"^[0-9]+\.[0-9]+$")
    behaviour: Behaviour | None = None
    expect: Expectation = Expectation()
    limit_s: float = Field(default=20.0, gt=0, le=3600)
    start_budget_ms: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Unit:
        if self.kind in ("c", "go", "go-cgo", "shell", "installer") and not self.sources:
            raise ValueError(f"a unit of kind {self.kind!r} needs 'sources'")
        if self.kind == "binary" and not self.files:
            raise ValueError("a unit of kind 'binary' needs 'files': one for each architecture")
        if self.kind == "rootfs" and not self.program.startswith("/"):
            raise ValueError("a unit of kind 'rootfs' needs 'program': an absolute path in the target")
        if self.kind == "artifact" and not (self.artifact and (self.program or self.command)):
            raise ValueError(
                "a unit of kind 'artifact' needs 'artifact' and 'program': a path inside of it, or 'command'"
            )
        if self.command and not any("{here}" in word for word in self.command):
            raise ValueError("the 'command' uses nothing of its artifact: '{here}' stands in none of its words")
        return self


TlsName = Literal["tlcp", "rfc8998", "tls1.3", "tls1.2"]


class TlsServer(_Data):
    """A TLS server of the subject: started in the sandbox, where nothing but the probe reaches it.

    Attributes:
        port: where it listens on 127.0.0.1.
        expect: what it has to speak.
        roots: the roots of its SM2 certificates (PEM or DER), to verify the chains with.
    """

    server: Unit
    port: int = Field(ge=1, le=65535)
    expect: tuple[TlsName, ...] = Field(min_length=1)
    roots: str = ""


class SmCrypto(_Data):
    """How the SM cryptography of the subject is asked.

    Attributes:
        harness: a program that speaks the harness protocol (docs/harness.md); built and started like any unit.
        floors: operation -> least MiB a second on the target's real hardware, the wire included.
    """

    harness: Unit
    floors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    tls: TlsServer | None = None


_PUBLISHED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~/-]*\.[A-Za-z0-9._~/-]+@[A-Za-z0-9.+_-]+")


class Sdk(_Data):
    """An SDK whose callers must not break.

    Attributes:
        path: its directory, beside the manifest; a jar or wheel will do.
        baseline: what its users have: a snapshot or directory beside the manifest, or MODULE@VERSION of the module proxy.
        go: the Go that its users have.
        tags: build tags.
    """

    language: Literal["go", "c", "java", "python"]
    path: str = "."
    baseline: str = ""
    go: str = Field(default="", pattern=r"^([0-9]+\.[0-9]+(\.[0-9]+)?)?$")
    tags: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every file or directory beside the manifest that it names."""
        return [self.path, *([] if not self.baseline or is_published(self.baseline) else [self.baseline])]


def is_published(text: str) -> bool:
    """Whether it is MODULE@VERSION."""
    return bool(_PUBLISHED.fullmatch(text))


class SupplyChainSection(_Data):
    """What a Go module is built from. What vouches for it is not the subject's to say: see the options.

    Attributes:
        path: the module's directory, beside the manifest.
        mirror: the mirror that the product is built from: a directory beside the manifest, or a URL.
        sbom: the CycloneDX document that is delivered.
    """

    path: str = "."
    mirror: str = ""
    sbom: str = ""

    @property
    def names(self) -> list[str]:
        """Every file or directory beside the manifest that it names."""
        return [name for name in (self.path, self.mirror, self.sbom) if name and "://" not in name]


class HostNeeds(_Data):
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
            raise ValueError("the host section states no need")
        return self


class SyscallBridge(_Data):
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


class NotApplicable(_Data):
    """A behaviour that the subject says it does not have; believed only where its objects bear it out."""

    requirement: RequirementId
    reason: str = Field(min_length=10)


class SubjectFile(_Data):
    """The manifest."""

    format: Literal["xc-subject/1"] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    units: tuple[Unit, ...] = ()
    artifacts: tuple[Artifact, ...] = Field(
        default=(), description="what is delivered: inspected, and run by units of kind artifact"
    )
    rootfs_packages: tuple[PackageName, ...] = Field(
        default=(),
        description="packages that the stand-in root filesystem gets besides its own: an interpreter or a run time",
    )
    build_flags: tuple[str, ...] = Field(
        default=(),
        description="flags of the product's own build, checked against the platform's libc, compilers and CPU",
    )
    rootfs_objects: tuple[str, ...] = Field(
        default=(), description="files of the target's root filesystem that belong to the subject (globs)"
    )
    allowed_libraries: tuple[str, ...] = Field(
        default=(), description="needed libraries beyond libc's that the subject may use (globs on the soname)"
    )
    not_applicable: tuple[NotApplicable, ...] = ()
    sm_crypto: SmCrypto | None = Field(default=None, description="the harness of the subject's SM2, SM3 and SM4")
    sdk: Sdk | None = Field(default=None, description="an SDK whose callers must not break")
    supply_chain: SupplyChainSection | None = Field(default=None, description="what a Go module is built from")
    syscall_bridge: SyscallBridge | None = Field(default=None, description="a library that makes system calls")
    host: HostNeeds | None = Field(default=None, description="what the subject needs of a host's kernel")

    @property
    def programs(self) -> tuple[Unit, ...]:
        """Everything that is built or started: the units, the harness and the TLS server."""
        sm, bridge = self.sm_crypto, self.syscall_bridge
        harnesses = [*([sm.harness] if sm else []), *([bridge.harness] if bridge else [])]
        return (*self.units, *harnesses, *([sm.tls.server] if sm and sm.tls else []))

    @model_validator(mode="after")
    def _has_something(self) -> SubjectFile:
        if not (
            self.units
            or self.artifacts
            or self.sm_crypto
            or self.sdk
            or self.supply_chain
            or self.syscall_bridge
            or self.host
        ):
            raise ValueError(
                "there is nothing to look at: give 'units', 'artifacts', 'sm_crypto', 'sdk', 'supply_chain', "
                "'syscall_bridge' or 'host'"
            )
        names = [artifact.name for artifact in self.artifacts]
        for unit in self.programs:
            if unit.artifact and unit.artifact not in names:
                raise ValueError(f"unit {unit.name!r} is of the artifact {unit.artifact!r}, which is not among {names}")
        return self

    @model_validator(mode="after")
    def _unit_names_differ(self) -> SubjectFile:
        names = [unit.name for unit in self.programs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two units are called {twice[0]!r}")
        return self


class Subject:
    """A manifest with the directory that it stands in.

    Raises:
        DataFileError: the manifest is malformed or names a file that is missing or outside its directory.
    """

    def __init__(self, path: Path) -> None:
        self.manifest = path / MANIFEST if path.is_dir() else path
        if not self.manifest.is_file():
            raise DataFileError(f"{self.manifest}: no such manifest", mend=f"xc subject init {self.manifest.parent}")
        source = YamlFile(self.manifest)
        self.file = source.parse(SubjectFile)
        self.directory = self.manifest.parent.resolve()
        for index, unit in enumerate(self.file.programs):
            bridge = self.file.syscall_bridge
            other = "syscall_bridge" if bridge and unit is bridge.harness else "sm_crypto"
            where: KeyPath = ("units", index) if index < len(self.file.units) else (other,)
            for name in self.names_of(unit):
                self._check(source, where, name)
        if self.file.sm_crypto and self.file.sm_crypto.tls and self.file.sm_crypto.tls.roots:
            self._check(source, ("sm_crypto", "tls"), self.file.sm_crypto.tls.roots)
        for index, artifact in enumerate(self.file.artifacts):
            for name in artifact.files.values():
                self._check(source, ("artifacts", index), name)

        if sdk := self.file.sdk:
            for name in sdk.names:
                self._check(source, ("sdk",), name)
        if chain := self.file.supply_chain:
            for name in chain.names:
                self._check(source, ("supply_chain",), name)
        if (bridge := self.file.syscall_bridge) and bridge.go_structs:
            self._check(source, ("syscall_bridge",), bridge.go_structs)

    def _check(self, source: YamlFile, where: KeyPath, name: str) -> None:
        target = (self.directory / name).resolve()
        if not target.is_relative_to(self.directory):
            raise source.error(where, f"{name!r} is outside the manifest's directory")
        if not target.exists():
            raise source.error(where, f"{name!r}: no such file in {self.directory}")

    @staticmethod
    def names_of(unit: Unit) -> list[str]:
        """Every file of the manifest's directory that a unit names."""
        names = [*unit.sources, *unit.files.values()]
        for library in unit.libraries:
            names += [*library.sources, *library.files.values()]
        return names

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def version(self) -> str:
        return self.file.version

    def path(self, name: str) -> Path:
        return self.directory / name

    @property
    def digest(self) -> str:
        """SHA-256 over the manifest and every file that it names."""
        total = hashlib.sha256(self.manifest.read_bytes())
        named = [sorted(self.names_of(unit)) for unit in self.file.programs]
        if sdk := self.file.sdk:
            named.append(sdk.names)
        if chain := self.file.supply_chain:
            named.append(chain.names)
        if (bridge := self.file.syscall_bridge) and bridge.go_structs:
            named.append([bridge.go_structs])
        for names in (*named, *(sorted(a.files.values()) for a in self.file.artifacts)):
            for name in names:
                place = self.path(name)
                for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
                    if path.is_file():
                        total.update(f"\n{path.relative_to(self.directory)}\n".encode("utf-8", "surrogateescape"))
                        with path.open("rb") as file:
                            total.update(hashlib.file_digest(file, "sha256").digest())
        return "sha256:" + total.hexdigest()

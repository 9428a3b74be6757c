"""The hosts of users, as ``hosts.yaml`` declares them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).with_name("hosts.yaml")


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(StrEnum):
    """How a host is made."""

    MACHINE = "machine"
    """A virtual machine with a kernel of its own."""
    CONTAINER = "container"
    """A Docker container on this machine's kernel."""


class Kernel(_Data):
    """A kernel of Debian's: the package ``package`` of ``suite``, and what it has to be told to boot under QEMU."""

    suite: str
    package: str
    arguments: tuple[str, ...] = ()


class Userland(_Data):
    """What a host has besides its kernel: packages of Debian's ``suite``, our own distribution's dependencies, and what was
    provisioned.

    Attributes:
        packages: Debian's.
        python: the version of its Python, e.g. "3.11".
        wheels: the dependencies that come as wheels; where none, they are among ``packages``.
        layout: "rpm": no file of Debian's package manager, and Red Hat's library directory and os-release.
    """

    suite: str
    packages: tuple[str, ...]
    python: str
    wheels: tuple[str, ...] = ()
    layout: Literal["debian", "rpm"] = "debian"


class Host(_Data):
    """One host.

    Attributes:
        stands_for: whose machine it is like, and how far.
        kernel: a key of ``kernels``; for machines alone.
        sysctls: name -> value, as in /etc/sysctl.d.
        profile: a file of ``profiles/``: the AppArmor profile that the run is confined by.
        user: "root", "vendor" (an ordinary user, 1001) or a number without an account.
        options: of ``docker run``.
        backend: what ``--xc-backend`` is given.
        platforms: other platforms than the matrix's.
        hardware: why its grade may differ from the best host's: "" unless its hardware is the reason.
        timeout_s: seconds that it may take.
    """

    stands_for: str
    kind: Kind
    arch: Literal["amd64", "arm64", "loong64"] = "amd64"
    userland: str = "debian"
    kernel: str = ""
    sysctls: dict[str, str] = Field(default_factory=dict)
    profile: str = ""
    user: str = "vendor"
    environment: dict[str, str] = Field(default_factory=dict)
    options: tuple[str, ...] = ()
    memory_mb: int = 4096
    cpus: int = 2
    backend: str = "auto"
    platforms: tuple[str, ...] = ()
    hardware: str = ""
    timeout_s: int = 1500


class Declared(_Data):
    """All of ``hosts.yaml``.

    Attributes:
        platforms: what the subject is graded for.
        level: what the subject gets on the best host that there is.
        units: the units of the reference subject that the subject of the matrix has.
    """

    platforms: tuple[str, ...]
    level: Literal["L1", "L2", "L3", "L4"]
    units: tuple[str, ...]
    kernels: dict[str, Kernel]
    userlands: dict[str, Userland]
    hosts: dict[str, Host]


def read(path: Path = FILE) -> Declared:
    """The declarations.

    Raises:
        ValueError: they are not what they should be, or name what is not declared.
    """
    declared = Declared.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for name, host in declared.hosts.items():
        if (host.kind is Kind.MACHINE) != bool(host.kernel):
            raise ValueError(f"{name}: a machine has a kernel, and a container has this machine's")
        if host.kernel and host.kernel not in declared.kernels:
            raise ValueError(f"{name}: no kernel {host.kernel} is declared")
        if host.userland not in declared.userlands:
            raise ValueError(f"{name}: no userland {host.userland} is declared")
        if host.options and host.kind is Kind.MACHINE:
            raise ValueError(f"{name}: a machine has no options of docker run")
    return declared

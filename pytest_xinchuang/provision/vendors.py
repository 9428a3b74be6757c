"""Whether a root filesystem that a lab has brought is that of its platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.provision.rootfs import read_os_release

_MACHINES = {"3": "EM_386", "62": "EM_X86_64", "183": "EM_AARCH64", "258": "EM_LOONGARCH"}
"""e_machine (System V gABI registry) by the names of platforms.yaml."""


def disagreements(platform: Platform, tree: Path, facts: Mapping[str, str]) -> list[Message]:
    """In what a root filesystem is not as its platform is described; nothing when all that is known of both agrees.

    Args:
        facts: those of ``read_facts``.
    """
    found = []
    system = platform.system
    told = read_os_release(tree)
    missing = [pattern for pattern in system.identity.value or () if not re.search(pattern, told, re.MULTILINE)]
    if missing or not system.identity.value:
        found.append(
            _(
                "its os-release says {told}, and {wanted} is asked for",
                told=verbatim(repr(facts["name"])) if facts.get("name") else _("nothing"),
                wanted=joined([verbatim(pattern) for pattern in missing]) or system.title.message(),
            )
        )
    wanted = system.libc_version.value if system.libc == "glibc" else None
    if wanted is not None and facts.get("libc") != wanted:
        found.append(
            _(
                "its glibc is {found}, and the platform has {wanted}",
                found=facts.get("libc") or _("an unknown version"),
                wanted=wanted,
            )
        )
    machine = facts.get("machine", "")
    name = _MACHINES.get(machine, machine)
    if system.libc == "glibc" and name != platform.architecture.elf_machine:
        found.append(
            _(
                "its libc is for {found}, and the platform is {wanted}",
                found=verbatim(name) or _("an unknown machine"),
                wanted=verbatim(platform.architecture.elf_machine),
            )
        )
    return found

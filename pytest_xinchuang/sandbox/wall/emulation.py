"""How programs of a platform are started in a rootless sandbox, and those of the host are kept out."""

from __future__ import annotations

import secrets
from typing import Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.provision.refs import EmulatorRef
from pytest_xinchuang.sandbox.wall import formats, pinned

HELPERS = "/tmp/helpers"
"""Where the supervisor keeps the emulator while it registers it: a place in no root filesystem that target code sees."""


def emulation(emulator: EmulatorRef, arch: Arch, machine: str, cpu_model: str, release: str) -> dict[str, Any]:
    """The part of the supervisor's configuration that is about programs.

    Args:
        machine: ``uname -m`` of the host.

    Raises:
        SandboxFault: the emulator cannot be pinned to the CPU model.
    """
    name, marker = emulator.path.name, formats.new_marker()
    message = f"xc: refused: a program for the host ({machine}), not for {arch}; the platform cannot run it\n"
    native = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64}[machine]
    model, log = ["-cpu", cpu_model, "-r", release], hidden_name("/dev/null")
    refusal = formats.refusal(machine, message)
    emulators, doors = {}, {}
    try:
        for kind, words in (("plain", model), ("logging", [*model, "-strace", "-D", log])):
            tail, found = pinned.doors(machine, words, refusal)
            patches = pinned.pin(emulator.path, machine, words, marker, tail)
            emulators[kind] = [(patch.offset, patch.data.hex()) for patch in patches]
            doors[kind] = {"named": found.named, "refused": found.refused}
    except (OSError, ValueError) as error:
        raise SandboxFault(
            _("the emulator cannot be used: {why}", why=told(error)), mend=verbatim("xc provision --force")
        ) from error
    places = formats.Interpreters(
        emulator=f"{HELPERS}/plain/{name}",
        logging=f"{HELPERS}/logging/{name}",
        refuser=f"{HELPERS}/refuser",
        nothing=f"{HELPERS}/nothing",
    )
    return {
        "emulator": str(emulator.path),
        "emulator_name": name,
        "emulators": emulators,
        "doors": doors,
        "kinds": formats.kinds(arch, native),
        "called": f"{HELPERS}/{{kind}}/{name}",
        "log": log,
        "helpers": {"refuser": formats.refuser(machine, message, marker).hex(), "nothing": b"nothing\n".hex()},
        "registrations": [line.decode() for line in formats.registrations(arch, native, marker, places)],
    }


def hidden_name(path: str) -> str:
    """A name of a file that nobody guesses, and that no table of mounts tells: 64 random bits between its directory and it."""
    directory, _slash, name = path.rpartition("/")
    bits = secrets.randbits(64)
    return directory + "/" + "".join("./" if bits >> n & 1 else "/" for n in range(64)) + name

"""The backends that are shipped, by name; each module is loaded when its backend is first opened."""

from __future__ import annotations

import hashlib
import os

from pytest_xinchuang.core.elsewhere import demand_linux
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.backend import Backend, BackendTable, Opening
from pytest_xinchuang.sandbox.circumstances import Circumstances
from pytest_xinchuang.sandbox.protocol import Sandbox


def _here() -> None:
    """All but Docker run on this kernel.

    Raises:
        HostFault: it is no Linux.
    """
    demand_linux(_("a sandbox"))


def _user_mode(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    _here()
    from pytest_xinchuang.sandbox.backends.user_mode import open_user_mode

    return open_user_mode(run, platform, wanted)


def _docker(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.docker import DockerSandbox

    return DockerSandbox.open(run, platform, wanted)


def _system(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    _here()
    from pytest_xinchuang.sandbox.backends.system import open_system

    return open_system(run, platform, wanted)


def _native(run: Opening, platform: Platform, _: Circumstances) -> Sandbox:
    _here()
    from pytest_xinchuang.core.syscall_names import names_of
    from pytest_xinchuang.sandbox.agents import agent
    from pytest_xinchuang.sandbox.backends.direct import NativeTracer, open_native

    def tracer() -> NativeTracer:
        data = agent(run.store.cache, run.runner, platform.arch, platform.architecture)
        program = run.store.cache.root / "tracer" / hashlib.sha256(data).hexdigest()
        if not program.is_file() or program.read_bytes() != data:
            program.parent.mkdir(parents=True, exist_ok=True)
            part = program.with_name(f"{program.name}.{os.getpid()}")
            part.write_bytes(data)
            part.chmod(0o755)
            part.rename(program)
        return NativeTracer(program, names_of(platform.architecture.names["go"]))

    return open_native(platform, run.runner, tracer, run.store.platforms.file.cpus.values())


def _auto(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    _here()
    from pytest_xinchuang.sandbox.backends.automatic import open_automatic

    return open_automatic(run, platform, wanted)


def _reference(run: Opening, wanted: Circumstances) -> Sandbox:
    _here()
    from pytest_xinchuang.sandbox.backends.automatic import open_reference

    return open_reference(run, wanted)


SHIPPED = BackendTable(
    {
        "auto": Backend(_auto, adapts=True),
        "qemu": Backend(_user_mode, adapts=True),
        "docker": Backend(_docker, adapts=True),
        "system": Backend(_system, adapts=True, boots=True),
        "native": Backend(_native),
    },
    _reference,
)

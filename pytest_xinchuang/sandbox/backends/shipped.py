"""The backends that are shipped, by name; each module is loaded when its backend is first opened."""

from __future__ import annotations

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.sandbox.backend import Backend, BackendTable, Opening
from pytest_xinchuang.sandbox.circumstances import Circumstances
from pytest_xinchuang.sandbox.protocol import Sandbox


def _user_mode(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.user_mode import open_user_mode

    return open_user_mode(run, platform, wanted)


def _docker(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.docker import DockerSandbox

    return DockerSandbox.open(run, platform, wanted.variant)


def _system(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.system import open_system

    return open_system(run, platform, wanted)


def _native(run: Opening, platform: Platform, _: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.direct import open_native

    return open_native(platform, run.runner)


def _reference(run: Opening, wanted: Circumstances) -> Sandbox:
    from pytest_xinchuang.sandbox.backends.user_mode import open_reference

    return open_reference(run, wanted)


SHIPPED = BackendTable(
    {
        "auto": Backend(_user_mode, adapts=True),
        "qemu": Backend(_user_mode, adapts=True),
        "docker": Backend(_docker),
        "system": Backend(_system, adapts=True, boots=True),
        "native": Backend(_native),
    },
    _reference,
)

"""Libraries that make system calls for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.base import Package

if TYPE_CHECKING:
    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import Section
    from pytest_xinchuang.packages.protocol import Engine, RunContext


class SyscallBridgePackage(Package):
    """Libraries that make system calls for others."""

    name = "syscall_bridge"
    modules = ("clang",)
    order = 50
    checks = resources.conformance_dir() / "syscall_bridge"
    requirements = checks / "requirements.yaml"

    @property
    def sections(self) -> Sequence[Section[Any]]:
        from pytest_xinchuang.packages.syscall_bridge.manifest import HOST, SYSCALL_BRIDGE

        return (SYSCALL_BRIDGE, HOST)

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        from pytest_xinchuang.packages.syscall_bridge.engine import SyscallEngine

        return SyscallEngine(platform, run.subject, run.catalogue, run.pool, run.builder)

    def add_commands(self, commands: Commands) -> None:
        from pytest_xinchuang.packages.syscall_bridge.commands import add_commands

        add_commands(commands)

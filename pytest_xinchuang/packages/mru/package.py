"""Minimum runnable units: small programs that start, do one thing and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.base import N_, Package
from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import SubjectFile
    from pytest_xinchuang.packages.mru.recorded import Recorded
    from pytest_xinchuang.packages.protocol import Engine, RunContext


class MruPackage(Package):
    """Minimum runnable units: small programs that start, do one thing and end."""

    name = "mru"
    order = 10
    checks = resources.conformance_dir() / "mru"
    requirements = checks / "requirements.yaml"
    options = (
        PackageOption(
            "--xc-reference",
            "FILE",
            N_("x86-64 runs that `xc reference` has recorded on another machine, where they cannot be made here"),
        ),
    )

    def check(self, run: RunContext) -> None:
        self._recorded(run)

    @staticmethod
    def _recorded(run: RunContext) -> Recorded | None:
        path = run.option_path("xc_reference")
        if path is None:
            return None
        from pytest_xinchuang.packages.mru.recorded import read_record

        return read_record(path, run.subject, run.pool.store.reference_digest)

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        from pytest_xinchuang.packages.mru.engine import MruEngine

        return MruEngine(platform, run.subject, run.catalogue, run.pool, run.builder, self._recorded(run))

    def add_commands(self, commands: Commands) -> None:
        from pytest_xinchuang.packages.mru.commands import add_commands

        add_commands(commands)

    def concerns(self, subject: SubjectFile) -> bool:
        return bool(
            subject.units or subject.artifacts or subject.source_trees or subject.rootfs_objects or subject.build_flags
        )

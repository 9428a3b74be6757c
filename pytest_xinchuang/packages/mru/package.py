"""Minimum runnable units: small programs that start, do one thing and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.base import Package

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import SubjectFile
    from pytest_xinchuang.packages.protocol import Engine, RunContext


class MruPackage(Package):
    """Minimum runnable units: small programs that start, do one thing and end."""

    name = "mru"
    order = 10
    checks = resources.conformance_dir() / "mru"
    requirements = checks / "requirements.yaml"

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        from pytest_xinchuang.packages.mru.engine import MruEngine

        return MruEngine(platform, run.subject, run.catalogue, run.pool, run.builder)

    def concerns(self, subject: SubjectFile) -> bool:
        return bool(subject.units or subject.artifacts or subject.rootfs_objects or subject.build_flags)

"""SDKs whose callers must not break."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.base import N_, Package
from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import Section
    from pytest_xinchuang.packages.protocol import Engine, RunContext


class SdkAstPackage(Package):
    """SDKs whose callers must not break."""

    name = "sdk_ast"
    modules = ("clang", "tree_sitter", "tree_sitter_go", "grpc_tools", "google", "jsonschema", "sqlglot")
    order = 30
    checks = resources.conformance_dir() / "sdk_ast"
    requirements = checks / "requirements.yaml"

    @property
    def sections(self) -> Sequence[Section[Any]]:
        from pytest_xinchuang.packages.sdk_ast.manifest import SDK

        return (SDK,)

    options = (
        PackageOption(
            "--xc-sdk-baseline",
            "SNAPSHOT|MODULE@VERSION",
            N_("what an SDK's users have, instead of what its manifest names"),
        ),
    )

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        from pytest_xinchuang.packages.sdk_ast.engine import SdkEngine

        baseline = run.option("xc_sdk_baseline") or ""
        return SdkEngine(
            platform,
            run.subject,
            run.catalogue,
            run.pool.store.cache,
            baseline=baseline,
            offline=run.offline,
            runner=run.builder.runner,
        )

    def add_commands(self, commands: Commands) -> None:
        from pytest_xinchuang.packages.sdk_ast.commands import add_commands

        add_commands(commands)

"""SM2, SM3 and SM4 against the standards, and TLS with them."""

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


class SmCryptoPackage(Package):
    """SM2, SM3 and SM4 against the standards, and TLS with them."""

    name = "sm_crypto"
    modules = ("asn1crypto", "hypothesis")
    order = 20
    checks = resources.conformance_dir() / "sm_crypto"
    requirements = checks / "requirements.yaml"

    @property
    def sections(self) -> Sequence[Section[Any]]:
        from pytest_xinchuang.packages.sm_crypto.manifest import SM_CRYPTO

        return (SM_CRYPTO,)

    options = (
        PackageOption(
            "--xc-sm-vectors", "DIR", N_("vector files of Wycheproof's shape to run beside the shipped SM vectors")
        ),
    )

    def check(self, run: RunContext) -> None:
        run.option_path("xc_sm_vectors", directory=True)

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        from pytest_xinchuang.packages.sm_crypto.engine import SmEngine

        vectors = run.option_path("xc_sm_vectors", directory=True)
        return SmEngine(platform, run.subject, run.catalogue, run.pool, run.builder, vectors)

    def add_commands(self, commands: Commands) -> None:
        from pytest_xinchuang.packages.sm_crypto.commands import add_commands

        add_commands(commands)

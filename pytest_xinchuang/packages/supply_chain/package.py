"""What a product is built from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.base import N_, Package
from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import Section, Subject
    from pytest_xinchuang.packages.protocol import Engine, RunContext
    from pytest_xinchuang.packages.supply_chain.engine import Trust


class SupplyChainPackage(Package):
    """What a product is built from."""

    name = "supply_chain"
    modules = ("cyclonedx", "cryptography")
    order = 40
    checks = resources.conformance_dir() / "supply_chain"
    requirements = checks / "requirements.yaml"

    @property
    def sections(self) -> Sequence[Section[Any]]:
        from pytest_xinchuang.packages.supply_chain.manifest import SUPPLY_CHAIN

        return (SUPPLY_CHAIN,)

    options = (
        PackageOption(
            "--xc-proxy",
            "DIR|URL[,...]",
            N_(
                "where published Go modules are taken from instead of the module cache and GOPROXY: a directory or a proxy"
            ),
        ),
        PackageOption(
            "--xc-registry",
            "ECOSYSTEM=DIR|URL[,...]",
            N_(
                "where published packages of an ecosystem (npm, pypi, cargo, maven) are taken from instead of its registry"
            ),
        ),
        PackageOption(
            "--xc-registry-key",
            "maven[:GROUP]=FILE[,...]",
            N_("OpenPGP keys that the files of Maven's packages, of a group or of all, have to be signed by"),
        ),
        PackageOption(
            "--xc-allow-list",
            "FILE",
            N_("the modules and packages that a product may be built from (YAML, xc-allow-list/1)"),
        ),
        PackageOption(
            "--xc-advisories", "PATH", N_("advisories in OSV's JSON, a file or a directory: versions that are frozen")
        ),
        PackageOption(
            "--xc-mirror-key", "FILE", N_("the SM2 public key (PEM) that a product's mirror has to be signed with")
        ),
        PackageOption(
            "--xc-sumdb",
            "DIR|URL[,...]",
            N_("where records of Go's checksum database are, which vouch for published modules"),
        ),
        PackageOption("--xc-sumdb-key", "KEY", N_("the key of a checksum database of one's own (NAME+HASH+KEY)")),
    )

    def __init__(self) -> None:
        self._engines: WeakKeyDictionary[Subject, Engine] = WeakKeyDictionary()

    def check(self, run: RunContext) -> None:
        from pytest_xinchuang.packages.supply_chain.checking import keys
        from pytest_xinchuang.packages.supply_chain.golang.sumdb import setting
        from pytest_xinchuang.tools.go import GoCommand

        trust = self._trust(run)
        setting(trust.sumdb_key, GoCommand())
        keys(trust.registry_keys)

    @staticmethod
    def _trust(run: RunContext) -> Trust:
        from pytest_xinchuang.packages.supply_chain.engine import Trust

        return Trust(
            proxies=tuple(p for p in (run.option("xc_proxy") or "").split(",") if p),
            registries=tuple(p for p in (run.option("xc_registry") or "").split(",") if p),
            registry_keys=tuple(p for p in (run.option("xc_registry_key") or "").split(",") if p),
            allow_list=run.option_path("xc_allow_list"),
            advisories=run.option_path("xc_advisories"),
            mirror_key=run.option_path("xc_mirror_key"),
            sumdb=tuple(p for p in (run.option("xc_sumdb") or "").split(",") if p),
            sumdb_key=run.option("xc_sumdb_key") or "",
        )

    def engine(self, run: RunContext, platform: Platform) -> Engine:  # noqa: ARG002 - a chain is the same on all
        from pytest_xinchuang.packages.supply_chain.engine import SupplyChainEngine

        if run.subject not in self._engines:
            self._engines[run.subject] = SupplyChainEngine(
                run.subject,
                run.catalogue,
                run.pool.store.cache,
                self._trust(run),
                offline=run.offline,
                runner=run.builder.runner,
            )
        return self._engines[run.subject]

    def add_commands(self, commands: Commands) -> None:
        from pytest_xinchuang.packages.supply_chain.commands import add_commands

        add_commands(commands)

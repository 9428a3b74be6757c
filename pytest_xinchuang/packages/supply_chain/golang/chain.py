"""What the checks of a module share: what it is checked against, and what was read of it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.golang.gofiles import ModulesTxt, Vendored
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, Proxies
from pytest_xinchuang.packages.supply_chain.golang.vouching import Vouching
from pytest_xinchuang.packages.supply_chain.lists import Advisories, AllowList
from pytest_xinchuang.tools.gomod import GoMod, ModuleVersion

LEAST_GO = "1.22"
"""Since Go 1.22 each iteration has a loop variable of its own (its release notes): an older directive means another program."""


@dataclass(frozen=True)
class Options:
    """What a module is checked against.

    Attributes:
        least_go: the oldest go directive that is accepted.
        platform_go: the newest Go that the platform has; "" where that is not known.
        vouching: who vouches for what was published; None: nobody.
    """

    allow_list: AllowList | None = None
    advisories: Advisories | None = None
    least_go: str = LEAST_GO
    platform_go: str = ""
    today: datetime.date = field(default_factory=datetime.date.today)
    vouching: Vouching | None = None


@dataclass
class Verified:
    """A module whose published files are here.

    Attributes:
        h1: computed from them.
        files: name below the module -> SHA-256.
    """

    module: ModuleVersion
    h1: str
    files: dict[str, str]


class Chain(Protocol):
    """A check of one module's directory, as its parts see it."""

    directory: Path
    proxies: Proxies
    options: Options
    verified: dict[ModuleVersion, Verified | Gone]
    checked_files: int

    @property
    def go_mod(self) -> GoMod: ...

    @property
    def modules_txt(self) -> ModulesTxt | None: ...

    @property
    def vendored(self) -> Sequence[Vendored] | None: ...

    @property
    def published(self) -> list[ModuleVersion]: ...

    def real(self, module: ModuleVersion) -> ModuleVersion: ...

    def inner(self, module: ModuleVersion) -> GoMod | None: ...

    def line(self, path: str) -> str: ...

    def add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: str) -> None: ...

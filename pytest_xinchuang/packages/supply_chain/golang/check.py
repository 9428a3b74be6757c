"""Checks a module's directory: what it would be built from, file by file."""

from __future__ import annotations

import datetime
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.golang.gofiles import (
    BadModulesTxt,
    SumLine,
    Vendored,
    read_go_sum,
    read_modules_txt,
)
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1, h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, Proxies
from pytest_xinchuang.packages.supply_chain.lists import Advisories, AllowList
from pytest_xinchuang.tools.gomod import GoMod, GoModFault, GoModRefused, ModuleVersion, go_key, read_go_mod

LEAST_GO = "1.22"
"""Since Go 1.22 each iteration has a loop variable of its own (its release notes): an older directive means another program."""

_REFUSED = {GoModFault.MAJOR: "XC-SUP-015", GoModFault.VERSION: "XC-SUP-012", GoModFault.SYNTAX: "XC-SUP-009"}
"""Fault of a line of go.mod -> finding."""


@dataclass(frozen=True)
class Options:
    """What a module is checked against.

    Attributes:
        least_go: the oldest go directive that is accepted.
        platform_go: the newest Go that the platform has; "" where that is not known.
    """

    allow_list: AllowList | None = None
    advisories: Advisories | None = None
    least_go: str = LEAST_GO
    platform_go: str = ""
    today: datetime.date = field(default_factory=datetime.date.today)


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


class SupplyChain:
    """One check of one directory; the findings are made once."""

    def __init__(self, directory: Path, proxies: Proxies, options: Options | None = None) -> None:
        self.directory, self.proxies, self.options = directory, proxies, options or Options()
        self.findings: list[Finding] = []
        self.verified: dict[ModuleVersion, Verified | Gone] = {}
        self.checked_files = 0
        self.checked_lines = 0
        self.refused = False
        """Whether the go command refuses go.mod, so that nothing but its faults was looked at."""

    # -- what there is

    @cached_property
    def go_mod(self) -> GoMod:
        """Raises XcError."""
        return read_go_mod(self.directory / "go.mod", self.proxies.go)

    @cached_property
    def sums(self) -> list[SumLine]:
        path = self.directory / "go.sum"
        if not path.is_file():
            return []
        lines, bad = read_go_sum(path)
        for number, why in bad:
            self._add("XC-SUP-004", f"go.sum:{number}", detail=why)
        return lines

    @cached_property
    def vendored(self) -> list[Vendored] | None:
        """The modules of vendor/modules.txt; None where nothing is vendored."""
        if not (self.directory / "vendor").is_dir():
            return None
        path = self.directory / "vendor" / "modules.txt"
        if not path.is_file():
            self._add("XC-SUP-006", "vendor/modules.txt", detail=_("vendor/ exists, and the file does not"))
            return []
        try:
            return read_modules_txt(path)
        except BadModulesTxt as error:
            self._add("XC-SUP-006", "vendor/modules.txt", detail=_("line {n}: {why}", n=error.number, why=error.why))
            return []

    def real(self, module: ModuleVersion) -> ModuleVersion:
        """The module that the files of a required one come from, after ``replace``."""
        return self.go_mod.replacement(module) or module

    def run(self) -> list[Finding]:
        """All findings, in order of place.

        Raises:
            XcError: there is no go.mod.
            HostFault: our side could not look.
        """
        try:
            self.go_mod  # noqa: B018 - without it there is nothing to check
        except GoModRefused as refused:
            self.refused = True
            for error in refused.errors:
                self._add(_REFUSED[error.fault], f"go.mod:{error.line}", module=error.text, detail=error.text)
            return self.findings
        self._directive()
        self._versions()
        self._replaces()
        self._allowed()
        self._advisories()
        self._fetch_all()
        self._sum_lines()
        if self.vendored is not None:
            self._modules_txt(self.vendored)
            self._vendor(self.vendored)
        self.findings.sort(key=lambda f: (f.object, f.code))
        return self.findings

    def _add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: str) -> None:
        self.findings.append(Finding(code, certainty, where, "go", params))

    def _line(self, path: str) -> str:
        number = self.go_mod.line_of(path)
        return f"go.mod:{number}" if number else "go.mod"

    # -- go.mod

    def _directive(self) -> None:
        go = self.go_mod.go
        if not go or go_key(go) < go_key(self.options.least_go):
            self._add("XC-SUP-010", self._line("go"), go=go or "1.16", least=self.options.least_go)
        if go and self.options.platform_go and go_key(go) > go_key(self.options.platform_go):
            self._add("XC-SUP-011", self._line("go"), go=go, platform_go=self.options.platform_go)

    def _versions(self) -> None:
        for requirement in self.go_mod.requires:
            module = requirement.module
            where = self._line(module.path)
            replaced = self.go_mod.replacement(module)
            if replaced is not None and not replaced.version:
                continue
            real = replaced or module
            if not real.semantic:
                self._add("XC-SUP-012", where, module=str(real))
            elif real.pseudo:
                self._add("XC-SUP-013", where, Certainty.NOTE, module=str(real))
            elif real.prerelease:
                self._add("XC-SUP-014", where, module=str(real))
            if not module.fits_its_path:
                self._add("XC-SUP-015", where, module=str(module))
            elif real.version.endswith("+incompatible"):
                self._add("XC-SUP-016", where, Certainty.NOTE, module=str(real))

    def _replaces(self) -> None:
        allowed = self.options.allow_list
        for old, new in self.go_mod.replaces.items():
            where = self._line(old.path)
            if not new.version:
                self._add("XC-SUP-020", where, old=str(old), new=new.path)
            elif new.path != old.path and (allowed is None or not allowed.of(new.path)):
                self._add("XC-SUP-021", where, old=str(old), new=str(new))
        # A workspace may build from other directories, and has replaces of its own (Go modules reference, Workspaces).
        if (self.directory / "go.work").is_file():
            self._add("XC-SUP-023", "go.work")
        # A replace in a module that is required has no effect here (Go modules reference, replace directive).
        required = {r.module.path for r in self.go_mod.requires}
        for requirement in self.go_mod.requires:
            inner = self._inner_go_mod(self.real(requirement.module))
            if inner is None:
                continue
            for old, new in inner.replaces.items():
                mine = self.go_mod.replacement(old) or self.go_mod.replacement(ModuleVersion(old.path, ""))
                if old.path in required and mine != new:
                    self._add(
                        "XC-SUP-022",
                        self._line(requirement.module.path),
                        module=str(requirement.module),
                        old=str(old),
                        new=str(new),
                    )

    def _inner_go_mod(self, module: ModuleVersion) -> GoMod | None:
        if module.version:
            path = self.proxies.fetch(module, "mod")
            if isinstance(path, Gone):
                return None
        else:
            path = (self.directory / module.path / "go.mod").resolve()
        try:
            return read_go_mod(path, self.proxies.go)
        except HostFault:
            raise
        except XcError:
            return None

    def _allowed(self) -> None:
        allowed = self.options.allow_list
        if allowed is None:
            return
        for requirement in self.go_mod.requires:
            module = self.real(requirement.module)
            if not module.version:
                continue
            where = self._line(requirement.module.path)
            lines = allowed.of(module.path)
            if not lines:
                self._add("XC-SUP-030", where, module=str(module))
                continue
            fitting = [line for line in lines if line.covers(module.version)]
            if not fitting:
                self._add("XC-SUP-031", where, module=str(module), versions=lines[0].versions)
            elif all(line.expires and line.expires < self.options.today for line in fitting):
                line = fitting[0]
                self._add(
                    "XC-SUP-032",
                    where,
                    module=str(module),
                    certificate=line.certificate or "-",
                    expires=str(line.expires),
                )

    def _advisories(self) -> None:
        if self.options.advisories is None:
            return
        for requirement in self.go_mod.requires:
            module = self.real(requirement.module)
            for name, summary in self.options.advisories.of(module):
                self._add(
                    "XC-SUP-033", self._line(requirement.module.path), module=str(module), id=name, summary=summary
                )

    # -- hashes

    @property
    def published(self) -> list[ModuleVersion]:
        """The published modules that the build may take files from, in order."""
        if self.refused:
            return []
        found = {self.real(r.module) for r in self.go_mod.requires}
        found |= {v.real for v in self.vendored or ()}
        return sorted((m for m in found if m.version), key=lambda m: (m.path, m.version))

    def _fetch_all(self) -> None:
        summed = {line.module for line in self.sums if not line.of_go_mod}
        vendored = {v.real for v in self.vendored or () if v.packages}
        wanted = [m for m in self.published if m in summed or m in vendored]
        with ThreadPoolExecutor(4) as pool:
            for module, found in zip(wanted, pool.map(self._fetch, wanted), strict=True):
                self.verified[module] = found

    def _fetch(self, module: ModuleVersion) -> Verified | Gone:
        path = self.proxies.fetch(module, "zip")
        if isinstance(path, Gone):
            return path
        try:
            digests = digests_of_zip(path)
        except XcError as error:
            return Gone(error.what, False)
        prefix = f"{module}/"
        return Verified(module, h1(digests.items()), {name.removeprefix(prefix): d for name, d in digests.items()})

    def _sum_lines(self) -> None:
        if self.go_mod.requires and not (self.directory / "go.sum").is_file():
            self._add("XC-SUP-001", "go.sum")
            return
        by_key: dict[tuple[ModuleVersion, bool], SumLine] = {}
        for line in self.sums:
            first = by_key.setdefault((line.module, line.of_go_mod), line)
            if first.hash != line.hash:
                self._add("XC-SUP-003", f"go.sum:{line.number}", module=str(line.module), other=str(first.number))
        for requirement in self.go_mod.requires:
            module = self.real(requirement.module)
            if module.version and (module, True) not in by_key:
                self._add("XC-SUP-002", self._line(requirement.module.path), module=str(module))
        for module, vendored in self.verified.items():
            if isinstance(vendored, Verified) and (module, False) not in by_key:
                self._add("XC-SUP-002", "go.sum", module=str(module))
        needed = set(self.published)
        with ThreadPoolExecutor(8) as pool:
            for line, true in zip(self.sums, pool.map(self._true_hash, self.sums), strict=True):
                where = f"go.sum:{line.number}"
                what = f"{line.module}/go.mod" if line.of_go_mod else str(line.module)
                if isinstance(true, Gone):
                    if true.certain:
                        self._add("XC-SUP-007", where, module=what)
                    if line.module in needed or (true.refused and not true.certain):
                        self._add("XC-SUP-008", where, Certainty.UNDECIDED, module=what, detail=true.why)
                elif true != line.hash:
                    self._add("XC-SUP-005", where, module=what, found=line.hash, wanted=true)
                else:
                    self.checked_lines += 1

    def _true_hash(self, line: SumLine) -> str | Gone:
        if not line.of_go_mod:
            found = self.verified.get(line.module)
            if found is None:
                # Of a version that is not built from: its zip is not worth fetching, unless it is here.
                mod = self.proxies.fetch(line.module, "mod")
                return mod if isinstance(mod, Gone) else line.hash
            return found.h1 if isinstance(found, Verified) else found
        path = self.proxies.fetch(line.module, "mod")
        return path if isinstance(path, Gone) else h1_of_go_mod(path.read_bytes())

    # -- vendor/

    def _modules_txt(self, vendored: Sequence[Vendored]) -> None:
        # A replacement stands a second time at the end, without the version and what belongs to it.
        listed = {v.module.path: v for v in reversed(vendored) if v.module.version or v.real != v.module}
        for requirement in self.go_mod.requires:
            module = requirement.module
            found = listed.get(module.path)
            where = "vendor/modules.txt"
            if found is None:
                if not requirement.indirect:
                    self._add("XC-SUP-006", where, detail=_("{module} is required and not listed", module=module))
            elif found.module.version and found.module.version != module.version:
                detail = _(
                    "{module} is listed, and go.mod requires {version}", module=found.module, version=module.version
                )
                self._add("XC-SUP-006", where, detail=detail)
            elif found.real != self.real(module):
                detail = _(
                    "{module} comes from {found}, by go.mod from {wanted}",
                    module=module,
                    found=found.real,
                    wanted=self.real(module),
                )
                self._add("XC-SUP-006", where, detail=detail)
            if found is not None and not found.explicit:
                self._add(
                    "XC-SUP-006", where, detail=_("{module} is required and not marked as explicit", module=module)
                )
        required = {r.module.path for r in self.go_mod.requires}
        replaced = {old.path for old in self.go_mod.replaces}
        for one in vendored:
            if one.module.path not in required and one.module.path not in replaced:
                self._add(
                    "XC-SUP-006",
                    "vendor/modules.txt",
                    detail=_("{module} is listed and not required", module=one.module),
                )

    def _vendor(self, vendored: Sequence[Vendored]) -> None:
        root = self.directory / "vendor"
        modules = sorted(vendored, key=lambda v: -len(v.module.path))
        packages = {package for v in vendored for package in v.packages}
        extra: set[str] = set()
        unverified: set[ModuleVersion] = set()
        for file in _files(root):
            name = file.relative_to(root).as_posix()
            if name == "modules.txt":
                continue
            owner = next((v for v in modules if name.startswith(v.module.path + "/")), None)
            directory = name.rpartition("/")[0]
            if owner is None:
                extra.add(directory)
                continue
            if directory not in packages and name.endswith(".go") and not _below(directory, packages):
                extra.add(directory)
                continue
            if file.is_symlink() or not file.is_file():
                self._add("XC-SUP-041", f"vendor/{name}", module=str(owner.real), detail=_("it is no regular file"))
                continue
            self._vendored_file(owner, name, file, unverified)
        for directory in sorted(extra):
            self._add("XC-SUP-042", f"vendor/{directory}")
        for module in sorted(unverified, key=str):
            found = self.verified.get(module)
            if not module.version:
                continue  # a local replacement: told as such
            why = found.why if isinstance(found, Gone) else _("it was not fetched")
            self._add("XC-SUP-044", f"vendor/{module.path}", Certainty.UNDECIDED, module=str(module), detail=why)
        self._missing_files(vendored)

    def _vendored_file(self, owner: Vendored, name: str, file: Path, unverified: set[ModuleVersion]) -> None:
        inner = name[len(owner.module.path) + 1 :]
        if not owner.real.version:
            local = (self.directory / owner.real.path / inner).resolve()
            if local.is_file() and local.read_bytes() != file.read_bytes():
                self._add("XC-SUP-040", f"vendor/{name}", module=str(owner.real), found="-", wanted="-")
            return
        published = self.verified.get(owner.real)
        if not isinstance(published, Verified):
            unverified.add(owner.real)
            return
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        wanted = published.files.get(inner)
        if wanted is None:
            detail = _("the published module has no such file")
            self._add("XC-SUP-041", f"vendor/{name}", module=str(owner.real), detail=detail)
        elif wanted != digest:
            self._add("XC-SUP-040", f"vendor/{name}", module=str(owner.real), found=digest, wanted=wanted)
        else:
            self.checked_files += 1

    def _missing_files(self, vendored: Iterable[Vendored]) -> None:
        for one in vendored:
            published = self.verified.get(one.real)
            if not isinstance(published, Verified):
                continue
            for package in one.packages:
                below = package[len(one.module.path) + 1 :]
                for name in published.files:
                    directory, _, leaf = name.rpartition("/")
                    here = directory == below and leaf.endswith(".go") and not leaf.endswith("_test.go")
                    if not here or leaf[0] in "._" or (self.directory / "vendor" / package / leaf).exists():
                        continue
                    # `go mod vendor` leaves out files whose constraints nothing can satisfy ("ignore").
                    if not self._ignored(one.real, name):
                        self._add("XC-SUP-043", f"vendor/{package}/{leaf}", module=str(one.real))

    def _ignored(self, module: ModuleVersion, name: str) -> bool:
        path = self.proxies.fetch(module, "zip")
        if isinstance(path, Gone):
            return True
        with zipfile.ZipFile(path) as archive:
            head = archive.read(f"{module}/{name}")[:4096]
        lines = [line.strip() for line in head.splitlines()]
        return any(line.startswith((b"//go:build", b"// +build")) and b"ignore" in line for line in lines)


def _files(root: Path) -> Iterator[Path]:
    for directory, names, leaves in os.walk(root):
        names.sort()
        # A link to a directory is not followed by the go command, and stands here as what it is.
        for name in [*sorted(leaves), *(n for n in names if (Path(directory) / n).is_symlink())]:
            yield Path(directory) / name


def _below(directory: str, packages: set[str]) -> bool:
    """Whether a directory may hold what a package embeds: it is below one."""
    return any(directory.startswith(package + "/") for package in packages)

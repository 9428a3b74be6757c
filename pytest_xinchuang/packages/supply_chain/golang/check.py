"""Checks a module's directory: what it would be built from, file by file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.golang.chain import Options, Verified
from pytest_xinchuang.packages.supply_chain.golang.delivered import check_delivered, check_vendored_sources
from pytest_xinchuang.packages.supply_chain.golang.gofiles import (
    BadModulesTxt,
    ModulesTxt,
    SumLine,
    Vendored,
    read_go_sum,
    read_modules_txt,
)
from pytest_xinchuang.packages.supply_chain.golang.hashes import h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, Proxies
from pytest_xinchuang.packages.supply_chain.golang.published import check_vouched, read_zip
from pytest_xinchuang.packages.supply_chain.golang.sources import mixed_scripts
from pytest_xinchuang.packages.supply_chain.golang.surroundings import (
    check_directives,
    check_environment,
    check_retractions,
    check_workspace,
)
from pytest_xinchuang.packages.supply_chain.golang.vendor import VendorFiles, check_modules_txt
from pytest_xinchuang.packages.supply_chain.lists import lapsed
from pytest_xinchuang.tools.gomod import GoMod, GoModFault, GoModRefused, ModuleVersion, go_key, read_go_mod

_REFUSED = {GoModFault.MAJOR: "XC-SUP-015", GoModFault.VERSION: "XC-SUP-012", GoModFault.SYNTAX: "XC-SUP-009"}
"""Fault of a line of go.mod -> finding."""


class SupplyChain:
    """One check of one directory; the findings are made once."""

    def __init__(self, directory: Path, proxies: Proxies, options: Options | None = None) -> None:
        self.directory, self.proxies, self.options = directory, proxies, options or Options()
        self.findings: list[Finding] = []
        self.verified: dict[ModuleVersion, Verified | Gone] = {}
        self.checked_files = 0
        self.checked_lines = 0
        self.vouched = 0
        self._inner: dict[ModuleVersion, GoMod | None] = {}
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
            self.add("XC-SUP-004", f"go.sum:{number}", detail=why)
        return lines

    @cached_property
    def modules_txt(self) -> ModulesTxt | None:
        """vendor/modules.txt; None where nothing is vendored, and without modules where it cannot be read."""
        if not (self.directory / "vendor").is_dir():
            return None
        path = self.directory / "vendor" / "modules.txt"
        if not path.is_file():
            self.add("XC-SUP-006", "vendor/modules.txt", detail=_("vendor/ exists, and the file does not"))
            return ModulesTxt(())
        try:
            return read_modules_txt(path)
        except BadModulesTxt as error:
            self.add("XC-SUP-006", "vendor/modules.txt", detail=_("line {n}: {why}", n=error.number, why=error.why))
            return ModulesTxt(())

    @property
    def vendored(self) -> Sequence[Vendored] | None:
        """The modules of vendor/modules.txt; None where nothing is vendored."""
        return None if self.modules_txt is None else self.modules_txt.modules

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
                self.add(_REFUSED[error.fault], f"go.mod:{error.line}", module=error.text, detail=error.text)
            return self.findings
        check_environment(self)
        check_workspace(self)
        check_directives(self)
        self._directive()
        self._versions()
        self._replaces()
        self._allowed()
        self._advisories()
        self._fetch_all()
        self._sum_lines()
        self.vouched = check_vouched(self, self.sums)
        check_retractions(self)
        check_delivered(self)
        if self.modules_txt is not None:
            check_modules_txt(self, self.modules_txt)
            VendorFiles(self, self.modules_txt.modules).check()
            check_vendored_sources(self, self.modules_txt.modules)
        self.findings.sort(key=lambda f: (f.object, f.code))
        return self.findings

    def add(self, code: str, where: str, certainty: Certainty = Certainty.CERTAIN, **params: str) -> None:
        # Names of files may hold anything: what is no character, and what a terminal would obey, stands as its escape.
        place = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in where)
        self.findings.append(Finding(code, certainty, place, "go", params))

    def line(self, path: str) -> str:
        number = self.go_mod.line_of(path)
        return f"go.mod:{number}" if number else "go.mod"

    # -- go.mod

    def _directive(self) -> None:
        go = self.go_mod.go
        if not go or go_key(go) < go_key(self.options.least_go):
            self.add("XC-SUP-010", self.line("go"), go=go or "1.16", least=self.options.least_go)
        if go and self.options.platform_go and go_key(go) > go_key(self.options.platform_go):
            self.add("XC-SUP-011", self.line("go"), go=go, platform_go=self.options.platform_go)

    def _versions(self) -> None:
        for requirement in self.go_mod.requires:
            module = requirement.module
            where = self.line(module.path)
            if scripts := mixed_scripts(module.path):
                self.add("XC-SUP-083", where, name=ascii(module.path), scripts=scripts)
            replaced = self.go_mod.replacement(module)
            if replaced is not None and not replaced.version:
                continue
            real = replaced or module
            if not real.semantic:
                self.add("XC-SUP-012", where, module=str(real))
            elif real.pseudo:
                self.add("XC-SUP-013", where, Certainty.NOTE, module=str(real))
            elif real.prerelease:
                self.add("XC-SUP-014", where, module=str(real))
            if not module.fits_its_path:
                self.add("XC-SUP-015", where, module=str(module))
            elif real.version.endswith("+incompatible"):
                self.add("XC-SUP-016", where, Certainty.NOTE, module=str(real))

    def _replaces(self) -> None:
        allowed = self.options.allow_list
        for old, new in self.go_mod.replaces.items():
            where = self.line(old.path)
            if not new.version:
                self.add("XC-SUP-020", where, old=str(old), new=new.path)
            elif new.path != old.path and (allowed is None or not allowed.of(new.path)):
                self.add("XC-SUP-021", where, old=str(old), new=str(new))
        # A replace in a module that is required has no effect here (Go modules reference, replace directive).
        required = {r.module.path for r in self.go_mod.requires}
        for requirement in self.go_mod.requires:
            inner = self.inner(self.real(requirement.module))
            if inner is None:
                continue
            for old, new in inner.replaces.items():
                mine = self.go_mod.replacement(old) or self.go_mod.replacement(ModuleVersion(old.path, ""))
                if old.path in required and mine != new:
                    # A directory of its own repository, or another version of the same module, is for its own tests.
                    patches = new.version and new.path != old.path
                    self.add(
                        "XC-SUP-022",
                        self.line(requirement.module.path),
                        Certainty.CERTAIN if patches else Certainty.NOTE,
                        module=str(requirement.module),
                        old=str(old),
                        new=str(new),
                    )

    def inner(self, module: ModuleVersion) -> GoMod | None:
        """The go.mod of a module that is built from; None: it cannot be had, or the go command refuses it."""
        if module not in self._inner:
            self._inner[module] = self._read_inner(module)
        return self._inner[module]

    def _read_inner(self, module: ModuleVersion) -> GoMod | None:
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
            where = self.line(requirement.module.path)
            lines = allowed.of(module.path)
            if not lines:
                self.add("XC-SUP-030", where, module=str(module))
                continue
            fitting = [line for line in lines if line.covers(module.version)]
            if not fitting:
                self.add("XC-SUP-031", where, module=str(module), versions=lines[0].versions)
            elif (run_out := lapsed(fitting, self.options.today)) is not None:
                certificate, expires = run_out
                self.add("XC-SUP-032", where, module=str(module), certificate=certificate, expires=expires)

    def _advisories(self) -> None:
        if self.options.advisories is None:
            return
        for requirement in self.go_mod.requires:
            module = self.real(requirement.module)
            for name, summary in self.options.advisories.of(module):
                self.add("XC-SUP-033", self.line(requirement.module.path), module=str(module), id=name, summary=summary)

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
            found_all = pool.map(lambda m: read_zip(self, m, vendored=m in vendored), wanted)
            for module, found in zip(wanted, found_all, strict=True):
                self.verified[module] = found

    def _sum_lines(self) -> None:
        if self.go_mod.requires and not (self.directory / "go.sum").is_file():
            self.add("XC-SUP-001", "go.sum")
            return
        by_key: dict[tuple[ModuleVersion, bool], SumLine] = {}
        for line in self.sums:
            first = by_key.setdefault((line.module, line.of_go_mod), line)
            if first.hash != line.hash:
                self.add("XC-SUP-003", f"go.sum:{line.number}", module=str(line.module), other=str(first.number))
        for requirement in self.go_mod.requires:
            module = self.real(requirement.module)
            if module.version and (module, True) not in by_key:
                self.add("XC-SUP-002", self.line(requirement.module.path), module=str(module))
        for module, vendored in self.verified.items():
            if isinstance(vendored, Verified) and (module, False) not in by_key:
                self.add("XC-SUP-002", "go.sum", module=str(module))
        needed = set(self.published)
        with ThreadPoolExecutor(8) as pool:
            for line, true in zip(self.sums, pool.map(self._true_hash, self.sums), strict=True):
                where = f"go.sum:{line.number}"
                what = f"{line.module}/go.mod" if line.of_go_mod else str(line.module)
                if isinstance(true, Gone):
                    if true.certain:
                        grave = line.module in needed or not true.partial or self._above(line.module)
                        self.add("XC-SUP-007", where, Certainty.CERTAIN if grave else Certainty.NOTE, module=what)
                    if line.module in needed or (true.refused and not true.certain):
                        self.add("XC-SUP-008", where, Certainty.UNDECIDED, module=what, detail=true.why)
                elif true is None:
                    continue
                elif true != line.hash:
                    self.add("XC-SUP-005", where, module=what, found=line.hash, wanted=true)
                else:
                    self.checked_lines += 1

    def _above(self, module: ModuleVersion) -> bool:
        """Whether a version is later than the one that is required, which no requirement of any module can then ask for.

        What is required is the latest that anybody asks for (Go modules reference, Minimal version selection).
        """
        return any(r.module.path == module.path and r.module.key < module.key for r in self.go_mod.requires)

    def _true_hash(self, line: SumLine) -> str | Gone | None:
        """None: it was not asked for, since nothing is built from it."""
        if not line.of_go_mod:
            found = self.verified.get(line.module)
            if found is None:
                # Of a version that is not built from: its zip is not worth fetching, unless it is here.
                mod = self.proxies.fetch(line.module, "mod")
                return mod if isinstance(mod, Gone) else None
            return found.h1 if isinstance(found, Verified) else found
        path = self.proxies.fetch(line.module, "mod")
        return path if isinstance(path, Gone) else h1_of_go_mod(path.read_bytes())

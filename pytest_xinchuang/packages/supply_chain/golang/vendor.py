"""vendor/: whether modules.txt agrees with go.mod, and every file with what was published."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.chain import Chain, Verified
from pytest_xinchuang.packages.supply_chain.golang.gofiles import ModulesTxt, Vendored
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.tools.gomod import ModuleVersion, go_key

_TXT = "vendor/modules.txt"

_EXPLICIT_SINCE, _LANGUAGE_SINCE, _WHOLE_SINCE = (1, 14), (1, 17), (1, 17)
"""The go directives since which modules.txt marks what go.mod names, and has the modules' own go lines; and since which go.mod
names every module that is built from (cmd/go/internal/modcmd, runVendor; Go modules reference, Graph pruning)."""


def check_modules_txt(chain: Chain, listed: ModulesTxt) -> None:
    """Whether modules.txt is what ``go mod vendor`` writes for go.mod and the modules that it names."""
    go = go_key(chain.go_mod.go or "1.16")

    def wrong(detail: Message, line: int = 0) -> None:
        chain.add("XC-SUP-006", f"{_TXT}:{line}" if line else _TXT, detail=detail)

    if listed.workspace:
        wrong(_("it is of a workspace (go work vendor), and this is one module"), 1)
    by_path: dict[str, Vendored] = {}
    for one in listed.modules:
        first = by_path.get(one.module.path)
        if first is None:
            by_path[one.module.path] = one
        elif not one.nowhere:
            wrong(_("{module} is listed a second time", module=one.module.path), one.line)
        if one.unknown:
            wrong(_("{word} is no word of the go command's", word=verbatim(repr(one.unknown[0]))), one.line)
    for requirement in chain.go_mod.requires:
        module = requirement.module
        found = by_path.get(module.path)
        if found is None:
            if not requirement.indirect or go >= _EXPLICIT_SINCE:
                wrong(_("{module} is required and not listed", module=module))
            continue
        if found.module.version and found.module.version != module.version:
            wrong(
                _("{module} is listed, and go.mod requires {version}", module=found.module, version=module.version),
                found.line,
            )
        elif found.real != chain.real(module):
            wrong(_from_elsewhere(module, found.real, chain.real(module)), found.line)
        if not found.explicit and go >= _EXPLICIT_SINCE:
            wrong(_("{module} is required and not marked as explicit", module=module), found.line)
    required = {r.module for r in chain.go_mod.requires}
    replaced = {old.path for old in chain.go_mod.replaces}
    for one in by_path.values():
        names = {m.path for m in required}
        if one.module.path not in names and one.module.path not in replaced and go >= _WHOLE_SINCE:
            wrong(_("{module} is listed and not required", module=one.module), one.line)
        elif one.explicit and one.module not in required and one.module.path not in names:
            wrong(_("{module} is marked as explicit and not required", module=one.module), one.line)
    _check_replaces(chain, listed, wrong, go)
    for one in listed.modules:
        _check_language(chain, one, wrong, go)


def _from_elsewhere(module: ModuleVersion, found: ModuleVersion, wanted: ModuleVersion) -> Message:
    return _("{module} comes from {found}, by go.mod from {wanted}", module=module, found=found, wanted=wanted)


def _check_replaces(chain: Chain, listed: ModulesTxt, wrong: _Wrong, go: tuple[int, ...]) -> None:
    """A replace stands at its module, or at the end where it replaces nothing that is built from."""
    marked: dict[ModuleVersion, Vendored] = {v.module: v for v in listed.modules if v.real != v.module}
    for old, new in chain.go_mod.replaces.items():
        found = marked.get(old)
        if found is not None and found.real != new:
            wrong(_from_elsewhere(old, found.real, new), found.line)
        elif found is None and go >= _EXPLICIT_SINCE:
            wrong(_("{module} is replaced and not marked as replaced", module=old))
    for old, one in marked.items():
        if chain.go_mod.replacement(old) is None:
            wrong(_("{module} is marked as replaced, and go.mod does not replace it", module=old), one.line)


def _check_language(chain: Chain, one: Vendored, wrong: _Wrong, go: tuple[int, ...]) -> None:
    """The go line of a module decides in which language its packages are compiled: it has to be that of its own go.mod."""
    if not one.module.version or one.nowhere:
        return
    inner = chain.inner(one.real)
    if inner is None:
        if one.go:
            why = _("the go.mod of {module} is not here", module=one.real)
            chain.add("XC-SUP-044", f"{_TXT}:{one.line}", Certainty.UNDECIDED, module=str(one.real), detail=why)
        return
    wanted = inner.go if go >= _LANGUAGE_SINCE else ""
    if one.go != wanted:
        wrong(
            _(
                "{module} is compiled as Go {found}, by its own go.mod as Go {wanted}",
                module=one.module,
                found=one.go or "1.16",
                wanted=wanted or "1.16",
            ),
            one.line,
        )


class _Wrong(Protocol):
    def __call__(self, detail: Message, line: int = 0) -> None: ...


class VendorFiles:
    """The files of vendor/, each compared with the one that was published."""

    def __init__(self, chain: Chain, vendored: Sequence[Vendored]) -> None:
        self.chain, self.vendored = chain, vendored
        self._root = chain.directory / "vendor"
        self._unverified: set[ModuleVersion] = set()

    def check(self) -> None:
        """Adds what is found to the chain's findings."""
        modules = sorted(self.vendored, key=lambda v: -len(v.module.path))
        packages = {package for v in self.vendored for package in v.packages}
        extra: set[str] = set()
        for file in _files(self._root):
            name = file.relative_to(self._root).as_posix()
            if name == "modules.txt":
                continue
            owner = next((v for v in modules if name.startswith(v.module.path + "/")), None)
            directory = name.rpartition("/")[0]
            foreign = owner is not None and directory not in packages and name.endswith(".go")
            if file.is_symlink() and (file.is_dir() or owner is None):
                detail = _("it is a link, and what it leads to is not of the module")
                self.chain.add("XC-SUP-041", f"vendor/{name}", module=str(owner.real) if owner else "-", detail=detail)
            elif owner is None or (foreign and not _below(directory, packages)):
                extra.add(directory)
            elif file.is_symlink() or not file.is_file():
                detail = _("it is no regular file")
                self.chain.add("XC-SUP-041", f"vendor/{name}", module=str(owner.real), detail=detail)
            else:
                self._file(owner, name, file)
        for directory in sorted(extra):
            self.chain.add("XC-SUP-042", f"vendor/{directory}")
        for module in sorted(self._unverified, key=str):
            found = self.chain.verified.get(module)
            if not module.version:
                continue  # a local replacement: told as such
            why = found.why if isinstance(found, Gone) else _("it was not fetched")
            self.chain.add("XC-SUP-044", f"vendor/{module.path}", Certainty.UNDECIDED, module=str(module), detail=why)
        self._missing(self.vendored)

    def _file(self, owner: Vendored, name: str, file: Path) -> None:
        inner = name[len(owner.module.path) + 1 :]
        module, place = str(owner.real), f"vendor/{name}"
        if not owner.real.version:
            local = (self.chain.directory / owner.real.path / inner).resolve()
            if not local.is_file():
                detail = _("the directory that replaces the module has no such file")
                self.chain.add("XC-SUP-041", place, module=module, detail=detail)
            elif local.read_bytes() != file.read_bytes():
                self.chain.add("XC-SUP-040", place, module=module, found="-", wanted="-")
            return
        published = self.chain.verified.get(owner.real)
        if not isinstance(published, Verified):
            self._unverified.add(owner.real)
            return
        try:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            self.chain.add("XC-SUP-044", place, Certainty.UNDECIDED, module=module, detail=told(error))
            return
        wanted = published.files.get(inner)
        if wanted is None:
            self.chain.add("XC-SUP-041", place, module=module, detail=_("the published module has no such file"))
        elif wanted != digest:
            self.chain.add("XC-SUP-040", place, module=module, found=digest, wanted=wanted)
        else:
            self.chain.checked_files += 1

    def _missing(self, vendored: Iterable[Vendored]) -> None:
        for one in vendored:
            published = self.chain.verified.get(one.real)
            if not isinstance(published, Verified):
                continue
            for package in one.packages:
                below = package[len(one.module.path) + 1 :]
                for name in published.files:
                    directory, _, leaf = name.rpartition("/")
                    here = directory == below and leaf.endswith(".go") and not leaf.endswith("_test.go")
                    if not here or leaf[0] in "._" or (self._root / package / leaf).exists():
                        continue
                    # `go mod vendor` leaves out files whose constraints nothing can satisfy ("ignore").
                    if not self._ignored(one.real, name):
                        self.chain.add("XC-SUP-043", f"vendor/{package}/{leaf}", module=str(one.real))

    def _ignored(self, module: ModuleVersion, name: str) -> bool:
        path = self.chain.proxies.fetch(module, "zip")
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

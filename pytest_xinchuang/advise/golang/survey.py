"""The survey of Go: modules and workspaces of a tree, each built for amd64 and for the platforms' architectures."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.golang.command import Config, GoJail, GoModule
from pytest_xinchuang.advise.golang.judge import Comparison
from pytest_xinchuang.advise.golang.packages import Listing
from pytest_xinchuang.advise.golang.places import Places
from pytest_xinchuang.advise.golang.seen import Seen, needs_cgo
from pytest_xinchuang.advise.judged import Found, Judged, part_of
from pytest_xinchuang.advise.natives import is_made
from pytest_xinchuang.advise.tree import SourceTree, text_of
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.messages import _, verbatim

_IGNORED = ("_", ".")
"""What the names of directories begin with that the go command does not look into (`go help packages`)."""


class GoSurvey:
    """Knows Go."""

    name = "go"

    def applies(self, tree: SourceTree) -> bool:
        return any(_source(name) for name in tree.named("*.go"))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        """Judge the packages of each module.

        Raises:
            ToolchainFault: there is no Go.
        """
        jail = GoJail(tree.root, work)
        modules = _modules(tree, jail)
        surveyed = Surveyed()
        # Two modules of a workspace may be stopped by one cause.
        findings: dict[tuple[str, ...], Finding] = {}
        told: dict[str, list[Judged]] = {platform.id: [] for platform in work.platforms}
        for number, module in enumerate(modules):
            work.tell(f"go {module.directory or '.'}", number, len(modules))
            for platform, judged in _Module(tree, work, jail, module).judge():
                told[platform.id].append(judged)
                for found in judged.found:
                    key = (found.code, found.place, str(found.params.get("error", "")), platform.id)
                    findings.setdefault(key, found.on(platform.id))
        surveyed.findings = list(findings.values())
        by = verbatim(jail.version.replace("go", "Go ", 1))
        listed = _("go list, {n} modules", n=len(modules)) if len(modules) != 1 else verbatim("go list")
        loose = _loose(tree, modules)
        for platform in work.platforms:
            surveyed.add([platform.id], part_of(verbatim("Go"), [*told[platform.id], loose], by=by, found=listed))
        return surveyed


def _modules(tree: SourceTree, jail: GoJail) -> list[GoModule]:
    """The modules of a tree; those that a go.work lists are built in it."""
    listed: dict[str, Path] = {}
    for name in tree.named("go.work"):
        try:
            said = jail.edited("work", tree.root / name)
        except XcError:
            continue
        uses = said.get("Use")
        paths = (
            [str(use.get("DiskPath", "")) for use in uses if isinstance(use, dict)] if isinstance(uses, list) else []
        )
        places = [tree.relative(path, str(PurePosixPath(name).parent)) for path in paths]
        found = ["" if place == "." else place for place in places if place is not None]
        # One that names what is not here, as in a module of a proxy, stops every build in it: its modules stand alone.
        if len(found) == len(paths) and all(f"{place}/go.mod".lstrip("/") in tree for place in found):
            listed |= dict.fromkeys(found, tree.root / name)
    modules = []
    for name in tree.named("go.mod"):
        if _source(name):
            directory = str(PurePosixPath(name).parent)
            directory = "" if directory == "." else directory
            modules.append(GoModule(directory, listed.get(directory)))
    return modules


def _source(name: str) -> bool:
    """Whether a file is one that the go command may build: not vendored, a test's data, or hidden from it."""
    parts = PurePosixPath(name).parts
    if any(part in ("vendor", "testdata") or part.startswith(_IGNORED) for part in parts[:-1]):
        return False
    return not parts[-1].startswith(_IGNORED) and not parts[-1].endswith("_test.go")


def _loose(tree: SourceTree, modules: list[GoModule]) -> Judged:
    """The directories that hold Go sources and are of no module."""
    places = [PurePosixPath(module.directory or ".") for module in modules]
    found = {PurePosixPath(name).parent for name in tree.named("*.go") if _source(name)}
    loose = sum(not any(place.is_relative_to(module) for module in places) for place in found)
    why = _("their directory is of no module: there is no go.mod; go mod init makes one")
    return Judged(total=loose, why=Counter({why: loose} if loose else {}))


@dataclass
class _Module:
    """One module, for all platforms: what several of them share is built once."""

    tree: SourceTree
    work: Work
    jail: GoJail
    module: GoModule
    _listings: dict[Config, Listing] = field(default_factory=dict)
    _built: dict[Config, dict[str, str]] = field(default_factory=dict)

    def judge(self) -> Iterator[tuple[Platform, Judged]]:
        """What is said of the module for each platform."""
        for arch in dict.fromkeys(platform.arch for platform in self.work.platforms):
            yield from self._for(arch, [p for p in self.work.platforms if p.arch is arch])

    def _for(self, arch: Arch, platforms: list[Platform]) -> Iterator[tuple[Platform, Judged]]:
        """Judged with the oldest libc of an architecture's platforms; what fails by C is judged with each of them."""
        triples = sorted({triple_of(p) for p in platforms}, key=lambda t: version_key(t.libc_version or "0"))
        said: dict[Triple, Judged] = {}
        for triple in triples:
            first = said.get(triples[0])
            if first is not None and not any(found.code == "XC-ADV-064" for found in first.found):
                said[triple] = first
                continue
            try:
                said[triple] = self._compared(arch, self.work.baseline if arch is Arch.AMD64 else triple)
            except XcError as fault:
                said[triple] = self._lost(fault)
        for platform in platforms:
            yield platform, said[triple_of(platform)]

    def _compared(self, arch: Arch, triple: Triple) -> Judged:
        configs = [Config(some, cgo=cgo) for cgo in (False, True) for some in (self.work.baseline, triple)]
        off, target_off, on, target_on = configs
        base = self._seen(off)
        target = self._seen(target_off, base)
        differing = self._differing(off, on) | self._differing(target_off, target_on)
        base_cgo = target_cgo = None
        if differing:
            base_cgo = self._seen(on, within=differing)
            target_cgo = self._seen(target_on, base_cgo, differing)
            if target_cgo.lost:  # what is not known of the target is not judged
                base_cgo = target_cgo
        comparison = Comparison(
            places=Places(
                self.tree.root, self.tree.root / self.module.directory, text_of, functools.partial(is_made, self.tree)
            ),
            arch=str(arch),
            base=base,
            target=target,
            base_cgo=base_cgo,
            target_cgo=target_cgo,
        )
        judged = comparison.judge()
        if arch is not Arch.AMD64:
            judged.found += self._unfinished(comparison, target_off, {found.place for found in judged.found})
            files = sorted(
                file for file in comparison.own_files() if not is_aside(str(file.relative_to(self.tree.root)))
            )
            judged.found += comparison.refused(self.jail.refusals(files, str(arch), str(Arch.AMD64)))
        return judged

    def _listing(self, config: Config) -> Listing:
        if config not in self._listings:
            self._listings[config] = self.jail.listing(self.module, config)
        return self._listings[config]

    def _differing(self, off: Config, on: Config) -> set[str]:
        """The packages that are others with cgo."""
        without, with_it = self._listing(off), self._listing(on)
        names = {p.path for listing in (without, with_it) for p in listing.values() if p.matched and not p.standard}
        return {name for name in names if needs_cgo(name, without, with_it)}

    def _seen(self, config: Config, base: Seen | None = None, within: set[str] | None = None) -> Seen:
        """What a configuration makes of the module's packages.

        Args:
            base: what amd64 makes of them: what fails there is not judged, and not built.
            within: those to build; None: all.

        Raises:
            XcError: it could not be found out without cgo.
        """
        listing = self._listing(config)
        seen = Seen(listing, cgo=config.cgo)
        names = [p.path for p in listing.values() if p.matched and not p.standard and p.files]
        wanted = [name for name in names if not seen.broken(name) and (within is None or name in within)]
        if base is not None:
            wanted = [name for name in wanted if name not in base.listing or not base.broken(name)]
        if config not in self._built:
            try:
                self._built[config] = self.jail.build(self.module, config, wanted).failed
            except XcError as fault:
                if not config.cgo:
                    raise
                return Seen(listing, dict.fromkeys(wanted, fault.what), cgo=True, lost=True)
        return Seen(listing, self._built[config], config.cgo)

    def _unfinished(self, comparison: Comparison, config: Config, told: set[str]) -> list[Found]:
        """Declarations without a body in packages that have some assembler for the target, and not all.

        Args:
            told: the places of those that the linker has told of.
        """
        found: list[Found] = []
        for path in comparison.assembled:
            package = comparison.target.listing[path]
            symbols = self.jail.without_body(self.module, config, path)
            if not symbols:
                continue
            defined = self.jail.symbols(Path(package.directory), package.assembly, config)
            found += [one for one in comparison.unfinished(path, symbols, defined) if one.place not in told]
        return found

    def _lost(self, fault: XcError) -> Judged:
        """Nothing of the module is judged."""
        listing = self._listings.get(Config(self.work.baseline, cgo=False), {})
        total = sum(p.matched and not p.standard and bool(p.files) for p in listing.values())
        if not total:
            place = PurePosixPath(self.module.directory or ".")
            names = {PurePosixPath(name).parent for name in self.tree.named("*.go") if _source(name)}
            total = max(1, sum(name.is_relative_to(place) for name in names))
        return Judged(total=total, why=Counter({fault.what: total}))

"""Compares how the packages of a module build for amd64 and for a target: pure functions of what the go command said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.advise.golang.builds import NO_BODY, GoProblem, problems_in
from pytest_xinchuang.advise.golang.command import Refusal
from pytest_xinchuang.advise.golang.hollow import hollow, real_ones
from pytest_xinchuang.advise.golang.packages import GoPackage
from pytest_xinchuang.advise.golang.places import Places
from pytest_xinchuang.advise.golang.seen import Seen, needs_cgo
from pytest_xinchuang.advise.judged import Found, Judged
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, n_, verbatim
from pytest_xinchuang.tools.go import GoCause, read_failure

_UNDEFINED = frozenset({"UndeclaredName", "UndeclaredImportedName", "MissingFieldOrMethod"})
"""Kinds of type errors (internal/types/errors) for a name that is declared nowhere."""
_RELOCATION = re.compile(r"relocation target (?P<package>\S+)\.(?P<symbol>[^.\s]+) not defined")
"""What the linker says of a function that nothing defines (cmd/link, ld/data.go)."""
_TEXT_SHOWN = 300
"""Characters of a tool's text that are told."""


@dataclass(frozen=True)
class Comparison:
    """A module in the configurations that decide: amd64's and the target's, without cgo and with it.

    Attributes:
        places: where things are in the module.
        arch: the target's GOARCH.
        with_cgo: None: nothing differs with cgo, or it cannot be built here.
    """

    places: Places
    arch: str
    base: Seen
    target: Seen
    base_cgo: Seen | None = None
    target_cgo: Seen | None = None

    def judge(self) -> Judged:
        """Each of the module's packages that has something to build on amd64."""
        judged = Judged()
        causes: dict[tuple[str, bool], list[str]] = {}
        notes: dict[str, list[str]] = {}
        for path in self.packages:
            judged.total += 1
            decided = self._decide(path, judged, causes, notes)
            judged.judged += decided
        for (cause, cgo), stopped in causes.items():
            judged.found += self._explain(cause, stopped, self._pair(cgo=cgo))
        judged.found += self._notes(notes)
        judged.found += self._left_out()
        judged.found += self._hollow()
        judged.found = _once(judged.found)
        return judged

    @cached_property
    def packages(self) -> list[str]:
        """The import paths of what is judged."""
        seen = (self.base, *([self.base_cgo] if self.base_cgo else []))
        return sorted({p.path for s in seen for p in s.listing.values() if p.matched and not p.standard and p.files})

    def _pair(self, *, cgo: bool) -> tuple[Seen, Seen]:
        if cgo and self.base_cgo is not None and self.target_cgo is not None:
            return self.base_cgo, self.target_cgo
        return self.base, self.target

    def _differs(self, path: str) -> bool:
        """Whether cgo has anything to do with a package."""
        pairs = ((self.base, self.base_cgo), (self.target, self.target_cgo))
        return any(on is not None and needs_cgo(path, off.listing, on.listing) for off, on in pairs)

    def _decide(
        self, path: str, judged: Judged, causes: dict[tuple[str, bool], list[str]], notes: dict[str, list[str]]
    ) -> bool:
        """Whether a package was judged; what breaks it is added to ``causes``."""
        differs = self._differs(path)
        base, target = self._pair(cgo=differs)
        broken = base.broken(path)
        if broken and not differs:
            judged.why[_not_on_amd64(base, broken[0])] += 1
            return False
        if broken:
            # With cgo it builds on neither here: what fails without it is still certain, what builds is not judged.
            why = _("with cgo, {why}", why=_not_on_amd64(base, broken[0]))
            base, target, differs = self.base, self.target, False
            broken = () if base.broken(path) else self._stops(base, target, path)
            if not broken:
                judged.why[why] += 1
                return False
        else:
            broken = self._stops(base, target, path)
        for cause in broken:
            if (fault := self._ours(target, cause)) is not None:
                judged.why[fault] += 1
                return False
        for cause in broken:
            causes.setdefault((cause, differs), []).append(path)
        if differs and not broken and not self.base.broken(path):
            for cause in self._stops(self.base, self.target, path):
                notes.setdefault(cause, []).append(path)
        return True

    def _stops(self, base: Seen, target: Seen, path: str) -> tuple[str, ...]:
        """What stops a package on the target; nothing for a library that is left out there on purpose."""
        package = target.listing.get(path)
        if package is None or package.excluded:
            return (path,) if base.listing[path].is_main else ()
        return target.broken(path)

    def _ours(self, target: Seen, cause: str) -> Message | None:
        """Why a failure is no fault of the tree's; None: it is one."""
        package = target.listing.get(cause)
        if package is not None and package.standard:
            return _("Go's own package {package} does not build here", package=verbatim(cause))
        if package is not None and package.error and not package.excluded:
            failure = read_failure(package.error)
            if failure.cause is not GoCause.SUBJECT:
                return failure.told()
        return None

    # -- where, and what to do

    def _explain(self, cause: str, stopped: list[str], pair: tuple[Seen, Seen]) -> Iterator[Found]:
        base, target = pair
        known = target.listing.get(cause) or base.listing.get(cause)
        if known is None:
            return
        if not self.places.own(known):
            yield self._dependency(known, stopped, target)
        elif cause not in target.listing or known.excluded:
            yield from self._excluded(base.listing.get(cause, known), stopped, target)
        elif known.error:
            file, line = _position(known.place)
            importer = self._importers(cause, target)
            place = (
                self.places.place(file, line, known)
                if file
                else self.places.first_file(importer[0] if importer else known)
            )
            yield self._failure(known, [(place, GoProblem(known.error))], "", stopped, pair)
        else:
            yield from self._compiled(known, stopped, pair)

    def _compiled(self, package: GoPackage, stopped: list[str], pair: tuple[Seen, Seen]) -> Iterator[Found]:
        """What compilers said of a package of the tree, grouped by cause."""
        base, target = pair
        groups: dict[str, list[tuple[str, GoProblem]]] = {}
        definers: dict[str, str] = {}
        for problem in problems_in(target.failed[package.path]):
            if (linked := _RELOCATION.search(problem.text)) is not None:
                found = self._unlinked(linked["package"], linked["symbol"], stopped, pair)
                if found is not None:
                    yield found
                    continue
            place = self.places.place_of(problem, package)
            key = problem.text
            if problem.linked:
                place = self.places.linking(package, problem.text)
            if problem.code in _UNDEFINED:
                definer = self.places.definer(_name(problem.text), package, pair)
                key = definer or key
                definers[key] = definer
            elif NO_BODY.fullmatch(problem.text):
                symbol = self.places.declared(problem, package)
                yield self._bodyless(package, symbol, place, stopped, base, Certainty.CERTAIN)
                continue
            elif problem.included[0]:
                key = place
            groups.setdefault(key, []).append((place, problem))
        for key, problems in groups.items():
            yield self._failure(package, problems, definers.get(key, ""), stopped, pair)

    def _failure(
        self,
        package: GoPackage,
        problems: list[tuple[str, GoProblem]],
        definer: str,
        stopped: list[str],
        pair: tuple[Seen, Seen],
    ) -> Found:
        place, problem = problems[0]
        certainty, code, arch = Certainty.CERTAIN, "XC-ADV-060", verbatim(self.arch)
        library = self.places.library(problem.text) if problem.linked else ""
        error = _short(problem.text.replace(f"{self.places.root}/", ""))
        if definer.startswith("/"):
            advice = _(
                "{file}, which is not of this tree, has it for amd64 alone: use what {arch} has too, or keep its user for "
                "amd64 by //go:build amd64",
                file=verbatim("/".join(definer.split("/")[-2:])),
                arch=arch,
            )
        elif definer:
            advice = _(
                "{file} defines it for amd64 alone: declare it for {arch} too, or once for all others in a file with "
                "//go:build !amd64",
                file=verbatim(definer),
                arch=arch,
            )
        elif problem.linked:
            code = "XC-ADV-064"
            advice = _(
                "build the library for {arch}, and name it by #cgo {arch} LDFLAGS; or leave the file out by //go:build amd64",
                arch=arch,
            )
            if library and self.places.made(library.rpartition("/")[2]):
                certainty = Certainty.GUARDED
        elif problem.of_c:
            code = "XC-ADV-064"
            advice = _(
                "guard it by #if defined(__x86_64__) and give the others plain C, or leave the file out by //go:build amd64"
            )
            if self.places.for_this_cpu(package):
                certainty = Certainty.GUARDED
        else:
            advice = _(
                "keep what is meant for amd64 in a file with //go:build amd64, and give {arch} its own in one with "
                "//go:build !amd64",
                arch=arch,
            )
        return Found(
            code,
            certainty,
            place,
            {"error": error, "packages": _stopped(stopped), "advice": advice, "arch": arch},
            {
                "package": package.path,
                "with": _configured(self.arch, pair[1]),
                "kind": problem.code,
                "places": [f"{where}:{p.column}" if p.column else where for where, p in problems],
                "stops": stopped,
                **({"files": [library]} if library else {}),
            },
        )

    def _bodyless(
        self, package: GoPackage, symbol: str, place: str, stopped: list[str], base: Seen, certainty: Certainty
    ) -> Found:
        assembly = self.places.assembly(symbol, base.listing.get(package.path, package))
        advice = _(
            "{file} defines it for amd64 alone: declare it in a file with //go:build amd64, and write {symbol} in Go in one "
            "with //go:build !amd64",
            file=verbatim(assembly or "*_amd64.s"),
            symbol=verbatim(symbol),
        )
        return Found(
            "XC-ADV-063",
            certainty,
            place,
            {"symbol": symbol, "packages": _stopped(stopped), "advice": advice, "arch": self.arch},
            {"package": package.path, "assembly": assembly, "stops": stopped},
        )

    def _unlinked(self, path: str, symbol: str, stopped: list[str], pair: tuple[Seen, Seen]) -> Found | None:
        """A function that is declared, and that nothing defines on the target, by the linker's word."""
        package = pair[1].listing.get(path)
        if package is None:
            return None
        if not self.places.own(package):
            return self._dependency(package, stopped, pair[1], said=f"relocation target {path}.{symbol} not defined")
        return self._bodyless(
            package, symbol, self.places.declaration(package, symbol), stopped, pair[0], Certainty.CERTAIN
        )

    @cached_property
    def assembled(self) -> list[str]:
        """The packages of the tree that have assembler for the target, and other assembler for amd64."""
        return [path for path in self.packages if self._assembled(path)]

    def _assembled(self, path: str) -> bool:
        base, target = self.base.listing.get(path), self.target.listing.get(path)
        if base is None or target is None or not self.places.own(target):
            return False
        builds = not self.base.broken(path) and not self.target.broken(path)
        return builds and bool(base.assembly and target.assembly) and base.assembly != target.assembly

    def unfinished(self, path: str, symbols: Iterable[str], defined: frozenset[str]) -> Iterator[Found]:
        """Functions that a package declares without a body, and that its assembler for the target does not define.

        Whether anything calls them is the linker's word: they may stop whoever does.

        Args:
            symbols: those that are declared without a body.
            defined: those that are defined in assembler.
        """
        package = self.target.listing[path]
        for symbol in sorted(set(symbols) - defined):
            place = self.places.declaration(package, symbol)
            yield self._bodyless(package, symbol, place, [path], self.base, Certainty.GUARDED)

    def _excluded(self, package: GoPackage, stopped: list[str], target: Seen) -> Iterator[Found]:
        """A package that is left out on the target and needed there, or a program that is left out."""
        arch = verbatim(self.arch)
        importers = self._importers(package.path, target)
        own = [importer for importer in importers if self.places.own(importer)]
        params = {"package": package.path, "packages": _stopped(stopped), "arch": arch}
        evidence = {"package": package.path, "files": list(package.files), "stops": stopped}
        advice = _(
            "give {package} a file that is built for {arch}, or import it in files with //go:build amd64 alone",
            package=verbatim(package.path),
            arch=arch,
        )
        if own:
            first = sorted(own, key=lambda importer: importer.path not in stopped)
            places = [self.places.importing(importer, package.path) for importer in first]
            yield Found(
                "XC-ADV-061", Certainty.CERTAIN, places[0], params | {"advice": advice}, {**evidence, "places": places}
            )
        if not own:
            advice = _("give it a file that is built for {arch}: its constraints leave out all of them", arch=arch)
            yield Found(
                "XC-ADV-061", Certainty.CERTAIN, self.places.first_file(package), params | {"advice": advice}, evidence
            )

    def _left_out(self) -> Iterator[Found]:
        """Libraries that the target leaves out, that nothing of the module imports, and that others may."""
        listing = self.base.listing
        imported = {name for p in listing.values() if p.main_module for name in p.imports}
        for path in self.packages:
            package = listing.get(path)
            there = self.target.listing.get(path)
            if package is None or package.is_main or path in imported or not (there is None or there.excluded):
                continue
            if "internal" in path.split("/"):
                continue
            advice = _("give it a file that is built for {arch}, or tell its users that it is of amd64", arch=self.arch)
            params = {"package": path, "packages": verbatim(path), "arch": self.arch, "advice": advice}
            yield Found("XC-ADV-061", Certainty.GUARDED, self.places.first_file(package), params, {"package": path})

    def _hollow(self) -> Iterator[Found]:
        """Functions of the tree that do something on amd64, and that only panic or refuse on the target."""
        for path in self.packages:
            base, target = self.base.listing.get(path), self.target.listing.get(path)
            if base is None or target is None or not self.places.own(target):
                continue
            real = {
                name
                for file in sorted(set(base.files) - set(target.files))
                for name in real_ones(self.places.text(Path(base.directory, file)) or "")
            }
            for file in sorted(set(target.files) - set(base.files)):
                for one in hollow(self.places.text(Path(target.directory, file)) or "", real):
                    certainty = Certainty.GUARDED if one.exported else Certainty.NOTE
                    place = f"{self.places.named(Path(target.directory, file))}:{one.line}"
                    yield Found(
                        "XC-ADV-066", certainty, place, {"symbol": one.name, "arch": self.arch}, {"package": path}
                    )

    def own_files(self) -> set[Path]:
        """The module's own sources that are built for the target."""
        own = [p for p in self.target.listing.values() if p.matched and self.places.own(p)]
        return {Path(package.directory, file) for package in own for file in package.files}

    def refused(self, refusals: Iterable[Refusal]) -> Iterator[Found]:
        """What refuses the target by its name when it runs."""
        for one in refusals:
            what = {
                "panic": _("{name}() panics", name=verbatim(one.function)),
                "exit": _("{name}() ends the process", name=verbatim(one.function)),
                "error": _("{name}() returns an error", name=verbatim(one.function)),
            }[one.does]
            place = f"{self.places.named(one.file)}:{one.line}"
            yield Found(
                "XC-ADV-081", Certainty.GUARDED, place, {"what": what, "machine": self.arch}, {"does": one.does}
            )

    def _dependency(self, package: GoPackage, stopped: list[str], target: Seen, said: str = "") -> Found:
        path, version = package.module
        said = said or target.said(package.path)
        problems = problems_in(said)
        text = _short(problems[0].text if problems else said) or _("none of its files is for {arch}", arch=self.arch)
        file = f"{problems[0].file}:{problems[0].line}" if problems and problems[0].file else package.directory
        place = self.places.required(path)
        name = f"{path}@{version}" if version else path or package.path
        advice = _(
            "take a later version: go list -m -versions {module}, then go get {module}@VERSION; where none has it, replace "
            "the package for {arch}",
            module=verbatim(path or package.path),
            arch=verbatim(self.arch),
        )
        return Found(
            "XC-ADV-062",
            Certainty.CERTAIN,
            place,
            {"module": name, "error": text, "packages": _stopped(stopped), "advice": advice, "arch": self.arch},
            {"package": package.path, "module": path, "version": version, "file": file, "stops": stopped},
        )

    def _notes(self, notes: Mapping[str, list[str]]) -> Iterator[Found]:
        """Packages that build on the target with cgo alone."""
        for cause, stopped in notes.items():
            listings = [seen.listing for seen in (self.target_cgo, self.target, self.base) if seen is not None]
            package = next((listing[cause] for listing in listings if cause in listing), None)
            if package is None:
                continue
            place = self.places.required(package.module[0])
            if self.places.own(package):
                place = self.places.first_file(package)
                if package.cgo:
                    place = self.places.named(Path(package.directory, package.cgo[0]))
            params = {"package": cause, "packages": _stopped(stopped), "arch": self.arch}
            yield Found("XC-ADV-065", Certainty.NOTE, place, params, {"package": cause, "stops": stopped})

    def _importers(self, path: str, seen: Seen) -> list[GoPackage]:
        return [package for package in seen.listing.values() if path in package.imports]


def _position(place: str) -> tuple[str, int]:
    match = re.match(r"(.+?):(\d+)(?::\d+)?$", place)
    return (match[1], int(match[2])) if match else ("", 0)


def _name(text: str) -> str:
    """The name that an error is about, in what the compiler says: its last word that is one."""
    words = re.findall(r"[\w.]+", text.partition("(")[0])
    return words[-1] if words else ""


def _short(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= _TEXT_SHOWN else first[:_TEXT_SHOWN] + "..."


def _stopped(packages: list[str]) -> Message:
    if len(packages) == 1:
        return verbatim(packages[0])
    return n_(
        "{package} and {n} other package", "{package} and {n} other packages", len(packages) - 1, package=packages[0]
    )


def _configured(arch: str, seen: Seen) -> str:
    return f"GOARCH={arch} CGO_ENABLED={int(seen.cgo)}"


def _not_on_amd64(base: Seen, cause: str) -> Message:
    problems = problems_in(base.said(cause))
    line = problems[0].text if problems else base.said(cause)
    package = base.listing.get(cause)
    if package is not None and package.error and (failure := read_failure(package.error)).cause is not GoCause.SUBJECT:
        return failure.told()
    return _(
        "{package} does not build for amd64 here either: {line}", package=verbatim(cause), line=verbatim(_short(line))
    )


def _once(found: list[Found]) -> list[Found]:
    """Each cause once: of a dependency, each module once."""
    kept: dict[tuple[str, ...], Found] = {}
    for one in found:
        key = (one.code, one.params["module"]) if "module" in one.params else (one.code, one.place, str(one.params))
        kept.setdefault(key, one)
    return list(kept.values())

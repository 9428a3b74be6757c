"""Compares how the packages of a module build for amd64 and for a target: pure functions of what the go command said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.golang.builds import NO_BODY, GoProblem, problems_in
from pytest_xinchuang.advise.golang.hollow import hollow, real_ones
from pytest_xinchuang.advise.golang.packages import GoPackage, Listing
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, n_, verbatim
from pytest_xinchuang.tools.go import GoCause, read_failure

_UNDEFINED = frozenset({"UndeclaredName", "UndeclaredImportedName", "MissingFieldOrMethod"})
"""Kinds of type errors (internal/types/errors) for a name that is declared nowhere."""
_RELOCATION = re.compile(r"relocation target (?P<package>\S+)\.(?P<symbol>[^.\s]+) not defined")
"""What the linker says of a function that nothing defines (cmd/link, ld/data.go)."""
_OF_THIS_CPU = re.compile(r"^\s*(?://|/?\*)?\s*#cgo\b.*-m(?:arch|cpu|tune)=native\b", re.M)
"""A flag that a compiler for another machine does not know, and that machine's own does."""
_TEXT_SHOWN = 300
"""Characters of a tool's text that are told."""


@dataclass(frozen=True)
class Seen:
    """How a module's packages are in one configuration.

    Attributes:
        failed: import path -> what the compilers said of it.
        cgo: CGO_ENABLED.
        lost: nothing was built, by a fault of our side's, which ``failed`` tells.
    """

    listing: Listing
    failed: Mapping[str, str] = field(default_factory=dict)
    cgo: bool = False
    lost: bool = False

    def broken(self, path: str) -> tuple[str, ...]:
        """The packages that keep one from building: itself, or what it needs; each of them fails by itself."""
        package = self.listing.get(path)
        if package is None:
            return (path,)
        return tuple(name for name in package.within if self.fails(name))

    def fails(self, path: str) -> bool:
        """Whether a package fails by itself. What the go command makes up (``unsafe``, ``C``) is not in its listing."""
        package = self.listing.get(path)
        return path in self.failed or (package is not None and bool(package.error))

    def said(self, path: str) -> str:
        """What was said of a package that fails by itself."""
        package = self.listing.get(path)
        return self.failed.get(path) or (package.error if package else "")


@dataclass(frozen=True)
class Found:
    """A finding before it is told for each platform.

    Attributes:
        params: what its text is filled in with.
    """

    code: str
    certainty: Certainty
    place: str
    params: Mapping[str, str]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Judged:
    """What is said of one module for one target.

    Attributes:
        why: why packages were not judged -> how many.
    """

    total: int = 0
    judged: int = 0
    why: Counter[Message] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)


def needs_cgo(path: str, off: Listing, on: Listing) -> bool:
    """Whether a package, or what it needs beside Go's own, is another one with cgo than without."""
    packages = {name for listing in (off, on) if path in listing for name in listing[path].within} | {path}
    for name in packages:
        ours, theirs = off.get(name), on.get(name)
        if (ours or theirs) and (ours or theirs).standard:  # type: ignore[union-attr]
            continue
        if ours is None or theirs is None:
            if ours is not theirs:
                return True
        elif (ours.sources, bool(ours.error)) != (theirs.sources, bool(theirs.error)):
            return True
    return False


@dataclass(frozen=True)
class Comparison:
    """A module in the configurations that decide: amd64's and the target's, without cgo and with it.

    Attributes:
        root: the tree.
        directory: the module's, absolute.
        arch: the target's GOARCH.
        text: reads a file of the tree or of a dependency; None for what cannot be read.
        with_cgo: None: nothing differs with cgo, or it cannot be built here.
    """

    root: Path
    directory: Path
    arch: str
    text: Callable[[Path], str | None]
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
        if not self._own(known):
            yield self._dependency(known, stopped, target)
        elif cause not in target.listing or known.excluded:
            yield from self._excluded(base.listing.get(cause, known), stopped, target)
        elif known.error:
            file, line = _position(known.place)
            importer = self._importers(cause, target)
            place = self._place(file, line, known) if file else self._first_file(importer[0] if importer else known)
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
            place = self._place_of(problem, package)
            key = problem.text
            if problem.code in _UNDEFINED:
                definer = self._definer(_name(problem.text), package, pair)
                key = definer or key
                definers[key] = definer
            elif NO_BODY.fullmatch(problem.text):
                symbol = self._declared(problem, package)
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
        if definer:
            advice = _(
                "{file} defines it for amd64 alone: declare it for {arch} too, or once for all others in a file with "
                "//go:build !amd64",
                file=verbatim(definer),
                arch=arch,
            )
        elif problem.of_c:
            code = "XC-ADV-064"
            advice = _(
                "guard it by #if defined(__x86_64__) and give the others plain C, or leave the file out by //go:build amd64"
            )
            if self._for_this_cpu(package):
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
            {"error": _short(problem.text), "packages": _stopped(stopped), "advice": advice, "arch": arch},
            {
                "package": package.path,
                "with": _configured(self.arch, pair[1]),
                "kind": problem.code,
                "places": [f"{where}:{p.column}" if p.column else where for where, p in problems],
                "stops": stopped,
            },
        )

    def _bodyless(
        self, package: GoPackage, symbol: str, place: str, stopped: list[str], base: Seen, certainty: Certainty
    ) -> Found:
        assembly = self._assembly(symbol, base.listing.get(package.path, package))
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
        if not self._own(package):
            return self._dependency(package, stopped, pair[1], said=f"relocation target {path}.{symbol} not defined")
        return self._bodyless(package, symbol, self.declaration(package, symbol), stopped, pair[0], Certainty.CERTAIN)

    def declaration(self, package: GoPackage, symbol: str) -> str:
        """Where a package declares a function."""
        for name in package.files:
            text = self.text(Path(package.directory, name)) or ""
            if match := re.search(rf"^func {re.escape(symbol)}\(", text, re.M):
                return self._place(name, text.count("\n", 0, match.start()) + 1, package)
        return self._first_file(package)

    @cached_property
    def assembled(self) -> list[str]:
        """The packages of the tree that have assembler for the target, and other assembler for amd64."""
        return [path for path in self.packages if self._assembled(path)]

    def _assembled(self, path: str) -> bool:
        base, target = self.base.listing.get(path), self.target.listing.get(path)
        if base is None or target is None or not self._own(target):
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
            place = self.declaration(package, symbol)
            yield self._bodyless(package, symbol, place, [path], self.base, Certainty.GUARDED)

    def _excluded(self, package: GoPackage, stopped: list[str], target: Seen) -> Iterator[Found]:
        """A package that is left out on the target and needed there, or a program that is left out."""
        arch = verbatim(self.arch)
        importers = self._importers(package.path, target)
        own = [importer for importer in importers if self._own(importer)]
        params = {"package": package.path, "packages": _stopped(stopped), "arch": arch}
        evidence = {"package": package.path, "files": list(package.files), "stops": stopped}
        advice = _(
            "give {package} a file that is built for {arch}, or import it in files with //go:build amd64 alone",
            package=verbatim(package.path),
            arch=arch,
        )
        if own:
            first = sorted(own, key=lambda importer: importer.path not in stopped)
            places = [self._import(importer, package.path) for importer in first]
            yield Found(
                "XC-ADV-061", Certainty.CERTAIN, places[0], params | {"advice": advice}, {**evidence, "places": places}
            )
        if not own:
            advice = _("give it a file that is built for {arch}: its constraints leave out all of them", arch=arch)
            yield Found(
                "XC-ADV-061", Certainty.CERTAIN, self._first_file(package), params | {"advice": advice}, evidence
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
            yield Found("XC-ADV-061", Certainty.GUARDED, self._first_file(package), params, {"package": path})

    def _hollow(self) -> Iterator[Found]:
        """Functions of the tree that do something on amd64, and that only panic or refuse on the target."""
        for path in self.packages:
            base, target = self.base.listing.get(path), self.target.listing.get(path)
            if base is None or target is None or not self._own(target):
                continue
            real = {
                name
                for file in sorted(set(base.files) - set(target.files))
                for name in real_ones(self.text(Path(base.directory, file)) or "")
            }
            for file in sorted(set(target.files) - set(base.files)):
                for one in hollow(self.text(Path(target.directory, file)) or "", real):
                    certainty = Certainty.GUARDED if one.exported else Certainty.NOTE
                    place = f"{self._named(Path(target.directory, file))}:{one.line}"
                    yield Found(
                        "XC-ADV-066", certainty, place, {"symbol": one.name, "arch": self.arch}, {"package": path}
                    )

    def _dependency(self, package: GoPackage, stopped: list[str], target: Seen, said: str = "") -> Found:
        path, version = package.module
        said = said or target.said(package.path)
        problems = problems_in(said)
        text = _short(problems[0].text if problems else said) or _("none of its files is for {arch}", arch=self.arch)
        file = f"{problems[0].file}:{problems[0].line}" if problems and problems[0].file else package.directory
        place = self._required(path)
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
            place = self._required(package.module[0])
            if self._own(package):
                place = (
                    self._named(Path(package.directory, package.cgo[0])) if package.cgo else self._first_file(package)
                )
            params = {"package": cause, "packages": _stopped(stopped), "arch": self.arch}
            yield Found("XC-ADV-065", Certainty.NOTE, place, params, {"package": cause, "stops": stopped})

    def _own(self, package: GoPackage) -> bool:
        """Whether a package's sources are the tree's own: what it keeps of others is in ``vendor``."""
        if not package.directory or package.standard:
            return False
        place = Path(package.directory)
        return place.is_relative_to(self.root) and "vendor" not in place.relative_to(self.root).parts

    def _importers(self, path: str, seen: Seen) -> list[GoPackage]:
        return [package for package in seen.listing.values() if path in package.imports]

    def _import(self, importer: GoPackage, path: str) -> str:
        """The line on which a package imports another."""
        for name in importer.files:
            text = self.text(Path(importer.directory, name)) or ""
            for number, line in enumerate(text.splitlines(), 1):
                if f'"{path}"' in line or f"`{path}`" in line:
                    return self._place(name, number, importer)
        return self._first_file(importer)

    def _required(self, module: str) -> str:
        """The line of go.mod that requires a module."""
        file = self.directory / "go.mod"
        name = file.relative_to(self.root).as_posix()
        for number, line in enumerate((self.text(file) or "").splitlines(), 1):
            words = line.split("//")[0].split()
            if words[:1] == [module] or words[:2] == ["require", module]:
                return f"{name}:{number}"
        return name

    def _first_file(self, package: GoPackage) -> str:
        """Where a package is, and its constraint where it has one."""
        names = package.files or package.ignored
        if not names:
            return self._named(Path(package.directory)) if package.directory else package.path
        for name in names:
            for number, line in enumerate((self.text(Path(package.directory, name)) or "").splitlines()[:40], 1):
                if line.startswith("//go:build"):
                    return self._place(name, number, package)
        return self._named(Path(package.directory, names[0]))

    def _place_of(self, problem: GoProblem, package: GoPackage) -> str:
        if not problem.file:
            cgo = package.cgo or package.files
            return self._named(Path(package.directory, cgo[0])) if cgo else package.path
        place = self._place(problem.file, problem.line, package)
        if place.startswith("/") and problem.included[0]:
            return self._place(*problem.included, package)
        return place

    def _place(self, file: str, line: int, package: GoPackage) -> str:
        """A place as the tree names it, from what is relative to where the go command ran or to the package."""
        for start in (self.directory, Path(package.directory)):
            if (start / file).is_file():
                return f"{self._named(start / file)}:{line}"
        return f"{file}:{line}"

    def _named(self, path: Path) -> str:
        whole = Path(*_normal(path))
        return whole.relative_to(self.root).as_posix() if whole.is_relative_to(self.root) else str(whole)

    def _definer(self, name: str, package: GoPackage, pair: tuple[Seen, Seen]) -> str:
        """The file that declares a name on amd64, and that the target leaves out; for the mend alone."""
        base, target = pair
        qualifier, _dot, last = name.rpartition(".")
        wanted = [package.path]
        if qualifier:
            wanted += [
                path for path in package.imports if path in base.listing and base.listing[path].name == qualifier
            ]
        declared = re.compile(rf"^(?:func (?:\([^)]*\) )?|(?:var|const|type) |\t){re.escape(last)}\b", re.M)
        for path in wanted:
            there, here = base.listing.get(path), target.listing.get(path)
            if there is None or here is None:
                continue
            for file in there.files:
                place = Path(there.directory, file)
                if file not in here.files and declared.search(self.text(place) or ""):
                    return self._named(place)
        return ""

    def _declared(self, problem: GoProblem, package: GoPackage) -> str:
        """The name of the function that is declared at a place."""
        for start in (self.directory, Path(package.directory)):
            lines = (self.text(start / problem.file) or "").splitlines()
            if 0 < problem.line <= len(lines) and (
                match := re.match(r"func (?:\([^)]*\) )?(\w+)", lines[problem.line - 1])
            ):
                return match[1]
        return "?"

    def _assembly(self, symbol: str, package: GoPackage) -> str:
        """The source in assembler that defines a function on amd64; for the mend alone."""
        for name in package.assembly:
            place = Path(package.directory, name)
            if re.search(rf"\bTEXT\s+[^\s(]*·{re.escape(symbol)}\b", self.text(place) or ""):
                return self._named(place)
        return self._named(Path(package.directory, package.assembly[0])) if package.assembly else ""

    def _for_this_cpu(self, package: GoPackage) -> bool:
        return any(_OF_THIS_CPU.search(self.text(Path(package.directory, name)) or "") for name in package.cgo)


def _normal(path: Path) -> tuple[str, ...]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        else:
            parts.append(part)
    return tuple(parts)


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

"""Where something is in a tree, as its users name it: lines of sources and of go.mod."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.golang.builds import GoProblem
from pytest_xinchuang.advise.golang.packages import GoPackage
from pytest_xinchuang.advise.golang.seen import Seen

_OF_THIS_CPU = re.compile(r"^\s*(?://|/?\*)?\s*#cgo\b.*-m(?:arch|cpu|tune)=native\b", re.M)
"""A flag that a compiler for another machine does not know, and that machine's own does."""


@dataclass(frozen=True)
class Places:
    """The places of one module.

    Attributes:
        root: the tree.
        directory: the module's, absolute.
        text: reads a file of the tree or of a dependency; None for what cannot be read.
        made: whether the tree's build makes a library, by its file name.
    """

    root: Path
    directory: Path
    text: Callable[[Path], str | None]
    made: Callable[[str], bool] = lambda _name: False

    def declaration(self, package: GoPackage, symbol: str) -> str:
        """Where a package declares a function."""
        for name in package.files:
            text = self.text(Path(package.directory, name)) or ""
            if match := re.search(rf"^func {re.escape(symbol)}\(", text, re.M):
                return self.place(name, text.count("\n", 0, match.start()) + 1, package)
        return self.first_file(package)

    def own(self, package: GoPackage) -> bool:
        """Whether a package's sources are the tree's own: what it keeps of others is in ``vendor``."""
        if not package.directory or package.standard:
            return False
        place = Path(package.directory)
        return place.is_relative_to(self.root) and "vendor" not in place.relative_to(self.root).parts

    def importing(self, importer: GoPackage, path: str) -> str:
        """The line on which a package imports another."""
        for name in importer.files:
            text = self.text(Path(importer.directory, name)) or ""
            for number, line in enumerate(text.splitlines(), 1):
                if f'"{path}"' in line or f"`{path}`" in line:
                    return self.place(name, number, importer)
        return self.first_file(importer)

    def required(self, module: str) -> str:
        """The line of go.mod that requires a module."""
        file = self.directory / "go.mod"
        name = file.relative_to(self.root).as_posix()
        for number, line in enumerate((self.text(file) or "").splitlines(), 1):
            words = line.split("//")[0].split()
            if words[:1] == [module] or words[:2] == ["require", module]:
                return f"{name}:{number}"
        return name

    def first_file(self, package: GoPackage) -> str:
        """Where a package is, and its constraint where it has one."""
        names = package.files or package.ignored
        if not names:
            return self.named(Path(package.directory)) if package.directory else package.path
        for name in names:
            for number, line in enumerate((self.text(Path(package.directory, name)) or "").splitlines()[:40], 1):
                if line.startswith("//go:build"):
                    return self.place(name, number, package)
        return self.named(Path(package.directory, names[0]))

    def place_of(self, problem: GoProblem, package: GoPackage) -> str:
        if not problem.file:
            cgo = package.cgo or package.files
            return self.named(Path(package.directory, cgo[0])) if cgo else package.path
        place = self.place(problem.file, problem.line, package)
        if place.startswith("/") and problem.included[0]:
            return self.place(*problem.included, package)
        return place

    def place(self, file: str, line: int, package: GoPackage) -> str:
        """A place as the tree names it, from what is relative to where the go command ran or to the package."""
        for start in (self.directory, Path(package.directory)):
            if (start / file).is_file():
                return f"{self.named(start / file)}:{line}"
        return f"{file}:{line}"

    def named(self, path: Path) -> str:
        whole = Path(*_normal(path))
        return whole.relative_to(self.root).as_posix() if whole.is_relative_to(self.root) else str(whole)

    def definer(self, name: str, package: GoPackage, pair: tuple[Seen, Seen]) -> str:
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
                    return self.named(place)
        return ""

    def linking(self, package: GoPackage, said: str) -> str:
        """The line on which a package with cgo asks for a library that a linker speaks of."""
        asked = [
            (name, number, set(re.findall(r"-l(\S+)", line)))
            for name in package.cgo
            for number, line in enumerate((self.text(Path(package.directory, name)) or "").splitlines(), 1)
            if re.search(r"#cgo\b.*\bLDFLAGS\s*:", line)
        ]
        asked.sort(key=lambda one: not any(re.search(rf"\blib{re.escape(word)}\.", said) for word in one[2]))
        return self.place(asked[0][0], asked[0][1], package) if asked else self.first_file(package)

    def library(self, said: str) -> str:
        """The library of the tree that a linker speaks of, as the tree names it; "" for another one."""
        match = re.match(r"(/\S+\.(?:a|so)(?:\.[0-9]+)*)(?:\([^)]*\))?:? ", said)
        path = Path(match[1]) if match is not None else self.root.parent
        return self.named(path) if path.is_relative_to(self.root) else ""

    def declared(self, problem: GoProblem, package: GoPackage) -> str:
        """The name of the function that is declared at a place."""
        for start in (self.directory, Path(package.directory)):
            lines = (self.text(start / problem.file) or "").splitlines()
            if 0 < problem.line <= len(lines) and (
                match := re.match(r"func (?:\([^)]*\) )?(\w+)", lines[problem.line - 1])
            ):
                return match[1]
        return "?"

    def assembly(self, symbol: str, package: GoPackage) -> str:
        """The source in assembler that defines a function on amd64; for the mend alone."""
        for name in package.assembly:
            place = Path(package.directory, name)
            if re.search(rf"\bTEXT\s+[^\s(]*·{re.escape(symbol)}\b", self.text(place) or ""):
                return self.named(place)
        return self.named(Path(package.directory, package.assembly[0])) if package.assembly else ""

    def for_this_cpu(self, package: GoPackage) -> bool:
        return any(_OF_THIS_CPU.search(self.text(Path(package.directory, name)) or "") for name in package.cgo)


def _normal(path: Path) -> tuple[str, ...]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        else:
            parts.append(part)
    return tuple(parts)

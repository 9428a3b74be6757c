"""go.sum and vendor/modules.txt, as the go command reads them (Go modules reference)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, n_, verbatim
from pytest_xinchuang.packages.supply_chain.golang.modzip import path_fault
from pytest_xinchuang.tools.gomod import ModuleVersion


@dataclass(frozen=True)
class SumLine:
    """A line of go.sum: of a module's files, or of its go.mod alone."""

    number: int
    module: ModuleVersion
    of_go_mod: bool
    hash: str


def read_go_sum(path: Path) -> tuple[list[SumLine], list[tuple[int, Message]]]:
    """The lines, and the numbers of malformed ones with what is wrong with them."""
    lines: list[SumLine] = []
    bad: list[tuple[int, Message]] = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return [], [(1, _("it is not UTF-8"))]
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3:
            bad.append((number, n_("it has {n} field, not 3", "it has {n} fields, not 3", len(words))))
            continue
        module, version, digest = words
        if digest.startswith("h1:"):
            try:
                right = len(base64.b64decode(digest[3:], validate=True)) == 32
            except (binascii.Error, ValueError):
                right = False
            if not right:
                bad.append((number, _("{digest} is no SHA-256 in base64", digest=digest)))
                continue
        else:
            bad.append((number, _("{digest} does not begin with h1:, the only algorithm of go.sum", digest=digest)))
            continue
        of_go_mod = version.endswith("/go.mod")
        lines.append(SumLine(number, ModuleVersion(module, version.removesuffix("/go.mod")), of_go_mod, digest))
    return lines, bad


@dataclass
class Vendored:
    """A module of vendor/modules.txt.

    Attributes:
        real: where its files come from, after replacement.
        line: its number.
        go: the language version that its packages are compiled in; "" where none is written.
        unknown: what else stands behind ``##``.
        nowhere: whether it is the line of a replace alone, which stands at the end without packages.
    """

    module: ModuleVersion
    real: ModuleVersion
    line: int = 0
    explicit: bool = False
    go: str = ""
    unknown: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)

    @property
    def nowhere(self) -> bool:
        return self.real != self.module and not (self.packages or self.explicit or self.go)


@dataclass(frozen=True)
class ModulesTxt:
    """vendor/modules.txt: its modules in order, and whether a workspace was vendored."""

    modules: tuple[Vendored, ...]
    workspace: bool = False


class BadModulesTxt(XcError):
    """A line of vendor/modules.txt that the go command does not write.

    Attributes:
        number: of the line, from 1.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, number: int, why: Message) -> None:
        super().__init__(_("{path}:{number}: {why}", path=path, number=number, why=why), mend=verbatim("go mod vendor"))
        self.number, self.why = number, why


def read_modules_txt(path: Path) -> ModulesTxt:
    """The modules in order, with every annotation (cmd/go/internal/modload, readVendorList; modcmd, runVendor).

    Raises:
        BadModulesTxt: a line is of no kind that the go command writes.
    """
    found: list[Vendored] = []
    workspace = False
    for number, line in _lines(path):
        if line.startswith("## "):
            if not found:
                if line.strip() != "## workspace":
                    raise BadModulesTxt(path, number, _("not the beginning of a module: {line}", line=_quoted(line)))
                workspace = True
                continue
            for entry in map(str.strip, line[3:].split(";")):
                if entry == "explicit":
                    found[-1].explicit = True
                elif entry.startswith("go "):
                    found[-1].go = entry[3:]
                else:
                    found[-1].unknown.append(entry)
        elif line.startswith("# "):
            left, _arrow, right = line[2:].partition(" => ")
            words, to = left.split(), right.split()
            if not words or (len(words) == 1 and not to) or len(words) > 2 or len(to) > 2:
                raise BadModulesTxt(path, number, _("not a module: {line}", line=_quoted(line)))
            module = ModuleVersion(words[0], words[1] if len(words) > 1 else "")
            real = ModuleVersion(to[0], to[1] if len(to) > 1 else "") if to else module
            found.append(Vendored(module, real, number))
        elif not found:
            raise BadModulesTxt(path, number, _("a package before the first module: {line}", line=_quoted(line)))
        else:
            package = line.strip()
            if not f"{package}/".startswith(f"{found[-1].module.path}/") or path_fault(package):
                raise BadModulesTxt(
                    path, number, _("not a package of {module}: {line}", module=found[-1].module, line=_quoted(line))
                )
            found[-1].packages.append(package)
    return ModulesTxt(tuple(found), workspace)


def _quoted(line: str) -> Message:
    return verbatim(repr(line))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            yield number, line

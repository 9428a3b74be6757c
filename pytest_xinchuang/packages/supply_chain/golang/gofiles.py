"""go.sum and vendor/modules.txt, as the go command reads them (Go modules reference)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, n_, verbatim
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
    """

    module: ModuleVersion
    real: ModuleVersion
    explicit: bool = False
    packages: list[str] = field(default_factory=list)


class BadModulesTxt(XcError):
    """A line of vendor/modules.txt that the go command does not write.

    Attributes:
        number: of the line, from 1.
        why: what is wrong with it.
    """

    def __init__(self, path: Path, number: int, why: Message) -> None:
        super().__init__(_("{path}:{number}: {why}", path=path, number=number, why=why), mend=verbatim("go mod vendor"))
        self.number, self.why = number, why


def read_modules_txt(path: Path) -> list[Vendored]:
    """The modules in order (cmd/go, vendor/modules.txt).

    Raises:
        BadModulesTxt: a line is of no kind that the go command writes.
    """
    found: list[Vendored] = []
    for number, line in _lines(path):
        if line.startswith("## "):
            if found and "explicit" in line[3:].split("; "):
                found[-1].explicit = True
        elif line.startswith("# "):
            left, _arrow, right = line[2:].partition(" => ")
            words, to = left.split(), right.split()
            if not words or (len(words) == 1 and not to):
                raise BadModulesTxt(path, number, _("not a module: {line}", line=verbatim(repr(line))))
            module = ModuleVersion(words[0], words[1] if len(words) > 1 else "")
            real = ModuleVersion(to[0], to[1] if len(to) > 1 else "") if to else module
            found.append(Vendored(module, real))
        elif found:
            found[-1].packages.append(line.strip())
        else:
            raise BadModulesTxt(path, number, _("a package before the first module: {line}", line=verbatim(repr(line))))
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            yield number, line

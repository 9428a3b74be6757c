"""go.mod, go.sum and vendor/modules.txt, as the go command reads them (Go modules reference)."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.toolchain.builder import find_go

_PSEUDO = re.compile(r"^v\d+\.(0\.0-|\d+\.\d+-([^+]*\.)?0\.)\d{14}-[0-9a-f]{12}(\+incompatible)?$")
_SEMANTIC = re.compile(
    r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?P<pre>-[0-9A-Za-z.-]+)?(?P<build>\+[0-9A-Za-z.-]+)?$"
)


@dataclass(frozen=True)
class ModuleVersion:
    """A module at a version; the version is empty for a directory."""

    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.path}@{self.version}" if self.version else self.path

    @property
    def semantic(self) -> bool:
        """Semantic versioning 2.0.0, with the leading v of Go."""
        return bool(_SEMANTIC.match(self.version))

    @property
    def pseudo(self) -> bool:
        """It stands for a commit without a tag (Go modules reference, Pseudo-versions)."""
        return bool(_PSEUDO.match(self.version))

    @property
    def prerelease(self) -> bool:
        match = _SEMANTIC.match(self.version)
        return bool(match and match["pre"]) and not self.pseudo

    @property
    def key(self) -> tuple[Any, ...]:
        """For ordering by precedence (semantic versioning 2.0.0, clause 11)."""
        core, _, pre = self.version.removeprefix("v").partition("+")[0].partition("-")
        numbers = tuple(int(n) if n.isdigit() else 0 for n in core.split("."))
        parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split(".")) if pre else ()
        return (numbers, not pre, parts)

    @property
    def fits_its_path(self) -> bool:
        """Whether major version and /vN agree (Go modules reference, Major version suffixes)."""
        match = re.match(r"v(\d+)\.", self.version)
        if match is None:
            return True
        major = int(match[1])
        suffix = re.search(r"\.v(\d+)(-unstable)?$", self.path) if self.path.startswith("gopkg.in/") else None
        if self.path.startswith("gopkg.in/"):
            return suffix is not None and int(suffix[1]) == major
        suffix = re.search(r"/v(\d+)$", self.path)
        if suffix is not None:
            return int(suffix[1]) == major and major >= 2
        return major < 2 or self.version.endswith("+incompatible")


def go_key(text: str) -> tuple[int, ...]:
    """A go directive as numbers."""
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in text.split(".")[:2])


@dataclass(frozen=True)
class Requirement:
    """A line of ``require``."""

    module: ModuleVersion
    indirect: bool


@dataclass(frozen=True)
class GoMod:
    """A go.mod.

    Attributes:
        go: the go directive, "" where there is none.
        replaces: what stands instead of a module (a version of "" is for every one).
    """

    path: str
    go: str
    requires: tuple[Requirement, ...]
    replaces: Mapping[ModuleVersion, ModuleVersion]
    lines: Mapping[str, int] = field(default_factory=dict)

    def replacement(self, module: ModuleVersion) -> ModuleVersion | None:
        return self.replaces.get(module) or self.replaces.get(ModuleVersion(module.path, ""))

    def line_of(self, path: str) -> int | None:
        return self.lines.get(path)


class GoModRefused(XcError):
    """The go command refuses a go.mod.

    Attributes:
        errors: line and message of each fault.
    """

    def __init__(self, errors: list[tuple[int, str]]) -> None:
        super().__init__(f"go.mod:{errors[0][0]}: {errors[0][1]}", mend="mend the line that is named")
        self.errors = errors


def read_go_mod(path: Path) -> GoMod:
    """Parse by the go command.

    Raises:
        GoModRefused: it is malformed.
        XcError: it is missing.
        ToolchainFault: there is no Go.
    """
    if not path.is_file():
        raise XcError(f"{path}: there is no go.mod", mend="name the directory of a module")
    try:
        done = subprocess.run(
            [find_go(), "mod", "edit", "-json", str(path)],
            capture_output=True,
            text=True,
            cwd=path.parent,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainFault(f"go mod edit does not answer: {error}") from error
    if done.returncode:
        told = re.findall(r"^.*?:(\d+)(?::\d+)?: (.+)$", done.stderr, re.M)
        raise GoModRefused(
            [(int(line), text) for line, text in told] or [(1, done.stderr.strip()[-200:] or "no message")]
        )
    data = json.loads(done.stdout)
    requires = tuple(
        Requirement(ModuleVersion(r["Path"], r["Version"]), bool(r.get("Indirect"))) for r in data.get("Require") or ()
    )
    replaces = {
        ModuleVersion(r["Old"]["Path"], r["Old"].get("Version", "")): ModuleVersion(
            r["New"]["Path"], r["New"].get("Version", "")
        )
        for r in data.get("Replace") or ()
    }
    numbered: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        for word in line.split():
            numbered.setdefault(word, number)
    return GoMod((data.get("Module") or {}).get("Path", ""), str(data.get("Go", "")), requires, replaces, numbered)


@dataclass(frozen=True)
class SumLine:
    """A line of go.sum: of a module's files, or of its go.mod alone."""

    number: int
    module: ModuleVersion
    of_go_mod: bool
    hash: str


def read_go_sum(path: Path) -> tuple[list[SumLine], list[tuple[int, str]]]:
    """The lines, and those that are malformed with why."""
    lines: list[SumLine] = []
    bad: list[tuple[int, str]] = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return [], [(1, "it is not UTF-8")]
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3:
            bad.append((number, f"it has {len(words)} fields, not 3"))
            continue
        module, version, digest = words
        if digest.startswith("h1:"):
            try:
                right = len(base64.b64decode(digest[3:], validate=True)) == 32
            except (binascii.Error, ValueError):
                right = False
            if not right:
                bad.append((number, f"{digest} is no SHA-256 in base64"))
                continue
        else:
            bad.append((number, f"{digest} is not of algorithm h1, the only one that there is"))
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


def read_modules_txt(path: Path) -> list[Vendored]:
    """The modules in order (cmd/go, vendor/modules.txt).

    Raises:
        XcError: a line is of no kind that the go command writes.
    """
    found: list[Vendored] = []
    for number, line in _lines(path):
        if line.startswith("## "):
            if found and "explicit" in line[3:].split("; "):
                found[-1].explicit = True
        elif line.startswith("# "):
            left, _, right = line[2:].partition(" => ")
            words, to = left.split(), right.split()
            if not words or (len(words) == 1 and not to):
                raise XcError(f"{path}:{number}: not a module: {line!r}", mend="go mod vendor")
            module = ModuleVersion(words[0], words[1] if len(words) > 1 else "")
            real = ModuleVersion(to[0], to[1] if len(to) > 1 else "") if to else module
            found.append(Vendored(module, real))
        elif found:
            found[-1].packages.append(line.strip())
        else:
            raise XcError(f"{path}:{number}: a package before the first module: {line!r}", mend="go mod vendor")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            yield number, line

"""Modules of Go: their versions, and go.mod as the go command reads it (Go modules reference)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.go import ANSWER_TIMEOUT_S, GoCommand
from pytest_xinchuang.tools.process import last_line

_PSEUDO = re.compile(r"^v\d+\.(0\.0-|\d+\.\d+-([^+]*\.)?0\.)\d{14}-[0-9a-f]{12}(\+incompatible)?$")
_SEMANTIC = re.compile(
    r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?P<pre>-[0-9A-Za-z.-]+)?(?P<build>\+[0-9A-Za-z.-]+)?$"
)


@dataclass(frozen=True)
class ModuleVersion:
    """A module at a version, as in ``github.com/gin-gonic/gin@v1.10.0``; the version is empty for a directory."""

    path: str
    version: str

    @classmethod
    def parse(cls, text: str) -> ModuleVersion:
        """The module that ``text`` names on a command line.

        Raises:
            XcError: it is not MODULE@VERSION.
        """
        path, _at, version = text.partition("@")
        named = re.fullmatch(r"[A-Za-z0-9._~/-]+\.[A-Za-z0-9._~/-]+", path)
        if not named or not re.fullmatch(r"[A-Za-z0-9.+_-]+", version):
            raise XcError(
                _("{text} is not MODULE@VERSION", text=repr(text)),
                mend=_("e.g. xc go-test github.com/gin-gonic/gin@v1.10.0 --platform kunpeng"),
            )
        return cls(path, version)

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
        numbers = tuple(_number(n) if _is_number(n) else _number("0") for n in core.split("."))
        parts = (
            tuple((0, _number(p), "") if _is_number(p) else (1, _number("0"), p) for p in pre.split(".")) if pre else ()
        )
        return (numbers, not pre, parts)

    @property
    def fits_its_path(self) -> bool:
        """Whether major version and /vN agree (Go modules reference, Major version suffixes)."""
        match = re.match(r"v([0-9]+)\.", self.version)
        if match is None:
            return True
        major = _number(match[1])
        suffix = re.search(r"\.v([0-9]+)(-unstable)?$", self.path) if self.path.startswith("gopkg.in/") else None
        if self.path.startswith("gopkg.in/"):
            return suffix is not None and _number(suffix[1]) == major
        suffix = re.search(r"/v([0-9]+)$", self.path)
        if suffix is not None:
            return _number(suffix[1]) == major and major >= _number("2")
        return major < _number("2") or self.version.endswith("+incompatible")


def _is_number(text: str) -> bool:
    """Whether it is a number of a version: digits of ASCII alone, as many as there may be."""
    return text.isascii() and text.isdecimal()


def _number(digits: str) -> tuple[int, str]:
    """Digits as something that is ordered as their number: there is no limit to how many a version has."""
    plain = digits.lstrip("0")
    return len(plain), plain


def go_key(text: str) -> tuple[int, ...]:
    """A go directive as numbers."""
    return tuple(int("".join(c for c in part if c in "0123456789")[:9] or 0) for part in text.split(".")[:2])


@dataclass(frozen=True)
class RequireLine:
    """A line of ``require``."""

    module: ModuleVersion
    indirect: bool


@dataclass(frozen=True)
class GoMod:
    """A go.mod.

    Attributes:
        go: the go directive, "" where there is none.
        replaces: what stands instead of a module (a version of "" is for every one).
        toolchain: the tool chain that is asked for, "" where there is none.
        others: the directives besides: exclude, godebug, ignore, tool -> what each of their lines names.
        retracts: the first and the last version of each range that is retracted, with the reason.
    """

    path: str
    go: str
    requires: tuple[RequireLine, ...]
    replaces: Mapping[ModuleVersion, ModuleVersion]
    lines: Mapping[str, int] = field(default_factory=dict)
    toolchain: str = ""
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    retracts: tuple[tuple[str, str, str], ...] = ()

    def retracted(self, version: str) -> str | None:
        """The reason for which a version is retracted, which may be ""; None: it is not."""
        mine = ModuleVersion(self.path, version).key
        for low, high, why in self.retracts:
            if ModuleVersion("", low).key <= mine <= ModuleVersion("", high).key:
                return why
        return None

    def replacement(self, module: ModuleVersion) -> ModuleVersion | None:
        return self.replaces.get(module) or self.replaces.get(ModuleVersion(module.path, ""))

    def line_of(self, path: str) -> int | None:
        return self.lines.get(path)


class GoModFault(StrEnum):
    """What is wrong with a line of go.mod."""

    MAJOR = "major"
    """The version's major number is not that of the path."""
    VERSION = "version"
    """The version has not the form of one."""
    SYNTAX = "syntax"


@dataclass(frozen=True)
class GoModError:
    """A line of go.mod that the go command refuses, with its words."""

    line: int
    text: str

    @property
    def fault(self) -> GoModFault:
        # golang.org/x/mod/module, InvalidVersionError as modfile gives it; what is quoted of the file stands in front.
        if re.search(r"invalid: should be v\d+(?: or v\d+)?, not v\d+$", self.text):
            return GoModFault.MAJOR
        if re.search(r"invalid: must be of the form v\d", self.text):
            return GoModFault.VERSION
        return GoModFault.SYNTAX


class GoModRefused(XcError):
    """The go command refuses a go.mod.

    Attributes:
        errors: every line that it refuses, in order.
    """

    def __init__(self, errors: Sequence[GoModError]) -> None:
        first = errors[0]
        super().__init__(verbatim(f"go.mod:{first.line}: {first.text}"), mend=_("mend the line that is named"))
        self.errors = tuple(errors)


def read_go_mod(path: Path, go: GoCommand | None = None) -> GoMod:
    """Parse by the go command, which opens no connection for it.

    Raises:
        GoModRefused: it is malformed.
        XcError: it is missing.
        ToolchainFault: there is no Go, or it does not answer.
    """
    if not path.is_file():
        raise XcError(_("{path}: there is no go.mod", path=path), mend=_("name the directory of a module"))
    command = GoCommand() if go is None else go
    # From a directory of no module: what the file asks of the go command is not asked of this one.
    run = command.run(["mod", "edit", "-json", str(path.absolute())], Path("/"), timeout_s=ANSWER_TIMEOUT_S)
    if run.code:
        # Of this file alone: whatever else has a colon and a number is not about a line of it.
        line = re.compile(rf"^{re.escape(str(path.absolute()))}:(\d+)(?::\d+)?: (.+)$", re.M)
        refused = [GoModError(int(number), text) for number, text in line.findall(run.finished.errors)]
        if refused:
            raise GoModRefused(refused)
        why = last_line(run.finished.errors)
        raise ToolchainFault(_("go mod edit does not read {path}: {why}", path=path, why=why))
    try:
        data = _Said.model_validate_json(run.finished.text)
    except ValidationError as error:
        why = mistake(error.errors()[0])
        raise ToolchainFault(_("go mod edit does not read {path}: {why}", path=path, why=why)) from error
    requires = tuple(RequireLine(r.module, r.Indirect) for r in data.Require or ())
    replaces = {r.Old.module: r.New.module for r in data.Replace or ()}
    numbered: dict[str, int] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        for word in text.split():
            numbered.setdefault(word, number)
    others = {
        "exclude": tuple(str(e.module) for e in data.Exclude or ()),
        "godebug": tuple(f"{d.Key}={d.Value}" for d in data.GoDebug or ()),
        "ignore": tuple(i.Path for i in data.Ignore or ()),
        "tool": tuple(i.Path for i in data.Tool or ()),
    }
    retracts = tuple((r.Low, r.High, r.Rationale) for r in data.Retract or ())
    name = data.Module.Path if data.Module else ""
    return GoMod(name, data.Go, requires, replaces, numbered, data.Toolchain, others, retracts)


class _SaidModule(BaseModel):
    Path: str = ""
    Version: str = ""
    Indirect: bool = False

    @property
    def module(self) -> ModuleVersion:
        return ModuleVersion(self.Path, self.Version)


class _SaidReplacement(BaseModel):
    Old: _SaidModule
    New: _SaidModule


class _SaidPath(BaseModel):
    Path: str


class _SaidSetting(BaseModel):
    Key: str
    Value: str


class _SaidRetraction(BaseModel):
    Low: str
    High: str
    Rationale: str = ""


class _Said(BaseModel):
    """What ``go mod edit -json`` prints (``go help mod edit``), as far as it is read."""

    Module: _SaidModule | None = None
    Go: str = ""
    Require: tuple[_SaidModule, ...] | None = None
    Replace: tuple[_SaidReplacement, ...] | None = None
    Toolchain: str = ""
    GoDebug: tuple[_SaidSetting, ...] | None = None
    Exclude: tuple[_SaidModule, ...] | None = None
    Retract: tuple[_SaidRetraction, ...] | None = None
    Tool: tuple[_SaidPath, ...] | None = None
    Ignore: tuple[_SaidPath, ...] | None = None

"""What decides beside go.mod: workspaces, settings of the environment, directives, retractions, and modules below."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.chain import Chain
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, nameable
from pytest_xinchuang.tools.go import ANSWER_TIMEOUT_S, GoCommand, written_settings
from pytest_xinchuang.tools.gomod import GoMod, ModuleVersion, read_go_mod
from pytest_xinchuang.tools.process import last_line

_RETRACT = re.compile(r"^\s*retract\b", re.M)
_STANDARD = re.compile(r"go1(?:\.\d+){0,2}(?:rc\d+|beta\d+)?")
"""A tool chain that the Go project publishes; a suffix names somebody's own (go.dev/doc/toolchain, Go toolchain names)."""

SETTINGS = (
    "GOFLAGS",
    "GOWORK",
    "GOPROXY",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOINSECURE",
    "GOPRIVATE",
    "GOTOOLCHAIN",
)
"""Settings that change what is built, where it comes from, or who vouches for it (`go help environment`)."""


class _Use(BaseModel):
    DiskPath: str = ""


class _Work(BaseModel):
    """What ``go work edit -json`` prints (``go help work edit``), as far as it is read."""

    Use: tuple[_Use, ...] | None = None
    Replace: tuple[Any, ...] | None = None


def check_workspace(chain: Chain) -> None:
    """The go.work that the go command takes in the module's directory, wherever above it stands."""
    path = workspace_of(chain.directory, chain.proxies.go)
    if path is None:
        return
    place = os.path.relpath(path, chain.directory)
    try:
        uses, replaces = _read_work(path, chain.proxies.go)
    except HostFault:
        raise
    except XcError as error:
        chain.add("XC-SUP-023", place, detail=_("the go command refuses it: {why}", why=error.what))
        return
    mine = chain.directory.resolve()
    others = [use for use in uses if (path.parent / use).resolve() != mine]
    if len(others) == len(uses):
        detail = _("it does not use this module, which the go command then does not build")
        chain.add("XC-SUP-023", place, Certainty.NOTE, detail=detail)
    else:
        certainty, detail = _workspace_judged(chain, path, others, replaces=replaces)
        chain.add("XC-SUP-023", place, certainty, detail=detail)


def _workspace_judged(chain: Chain, path: Path, others: list[str], *, replaces: bool) -> tuple[Certainty, Message]:
    """Whether something else is built than go.mod says: another directory, a replacement, a later version."""
    required = {r.module.path: r.module for r in chain.go_mod.requires}
    lacking = ""
    for use in others:
        directory = path.parent / use
        try:
            other = read_go_mod(directory / "go.mod", chain.proxies.go)
        except HostFault:
            raise
        except XcError:
            lacking = lacking or use
            continue
        if other.path in required:
            return Certainty.CERTAIN, _(
                "{module} is built from {directory}, not as go.mod requires it",
                module=other.path,
                directory=verbatim(repr(use)),
            )
        replaces = replaces or any(old.path in required for old in other.replaces)
        # Of what the modules of a workspace require the latest is built (Go modules reference, Workspaces).
        for later in (r.module for r in other.requires):
            mine = required.get(later.path)
            if mine is not None and mine.key < later.key:
                return Certainty.CERTAIN, _(
                    "{module} is built, which {directory} requires, not {mine}",
                    module=later,
                    directory=verbatim(repr(use)),
                    mine=mine,
                )
    if replaces:
        return Certainty.CERTAIN, _("it has replaces of its own")
    if lacking:
        return Certainty.NOTE, _(
            "it uses {directory}, where no module is, and the go command refuses it", directory=verbatim(repr(lacking))
        )
    return Certainty.NOTE, _("it replaces nothing, and chooses no later version than go.mod")


def workspace_of(directory: Path, go: GoCommand) -> Path | None:
    """The go.work in effect there, by the go command itself; None: there is none.

    The caller's own GOWORK does not count: it is told as a setting.

    Raises:
        ToolchainFault: there is no Go, or it does not answer.
    """
    run = go.run(["env", "GOWORK"], directory, workspace=True, timeout_s=ANSWER_TIMEOUT_S)
    text = run.finished.text.strip()
    return Path(text) if not run.code and text and text != "off" else None


def _read_work(path: Path, go: GoCommand) -> tuple[list[str], bool]:
    run = go.run(["work", "edit", "-json", str(path)], Path("/"), timeout_s=ANSWER_TIMEOUT_S)
    if run.code:
        raise XcError(verbatim(last_line(run.finished.errors)))
    try:
        said = _Work.model_validate_json(run.finished.text)
    except ValidationError as error:
        raise XcError(told(error)) from error
    return [use.DiskPath for use in said.Use or ()], bool(said.Replace)


def check_environment(chain: Chain) -> None:
    """Settings of whoever checks that change what a build of theirs is made from; the check itself heeds none of GOFLAGS."""
    written = written_settings()
    for name in SETTINGS:
        places = [(f"${name}", os.environ.get(name, ""))]
        if written is not None:
            places.append((str(written[0]), written[1].get(name, "")))
        for place, value in places:
            if _grave(name, value):
                setting = f"{name}={value}"
                chain.add("XC-SUP-084", place, Certainty.NOTE, setting=setting, detail=meaning(name))


def _grave(name: str, value: str) -> bool:
    """Whether a setting lets something else be built than is checked, or nobody vouch for it; the rest is a lab's own."""
    match name:
        case "GOFLAGS":
            return any(
                word.lstrip("-").partition("=")[0] in _OTHER_FILES or word == "-mod=mod" for word in value.split()
            )
        case "GOWORK" | "GOSUMDB":
            return value.startswith("/") if name == "GOWORK" else value == "off"
        case "GONOSUMDB" | "GONOSUMCHECK" | "GOINSECURE":
            return bool(value)
    return False


_OTHER_FILES = ("modfile", "overlay", "toolexec", "insecure")


def meaning(name: str) -> Message:
    """What a setting of the go command or one of its flags changes."""
    match name:
        case "GOFLAGS":
            return _("it gives every go command more flags")
        case "GOWORK" | "-modfile" | "-overlay":
            return _("other files than those of the module decide what is built")
        case "-toolexec":
            return _("a program is put before the compiler and the linker")
        case "-insecure" | "GOINSECURE":
            return _("modules are fetched without TLS and its certificates")
        case "GOSUMDB" | "GONOSUMDB" | "GONOSUMCHECK" | "GOPRIVATE":
            return _("modules are not looked up in the checksum database")
        case "GOTOOLCHAIN":
            return _("another tool chain may build")
        case "GOPROXY" | "GONOPROXY":
            return _("modules come from elsewhere")
    return _("C compilers and linkers are given more flags")


def check_directives(chain: Chain) -> None:
    """The directives of go.mod that neither require nor replace."""
    go_mod = chain.go_mod
    meanings = {
        "exclude": _("a version that others require is passed over"),
        "godebug": _("the runtime and the standard library behave otherwise than by default"),
        "ignore": _("the go command does not look into that directory"),
        "tool": _("go tool and go generate run this program on the machine of whoever builds"),
    }
    for kind, detail in meanings.items():
        for name in go_mod.others.get(kind, ()):
            where = chain.line(name.partition("@")[0])
            chain.add("XC-SUP-076", where, Certainty.NOTE, directive=f"{kind} {name}", detail=detail)
    if go_mod.toolchain:
        own = not _STANDARD.fullmatch(go_mod.toolchain) and go_mod.toolchain != "default"
        detail = _("no tool chain of the Go project") if own else _("a go command may fetch it and run it")
        chain.add("XC-SUP-077", chain.line("toolchain"), Certainty.NOTE, toolchain=go_mod.toolchain, detail=detail)


def check_retractions(chain: Chain) -> None:
    """Versions that are built from and that their authors have retracted, by the newest go.mod that is known."""
    modules = [m for m in chain.published if nameable(m)]

    def newest(module: ModuleVersion) -> ModuleVersion | None:
        found = chain.proxies.newest(module.path)
        if found is None or isinstance(path := chain.proxies.fetch(found, "mod"), Gone):
            return None
        return found if _RETRACT.search(path.read_text(encoding="utf-8", errors="replace")) else None

    with ThreadPoolExecutor(8) as pool:
        for module, found in zip(modules, pool.map(newest, modules), strict=True):
            said = chain.inner(found) if found else None
            if found is None or said is None or (why := said.retracted(module.version)) is None:
                continue
            where = chain.line(module.path)
            chain.add(
                "XC-SUP-075",
                where,
                Certainty.NOTE,
                module=str(module),
                newest=found.version,
                why=why.splitlines()[0] if why else "-",
            )


def check_nested(chain: Chain, files: Iterator[Path]) -> None:
    """Modules below this one that have replaces of their own: what is built there is not what go.mod says."""
    for path in files:
        try:
            if "replace" not in path.read_text(encoding="utf-8", errors="replace"):
                continue
        except OSError:
            continue  # nobody builds there either
        place = path.relative_to(chain.directory).as_posix()
        try:
            inner: GoMod = read_go_mod(path, chain.proxies.go)
        except HostFault:
            raise
        except XcError:
            continue
        for old, new in inner.replaces.items():
            number = inner.line_of(old.path)
            where = f"{place}:{number}" if number else place
            chain.add("XC-SUP-086", where, Certainty.NOTE, old=str(old), new=str(new))

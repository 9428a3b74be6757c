"""The files that are delivered with a module: its own sources, vendor/, and what builds it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.golang.chain import Chain
from pytest_xinchuang.packages.supply_chain.golang.gofiles import Vendored
from pytest_xinchuang.packages.supply_chain.golang.hashes import HEAD
from pytest_xinchuang.packages.supply_chain.golang.modzip import MAX_FILE
from pytest_xinchuang.packages.supply_chain.golang.sources import Gathered, embed_told, embedded, is_text, traits
from pytest_xinchuang.packages.supply_chain.golang.surroundings import SETTINGS, check_nested, meaning

_SKIPPED = frozenset({".git", ".hg", ".svn", ".bzr", "node_modules"})
_LARGEST_SCRIPT = 1 << 20

_BUILDING = re.compile(
    r"(?:GNU)?[Mm]akefile|.*\.(?:mk|mak|sh|bash|zsh|bat|cmd|ps1|ya?ml|env|bp|bazel|bzl|gradle)|\.envrc|\.env(?:\..*)?|go\.env"
    r"|(?:.*\.)?(?:Dockerfile|Containerfile)(?:\..*)?|Jenkinsfile|[Jj]ustfile|Taskfile.*|Earthfile|Vagrantfile|BUILD|.*\.spec|rules|configure"
)
"""Names of files that shells, make, container builders and CI services run."""

_ALWAYS = "|".join((*SETTINGS, "CGO_CFLAGS", "CGO_LDFLAGS", r"CGO_\w+_ALLOW"))
_SET = re.compile(
    rf"""(?<![\w$}}])(?P<name>{_ALWAYS})["']?\s*(?:[:?+]{{0,2}}=|:\s|\s(?=\S+$))\s*(?P<value>[^\n;&|]*)"""
)
_FLAG = re.compile(r"(?<![\w-])-?(?P<flag>-(?:modfile|overlay|toolexec))(?:=|\s+)\S+")
_INSECURE = re.compile(r"(?:\bgo\s+get\b|GOFLAGS)[^\n]*(?<![\w-])-?(?P<flag>-insecure)\b")
_HARMLESS = {
    "GOWORK": ("off",),
    "GOTOOLCHAIN": ("local",),
    "GOPROXY": ("off",),
    "GOFLAGS": ("-mod=vendor", "-mod=readonly", "-trimpath"),
}


def check_delivered(chain: Chain) -> None:
    """Reads every file of the module's directory once."""
    nested: list[Path] = []
    embeds: list[tuple[str, str, str]] = []
    objects: list[tuple[str, dict[str, str]]] = []
    for path in _walk(chain.directory):
        name = path.relative_to(chain.directory).as_posix()
        if path.name == "go.mod" and name != "go.mod":
            nested.append(path)
        data = _read(path, name)
        for trait in traits(name, data):
            place = f"{name}:{trait.line}" if trait.line else name
            if not trait.code:
                embeds.append((name.rpartition("/")[0], trait.params["embed"], place))
            elif trait.code == "XC-SUP-081":
                objects.append((name, trait.params))
            else:
                chain.add(trait.code, place, trait.certainty, **trait.params)
        if _BUILDING.fullmatch(path.name) or (data.startswith(b"#!") and len(data) < _LARGEST_SCRIPT):
            _check_script(chain, name, data[:_LARGEST_SCRIPT].decode("utf-8", "replace"))
    for name, params in objects:
        taken = embedded(name, embeds)
        detail = {"detail": embed_told(taken)} if taken else {}
        chain.add("XC-SUP-081", name, Certainty.NOTE, **{**params, **detail})
    check_nested(chain, iter(nested))


def check_vendored_sources(chain: Chain, vendored: Sequence[Vendored]) -> None:
    """One note of each kind for each vendored module."""
    modules = sorted(vendored, key=lambda v: -len(v.module.path))
    gathered: dict[str, Gathered] = {}
    root = chain.directory / "vendor"
    for path in _walk(root, inside=True):
        name = path.relative_to(root).as_posix()
        owner = next((v for v in modules if name.startswith(v.module.path + "/")), None)
        if owner is not None:
            one = gathered.setdefault(owner.module.path, Gathered())
            one.look(f"vendor/{name}", _read(path, name))
    for one in gathered.values():
        for code, place, params in one.notes():
            chain.add(code, place, Certainty.NOTE, **params)


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE if is_text(name) or _BUILDING.fullmatch(path.name) else HEAD)
    except OSError:
        return b""  # who may not read it is told where its hash is asked for


def _walk(root: Path, *, inside: bool = False) -> Iterator[Path]:
    for directory, names, leaves in os.walk(root):
        at_root = Path(directory) == root and not inside
        names[:] = sorted(n for n in names if n not in _SKIPPED and not (at_root and n == "vendor"))
        for leaf in sorted(leaves):
            path = Path(directory) / leaf
            try:
                regular = stat.S_ISREG(path.lstat().st_mode)
            except OSError:
                regular = False  # gone meanwhile, or in a directory that may not be entered
            if regular:
                yield path


def _check_script(chain: Chain, name: str, text: str) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("#", "//", "::", "REM ")):
            continue
        for found in _SET.finditer(line):
            setting, value = found["name"], found["value"].strip().strip("\"'")
            if not value or value.split()[0] in _HARMLESS.get(setting, ()):
                continue
            told = f"{setting}={value[:120]}"
            chain.add("XC-SUP-084", f"{name}:{number}", Certainty.NOTE, setting=told, detail=meaning(setting))
        for pattern in (_FLAG, _INSECURE):
            for found in pattern.finditer(line):
                flag = found["flag"]
                chain.add("XC-SUP-084", f"{name}:{number}", Certainty.NOTE, setting=flag, detail=meaning(flag))

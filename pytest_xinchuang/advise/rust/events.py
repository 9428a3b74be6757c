"""What cargo says: `--message-format=json` and `cargo metadata` (The Cargo Book, External tools)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_DEEPEST = 64
"""Macros within macros that are followed to where somebody wrote them."""


@dataclass(frozen=True)
class Span:
    """A place in a source.

    Attributes:
        file: as the compiler names it, relative to the workspace for its members.
    """

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class RustError:
    """An error of the compiler.

    Attributes:
        code: e.g. "E0433"; "" where it has none, as of ``compile_error!`` and assembler.
        spans: where it is, the innermost macro first, and where that is used after it.
        gate: the place that says that the item is not there: its ``#[cfg]``; None: the compiler names none.
    """

    text: str
    code: str = ""
    spans: tuple[Span, ...] = ()
    gate: Span | None = None


@dataclass
class Checked:
    """How a run of cargo went.

    Attributes:
        done: (package, kind of target, name of target) of what was compiled.
        faults: package -> what the compiler said against it.
        scripts: the packages whose build script was compiled.
        ran: those whose build script ran to its end.
        finished: cargo has told of its end.
    """

    done: set[tuple[str, str, str]] = field(default_factory=set)
    faults: dict[str, list[RustError]] = field(default_factory=dict)
    scripts: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    finished: bool = False

    def failing(self) -> set[str]:
        """The packages that fail by themselves."""
        return set(self.faults)


def checked_of(text: str) -> Checked:
    """The run that cargo told of; lines that are none of its are left out."""
    checked = Checked()
    for line in text.splitlines():
        try:
            event: Any = json.loads(line)
            package = str(event.get("package_id", ""))
            match event:
                case {"reason": "compiler-message", "message": {"level": "error"} as message}:
                    checked.faults.setdefault(package, []).append(_error(message))
                case {"reason": "compiler-artifact", "target": {"kind": ["custom-build"]}}:
                    checked.scripts.add(package)
                case {"reason": "compiler-artifact", "target": {"kind": [kind, *_rest], "name": name}}:
                    checked.done.add((package, str(kind), str(name)))
                case {"reason": "build-script-executed"}:
                    checked.ran.add(package)
                case {"reason": "build-finished"}:
                    checked.finished = True
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
    return checked


def _error(message: Mapping[str, Any]) -> RustError:
    primary = [span for span in message.get("spans") or () if span.get("is_primary")]
    gate = None
    for child in message.get("children") or ():
        for span in child.get("spans") or ():
            gate = gate or Span(str(span["file_name"]), int(span["line_start"]), int(span["column_start"]))
    code = message.get("code") or {}
    return RustError(
        text=str(message["message"]),
        code=str(code.get("code") or ""),
        spans=tuple(place for span in primary for place in _expanded(span)),
        gate=gate,
    )


def _expanded(span: Mapping[str, Any]) -> Iterator[Span]:
    """A place, and where the macros that it stands in are used."""
    at: Mapping[str, Any] | None = span
    for _depth in range(_DEEPEST):
        if at is None:
            return
        yield Span(str(at["file_name"]), int(at["line_start"]), int(at["column_start"]))
        at = (at.get("expansion") or {}).get("span")


@dataclass(frozen=True)
class Crate:
    """A package as cargo has it.

    Attributes:
        manifest: its Cargo.toml, absolute.
        targets: (kind, name) of the libraries and programs that it has.
        deps: the packages that it needs, itself not among them, by id.
        local: it is of a directory, and not of a registry.
        member: it is one of the workspace.
    """

    id: str
    name: str
    version: str
    manifest: str
    targets: tuple[tuple[str, str], ...] = ()
    deps: tuple[str, ...] = ()
    local: bool = False
    member: bool = False


_BUILT = frozenset({"lib", "bin", "rlib", "dylib", "cdylib", "staticlib", "proc-macro"})
"""Kinds of targets that `cargo check` checks without being asked for more (The Cargo Book, Cargo Targets)."""


def crates_of(text: str) -> dict[str, Crate]:
    """What `cargo metadata --format-version 1` printed, by package id; nothing when that is not what it printed."""
    try:
        said = json.loads(text)
        members = set(said["workspace_members"])
        nodes = {node["id"]: tuple(map(str, node["dependencies"])) for node in (said.get("resolve") or {})["nodes"]}
        return {
            str(package["id"]): Crate(
                id=str(package["id"]),
                name=str(package["name"]),
                version=str(package["version"]),
                manifest=str(package["manifest_path"]),
                targets=tuple(
                    (str(target["kind"][0]), str(target["name"]))
                    for target in package["targets"]
                    if _BUILT & set(target["kind"]) and not target.get("required-features")
                ),
                deps=nodes.get(package["id"], ()),
                local=package.get("source") is None,
                member=package["id"] in members,
            )
            for package in said["packages"]
        }
    except (ValueError, KeyError, TypeError, IndexError):
        return {}


def within(crates: Mapping[str, Crate], package: str) -> set[str]:
    """A package, and all that it needs."""
    found: set[str] = set()
    left = [package]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += crates[one].deps if one in crates else ()
    return found

"""Compares what package.json promises: platforms, packages beside it, commands, and files that can be imported."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any


def compare_promises(
    old: Mapping[str, Any], new: Mapping[str, Any], entries: Container[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Rule, symbol, old and new text.

    Args:
        entries: what can be imported of the new package below its name, such as ``lib/deep``.
    """
    for name, wanted in new["engines"].items():
        was = old["engines"].get(name, "")
        if wanted != was and least(wanted) > least(was):
            yield "TS-ENGINE-RAISED", f"engines.{name}", was or "*", wanted
    for name, wanted in new["peers"].items():
        if name in new["optional"]:
            continue
        was = old["peers"].get(name)
        if was is None:
            yield "TS-PEER-ADDED", f"peerDependencies.{name}", "", wanted
        elif was != wanted and not _covers(was, wanted):
            yield "TS-PEER-RAISED", f"peerDependencies.{name}", was, wanted
    for name in old["bin"]:
        if name not in new["bin"]:
            yield "TS-BIN-REMOVED", f"bin.{name}", name, ""
    for name in new["bin"]:
        if name not in old["bin"]:
            yield "TS-BIN-ADDED", f"bin.{name}", "", name
    if new["closed"] and not old["closed"] and len(old["files"]) > 2 and _hidden(old["files"], entries):
        yield "TS-EXPORTS-CLOSED", "exports", "-", "exports"
    if not new["closed"] and not old["closed"]:
        for name in sorted(set(old["files"]) - set(new["files"])):
            yield "TS-FILE-REMOVED", name, name, ""
    if old["type"] != new["type"]:
        yield "TS-MODULE-TYPE-CHANGED", "type", old["type"], new["type"]
    if _number(new.get("language", "")) > _number(old.get("language", "")):
        yield "TS-LANGUAGE-RAISED", "typescript", old.get("language") or "-", new["language"]


def _hidden(files: Iterable[str], entries: Container[str]) -> bool:
    """Whether a file that could be imported is no entry any more."""
    return any(re.sub(r"(\.d)?\.[cm]?[jt]s$", "", name) not in entries for name in files)


def least(wanted: str) -> tuple[int, ...]:
    """The least version that a range takes (npm, semver ranges); none for one without a lower bound."""
    bounds = [_bound(part) for part in wanted.split("||")]
    return min(bounds) if bounds else ()


def _bound(part: str) -> tuple[int, ...]:
    found = re.search(r"(?:^|>=?|~|\^|=|\s|v)\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", part)
    if found is None or part.strip().startswith("<"):
        return ()
    numbers = tuple(int(n) for n in found.groups() if n is not None)
    return (*numbers, *([0] * (3 - len(numbers))))


def _covers(old: str, new: str) -> bool:
    """Whether every alternative of the old range is one of the new, by its text, and the new begins no later."""
    was, now = ({part.strip() for part in text.split("||")} for text in (old, new))
    return was <= now or (new.strip() in ("*", "")) or (">=" in new and "<" not in new and least(new) <= least(old))


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", text))

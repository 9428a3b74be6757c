"""Names of system calls by number: the shipped tables, for reading traces where no header is at hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from pytest_xinchuang.core import resources


@functools.cache
def tables() -> Mapping[str, Mapping[str, int]]:
    """Architecture (Go's name) -> call -> number, of the newest kernel whose headers were read (`xc syscalls table`)."""
    path = resources.fixtures_dir() / "syscalls" / "tables.json"
    found: Mapping[str, Mapping[str, int]] = json.loads(path.read_text(encoding="utf-8"))["tables"]
    return found


@functools.cache
def names_of(arch: str) -> Mapping[int, str]:
    """Number -> call of an architecture; nothing for one without a table."""
    return {number: name for name, number in tables().get(arch, {}).items()}

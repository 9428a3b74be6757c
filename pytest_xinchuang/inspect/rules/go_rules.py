"""Rules about Go programs, by the build information in them."""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.rules.judge import ElfRecord, Judge, several

_UNRELEASED = re.compile(r"-(?:0\.)?\d{14}-[0-9a-f]{12}(?:\+|$)|-(?:alpha|beta|rc|dev|pre)")
"""The tail of a pseudo-version (Go modules reference, pseudo-versions), or of a pre-release."""


def check_go(judge: Judge, record: ElfRecord) -> None:
    go = record.elf.go
    if go is None:
        return
    platform = judge.platform
    minimum = platform.architecture.go_min.value
    if go.number and minimum and go.number < version_key(minimum) and not go.forked:
        judge.find(
            "XC-GO-002", Certainty.CERTAIN, record.place, version=go.version, arch=platform.arch, minimum=minimum
        )
    system = go.setting("GOOS")
    if system not in (None, "", "linux"):
        judge.find("XC-GO-006", Certainty.CERTAIN, record.place, version=go.version, system=system)
    limits = platform.cpu.go_env.value or {}
    for key in ("GOARM64", "GOAMD64"):
        value, limit = go.setting(key), limits.get(key)
        if value and limit and _above(value, limit):
            judge.find(
                "XC-GO-001",
                Certainty.CERTAIN,
                record.place,
                key=key,
                value=value,
                limit=limit,
                version=go.version,
                cpu=platform.cpu.title.message(),
            )
    unreleased = [f"{m.path} {m.version}" for m in go.modules[1:] if _UNRELEASED.search(m.version)]
    if unreleased:
        judge.find("XC-GO-004", Certainty.NOTE, record.place, {"modules": unreleased}, modules=several(unreleased, 3))
    for module in go.modules:
        if module.replaced_by.startswith((".", "/")):
            judge.find("XC-GO-005", Certainty.NOTE, record.place, module=module.path, replacement=module.replaced_by)


def _above(value: str, limit: str) -> bool:
    """Whether a level like v8.2,lse or v3 asks for more than ``limit`` gives."""
    base, *extras = value.split(",")
    most, *allowed = limit.split(",")
    if version_key(base.lstrip("v")) > version_key(most.lstrip("v")):
        return True
    # Options of GOARM64: LSE is of v8.1, the crypto extension of none.
    return any(
        e not in allowed and not (e == "lse" and version_key(most.lstrip("v")) >= (8, 1)) and e != "crypto"
        for e in extras
    )

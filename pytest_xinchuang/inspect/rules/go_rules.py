"""Rules about Go programs, by the build information in them."""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.judge import Judge, several
from pytest_xinchuang.messages import _, joined, verbatim

_UNRELEASED = re.compile(r"-(?:0\.)?\d{14}-[0-9a-f]{12}(?:\+|$)|-(?:alpha|beta|rc|dev|pre)")
"""The tail of a pseudo-version (Go modules reference, pseudo-versions), or of a pre-release."""


def check_system(judge: Judge, record: ElfRecord) -> bool:
    """The system that a Go program was built for; False where it is another one, and nothing else of it matters."""
    go = record.elf.go
    system = go.setting("GOOS") if go is not None else None
    if go is None or system in (None, "", "linux") or record.elf.machine != judge.platform.architecture.elf_machine:
        return True
    judge.find("XC-GO-006", Certainty.CERTAIN, record.place, version=go.version, system=system)
    return False


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
    for key in ("GOARM64", "GOAMD64"):
        if value := go.setting(key):
            _check_level(judge, record, key, value)
    unreleased = [f"{m.path} {m.version}" for m in go.modules[1:] if _UNRELEASED.search(m.version)]
    if unreleased:
        judge.find("XC-GO-004", Certainty.NOTE, record.place, {"modules": unreleased}, modules=several(unreleased, 3))
    for module in go.modules:
        if module.replaced_by.startswith((".", "/")):
            judge.find("XC-GO-005", Certainty.NOTE, record.place, module=module.path, replacement=module.replaced_by)


LEVELS = {
    "GOARM64": (
        ((8, 1), ("atomics", "asimdrdm")),
        ((8, 2), ("dcpop",)),
        ((8, 3), ("jscvt", "fcma", "lrcpc", "paca")),
        ((8, 4), ("asimddp", "flagm", "dit", "uscat", "ilrcpc")),
        ((8, 5), ("flagm2", "frint", "sb")),
        ((9, 0), ("sve2",)),
    ),
    "GOAMD64": (
        ((2,), ("cx16", "popcnt", "ssse3", "sse4_1", "sse4_2")),
        ((3,), ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe")),
        ((4,), ("avx512f",)),
    ),
}
"""Features that each level takes for granted, and those below it (Arm ARM, A2; x86-64 psABI), as the kernel names them."""

OPTIONS = {"lse": ("atomics",), "crypto": ("aes", "pmull", "sha1", "sha2")}
"""Features of the options of GOARM64."""


def _check_level(judge: Judge, record: ElfRecord, key: str, value: str) -> None:
    """A level of GOARM64 or GOAMD64 against the CPU: by the features that it takes for granted, as far as they are known."""
    cpu, go = judge.platform.cpu, record.elf.go
    limit = (cpu.go_env.value or {}).get(key)
    assert go is not None
    asked = _asked(key, value)
    unsure = [feature for feature in asked if cpu.has(feature) is None]
    if any(cpu.has(feature) is False for feature in asked) or (not unsure and limit and _above(value, limit)):
        judge.find(
            "XC-GO-001",
            Certainty.CERTAIN,
            record.place,
            key=key,
            value=value,
            limit=limit or "",
            version=go.version,
            cpu=cpu.title.message(),
        )
    elif unsure:
        judge.find(
            "XC-CPU-001",
            Certainty.UNDECIDED,
            record.place,
            feature=joined(map(verbatim, unsure), _(", ")),
            count=len(unsure),
            sites=verbatim(f"{key}={value}"),
            cpu=cpu.title.message(),
            source=verbatim((cpu.unsure if cpu.unsure and cpu.unsure.value else cpu.features).source),
        )


def _asked(key: str, value: str) -> list[str]:
    base, *extras = value.split(",")
    level = version_key(base.lstrip("v"))
    found = [feature for least, features in LEVELS[key] if level >= least for feature in features]
    return [*found, *(feature for extra in extras for feature in OPTIONS.get(extra, ()))]


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

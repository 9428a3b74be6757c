"""Tables of system calls: names and numbers, from the headers, by the preprocessor and the compiler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES, Headers, install_command, need_whole, parse
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.tools.process import Runner, first_line

TIMEOUT_S = 300
"""Seconds for the preprocessor, whose own cache is empty."""

PREFIX = "__NR_"

NOT_CALLS = frozenset(
    {
        "syscalls",  # how many there are
        "Linux",
        "Linux_syscalls",
        "64_Linux",
        "64_Linux_syscalls",
        "SYSCALL_BASE",
        "SYSCALL_MASK",
        "OABI_SYSCALL_BASE",
        "arch_specific_syscall",  # asm-generic: the first of 16 numbers that an architecture may use
    }
)
"""Macros of the same prefix that name no call (asm-generic/unistd.h, arm's asm/unistd.h, mips' asm/unistd.h)."""


class SyscallTable(FrozenData):
    """The system calls of one kernel on one architecture.

    Attributes:
        calls: name -> number.
    """

    format: str = Field(default="xc-syscalls/1", alias="schema", pattern=r"^xc-syscalls/1$")
    arch: str
    kernel: str = ""
    source: str = ""
    calls: dict[str, int]

    def text(self) -> str:
        """As JSON, by number."""
        data = self.model_dump(by_alias=True) | {"calls": by_number(self.calls)}
        return json.dumps(data, indent=1) + "\n"


def by_number(calls: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(calls.items(), key=lambda item: (item[1], item[0])))


def read_table(headers: Headers) -> SyscallTable:
    """The table of these headers: the macros that asm/unistd.h leaves defined, each evaluated by the compiler.

    Raises:
        DataFileError: the headers do not parse, or define no call.
        HostFault: libclang is not there.
    """
    include = "#include <asm/unistd.h>\n"
    unit = parse(headers, include, macros=True)
    need_whole(unit, headers, "asm/unistd.h")
    names = sorted(
        {
            cursor.spelling.removeprefix(PREFIX)
            for cursor in unit.cursor.get_children()
            if cursor.kind.name == "MACRO_DEFINITION" and cursor.spelling.startswith(PREFIX)
        }
        - NOT_CALLS
    )
    # One that is undefined again further on is no call; the preprocessor alone knows.
    lines = [f"#ifdef {PREFIX}{n}\nxc_{n} = {PREFIX}{n},\n#endif" for n in names]
    text = include + "enum xc {\n" + "\n".join(lines) + "\nxc_end_of_table };\n"
    whole = parse(headers, text)
    need_whole(whole, headers, "asm/unistd.h")
    calls = {}
    for cursor in whole.cursor.get_children():
        if cursor.kind.name == "ENUM_DECL" and cursor.spelling == "xc":
            for constant in cursor.get_children():
                if constant.spelling != "xc_end_of_table":
                    calls[constant.spelling.removeprefix("xc_")] = constant.enum_value
    if not calls:
        raise DataFileError(
            _("{source}: asm/unistd.h of {arch} defines no system call", source=headers.source, arch=headers.arch)
        )
    _refuse_another_architecture(headers, calls)
    return SyscallTable(arch=headers.arch, kernel=headers.kernel, source=str(headers.source), calls=by_number(calls))


def _refuse_another_architecture(headers: Headers, calls: Mapping[str, int]) -> None:
    """Refuse headers of another architecture: an exported tree has one ``asm``, and it may be any architecture's.

    A call is never renumbered (Documentation/process/adding-syscalls.rst): most have to be those of the shipped table.
    """
    known = tables().get(headers.arch, {})
    common = [name for name in calls if name in known]
    same = sum(calls[name] == known[name] for name in common)
    if len(common) >= 100 and same < 0.9 * len(common):
        raise DataFileError(
            _(
                "{source}: these are another architecture's headers, not {arch}'s: of {n} known calls only {same} have "
                "their number on {arch}",
                source=headers.source,
                arch=headers.arch,
                n=len(common),
                same=same,
            ),
            mend=install_command(headers.arch),
        )


def read_table_by_zig(headers: Headers, runner: Runner | None = None) -> dict[str, int]:
    """The table once more, read by zig's preprocessor: independent of libclang.

    Raises:
        DataFileError, HostFault: as ``read_table``.
    """
    zig, runner = find_zig(), runner or Runner()
    target = ARCHITECTURES[headers.arch].zig_target
    base = [zig, "cc", "-target", target, "-nostdinc", *headers.arguments[5:]]
    with tempfile.TemporaryDirectory() as scratch:
        listed = _run([*base, "-E", "-dM", "-x", "c", "-"], "#include <asm/unistd.h>\n", scratch, runner)
        words = [line.split(maxsplit=2)[1] for line in listed.splitlines() if line.startswith("#define ")]
        names = sorted({w.removeprefix(PREFIX) for w in words if w.startswith(PREFIX) and "(" not in w} - NOT_CALLS)
        text = "#include <asm/unistd.h>\n" + "".join(f"xc:{n}:{PREFIX}{n}\n" for n in names)
        expanded = _run([*base, "-E", "-P", "-x", "c", "-"], text, scratch, runner)
    values = [_sum(line.split(":", 2)[2]) for line in expanded.splitlines() if line.startswith("xc:")]
    return by_number(dict(zip(names, values, strict=True)))


def _sum(text: str) -> int:
    """The value of an expansion: a number, or a sum of numbers in parentheses, which is all that these headers have."""
    total = 0
    for part in text.replace("(", " ").replace(")", " ").split("+"):
        total += int(part.strip(), 0)
    return total


def _run(argv: list[str], text: str, scratch: str, runner: Runner) -> str:
    # Nothing of ours: variables such as CPATH would put other headers before these.
    env = {"ZIG_GLOBAL_CACHE_DIR": scratch, "ZIG_LOCAL_CACHE_DIR": scratch, "PATH": "/usr/bin:/bin", "HOME": scratch}
    done = runner.run(argv, timeout_s=TIMEOUT_S, cwd=scratch, env=env, stdin=text.encode()).exited()
    if not done.ok:
        raise DataFileError(_("zig does not read the headers: {why}", why=verbatim(first_line(done.errors))))
    return done.text


def load_table(path: Path) -> SyscallTable:
    """A table that was written before.

    Raises:
        DataFileError: the file is no table.
    """
    try:
        return SyscallTable.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=reason_of(error))) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = verbatim(".".join(str(part) for part in first["loc"])) or _("the file")
        raise DataFileError(
            _(
                "{path}: not a table of system calls: {where}: {first}",
                path=path,
                where=where,
                first=mistake(first),
            ),
            mend=verbatim("xc syscalls table ARCH --format json --output FILE"),
        ) from error


@dataclass(frozen=True)
class Difference:
    """The changes from one table to another.

    Attributes:
        renumbered: name -> (number before, number after).
        used: of the calls that a program makes, those that are removed or renumbered.
    """

    before: SyscallTable
    after: SyscallTable
    added: dict[str, int]
    removed: dict[str, int]
    renumbered: dict[str, tuple[int, int]]
    used: tuple[str, ...] | None = None
    lost: tuple[str, ...] = field(default=())

    @property
    def same(self) -> int:
        """Calls that both have under the same number."""
        return len(self.before.calls) - len(self.removed) - len(self.renumbered)

    @property
    def ratio(self) -> float:
        """How much of the union is unchanged, 0 to 1."""
        union = len(self.before.calls) + len(self.added)
        return self.same / union if union else 1.0

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "schema": "xc-syscalls-diff/1",
            "before": _about(self.before),
            "after": _about(self.after),
            "added": self.added,
            "removed": self.removed,
            "renumbered": {n: list(pair) for n, pair in self.renumbered.items()},
            "same": self.same,
            "ratio": round(self.ratio, 4),
        }
        if self.used is not None:
            found["used"] = {"calls": list(self.used), "lost": list(self.lost)}
        return found


def _about(table: SyscallTable) -> dict[str, Any]:
    return {"arch": table.arch, "kernel": table.kernel, "source": table.source, "calls": len(table.calls)}


def compare(before: SyscallTable, after: SyscallTable, used: Iterable[str] | None = None) -> Difference:
    """Added, removed and renumbered calls; ``used`` are the calls that a program makes (from a trace)."""
    removed = {n: v for n, v in before.calls.items() if n not in after.calls}
    added = {n: v for n, v in after.calls.items() if n not in before.calls}
    renumbered = {n: (v, after.calls[n]) for n, v in before.calls.items() if n in after.calls and after.calls[n] != v}
    calls = None if used is None else tuple(sorted(set(used)))
    # A number is compiled in: one that is renumbered does another thing where the architecture is the same.
    lost = tuple(n for n in calls or () if n not in after.calls or (n in renumbered and before.arch == after.arch))
    return Difference(before, after, added, removed, renumbered, calls, lost)

"""`xc syscalls`: tables, layouts and constants of the kernel's interface, and what a program uses of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    add_format_or_file,
    add_kind,
    add_offline,
    add_output,
    add_platform,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, joined, n_, verbatim
from pytest_xinchuang.packages.syscall_bridge import host_commands

if TYPE_CHECKING:
    from pytest_xinchuang.packages.syscall_bridge.headers import Headers
    from pytest_xinchuang.packages.syscall_bridge.tables import Difference, SyscallTable


def add_commands(commands: Commands) -> None:
    """Add ``xc syscalls`` and ``xc host``."""
    text = _("system calls: tables, layouts, constants, and what a program uses")
    commands.group("syscalls", text, _fill)
    host_commands.add_commands(commands)


def _fill(syscalls: Commands) -> None:
    from pytest_xinchuang.packages.syscall_bridge import bridge_commands, layout_commands

    syscalls.command("table", _("the table of an architecture, read from the kernel's headers"), _table, _fill_table)
    syscalls.command("diff", _("what is added, removed and renumbered between two tables"), _diff, _fill_diff)
    syscalls.command("gen", _("constants ready to compile"), _gen, _fill_gen)
    layout_commands.add_commands(syscalls)
    probe = _("the same probes on the host, under qemu-user and under a real kernel")
    syscalls.command("probe", probe, _probe, _fill_probe)
    bridge_commands.add_commands(syscalls)
    trace = _("which system calls a program makes on a platform, and what it does without")
    syscalls.command("trace", trace, _trace, _fill_trace)


def _add_arch(parser: XcParser) -> None:
    parser.add_argument(
        "arch",
        metavar="ARCH",
        help=_("an architecture: {names}", names=verbatim("amd64, arm64, loong64, arm, riscv64, 386, ppc64le, s390x")),
    )
    parser.add_argument(
        "--headers", metavar="DIR", help=_("exported headers of a kernel instead of those that zig ships")
    )


def _fill_table(parser: XcParser) -> None:
    _add_arch(parser)
    add_format(parser, "text", "json", json_flag=True)
    parser.add_argument(
        "--check", action="store_true", help=_("read them with zig's compiler too: the two have to agree")
    )


def _fill_diff(parser: XcParser) -> None:
    text = _("a table (JSON), ARCH (zig's headers), or ARCH=DIR (headers below DIR)")
    parser.add_argument("before", metavar="OLD", help=text)
    parser.add_argument("after", metavar="NEW", help=text)
    parser.add_argument(
        "--used",
        metavar="TRACE",
        help=_(
            "what a program uses ({command}, or qemu's strace)", command=verbatim("xc syscalls trace --format json")
        ),
    )
    add_format(parser, "text", "json", json_flag=True)


def _fill_gen(parser: XcParser) -> None:
    _add_arch(parser)
    add_kind(parser, "go", "c", "rust", "python", "json")
    add_output(parser)


def _fill_probe(parser: XcParser) -> None:
    add_platform(parser, required=True)
    parser.add_argument(
        "--kernel", action="append", default=[], metavar="NAME", help=_("of `xc kernel list`; may be given again")
    )
    parser.add_argument(
        "--os-profile", default="", metavar="NAME", help=_("an OS profile (default: what the platform's system is)")
    )
    parser.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help=_("probes and profiles of your own")
    )
    parser.add_argument("--all", action="store_true", help=_("print every assertion, not the differences alone"))
    add_offline(parser)
    add_format_or_file(parser, "json")


def _fill_trace(parser: XcParser) -> None:
    add_platform(parser, required=True)
    parser.add_argument("--backend", default="auto", help=_("auto (qemu-user) or system (a real kernel, by ptrace)"))
    add_offline(parser)
    add_format_or_file(parser, "json")
    parser.add_words("PROGRAM", _("a file here, or a path there"))


def _headers(arch: str, directory: str | None) -> Headers:
    from pytest_xinchuang.packages.syscall_bridge.headers import architecture, find_headers

    return find_headers(architecture(arch), Path(directory) if directory else None)


def _read(text: str) -> SyscallTable:
    """A table by what a user calls it."""
    from pytest_xinchuang.packages.syscall_bridge.tables import load_table, read_table

    if Path(text).is_file():
        return load_table(Path(text))
    arch, _equals, directory = text.partition("=")
    return read_table(_headers(arch, directory or None))


def _table(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.tables import read_table, read_table_by_zig

    options = context.options
    headers = _headers(options.arch, options.headers)
    table = read_table(headers)
    if options.check and (other := read_table_by_zig(headers)) != table.calls:
        odd = sorted(set(other.items()) ^ set(table.calls.items()))
        raise XcError(_("libclang and zig read other tables: {calls}", calls=verbatim(str(odd[:5]))))
    if options.format == "json":
        context.write(table.text())
        return Exit.CLEAN
    context.write("".join(f"{number:>8} {name}\n" for name, number in table.calls.items()))
    context.tell(
        _(
            "{calls} of Linux {kernel} on {arch} ({source})",
            calls=n_("{n} call", "{n} calls", len(table.calls)),
            kernel=verbatim(table.kernel or "?"),
            arch=verbatim(table.arch),
            source=headers.source,
        )
    )
    return Exit.CLEAN


def _diff(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.tables import compare
    from pytest_xinchuang.packages.syscall_bridge.usage import read_used

    options = context.options
    before, after = _read(options.before), _read(options.after)
    found = compare(before, after, read_used(Path(options.used)) if options.used else None)
    if options.format == "json":
        context.write_json(found.as_dict())
    else:
        context.write(context.lines(_diff_lines(before, after, found)))
    if found.used is not None:
        return Exit.FINDINGS if found.lost else Exit.CLEAN
    changed = bool(found.removed or found.renumbered)
    return Exit.FINDINGS if changed and before.arch == after.arch else Exit.CLEAN


def _diff_lines(before: SyscallTable, after: SyscallTable, found: Difference) -> list[Message]:
    lines = [verbatim(f"+ {name} {number}") for name, number in found.added.items()]
    lines += [verbatim(f"- {name} {number}") for name, number in found.removed.items()]
    lines += [verbatim(f"~ {name} {old} -> {new}") for name, (old, new) in found.renumbered.items()]

    def counted(table: SyscallTable) -> Message:
        calls = n_("{n} call", "{n} calls", len(table.calls))
        return _(
            "{calls} on {arch} {kernel}", calls=calls, arch=verbatim(table.arch), kernel=verbatim(table.kernel or "?")
        )

    lines.append(
        _(
            "{before}, {after}: {added} added, {removed} removed, {renumbered} renumbered, {ratio:.1%} the same",
            before=counted(before),
            after=counted(after),
            added=len(found.added),
            removed=len(found.removed),
            renumbered=len(found.renumbered),
            ratio=found.ratio,
        )
    )
    if found.used is not None:
        lost = joined(map(verbatim, found.lost), _(", "))
        lines.append(
            _(
                "the program uses {n}: {fate}",
                n=len(found.used),
                fate=_("lost {names}", names=lost) if found.lost else _("all there"),
            )
        )
    return lines


def _gen(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.generate import generate
    from pytest_xinchuang.packages.syscall_bridge.tables import read_table

    options = context.options
    context.write(generate(read_table(_headers(options.arch, options.headers)), options.kind))
    if options.output:
        context.tell(_("wrote {file}", file=verbatim(options.output)))
    return Exit.CLEAN


def _probe(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.engine import os_profile
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes, probes_file
    from pytest_xinchuang.packages.syscall_bridge.reference import columns, divergences
    from pytest_xinchuang.packages.syscall_bridge.report import divergence_lines, probes_as_dict, table_lines

    options = context.options
    platform = context.platforms.get(options.platform)
    probes = Probes([probes_file(), *(Path(p) for p in options.probes)])
    profile = options.os_profile or os_profile(platform)
    probes.lineage(profile)
    pool = context.pool()
    found = columns(pool, context.builder(pool), platform, probes, profile, options.kernel)
    differ = divergences(found)
    data = probes_as_dict(found, differ, profile)
    if options.json_file:
        context.write_json(data, Path(options.json_file))
    if options.format == "json":
        context.write_json(data)
    else:
        lines = [*(table_lines(found) if options.all else ()), *divergence_lines(found, differ, profile)]
        context.write(context.lines(lines))
    return Exit.FINDINGS if any(not d.reason for d in differ) else Exit.CLEAN


def _trace(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.usage import trace

    options = context.options
    if not context.words:
        raise XcError(
            _("there is no program to trace"), mend=verbatim("xc syscalls trace --platform kunpeng -- ./program")
        )
    platform = context.platforms.get(options.platform)
    usage = trace(context.pool(backend=options.backend), platform, context.words)
    if options.json_file:
        context.write_json(usage.as_dict(), Path(options.json_file))
    if options.format == "json":
        context.write_json(usage.as_dict())
    else:
        context.write(context.lines(usage.lines()))
    if usage.undecided:
        return Exit.INCOMPLETE
    return Exit.CLEAN if usage.copes else Exit.FINDINGS

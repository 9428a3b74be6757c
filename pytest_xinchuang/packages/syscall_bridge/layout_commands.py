"""`xc syscalls layout`: where the fields of the kernel's structures are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_format, add_output
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import _, joined, n_, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.packages.syscall_bridge.layouts import Layouts

SNAPSHOT_ARCHS = ("amd64", "arm64", "loong64", "arm", "riscv64")


def add_commands(syscalls: Commands) -> None:
    """Add ``xc syscalls layout``."""
    syscalls.group("layout", _("where the fields of the kernel's structures are"), _fill)


def _fill(layout: Commands) -> None:
    layout.command("snapshot", _("write the layouts of every structure that can be read"), _snapshot, _fill_snapshot)
    layout.command("show", _("one structure, or the names of all"), _show, _fill_show)
    layout.command("diff", _("which fields moved, and what that breaks"), _diff, _fill_diff)
    layout.command("assert", _("C that compiles only if a layout is as it says"), _assert, _fill_assert)
    layout.command("check-go", _("hold Go structures against the kernel's"), _check_go, _fill_check_go)


def _add_archs(parser: XcParser, default: str = "") -> None:
    text = _("an architecture; may be given again")
    if default:
        text = _("an architecture; may be given again (default: {default})", default=verbatim(default))
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help=text)


def _add_snapshot(parser: XcParser) -> None:
    parser.add_argument("--snapshot", metavar="FILE", help=_("a snapshot of layouts (default: the shipped one)"))


def _fill_snapshot(parser: XcParser) -> None:
    _add_archs(parser, ", ".join(SNAPSHOT_ARCHS))
    parser.add_argument(
        "--headers", metavar="DIR", help=_("exported headers of a kernel instead of those that zig ships")
    )
    add_output(parser, required=True)


def _fill_show(parser: XcParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help=_("a structure: {example}", example="struct stat"))
    _add_snapshot(parser)


def _fill_diff(parser: XcParser) -> None:
    text = _("a snapshot, or a directory of headers")
    parser.add_argument("before", metavar="OLD", help=text)
    parser.add_argument("after", metavar="NEW", help=text)
    _add_archs(parser)
    add_format(parser, "text", "json", json_flag=True)


def _fill_assert(parser: XcParser) -> None:
    parser.add_argument("arch", metavar="ARCH", help=_("an architecture"))
    parser.add_argument(
        "--struct",
        action="append",
        default=[],
        metavar="NAME",
        help=_("a structure: {example} (default: all)", example="struct stat"),
    )
    _add_snapshot(parser)
    add_output(parser)


def _fill_check_go(parser: XcParser) -> None:
    parser.add_argument("directory", metavar="DIR", help=_("a Go package"))
    _add_archs(parser, ", ".join(SNAPSHOT_ARCHS[:3]))
    parser.add_argument(
        "--struct",
        action="append",
        default=[],
        metavar="GO=C",
        help=_("which is which: {example}", example="Stat_t='struct stat'"),
    )
    _add_snapshot(parser)


def _layouts(archs: Sequence[str], directory: Path | None) -> Layouts:
    from pytest_xinchuang.packages.syscall_bridge.headers import find_headers
    from pytest_xinchuang.packages.syscall_bridge.layouts import merge, read_layouts

    return merge(read_layouts(find_headers(arch, directory)) for arch in archs)


def _load(name: str | None) -> Layouts:
    from pytest_xinchuang.packages.syscall_bridge.layouts import load_snapshot, shipped_layouts

    return load_snapshot(Path(name) if name else shipped_layouts())


def _archs(words: Sequence[str], default: Sequence[str]) -> list[str]:
    from pytest_xinchuang.packages.syscall_bridge.headers import architecture

    return [architecture(word) for word in words] or list(default)


def _snapshot(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.layouts import write_snapshot

    options = context.options
    layouts = _layouts(_archs(options.arch, SNAPSHOT_ARCHS), Path(options.headers) if options.headers else None)
    write_snapshot(layouts, Path(options.output))
    for arch in layouts.archs:
        unread = layouts.unread.get(arch, {})
        context.tell(
            _(
                "{arch}: {structures}; {headers}",
                arch=verbatim(arch),
                structures=n_("{n} structure", "{n} structures", len(layouts.of(arch))),
                headers=n_("{n} header was not read", "{n} headers were not read", len(unread)),
            )
        )
        for header, why in unread.items():
            context.tell(verbatim(f"  {header}: {why}"))
    context.tell(
        n_(
            "{n} structure that all have depends on the architecture",
            "{n} structures that all have depend on the architecture",
            len(layouts.dependent),
        )
    )
    return Exit.CLEAN


def _show(context: Context) -> int:
    wanted = context.options.name
    layouts = _load(context.options.snapshot)
    if not wanted:
        context.write("".join(f"{name}\n" for name in sorted(layouts.structs)))
        return Exit.CLEAN
    names = [n for n in (wanted, f"struct {wanted}", f"union {wanted}") if n in layouts.structs]
    if not names:
        known = [*layouts.structs, *(name.partition(" ")[2] for name in layouts.structs)]
        raise XcError(
            _("no structure is called {name}{hint}", name=verbatim(repr(wanted)), hint=near(wanted, known)),
            mend=verbatim("xc syscalls layout show"),
        )
    context.say(
        _(
            "{name} of <{header}>, Linux {kernel}: size/alignment, then FIELD@OFFSET:SIZE",
            name=verbatim(names[0]),
            header=verbatim(layouts.header[names[0]]),
            kernel=verbatim(layouts.kernel),
        )
    )
    for arch, layout in layouts.structs[names[0]].items():
        context.say(verbatim(f"{arch:<8} {layout.text()}"))
    return Exit.CLEAN


def _diff(context: Context) -> int:
    from dataclasses import asdict

    from pytest_xinchuang.packages.syscall_bridge.layouts import compare_layouts

    options = context.options

    def side(text: str) -> Layouts:
        path = Path(text)
        return _layouts(_archs(options.arch, SNAPSHOT_ARCHS[:3]), path) if path.is_dir() else _load(text)

    shifts = compare_layouts(side(options.before), side(options.after), _archs(options.arch, ()))
    if options.format == "json":
        context.write_json({"schema": "xc-layout-diff/1", "shifts": [asdict(s) for s in shifts]})
    else:
        lines = [shift.text() for shift in shifts]
        lines.append(
            _(
                "{differences}, {breaking} of them break something",
                differences=n_("{n} difference", "{n} differences", len(shifts)),
                breaking=sum(bool(s.breaks) for s in shifts),
            )
        )
        context.write(context.lines(lines))
    return Exit.FINDINGS if any(s.breaks for s in shifts) else Exit.CLEAN


def _assert(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.generate import assertions
    from pytest_xinchuang.packages.syscall_bridge.headers import architecture

    options = context.options
    texts = assertions(_load(options.snapshot), architecture(options.arch), options.struct or None)
    if not texts:
        raise XcError(
            _("nothing to assert for {arch}", arch=verbatim(options.arch)), mend=verbatim("xc syscalls layout show")
        )
    context.write("\n".join(texts.values()))
    return Exit.CLEAN


def _check_go(context: Context) -> int:
    from pytest_xinchuang.packages.syscall_bridge.gostructs import check_go, pairs_of, read_go
    from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES
    from pytest_xinchuang.provision.cache import Cache

    options = context.options
    layouts, cache = _load(options.snapshot), Cache()
    own = dict(pair.partition("=")[::2] for pair in options.struct)
    wrong = 0
    checked: set[str] = set()
    for arch in _archs(options.arch, SNAPSHOT_ARCHS[:3]):
        found = read_go(Path(options.directory), ARCHITECTURES[arch].goarch, cache)
        pairs = pairs_of(found, own)
        if not pairs:
            raise XcError(
                _(
                    "{directory}: no structure is called as one of Go's own that go to the kernel, so nothing was checked",
                    directory=verbatim(options.directory),
                ),
                mend=verbatim("--struct NAME='struct stat'"),
            )
        mistakes = check_go(found, layouts, arch, pairs)
        wrong += len(mistakes)
        checked |= set(pairs)
        for mistake in mistakes:
            context.say(_("{arch}: {mistake}", arch=arch, mistake=mistake.told))
    good = _("as the kernel's: {names}", names=joined(map(verbatim, sorted(checked)), _(", ")))
    context.say(n_("{n} mistake", "{n} mistakes", wrong) if wrong else good)
    return Exit.FINDINGS if wrong else Exit.CLEAN

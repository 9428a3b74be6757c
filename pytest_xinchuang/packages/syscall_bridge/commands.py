"""`xc syscalls`: tables, layouts and constants of the kernel's interface, and what a program uses of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INCOMPLETE, Command, Load
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.packages.syscall_bridge.headers import Headers
    from pytest_xinchuang.packages.syscall_bridge.layouts import Layouts
    from pytest_xinchuang.packages.syscall_bridge.tables import SyscallTable

DIFF_HELP = "a table (JSON), ARCH (zig's headers), or ARCH=DIR (headers below DIR)"


def _help(options: argparse.Namespace) -> int:
    options.parser.print_help()
    return EXIT_CLEAN


def add_command(command: Command, load: Load) -> None:
    """Add ``xc syscalls``."""
    top = command("syscalls", _help, "system calls: tables, layouts, constants, and what a program uses")
    top.set_defaults(parser=top)
    actions = top.add_subparsers(metavar="ACTION")

    table = actions.add_parser("table", help="the table of an architecture, read from the kernel's headers")
    table.add_argument("arch", help="amd64, arm64, loong64, arm, riscv64, 386, ppc64le, s390x")
    table.add_argument("--headers", metavar="DIR", help="exported headers of a kernel instead of zig's")
    table.add_argument("--json", action="store_true")
    table.add_argument("--check", action="store_true", help="read them with zig's compiler too: the two have to agree")
    table.set_defaults(run=_table)

    diff = actions.add_parser("diff", help="what is added, removed and renumbered between two tables")
    diff.add_argument("before", help=DIFF_HELP)
    diff.add_argument("after", help=DIFF_HELP)
    diff.add_argument(
        "--used", metavar="TRACE", help="what a program uses (xc syscalls trace --json, or qemu's strace)"
    )
    diff.add_argument("--json", action="store_true")
    diff.set_defaults(run=_diff)

    gen = actions.add_parser("gen", help="constants ready to compile")
    gen.add_argument("arch")
    gen.add_argument("--lang", required=True, help="go, c, rust, python or json")
    gen.add_argument("--headers", metavar="DIR")
    gen.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    gen.set_defaults(run=_gen)

    layout = actions.add_parser("layout", help="where the fields of the kernel's structures are")
    steps = layout.add_subparsers(metavar="STEP", required=True)
    snapshot = steps.add_parser("snapshot", help="write the layouts of every structure that can be read")
    snapshot.add_argument("--arch", action="append", default=[], metavar="ARCH", help="may be given again")
    snapshot.add_argument("--headers", metavar="DIR")
    snapshot.add_argument("--output", metavar="FILE", required=True)
    snapshot.set_defaults(run=_snapshot)
    show = steps.add_parser("show", help="one structure, or the names of all")
    show.add_argument("name", nargs="?", help="struct stat")
    show.add_argument("--snapshot", metavar="FILE", help="default: the shipped one")
    show.set_defaults(run=_show)
    compared = steps.add_parser("diff", help="which fields moved, and what that breaks")
    compared.add_argument("before", metavar="OLD", help="a snapshot, or a directory of headers")
    compared.add_argument("after", metavar="NEW", help="a snapshot, or a directory of headers")
    compared.add_argument("--arch", action="append", default=[], metavar="ARCH")
    compared.add_argument("--json", action="store_true")
    compared.set_defaults(run=_layout_diff)
    proof = steps.add_parser("assert", help="C that compiles only if a layout is as it says")
    proof.add_argument("arch")
    proof.add_argument("--struct", action="append", default=[], metavar="NAME", help="struct stat; default: all")
    proof.add_argument("--snapshot", metavar="FILE")
    proof.set_defaults(run=_assert)
    go = steps.add_parser("check-go", help="hold Go structures against the kernel's")
    go.add_argument("directory", help="a Go package")
    go.add_argument("--arch", action="append", default=[], metavar="ARCH", help="default: amd64, arm64, loong64")
    go.add_argument("--struct", action="append", default=[], metavar="GO=C", help="Stat_t='struct stat'")
    go.add_argument("--snapshot", metavar="FILE")
    go.set_defaults(run=lambda o: _check_go(o, load))

    probe = actions.add_parser("probe", help="the same probes on the host, under qemu-user and under a real kernel")
    probe.add_argument("--platform", required=True, metavar="ID")
    probe.add_argument(
        "--kernel", action="append", default=[], metavar="NAME", help="of `xc kernel list`; may be repeated"
    )
    probe.add_argument("--os-profile", default="", metavar="NAME", help="default: what the platform's system is")
    probe.add_argument("--probes", action="append", default=[], metavar="FILE", help="probes and profiles of your own")
    probe.add_argument("--all", action="store_true", help="print every assertion, not the differences alone")
    probe.add_argument("--json", metavar="FILE", help="write everything there")
    probe.set_defaults(run=lambda o: _probe(o, load))

    bridge = actions.add_parser("bridge", help="bridges: write a template, or put one through the probes on this host")
    parts = bridge.add_subparsers(metavar="STEP", required=True)
    init = parts.add_parser("init", help="write a template of a bridge with its harness and manifest")
    init.add_argument("--lang", choices=["c", "go"], required=True)
    init.add_argument("directory", nargs="?", default="bridge")
    init.set_defaults(run=_bridge_init)
    run = parts.add_parser("run", help="every probe that a harness offers, here")
    run.add_argument("--os-profile", default="linux", metavar="NAME")
    run.add_argument("--probes", action="append", default=[], metavar="FILE", help="probes and profiles of your own")
    run.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds for one operation (default: 10)")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="starts the harness")
    run.set_defaults(run=_bridge_run)

    trace = actions.add_parser(
        "trace", help="which system calls a program makes on a platform, and what it does without"
    )
    trace.add_argument("--platform", required=True, metavar="ID")
    trace.add_argument("--backend", default="auto", help="auto (qemu-user) or system (a real kernel, by ptrace)")
    trace.add_argument("--json", metavar="FILE", help="write what was seen there")
    trace.add_argument("words", nargs=argparse.REMAINDER, metavar="-- PROGRAM", help="a file here, or a path there")
    trace.set_defaults(run=lambda o: _trace(o, load))


def _headers(arch: str, directory: str | None) -> Headers:
    from pytest_xinchuang.packages.syscall_bridge.headers import architecture, find_headers

    return find_headers(architecture(arch), Path(directory) if directory else None)


def _read(text: str) -> SyscallTable:
    """A table by what a user calls it."""
    from pytest_xinchuang.packages.syscall_bridge.tables import load_table, read_table

    if Path(text).is_file():
        return load_table(Path(text))
    arch, _, directory = text.partition("=")
    return read_table(_headers(arch, directory or None))


def _table(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.tables import read_table, read_table_by_zig

    headers = _headers(options.arch, options.headers)
    table = read_table(headers)
    if options.check and (other := read_table_by_zig(headers)) != table.calls:
        odd = sorted(set(other.items()) ^ set(table.calls.items()))
        raise XcError(_("libclang and zig read other tables: {odd}", odd=odd[:5]))
    if options.json:
        print(table.text(), end="")
        return EXIT_CLEAN
    for name, number in table.calls.items():
        print(f"{number:>8} {name}")
    print(f"{len(table.calls)} calls of Linux {table.kernel or '?'} on {table.arch} ({table.source})", file=sys.stderr)
    return EXIT_CLEAN


def _diff(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.tables import compare
    from pytest_xinchuang.packages.syscall_bridge.usage import read_used

    before, after = _read(options.before), _read(options.after)
    found = compare(before, after, read_used(Path(options.used)) if options.used else None)
    if options.json:
        print(json.dumps(found.as_dict(), indent=1))
    else:
        for label, names in (("+", found.added), ("-", found.removed)):
            for name, number in names.items():
                print(f"{label} {name} {number}")
        for name, (old, new) in found.renumbered.items():
            print(f"~ {name} {old} -> {new}")
        print(
            f"{len(before.calls)} calls on {before.arch} {before.kernel}, {len(after.calls)} on {after.arch} {after.kernel}: "
            f"{len(found.added)} added, {len(found.removed)} removed, {len(found.renumbered)} renumbered, "
            f"{found.ratio:.1%} the same"
        )
        if found.used is not None:
            print(
                f"the program uses {len(found.used)}: "
                + (f"lost {', '.join(found.lost)}" if found.lost else "all there")
            )
    if found.used is not None:
        return EXIT_FINDINGS if found.lost else EXIT_CLEAN
    changed = bool(found.removed or found.renumbered)
    return EXIT_FINDINGS if changed and before.arch == after.arch else EXIT_CLEAN


def _gen(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.generate import generate
    from pytest_xinchuang.packages.syscall_bridge.tables import read_table

    text = generate(read_table(_headers(options.arch, options.headers)), options.lang)
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
        print(f"wrote {options.output}", file=sys.stderr)
    else:
        print(text, end="")
    return EXIT_CLEAN


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


SNAPSHOT_ARCHS = ("amd64", "arm64", "loong64", "arm", "riscv64")


def _snapshot(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.layouts import write_snapshot

    layouts = _layouts(_archs(options.arch, SNAPSHOT_ARCHS), Path(options.headers) if options.headers else None)
    write_snapshot(layouts, Path(options.output))
    for arch in layouts.archs:
        unread = layouts.unread.get(arch, {})
        print(f"{arch}: {len(layouts.of(arch))} structures; {len(unread)} headers were not read", file=sys.stderr)
        for header, why in unread.items():
            print(f"  {header}: {why}", file=sys.stderr)
    print(f"{len(layouts.dependent)} structures that all have depend on the architecture", file=sys.stderr)
    return EXIT_CLEAN


def _show(options: argparse.Namespace) -> int:
    layouts = _load(options.snapshot)
    if not options.name:
        print("\n".join(sorted(layouts.structs)))
        return EXIT_CLEAN
    names = [n for n in (options.name, f"struct {options.name}", f"union {options.name}") if n in layouts.structs]
    if not names:
        raise XcError(
            _("no structure is called {name}", name=verbatim(repr(options.name))),
            mend=verbatim("xc syscalls layout show"),
        )
    print(f"{names[0]} of <{layouts.header[names[0]]}>, Linux {layouts.kernel}: size/alignment, then FIELD@OFFSET:SIZE")
    for arch, layout in layouts.structs[names[0]].items():
        print(f"{arch:<8} {layout.text()}")
    return EXIT_CLEAN


def _layout_diff(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.layouts import compare_layouts

    def side(text: str) -> Layouts:
        path = Path(text)
        return _layouts(_archs(options.arch, SNAPSHOT_ARCHS[:3]), path) if path.is_dir() else _load(text)

    shifts = compare_layouts(side(options.before), side(options.after), _archs(options.arch, ()))
    if options.json:
        from dataclasses import asdict

        print(json.dumps({"schema": "xc-layout-diff/1", "shifts": [asdict(s) for s in shifts]}, indent=1))
    else:
        for shift in shifts:
            print(shift.text())
        breaking = sum(bool(s.breaks) for s in shifts)
        print(f"{len(shifts)} differences, {breaking} of them break something")
    return EXIT_FINDINGS if any(s.breaks for s in shifts) else EXIT_CLEAN


def _assert(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.syscall_bridge.generate import assertions
    from pytest_xinchuang.packages.syscall_bridge.headers import architecture

    texts = assertions(_load(options.snapshot), architecture(options.arch), options.struct or None)
    if not texts:
        raise XcError(_("nothing to assert for {arch}", arch=options.arch), mend=verbatim("xc syscalls layout show"))
    print("\n".join(texts.values()), end="")
    return EXIT_CLEAN


def _check_go(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.packages.syscall_bridge.gostructs import check_go, pairs_of, read_go
    from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES
    from pytest_xinchuang.provision.cache import Cache

    load(options)  # a bad --platforms-file is told
    layouts, cache = _load(options.snapshot), Cache()
    own = dict(pair.partition("=")[::2] for pair in options.struct)
    wrong, checked = 0, set()
    for arch in _archs(options.arch, SNAPSHOT_ARCHS[:3]):
        found = read_go(Path(options.directory), ARCHITECTURES[arch].goarch, cache)
        pairs = pairs_of(found, own)
        if not pairs:
            raise XcError(
                _(
                    "{directory}: no structure is called as one of Go's own that go to the kernel, so nothing was "
                    "checked",
                    directory=options.directory,
                ),
                mend=verbatim("--struct NAME='struct stat'"),
            )
        mistakes = check_go(found, layouts, arch, pairs)
        wrong += len(mistakes)
        checked |= set(pairs)
        for mistake in mistakes:
            print(f"{arch}: {mistake}")
    print(f"{wrong} mistakes" if wrong else f"as the kernel's: {', '.join(sorted(checked))}")
    return EXIT_FINDINGS if wrong else EXIT_CLEAN


def _probe(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.packages.syscall_bridge.engine import os_profile
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes, probes_file
    from pytest_xinchuang.packages.syscall_bridge.reference import columns, divergences
    from pytest_xinchuang.packages.syscall_bridge.report import divergences_as_text, probes_as_dict, table_as_text
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store
    from pytest_xinchuang.sandbox.pool import Pool
    from pytest_xinchuang.toolchain.builder import Builder

    platforms = load(options)
    platform = platforms.get(options.platform)
    probes = Probes([probes_file(), *(Path(p) for p in options.probes)])
    profile = options.os_profile or os_profile(platform)
    probes.lineage(profile)
    store = Store(platforms, progress=Progress())
    pool = Pool(store)
    try:
        found = columns(pool, Builder(store.cache, store.progress), platform, probes, profile, options.kernel)
    finally:
        pool.close()
    differ = divergences(found)
    if options.json:
        data = probes_as_dict(found, differ, profile)
        Path(options.json).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.all:
        print(table_as_text(found), end="")
    print(divergences_as_text(found, differ, profile), end="")
    return EXIT_FINDINGS if any(not d.reason for d in differ) else EXIT_CLEAN


BRIDGE_MANIFEST = """schema: xc-subject/1
name: my-bridge
version: "1"
syscall_bridge:
  harness: {{name: bridge, kind: {kind}, sources: [{sources}]{links}}}
"""


def _bridge_init(options: argparse.Namespace) -> int:
    import shutil

    from pytest_xinchuang.core import resources

    root = resources.fixtures_dir() / "bridge" / options.lang
    target = Path(options.directory)
    if target.exists() and any(target.iterdir()):
        raise XcError(_("{target} is not empty", target=target), mend=_("name another directory"))
    # Kernel probes are ours, and no bridge's.
    names = sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith(("probe", "scenarios.c")))
    place = target if options.lang == "c" else target / "bridge"
    place.mkdir(parents=True)
    for name in names:
        shutil.copyfile(root / name, place / name)
    if options.lang == "c":
        (target / "scenarios.c").write_text(NO_SCENARIOS, encoding="utf-8")
        sources = ", ".join(sorted([n for n in names if n.endswith(".c")] + ["scenarios.c"]))
        manifest = BRIDGE_MANIFEST.format(kind="c", sources=sources, links=", links: [pthread, rt]")
        build = "cc -O2 *.c -o harness"
    else:
        manifest = BRIDGE_MANIFEST.format(kind="go-cgo", sources="bridge", links="")
        build = "(cd bridge && go build -o ../harness .)"
    (target / "xinchuang.yaml").write_text(manifest, encoding="utf-8")
    print(f"wrote {target}: put your library where the template makes the calls")
    print(f"  cd {target} && {build} && xc syscalls bridge run -- ./harness")
    print(f"  pytest --xc-platform=loongson --xc-suite=syscall_bridge --xc-subject={target}")
    return EXIT_CLEAN


NO_SCENARIOS = """/* Kernel probes are the suite's own: a bridge has none. */
#include "scenarios.h"

void *scenario_abort;
const char *scenario_names(void) { return ""; }
long scenario_run(const char *name, text *out) {
    (void)name;
    (void)out;
    return SCENARIO_UNKNOWN;
}
"""


def _bridge_run(options: argparse.Namespace) -> int:
    import resource
    import tempfile

    from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes, probes_file
    from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, run_bridge
    from pytest_xinchuang.sandbox.local import local

    words = options.words[1:] if options.words[:1] == ["--"] else list(options.words)
    if not words:
        raise XcError(_("there is no harness to ask"), mend=verbatim("xc syscalls bridge run -- ./harness"))
    probes = Probes([probes_file(), *(Path(p) for p in options.probes)])
    probes.lineage(options.os_profile)
    program = [str(Path(words[0]).absolute()) if Path(words[0]).exists() else words[0], *words[1:]]
    seen: list[ProbeOutcome] = []
    for probe in probes.bridge.values():
        with (
            tempfile.TemporaryDirectory() as place,
            BridgeClient(local(program, Path(place)), timeout_s=options.timeout) as client,
        ):
            seen += run_bridge(client, probes, [probe], options.os_profile, resource.getpagesize())
    for one in seen:
        if one.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED):
            print(f"{one.requirement} {one.text()}")
        elif one.result is ProbeResult.UNSUPPORTED:
            print(f"{one.id}: {one.found}: not asked")
    count = {result: sum(s.result is result for s in seen) for result in ProbeResult}
    print(", ".join(f"{number} {result}" for result, number in count.items() if number))
    if count[ProbeResult.FAILED] or count[ProbeResult.NOT_REACHED]:
        return EXIT_FINDINGS
    return EXIT_CLEAN if count[ProbeResult.PASSED] and not count[ProbeResult.UNDOCUMENTED] else EXIT_INCOMPLETE


def _trace(options: argparse.Namespace, load: Load) -> int:
    from pytest_xinchuang.packages.syscall_bridge.usage import trace
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store
    from pytest_xinchuang.sandbox.pool import Pool

    words = options.words[1:] if options.words[:1] == ["--"] else list(options.words)
    if not words:
        raise XcError(
            _("there is no program to trace"), mend=verbatim("xc syscalls trace --platform kunpeng -- ./program")
        )
    platforms = load(options)
    platform = platforms.get(options.platform)
    pool = Pool(Store(platforms, progress=Progress()), options.backend)
    try:
        usage = trace(pool, platform, words)
    finally:
        pool.close()
    if options.json:
        Path(options.json).write_text(json.dumps(usage.as_dict(), indent=1) + "\n", encoding="utf-8")
    print(usage.text())
    if usage.undecided:
        return EXIT_INCOMPLETE
    return EXIT_CLEAN if usage.copes else EXIT_FINDINGS

"""`xc syscalls bridge`: a template of a bridge, and its probes on this host."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_kind
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, joined, verbatim


def add_commands(syscalls: Commands) -> None:
    """Add ``xc syscalls bridge``."""
    text = _("bridges: write a template, or put one through the probes on this host")
    syscalls.group("bridge", text, _fill)


def _fill(bridge: Commands) -> None:
    bridge.command("init", _("write a template of a bridge with its harness and manifest"), _init, _fill_init)
    bridge.command("run", _("every probe that a harness offers, here"), _run, _fill_run)


def _fill_init(parser: XcParser) -> None:
    add_kind(parser, "c", "go")
    parser.add_argument(
        "directory",
        nargs="?",
        default="bridge",
        help=_("where it is written (default: {default})", default=verbatim("bridge")),
    )


def _fill_run(parser: XcParser) -> None:
    parser.add_argument(
        "--os-profile",
        default="linux",
        metavar="NAME",
        help=_("an OS profile (default: {default})", default=verbatim("linux")),
    )
    parser.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help=_("probes and profiles of your own")
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="S",
        help=_("seconds for one operation (default: {default})", default=10),
    )
    parser.add_words("COMMAND", _("starts the harness"))


MANIFEST = """schema: xc-subject/1
name: my-bridge
version: "1"
syscall_bridge:
  harness: {{name: bridge, kind: {kind}, sources: [{sources}]{links}}}
"""

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


def _init(context: Context) -> int:
    import shutil

    from pytest_xinchuang.core import resources

    kind = context.options.kind
    root = resources.fixtures_dir() / "bridge" / kind
    target = Path(context.options.directory)
    if target.exists() and any(target.iterdir()):
        raise XcError(_("{directory} is not empty", directory=verbatim(str(target))), mend=_("name another directory"))
    # Kernel probes are ours, and no bridge's.
    names = sorted(p.name for p in root.iterdir() if p.is_file() and not p.name.startswith(("probe", "scenarios.c")))
    place = target if kind == "c" else target / "bridge"
    place.mkdir(parents=True)
    for name in names:
        shutil.copyfile(root / name, place / name)
    if kind == "c":
        (target / "scenarios.c").write_text(NO_SCENARIOS, encoding="utf-8", newline="\n")
        sources = ", ".join(sorted([n for n in names if n.endswith(".c")] + ["scenarios.c"]))
        manifest = MANIFEST.format(kind="c", sources=sources, links=", links: [pthread, rt]")
        build = "cc -O2 *.c -o harness"
    else:
        manifest = MANIFEST.format(kind="go-cgo", sources="bridge", links="")
        build = "(cd bridge && go build -o ../harness .)"
    (target / "xinchuang.yaml").write_text(manifest, encoding="utf-8", newline="\n")
    context.say(
        _("wrote {directory}: put your library where the template makes the calls", directory=verbatim(str(target)))
    )
    context.say(verbatim(f"  cd {target} && {build} && xc syscalls bridge run -- ./harness"))
    context.say(verbatim(f"  pytest --xc-platform=loongson --xc-suite=syscall_bridge --xc-subject={target}"))
    return Exit.CLEAN


def _run(context: Context) -> int:
    import mmap
    import tempfile

    from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes, probes_file
    from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, run_bridge
    from pytest_xinchuang.sandbox.local import local

    options, words = context.options, context.words
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
            seen += run_bridge(client, probes, [probe], options.os_profile, mmap.PAGESIZE)
    for one in seen:
        if one.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED):
            context.say(_("{requirement} {text}", requirement=verbatim(one.requirement), text=one.text()))
        elif one.result is ProbeResult.UNSUPPORTED:
            context.say(_("{probe}: {found}: not asked", probe=verbatim(one.id), found=one.found))
    count = {result: sum(s.result is result for s in seen) for result in ProbeResult}
    counted = [_("{n} {result}", n=number, result=result.word) for result, number in count.items() if number]
    context.say(joined(counted, _(", ")))
    if count[ProbeResult.FAILED] or count[ProbeResult.NOT_REACHED]:
        return Exit.FINDINGS
    return Exit.CLEAN if count[ProbeResult.PASSED] and not count[ProbeResult.UNDOCUMENTED] else Exit.INCOMPLETE

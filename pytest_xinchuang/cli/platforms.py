"""`xc platforms`: what platforms.yaml says, and what a real machine says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    completed_by,
    platform_names,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, joined, n_, system_error, verbatim

PROBE_TIMEOUT_S = 120
"""The probe starts some dozen programs; a board's `rpm --showrc` and a search in libc take seconds each."""


def add_platforms(commands: Commands) -> None:
    """Add ``xc platforms``."""

    def fill(parser: XcParser) -> None:
        parser.add_argument(
            "action",
            choices=["list", "show", "validate", "schema", "probe", "compare"],
            nargs="?",
            default="list",
            help=_(
                "what to do (default: {default}); show and schema write JSON, probe writes what this machine is, "
                "compare says where a probe and the platforms differ",
                default=verbatim("list"),
            ),
        )
        name = parser.add_argument("name", nargs="?", help=_("a platform for show, a file for validate and compare"))
        completed_by(name, platform_names)
        parser.add_argument(
            "--script",
            action="store_true",
            help=_("probe: print the shell script instead, for a machine without this Python"),
        )
        add_format(parser, "text", "json", json_flag=True)

    commands.command(
        "platforms", _("list, show or validate platforms, or compare a real machine with them"), _run, fill
    )


def _run(context: Context) -> int:
    actions = {"schema": _schema, "validate": _validate, "show": _show, "probe": _probe, "compare": _compare}
    return actions.get(context.options.action, _list)(context)


def _schema(context: Context) -> int:
    from pytest_xinchuang.core.platform import PlatformsFile

    context.write_json(PlatformsFile.model_json_schema(by_alias=True))
    return Exit.CLEAN


def _validate(context: Context) -> int:
    from pytest_xinchuang.core.platform import Platforms

    named = context.options.name or context.options.platforms_file
    files = [resources.platforms_file(), *([Path(named)] if named else [])]
    number = len(Platforms(files).ids)
    context.say(n_("{file}: good, {n} platform", "{file}: good, {n} platforms", number, file=verbatim(str(files[-1]))))
    return Exit.CLEAN


def _show(context: Context) -> int:
    if not context.options.name:
        raise XcError(_("show needs a platform"), mend=verbatim("xc platforms show kunpeng"))
    context.write_json(context.platforms.get(context.options.name).model_dump(mode="json"))
    return Exit.CLEAN


def _list(context: Context) -> int:
    platforms = context.platforms
    short_of = platforms.file.short_of
    chosen = [platforms.get(i) for i in platforms.ids]
    if context.options.format == "json":
        rows = [
            {"id": p.id, "short": short_of(p.id), "arch": p.arch, "world": p.world, "rootfs": p.rootfs_name}
            for p in chosen
        ]
        context.write_json(rows)
        return Exit.CLEAN
    width = max(len(p.id) for p in chosen)
    no_stand_in = {"old": _("no stand-in (old world)"), "new": _("no stand-in (new world)")}
    lines = [
        _(
            "{id} {short:<9} {arch:<8} {cpu}, {system}; {rootfs}",
            id=verbatim(f"{p.id:<{width}} "),
            short=verbatim(short_of(p.id) or ""),
            arch=verbatim(p.arch),
            cpu=p.cpu.title.message(),
            system=p.system.title.message(),
            rootfs=verbatim(p.rootfs_name or "") or no_stand_in[p.world],
        )
        for p in chosen
    ]
    context.write(context.lines(lines))
    return Exit.CLEAN


def _probe(context: Context) -> int:
    from pytest_xinchuang.core.probe import read_probe
    from pytest_xinchuang.tools.process import Runner

    script = resources.probe_script()
    if context.options.script:
        context.write(verbatim(script.read_text(encoding="utf-8")))
        return Exit.CLEAN
    finished = Runner().run(["/bin/sh", str(script)], timeout_s=PROBE_TIMEOUT_S)
    if not finished.ok:
        raise XcError(
            _("the probe did not end well: {told}", told=finished.told),
            mend=verbatim("xc platforms probe --script > probe.sh; sh -x probe.sh"),
        )
    read_probe(finished.stdout)
    context.write(verbatim(finished.stdout.decode("utf-8", "replace")))
    return Exit.CLEAN


def _compare(context: Context) -> int:
    from pytest_xinchuang.core.probe import MOST_BYTES, Agreement, compare, read_probe

    name = context.options.name
    if not name:
        raise XcError(_("compare needs a probe"), mend=verbatim("xc platforms probe --output probe.txt"))
    try:
        with Path(name).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise XcError(
            _("{file}: cannot be read: {error}", file=verbatim(str(name)), error=system_error(error)),
            mend=verbatim("xc platforms probe --output probe.txt"),
        ) from error
    probe = read_probe(data)
    found = compare(probe, context.platforms.file)
    whole = bool(found.cpus and found.systems)
    if context.options.format == "json":
        context.write_json(
            {
                "probe": probe.digest,
                "arch": found.arch,
                "cpus": found.cpus,
                "systems": found.systems,
                "doubts": [str(doubt) for doubt in found.doubts],
                "unsupported": str(found.unsupported),
                "facts": [
                    {
                        "fact": each.fact,
                        "ours": each.ours,
                        "confidence": each.confidence,
                        "seen": each.seen,
                        "agreement": each.agreement,
                    }
                    for each in found.facts
                ],
            }
        )
    else:
        none = _("none of platforms.yaml")
        lines: list[Message] = [
            _("CPU: {names}", names=_named(found.cpus, none)),
            _("system: {names}", names=_named(found.systems, none)),
            *([_("not supported: {why}", why=found.unsupported)] if found.unsupported else []),
            *(_("doubt: {doubt}", doubt=doubt) for doubt in found.doubts),
        ]
        lines += [
            _(
                "{agreement}: {fact}: here {ours} ({confidence}), there {seen}",
                agreement=each.agreement.word,
                fact=verbatim(each.fact),
                ours=verbatim(each.ours) or _("unknown"),
                confidence=each.confidence.word,
                seen=verbatim(each.seen) or _("nothing"),
            )
            for each in found.facts
            if each.agreement is not Agreement.UNTOLD
        ]
        new = any(each.agreement is Agreement.NEW for each in found.facts)
        if (not whole or found.differs or new) and not found.unsupported:
            lines.append(_("it tells something that is not known here: please send it, docs/probe.md says how"))
        context.write(context.lines(lines))
    if found.differs:
        return Exit.FINDINGS
    return Exit.CLEAN if whole else Exit.INCOMPLETE


def _named(names: Iterable[str], none: Message) -> Message:
    return joined(map(verbatim, names), _(", ")) or none

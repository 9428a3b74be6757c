"""`xc doctor`, `provision`, `shell`, `rootfs` and `kernel`: what target code runs on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    Exit,
    add_format,
    add_offline,
    add_place,
    completed_by,
    platform_names,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.elsewhere import demand_linux
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.provision.cache import Entry
    from pytest_xinchuang.provision.store import Store


def add_doctor(commands: Commands) -> None:
    """Add ``xc doctor``."""
    commands.command(
        "doctor",
        _("what works on this host, what is missing, and how to mend it"),
        _doctor,
        lambda parser: add_format(parser, "text", "json", json_flag=True),
    )


def add_commands(commands: Commands) -> None:
    """Add the other commands of this file."""
    commands.command(
        "provision",
        _("make emulators and root filesystems, or move them to another machine"),
        _provision,
        _fill_provision,
    )
    commands.command("shell", _("an interactive sandbox of a platform"), _shell, _fill_shell)
    commands.command("rootfs", _("root filesystems: list, or import a vendor's"), _rootfs, _fill_rootfs)
    commands.command(
        "kernel", _("real kernels of the system sandbox: list, or import a vendor's"), _kernel, _fill_kernel
    )


def _fill_provision(parser: XcParser) -> None:
    places = parser.add_argument(
        "platforms", nargs="*", default=[], metavar="PLATFORM", help=_("platforms (default: all short names)")
    )
    completed_by(places, platform_names)
    named = parser.add_argument(
        "--platform", metavar="ID[,ID...]", default="", help=_("the same, said as in other commands")
    )
    completed_by(named, platform_names)
    parser.add_argument(
        "--system", action="store_true", help=_("real kernels too, and the qemu-system that boots them")
    )
    parser.add_argument("--force", action="store_true", help=_("make them again"))
    parser.add_argument("--export", metavar="DIR", help=_("write what is in the cache to DIR"))
    parser.add_argument("--import", dest="taken", metavar="DIR", help=_("take in what --export wrote"))
    parser.add_argument(
        "--export-release",
        metavar="FILE",
        help=_("write what the platforms need to one file: the same bytes from the same entries"),
    )
    parser.add_argument(
        "--from",
        dest="release",
        metavar="ARCHIVE|URL",
        help=_("take in what --export-release wrote, and fetch no packages"),
    )
    parser.add_argument(
        "--sha256",
        metavar="HEX",
        default="",
        help=_("of the archive; without it, a .sha256 file beside it is believed"),
    )
    parser.add_argument(
        "--offline",
        nargs="?",
        const=True,
        default=False,
        metavar="DIR",
        help=_("fetch nothing; with DIR, an older way to say --import DIR"),
    )
    parser.add_argument("--quiet", action="store_true", help=_("tell no progress"))


def _fill_shell(parser: XcParser) -> None:
    add_place(parser, _("a platform"))
    parser.add_argument("--backend", default="auto", help=_("as --xc-backend; system boots a real kernel"))
    add_offline(parser)
    parser.add_words("COMMAND", _("run this instead of a shell"))


def _fill_rootfs(parser: XcParser) -> None:
    parser.add_argument("action", choices=["list", "import"], help=_("what to do"))
    add_place(parser, _("import: the platform"))
    parser.add_argument("source", nargs="?", help=_("import: a tar archive, or an image of the Docker engine"))


def _fill_kernel(parser: XcParser) -> None:
    parser.add_argument("action", choices=["list", "import"], help=_("what to do"))
    add_place(parser, _("import: the platform"))
    parser.add_argument("source", nargs="?", help=_("import: the kernel, /boot/vmlinuz-* of the vendor's system"))
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="FILE",
        help=_("a module that its virtio_pci or virtio_console needs; given again, in the order of loading"),
    )


def _doctor(context: Context) -> int:
    demand_linux(_("a sandbox"))
    from pytest_xinchuang.cli.doctor import examine

    context.options.quiet = True
    groups = examine(context.store())
    features = [feature for _heading, group in groups for feature in group]
    if context.options.format == "json":
        # What programs look for stays the same in every language.
        context.write_json([feature.as_dict(context.language) for feature in features])
    else:
        lines: list[Message] = []
        for heading, group in groups:
            lines += [*([NOTHING] if lines else []), heading]
            for f in group:
                lines.append(_("{state:<8} {feature}: {detail}", state=f.word, feature=f.feature, detail=f.detail))
                if not f.ok:
                    lines.append(_("         why:  {matters}", matters=f.matters))
                    if f.mend:
                        lines.append(_("         mend: {mend}", mend=f.mend))
        context.write(context.lines(lines))
    return Exit.CLEAN if all(f.ok or not f.needed for f in features) else Exit.FINDINGS


def _provision(context: Context) -> int:
    from pytest_xinchuang.provision import transport

    options = context.options
    taken = options.taken or (options.offline if isinstance(options.offline, str) else "")
    demand_linux(_("a sandbox"))
    store = context.store()
    if taken:
        context.say(_("taken in: {names}", names=_names(transport.import_export(store.cache, Path(taken)))))
        return Exit.CLEAN
    if options.export:
        context.say(_("written: {names}", names=_names(transport.export(store.cache, Path(options.export)))))
        return Exit.CLEAN
    if options.release:
        return _take_release(context, store)
    if options.sha256:
        raise XcError(_("--sha256 is the digest of what --from takes in"), mend=verbatim("xc provision --from ARCHIVE"))
    wanted = [*options.platforms, *options.platform.split(",")]
    platforms = store.platforms.select(wanted if any(wanted) else ["all"])
    if options.export_release:
        place = Path(options.export_release).absolute()
        names, digest = transport.export_release(store, place, platforms, system=options.system)
        context.say(_("written to {place}: {names}", place=place, names=_names(names)))
        context.say(_("its SHA-256: {digest}", digest=verbatim(digest)))
        return Exit.CLEAN
    for platform in platforms:
        if platform.rootfs_name is None:
            context.say(
                _(
                    "{platform}: no stand-in root filesystem; see `xc rootfs import`",
                    platform=verbatim(platform.id),
                )
            )
    transport.provision(store, platforms, system=options.system, force=options.force)
    context.say(_("ready in {directory}", directory=verbatim(str(store.cache.root))))
    return Exit.CLEAN


def _take_release(context: Context, store: Store) -> int:
    from pytest_xinchuang.provision.transport import import_release

    taken = import_release(store, context.options.release, context.options.sha256)
    if taken.others:
        context.tell(
            _(
                "left out, since this release of pytest-xinchuang makes them of other packages: {names}",
                names=_names(taken.others),
            )
        )
    if not taken.names:
        raise XcError(
            _("nothing of {source} is of use here", source=verbatim(context.options.release)),
            mend=_("take the archive of this release of pytest-xinchuang"),
        )
    context.say(_("taken in: {names}", names=_names(taken.names)))
    return Exit.CLEAN


def _shell(context: Context) -> int:
    platform = context.platforms.get(context.place(verbatim("xc shell kunpeng")))
    sandbox = context.pool(backend=context.options.backend).sandbox(platform)
    if sandbox.fingerprint.degraded:
        context.tell(sandbox.fingerprint.degraded)
    if context.words:
        data = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        outcome = sandbox.run(context.words, stdin=data)
        sys.stdout.buffer.write(outcome.stdout)
        sys.stderr.buffer.write(outcome.stderr)
        if outcome.code is None:
            context.tell(outcome.describe())
        return outcome.code if outcome.code is not None else 128 + (outcome.signal or 127)
    from pytest_xinchuang.sandbox.interactive import interact

    return interact(sandbox, _("{platform} (emulated)", platform=verbatim(platform.id)).render(context.language))


def _rootfs(context: Context) -> int:
    if context.options.action == "list":
        for entry in context.cache.entries():
            if entry.kind == "rootfs":
                facts = joined([verbatim(v if k == "name" else f"{k} {v}") for k, v in entry.facts.items()], _(", "))
                context.say(_entry(entry, facts))
        return Exit.CLEAN
    example = verbatim("xc rootfs import kunpeng kylin.tar")
    name, given = _to_import(context, _("import needs a platform and a tar archive or image"), example)
    platform, source, store = context.platforms.get(name), Path(given), context.store()
    if source.is_file():
        entry = store.import_rootfs(platform, source)
    else:
        from pytest_xinchuang.sandbox.backends.docker import export_image

        with export_image(given) as tarball:
            entry = store.import_rootfs(platform, tarball)
    context.say(
        _(
            "{platform} now runs on {rootfs}, {digest}",
            platform=verbatim(platform.id),
            rootfs=verbatim(entry.facts.get("name", entry.source)),
            digest=verbatim(entry.digest),
        )
    )
    return Exit.CLEAN


def _kernel(context: Context) -> int:
    options = context.options
    if options.action == "list":
        for entry in context.cache.entries():
            if entry.kind == "kernel":
                recipe = context.platforms.file.kernels.get(entry.name)
                facts = [verbatim(entry.facts.get("release", ""))]
                if recipe:
                    facts.append(_("pages of {size} bytes", size=recipe.page_size))
                context.say(_entry(entry, joined(facts)))
        return Exit.CLEAN
    example = verbatim("xc kernel import kunpeng vmlinuz-4.19.90")
    name, source = _to_import(context, _("import needs a platform and a kernel"), example)
    platform = context.platforms.get(name)
    entry = context.store().import_kernel(platform, Path(source), [Path(m) for m in options.module])
    context.say(
        _(
            "{platform} now boots {kernel}, {digest}",
            platform=verbatim(platform.id),
            kernel=verbatim(entry.facts.get("release") or entry.source),
            digest=verbatim(entry.digest),
        )
    )
    context.say(_("try it: {command}", command=verbatim(f"xc shell --backend system {name} -- uname -a")))
    return Exit.CLEAN


def _to_import(context: Context, needs: Message, example: Message) -> tuple[str, str]:
    """(platform, source) by place, or the source alone by place and the platform by ``--platform``."""
    options = context.options
    given = [word for word in (options.platform, options.place, options.source) if word]
    if len(given) != 2:
        raise XcError(needs, mend=example)
    return given[0], given[1]


def _entry(entry: Entry, facts: Message) -> Message:
    """A line about what is in the cache."""
    return _(
        "{name:<28} {kind:<9} {facts}; {source}; {digest}",
        name=verbatim(entry.name),
        kind=_("stand-in") if entry.stand_in else _("vendor"),
        facts=facts,
        source=verbatim(entry.source),
        digest=verbatim(entry.digest),
    )


def _names(names: list[str]) -> Message:
    return joined(map(verbatim, names), _(", "))

"""The ``xc`` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_xinchuang import __version__
from pytest_xinchuang.cli.inspect import add_commands as add_inspect_commands
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.gotest.commands import add_command as add_gotest_command
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.commands import add_command as add_api_command
from pytest_xinchuang.packages.sm_crypto.commands import add_command as add_sm_command
from pytest_xinchuang.packages.supply_chain.commands import add_command as add_supply_command
from pytest_xinchuang.packages.supply_chain.commands import with_action
from pytest_xinchuang.packages.syscall_bridge.commands import add_command as add_syscalls_command
from pytest_xinchuang.packages.syscall_bridge.host_commands import add_command as add_host_command

if TYPE_CHECKING:
    from pytest_xinchuang.core.platform import Platforms
    from pytest_xinchuang.provision.store import Store

EXIT_OK, EXIT_FINDINGS, EXIT_ERROR = 0, 1, 2
"""Clean; something is missing or a grade is not there; the command could not do its work."""


def main(arguments: list[str] | None = None) -> int:
    """Run ``xc``; returns the exit code. Problems are told on stderr in a line or two, never as a traceback."""
    options = _parser().parse_args(with_action(sys.argv[1:] if arguments is None else arguments))
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # here, while a full disk can still be told
        return code
    except XcError as error:
        print(f"xc: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:
        _close_stdout()
        return EXIT_ERROR
    except OSError as error:
        _close_stdout()
        print(f"xc: {error}; the command was not finished", file=sys.stderr)
        print("  mend: see that what it names can be read and written, and the disk is not full", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("xc: interrupted", file=sys.stderr)
        return 130


def _close_stdout() -> None:
    """What can be written still is; the rest is let go, or Python would try again at exit and fail by a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xc", description="Grades on 信创 platforms: provisioning, sandboxes, reports."
    )
    parser.add_argument("--version", action="version", version=f"xc {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--platforms-file", metavar="FILE", help="a platforms.yaml of your own, merged over the shipped one"
        )
        sub.set_defaults(run=run)
        return sub

    platforms = command("platforms", _platforms, "list, show or validate platforms")
    platforms.add_argument("action", choices=["list", "show", "validate", "schema"], nargs="?", default="list")
    platforms.add_argument("name", nargs="?", help="a platform for show, a file for validate")
    platforms.add_argument("--json", action="store_true")

    doctor = command("doctor", _doctor, "what works on this host, what is missing, and how to mend it")
    doctor.add_argument("--json", action="store_true")

    provision = command("provision", _provision, "make emulators and root filesystems, or move them to another machine")
    provision.add_argument("platforms", nargs="*", default=[], help="platforms (default: all short names)")
    provision.add_argument(
        "--system", action="store_true", help="real kernels too, and the qemu-system that boots them"
    )
    provision.add_argument("--force", action="store_true", help="make them again")
    provision.add_argument("--export", metavar="DIR", help="write what is in the cache to DIR")
    provision.add_argument("--offline", metavar="DIR", help="take in what --export wrote")
    provision.add_argument("--quiet", action="store_true")

    shell = command("shell", _shell, "an interactive sandbox of a platform")
    shell.add_argument("platform")
    shell.add_argument("--backend", default="auto", help="as --xc-backend; system boots a real kernel")
    shell.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="run this instead of a shell")

    rootfs = command("rootfs", _rootfs, "root filesystems: list, or import a vendor's")
    rootfs.add_argument("action", choices=["list", "import"])
    rootfs.add_argument("platform", nargs="?")
    rootfs.add_argument("source", nargs="?", help="a tar archive, or an image of the Docker engine")

    kernel = command("kernel", _kernel, "real kernels of the system sandbox: list, or import a vendor's")
    kernel.add_argument("action", choices=["list", "import"])
    kernel.add_argument("platform", nargs="?")
    kernel.add_argument("source", nargs="?", help="the kernel: /boot/vmlinuz-* of the vendor's system")
    kernel.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="FILE",
        help="a module that its virtio_pci or virtio_console needs; given again, in the order of loading",
    )

    subject = command("subject", _subject, "write or check a manifest")
    subject.add_argument("action", choices=["init", "check", "schema"])
    subject.add_argument("directory", nargs="?", default=".")

    add_inspect_commands(command, _load_platforms)
    add_gotest_command(command, _load_platforms)
    add_sm_command(command, _load_platforms)
    add_api_command(command)
    add_supply_command(command)
    add_syscalls_command(command, _load_platforms)
    add_host_command(command, _load_platforms)

    report = command("report", _report, "rebuild the reports of a journal")
    report.add_argument("journal")
    report.add_argument("--output", metavar="DIR", help="where to write (default: beside the journal)")
    report.add_argument(
        "--language", choices=["en", "zh"], help="the language of the reports (default: the locale's, else English)"
    )
    report.add_argument("--schema", action="store_true", help="print the JSON Schema of report.json instead")
    return parser


def _load_platforms(options: argparse.Namespace) -> Platforms:
    from pytest_xinchuang.core.platform import Platforms

    own = [Path(options.platforms_file)] if options.platforms_file else []
    return Platforms([resources.platforms_file(), *own])


def _store(options: argparse.Namespace, *, quiet: bool = False) -> Store:
    from pytest_xinchuang.provision.progress import Progress
    from pytest_xinchuang.provision.store import Store

    store = Store(_load_platforms(options), progress=Progress(quiet=quiet))
    store.cache.clean()
    return store


def schemas() -> dict[str, dict[str, object]]:
    """The JSON Schemas that are shipped in ``schemas/``, by file name, as the models say now."""
    from pytest_xinchuang.core.events import journal_schema
    from pytest_xinchuang.core.platform import PlatformsFile
    from pytest_xinchuang.core.subject import subject_model
    from pytest_xinchuang.packages.registry import shipped
    from pytest_xinchuang.packages.sdk_ast.snapshot import snapshot_schema
    from pytest_xinchuang.report.json_report import report_schema

    return {
        "platforms.json": PlatformsFile.model_json_schema(by_alias=True),
        "subject.json": subject_model(shipped().sections).model_json_schema(by_alias=True),
        "report.json": report_schema(),
        "journal.json": journal_schema(),
        "api.json": snapshot_schema(),
    }


def _platforms(options: argparse.Namespace) -> int:
    from pytest_xinchuang.core.platform import Platforms, PlatformsFile

    if options.action == "schema":
        print(json.dumps(PlatformsFile.model_json_schema(by_alias=True), indent=1, ensure_ascii=False))
        return EXIT_OK
    if options.action == "validate":
        files = [resources.platforms_file(), *([Path(options.name)] if options.name else [])]
        print(f"{files[-1]}: good, {len(Platforms(files).ids)} platforms")
        return EXIT_OK
    platforms = _load_platforms(options)
    if options.action == "show":
        if not options.name:
            raise XcError(_("show needs a platform"), mend=verbatim("xc platforms show kunpeng"))
        print(json.dumps(platforms.get(options.name).model_dump(mode="json"), indent=1, ensure_ascii=False))
        return EXIT_OK
    short_of = platforms.file.short_of
    chosen = [platforms.get(i) for i in platforms.ids]
    if options.json:
        rows = [
            {"id": p.id, "short": short_of(p.id), "arch": p.arch, "world": p.world, "rootfs": p.rootfs_name}
            for p in chosen
        ]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return EXIT_OK
    width = max(len(p.id) for p in chosen)
    for p in chosen:
        rootfs = p.rootfs_name or f"no stand-in ({p.world} world)"
        print(f"{p.id:<{width}}  {short_of(p.id) or '':<9} {p.arch:<8} {p.cpu.title.en}, {p.system.title.en}; {rootfs}")
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from pytest_xinchuang.cli.doctor import examine

    findings = examine(_store(options, quiet=True))
    if options.json:
        print(json.dumps([asdict(f) for f in findings], indent=1, ensure_ascii=False))
    else:
        for f in findings:
            print(f"{f.state:<8} {f.feature}: {f.detail}")
            if f.state != "ok":
                print(f"         why:  {f.matters}")
                if f.mend:
                    print(f"         mend: {f.mend}")
    return EXIT_OK if all(f.state == "ok" for f in findings) else EXIT_FINDINGS


def _provision(options: argparse.Namespace) -> int:
    store = _store(options, quiet=options.quiet)
    if options.offline:
        print("taken in: " + ", ".join(store.import_export(Path(options.offline))))
        return EXIT_OK
    if options.export:
        print("written: " + ", ".join(store.export(Path(options.export))))
        return EXIT_OK
    done: set[str] = set()
    for platform in store.platforms.select(options.platforms or ["all"]):
        if platform.rootfs_name is None:
            print(f"{platform.id}: no stand-in root filesystem; see `xc rootfs import`")
            continue
        if platform.rootfs_name not in done:
            store.rootfs_for(platform, force=options.force)
        store.emulator(platform.architecture.qemu, force=options.force and not done)
        done.add(platform.rootfs_name)
    if store.platforms.file.reference:
        store.rootfs(store.platforms.file.reference)
    if options.system:
        store.system_emulator(force=options.force)
        for name in store.platforms.file.kernels:
            store.kernel(name, force=options.force)
    print(f"ready in {store.cache.root}")
    return EXIT_OK


def _shell(options: argparse.Namespace) -> int:
    from pytest_xinchuang.sandbox.pool import Pool

    store = _store(options)
    platform = store.platforms.get(options.platform)
    pool = Pool(store, options.backend)
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    try:
        sandbox = pool.sandbox(platform)
        if sandbox.fingerprint.degraded:
            print(f"xc: {sandbox.fingerprint.degraded}", file=sys.stderr)
        if words:
            data = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
            outcome = sandbox.run(words, stdin=data)
            sys.stdout.buffer.write(outcome.stdout)
            sys.stderr.buffer.write(outcome.stderr)
            if outcome.code is None:
                print(f"xc: {outcome.describe()}", file=sys.stderr)
            return outcome.code if outcome.code is not None else 128 + (outcome.signal or 127)
        from pytest_xinchuang.sandbox.interactive import interact

        return interact(sandbox, f"{platform.id} (emulated)")
    finally:
        pool.close()


def _rootfs(options: argparse.Namespace) -> int:
    store = _store(options)
    if options.action == "list":
        for entry in store.cache.entries():
            if entry.kind == "rootfs":
                kind = "stand-in" if entry.stand_in else "vendor"
                facts = ", ".join(f"{k} {v}" for k, v in entry.facts.items())
                print(f"{entry.name:<28} {kind:<9} {facts}; {entry.source}; {entry.digest}")
        return EXIT_OK
    if not options.platform or not options.source:
        raise XcError(
            _("import needs a platform and a tar archive or image"), mend=verbatim("xc rootfs import kunpeng kylin.tar")
        )
    platform = store.platforms.get(options.platform)
    source = Path(options.source)
    if source.is_file():
        entry = store.import_rootfs(platform, source)
    else:
        from pytest_xinchuang.sandbox.backends.docker import export_image

        with export_image(options.source) as tarball:
            entry = store.import_rootfs(platform, tarball)
    print(f"{platform.id} now runs on {entry.facts.get('name', entry.source)}, {entry.digest}")
    return EXIT_OK


def _kernel(options: argparse.Namespace) -> int:
    store = _store(options)
    if options.action == "list":
        for entry in store.cache.entries():
            if entry.kind == "kernel":
                kind = "stand-in" if entry.stand_in else "vendor"
                recipe = store.platforms.file.kernels.get(entry.name)
                pages = f"pages of {recipe.page_size} bytes; " if recipe else ""
                print(
                    f"{entry.name:<28} {kind:<9} {entry.facts.get('release', '')}; {pages}{entry.source}; {entry.digest}"
                )
        return EXIT_OK
    if not options.platform or not options.source:
        raise XcError(
            _("import needs a platform and a kernel"), mend=verbatim("xc kernel import kunpeng vmlinuz-4.19.90")
        )
    platform = store.platforms.get(options.platform)
    entry = store.import_kernel(platform, Path(options.source), [Path(m) for m in options.module])
    print(f"{platform.id} now boots {entry.facts.get('release') or entry.source}, {entry.digest}")
    print(f"try it: xc shell --backend system {options.platform} -- uname -a")
    return EXIT_OK


def _subject(options: argparse.Namespace) -> int:
    from pytest_xinchuang.core.subject import MANIFEST, subject_model
    from pytest_xinchuang.packages.registry import installed

    if options.action == "schema":
        print(
            json.dumps(
                subject_model(installed().sections).model_json_schema(by_alias=True), indent=1, ensure_ascii=False
            )
        )
        return EXIT_OK
    directory = Path(options.directory)
    if options.action == "init":
        template = resources.fixtures_dir() / "template"
        target = directory / MANIFEST
        if target.exists():
            raise XcError(_("{target} is already there", target=target), mend=verbatim(f"xc subject check {directory}"))
        directory.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, "unit.c"):
            if not (directory / name).exists():
                (directory / name).write_bytes((template / name).read_bytes())
        print(f"wrote {target} and unit.c; now: pytest --xc-platform=kunpeng --xc-subject={directory}")
        return EXIT_OK
    subject = installed().subject(directory)
    print(f"{subject.manifest}: good, {len(subject.file.units)} units, {subject.digest}")
    return EXIT_OK


def _report(options: argparse.Namespace) -> int:
    from pytest_xinchuang.core.grade import grade_run
    from pytest_xinchuang.core.journal import read_journal
    from pytest_xinchuang.messages import _, choose_language, joined, verbatim
    from pytest_xinchuang.packages.registry import installed
    from pytest_xinchuang.report.files import write_reports
    from pytest_xinchuang.report.json_report import report_schema
    from pytest_xinchuang.report.terminal import write_table

    if options.schema:
        print(json.dumps(report_schema(), indent=1, ensure_ascii=False))
        return EXIT_OK
    path = Path(options.journal)
    result = grade_run(read_journal(path), installed().parts)
    language = choose_language(options.language)
    written = write_reports(result, Path(options.output) if options.output else path.parent, language)
    write_table(result, lambda text, **_markup: print(text), language=language)
    print(_("wrote {files}", files=joined([verbatim(str(p)) for p in written], _(", "))).render(language))
    return EXIT_OK if not result.journal.problems else EXIT_FINDINGS


if __name__ == "__main__":
    sys.exit(main())

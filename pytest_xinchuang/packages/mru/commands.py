"""`xc reference`: the x86-64 runs of a product, for a machine on which they cannot be made."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_offline, add_output, add_platform
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.messages import _, n_, verbatim


def add_commands(commands: Commands) -> None:
    """Add ``xc reference``."""
    text = _("record the x86-64 runs of a product, for a board on which they cannot be made")
    commands.command("reference", text, _reference, _fill)


def _fill(parser: XcParser) -> None:
    parser.add_argument("--subject", metavar="PATH", default=".", help=_("the product's manifest or its directory"))
    add_platform(parser, several=True, default="all", help=_("the platforms on which they are to be compared with"))
    add_output(parser, required=True)
    add_offline(parser)


def _reference(context: Context) -> int:
    from pytest_xinchuang.core.errors import XcError
    from pytest_xinchuang.packages.mru.bench import Bench
    from pytest_xinchuang.packages.mru.recorded import record
    from pytest_xinchuang.packages.registry import installed
    from pytest_xinchuang.sandbox.protocol import Outcome

    options = context.options
    subject = installed().subject(Path(options.subject))
    pool = context.pool(packages=subject.file.rootfs_packages)
    builder = context.builder(pool)
    runs: dict[str, Outcome] = {}
    missing: dict[str, XcError] = {}
    for platform in context.selected():
        bench = Bench(platform, subject, pool, builder)
        for unit in subject.file.units:
            for elsewhere in (False, True):
                key = bench.reference_key(unit, elsewhere=elsewhere)
                if key in runs or key in missing:
                    continue
                outcome = bench.reference(unit, elsewhere=elsewhere)
                if isinstance(outcome, XcError):
                    missing[key] = outcome
                else:
                    runs[key] = outcome
    reference = pool.reference().fingerprint
    data = record(subject, reference.rootfs_digest, reference.emulated, runs)
    context.write_json(data)
    for key, error in missing.items():
        context.tell(_("{unit} is not in it: {why}", unit=verbatim(key), why=error.what))
    n = len(data["runs"])
    context.tell(n_("{n} run, {digest}", "{n} runs, {digest}", n, digest=verbatim(data["digest"])))
    return Exit.INCOMPLETE if missing else Exit.CLEAN

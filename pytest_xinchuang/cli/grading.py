"""``xc grade``: the conformance checks in a process of their own, for a grade that counts."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_xinchuang.assessor.starting import Place, absolute, command, sealed_environment
from pytest_xinchuang.cli.drafting import draft
from pytest_xinchuang.commands.common import (
    Commands,
    Context,
    add_offline,
    add_platform,
)
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.digits import number_in
from pytest_xinchuang.core.elsewhere import demand_linux
from pytest_xinchuang.core.errors import UnknownName, XcError
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.packages.base import entry_points, is_ours
from pytest_xinchuang.packages.option import PackageOption

_OPTIONS = (
    ("--subject", "PATH", _("manifest (xinchuang.yaml) of the product to grade, or its directory (default: .)")),
    ("--suite", "NAME[,NAME...]", _("conformance packages to run; one of somebody else's takes part when it is named")),
    ("--profile", "ID", _("what the target system demands (default: report)")),
    ("--backend", "NAME", _("auto, qemu, docker, system (a real kernel) or native (default: auto)")),
    ("--waivers", "FILE", _("waivers to lay over the results")),
    ("--report", "DIR", _("where journal and reports are written (default: .xc)")),
    ("--image", "REF", _("the image of the docker backend instead of the platform's")),
    ("--timeout-scale", "F", _("multiply every time-out by F (default: 1)")),
)


def add_grade(commands: Commands) -> None:
    """Add ``xc grade``."""
    commands.command(
        "grade", _("grade a product in a sealed process: no conftest, no foreign plugin"), _grade, _fill_grade
    )


def _fill_grade(parser: XcParser) -> None:
    parser.add_argument(
        "product",
        metavar="PATH",
        nargs="?",
        help=_("the product: a directory with a manifest, or what is delivered; then a manifest is written beside it"),
    )
    add_platform(parser, several=True, required=True)
    for flag, metavar, text in _OPTIONS:
        parser.add_argument(flag, metavar=metavar, help=text)
    for option in _package_options():
        name = option.flag.removeprefix("--xc-")
        parser.add_argument(f"--{name}", option.flag, dest=option.name, metavar=option.metavar, help=_told(option))
    parser.add_argument(
        "-n", "--workers", metavar="N", default="1", help=_("processes that run checks, or auto (default: 1)")
    )
    parser.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="DIR",
        help=_(
            "a directory with a compiler or another program that is not where the system has its own; may be repeated"
        ),
    )
    add_offline(parser)


def _told(option: PackageOption) -> Message:
    return Message.of(option.help)


def _package_options() -> list[PackageOption]:
    """The options of the installed packages, as far as they can be loaded."""
    from pytest_xinchuang.packages.base import loadable

    taken = {flag for flag, _metavar, _help in _OPTIONS}
    options = [option for package in loadable() for option in package.options]
    return [option for option in options if f"--{option.flag.removeprefix('--xc-')}" not in taken]


def _grade(context: Context) -> int:
    from pytest_xinchuang.tools import process

    demand_linux(_("a grade"))
    options = context.options
    # What only this process can say of a wrong option is said before the assessor takes its place.
    context.selected()
    number = _workers(options.workers)
    arguments = [*assessor(context), f"--workers={number}"]
    tools = [_directory(text) for text in options.tools]
    environment = sealed_environment(os.environ, _named(options.suite), tools)
    place = Place.make().path
    return process.become(command(place, arguments), environment, place)


def _directory(text: str) -> str:
    """The absolute path of ``--tools``.

    Raises:
        XcError: it is no directory, or cannot stand in PATH.
    """
    path = Path(text).absolute()
    if not path.is_dir() or ":" in str(path):
        raise XcError(_("--tools={given}: no such directory", given=verbatim(text)))
    return str(path)


def _workers(text: str) -> int:
    """How many processes run checks.

    Raises:
        XcError: it is no number of processes.
    """
    if text == "auto":
        return len(os.sched_getaffinity(0))
    number = number_in(text)
    if number is None or not 1 <= number <= 512:
        raise XcError(_("--workers={given}: expected a number from 1 to 512, or auto", given=verbatim(text)))
    return number


def assessor(context: Context) -> list[str]:
    """The options of pytest that say the same as those of ``xc grade``; paths are absolute.

    Raises:
        XcError: there is nothing to grade.
    """
    from pytest_xinchuang.core.subject import MANIFEST

    options = context.options
    found = [f"--xc-platform={options.platform}", f"--xc-language={context.language}"]
    report = Path(options.report or ".xc").absolute()
    found.append(f"--xc-report={report}")
    subject = options.subject or ("." if Path(MANIFEST).is_file() and not options.product else None)
    if options.product:
        subject = _of_product(context, Path(options.product))
    if subject is None and not options.suite:
        raise XcError(
            _("no product is named, and there is no {manifest} here", manifest=MANIFEST),
            mend=_(
                "add {option}; the target's own OpenSSL is graded with {suite}",
                option="--subject DIR",
                suite="--suite NAME",
            ),
        )
    if subject:
        found.append(f"--xc-subject={Path(subject).absolute()}")
    if options.waivers:
        found.append(f"--xc-waivers={Path(options.waivers).absolute()}")
    if options.platforms_file:
        found.append(f"--xc-platforms-file={Path(options.platforms_file).absolute()}")
    for name in ("suite", "profile", "backend", "image", "timeout_scale"):
        if value := getattr(options, name):
            found.append(f"--xc-{name.replace('_', '-')}={value}")
    for option in _package_options():
        value = getattr(options, option.name)
        if value is not None:
            found.append(f"{option.flag}={absolute(option, value, Path.cwd())}")
    return [*found, *(["--xc-offline"] if options.offline else [])]


def _of_product(context: Context, product: Path) -> str:
    """The manifest of a product: its own, or that beside what is delivered, which is written where there is none.

    Raises:
        XcError: a manifest is named too, or one cannot be written.
    """
    from pytest_xinchuang.core.subject import MANIFEST

    if context.options.subject:
        raise XcError(
            _(
                "a product is given twice: {names}",
                names=joined([verbatim(str(product)), verbatim("--subject")], _(", ")),
            )
        )
    if not product.exists():
        raise XcError(_("{path}: there is no such file or directory", path=verbatim(str(product))))
    if product.name == MANIFEST or (product / MANIFEST).is_file():
        return str(product)
    place = product.absolute().parent
    if (place / MANIFEST).is_file():
        context.tell(_("{manifest} is there, and is used", manifest=verbatim(str(place / MANIFEST))))
        return str(place)
    return str(draft(context, product, place, context.options.backend or "auto"))


def _named(suite: str | None) -> list[str]:
    """The packages of others that are named; those of the suite itself always take part.

    Raises:
        UnknownName: no distribution has registered one of the name.
    """
    ours: set[str] = set()
    theirs: set[str] = set()
    for point in entry_points():
        (ours if is_ours(point) else theirs).add(point.name)
    wanted = [name.strip() for name in (suite or "").split(",") if name.strip()]
    for name in wanted:
        if name not in ours | theirs:
            known = sorted(ours | theirs)
            raise UnknownName(
                _(
                    "--suite={given}: no conformance package {name}{hint}; there are {known}",
                    given=verbatim(suite or ""),
                    name=verbatim(repr(name)),
                    hint=near(name, known),
                    known=joined(map(verbatim, known), _(", ")),
                )
            )
    return [name for name in wanted if name not in ours]

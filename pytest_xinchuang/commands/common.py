"""The options that commands share, each said in one way, and the tree of commands that packages add theirs to."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from pytest_xinchuang.commands.context import Context
from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.commands.parser import Speech, XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import LANGUAGES, Message, _, joined, verbatim

__all__ = ["Commands", "Context", "Exit"]

Handler = Callable[[Context], int]
"""Does a command's work; returns its exit code."""


class Commands:
    """The commands of ``xc`` or of one group; a package adds its own to the one that it is handed.

    What is below a group or a command is made when somebody uses it: adding one costs next to nothing.
    """

    def __init__(self, parser: XcParser) -> None:
        self.parser = parser

    def command(self, name: str, help: Message, run: Handler, fill: Callable[[XcParser], None] | None = None) -> None:
        """Add a command.

        Args:
            help: what it does, as it stands in the list of commands.
            run: does the work.
            fill: adds the command's arguments to its parser.

        Raises:
            XcError: another package has added one of this name.
        """

        def filled(parser: XcParser) -> None:
            parser.set_defaults(handler=run, parser=parser)
            if fill is not None:
                fill(parser)
            _add_shared(parser)

        self._add(name, help, filled)

    def group(self, name: str, help: Message, fill: Callable[[Commands], None], *, default: str = "") -> None:
        """Add a group of commands.

        Args:
            fill: adds the commands of the group.
            default: the command that is meant where the first word is none.

        Raises:
            XcError: another package has added one of this name.
        """

        def filled(parser: XcParser) -> None:
            parser.set_defaults(handler=show_help, parser=parser)
            parser.default_command = default
            fill(Commands(parser))
            _add_shared(parser)

        self._add(name, help, filled)

    def _add(self, name: str, help: Message, fill: Callable[[XcParser], None]) -> None:
        commands = self.parser.commands()
        if name in commands.choices:
            raise XcError(_("the command {name} is there already", name=verbatim(f"{self.parser.prog} {name}")))
        commands.add_parser(name, help=help, description=help, speech=self.parser.speech, fill=fill)


def top(prog: str, description: Message, version: str, language: str) -> Commands:
    """The commands of ``xc`` itself, none so far."""
    parser = XcParser(prog=prog, description=description, speech=Speech(language), fill=_add_shared)
    parser.add_argument("--version", action="version", version=version, help=_("show the version and exit"))
    parser.set_defaults(handler=show_help, parser=parser, language=None, platforms_file=None, verbose=0, debug=False)
    return Commands(parser)


def show_help(context: Context) -> int:
    """A group without a command: what there is, and an error."""
    context.explain(context.options.parser.format_help())
    return Exit.ERROR


def _add_shared(parser: XcParser) -> None:
    """Options that every command has, before its name as well as behind: what is not given replaces nothing."""
    shared = parser.add_argument_group(_("options of every command"))
    shared.add_argument(
        "--language",
        choices=LANGUAGES,
        default=argparse.SUPPRESS,
        help=_("the language of all texts (default: the locale's, else English)"),
    )
    shared.add_argument(
        "--platforms-file",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=_("a platforms.yaml of your own, merged over the shipped one"),
    )
    shared.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=argparse.SUPPRESS,
        help=_("tell what is run and where time goes; -vv tells more"),
    )
    shared.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help=_("show the traceback of an error of pytest-xinchuang itself, as -vv does"),
    )


def add_lang(parser: XcParser) -> None:
    """``--lang``, as ``--language`` was once called here."""
    parser.add_argument("--lang", dest="language", choices=LANGUAGES, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def add_format(parser: XcParser, *formats: str, default: str = "text", json_flag: bool = False) -> None:
    """``--format`` and ``--output``.

    Args:
        json_flag: ``--json`` once was a flag here.
    """
    parser.add_argument(
        "--format",
        choices=formats,
        default=default,
        help=_("how the result is written (default: {default})", default=verbatim(default)),
    )
    if json_flag:
        parser.add_argument("--json", dest="format", action="store_const", const="json", help=argparse.SUPPRESS)
    add_output(parser)


def add_format_or_file(parser: XcParser, *formats: str) -> None:
    """``--format`` and ``--output`` where ``--json FILE`` once wrote a file beside the text, and may still."""
    add_format(parser, "text", *formats)
    for name in formats:
        parser.add_argument(f"--{name}", dest=f"{name}_file", metavar="FILE", help=argparse.SUPPRESS)


def add_output(parser: XcParser, *, required: bool = False) -> None:
    """``--output FILE``."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        required=required,
        help=_("where the result is written") if required else _("write the result there, not to standard output"),
    )


def add_offline(parser: XcParser) -> None:
    """``--offline``."""
    parser.add_argument("--offline", action="store_true", help=_("fetch nothing"))


def add_platform(
    parser: XcParser, *, several: bool = False, required: bool = False, default: str | None = None, help: str = ""
) -> None:
    """``--platform ID``, or ``--platform ID[,ID...]``."""
    texts = [help or (_("platforms, or all") if several else _("a platform"))]
    if default:
        texts.append(_("default: {default}", default=verbatim(default)))
    action = parser.add_argument(
        "--platform",
        metavar="ID[,ID...]" if several else "ID",
        required=required,
        default=default,
        help=joined(texts),
    )
    completed_by(action, platform_names)


def add_place(parser: XcParser, help: Message) -> None:
    """A platform by place, as commands about one platform take it; ``--platform`` says the same."""
    completed_by(parser.add_argument("place", metavar="PLATFORM", nargs="?", help=help), platform_names)
    completed_by(
        parser.add_argument("--platform", metavar="ID", help=_("the same, said as in other commands")), platform_names
    )


def add_kind(parser: XcParser, *kinds: str, required: bool = True) -> None:
    """``--kind``: a programming language. It once was ``--lang``, which elsewhere is the language of texts."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--kind", choices=kinds, help=_("the programming language"))
    group.add_argument("--lang", dest="kind", choices=kinds, help=argparse.SUPPRESS)


Completer = Callable[..., Sequence[str]]
"""Called by argcomplete with ``prefix``, ``parsed_args`` and more; says what the word may become."""


def completed_by(action: argparse.Action, completer: Completer) -> None:
    """Say what an argument's value may be, for the shell's completion."""
    setattr(action, "completer", completer)  # noqa: B010 - it is argcomplete's attribute, unknown to argparse


def platform_names(prefix: str, parsed_args: argparse.Namespace, **_more: Any) -> list[str]:
    """Short names and ids, after a comma as well."""
    before, comma, _last = prefix.rpartition(",")
    try:
        platforms = Context(parsed_args, LANGUAGES[0]).platforms
    except XcError:
        return []
    return [f"{before}{comma}{name}" for name in (*platforms.file.shorts, *platforms.ids)]

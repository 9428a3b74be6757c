"""`xc completion`: what a shell needs to complete the words of ``xc``. Each key press asks ``xc`` itself, by argcomplete."""

from __future__ import annotations

import os

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_output
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.messages import _, verbatim

SHELLS = ("bash", "zsh", "fish")


def add_commands(commands: Commands) -> None:
    """Add ``xc completion``."""
    example = verbatim('eval "$(xc completion bash)"')
    commands.command(
        "completion",
        _("print what makes a shell complete commands, options and platforms; try: {command}", command=example),
        _completion,
        _fill,
    )


def _fill(parser: XcParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help=_("the shell"))
    add_output(parser)


def _completion(context: Context) -> int:
    from argcomplete.shell_integration import shellcode

    context.write(shellcode(["xc"], shell=context.options.shell) + "\n")
    return Exit.CLEAN


def complete(parser: XcParser) -> None:
    """Answer the shell, and exit, if it is a shell that has called; costs nothing otherwise."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    from argcomplete import autocomplete

    for _one in parser.walk():
        pass  # argcomplete looks at all arguments before any parser is used
    autocomplete(parser, validator=lambda candidate, prefix: candidate.startswith(prefix))

"""`xc host`: whether a host has what a subject needs."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.commands.common import Commands, Context, Exit, add_format
from pytest_xinchuang.commands.parser import XcParser
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, verbatim


def add_commands(commands: Commands) -> None:
    """Add ``xc host``."""
    text = _("whether this host has what a subject needs: calls, sysctls, limits")
    commands.group("host", text, _fill)


def _fill(host: Commands) -> None:
    host.command("check", _("hold this host against the `host` section of a manifest"), _check, _fill_check)


def _fill_check(parser: XcParser) -> None:
    parser.add_argument("subject", nargs="?", default=".", help=_("the manifest or its directory"))
    add_format(parser, "text", "json", json_flag=True)


def _check(context: Context) -> int:
    from dataclasses import asdict

    from pytest_xinchuang.packages.registry import load_subject
    from pytest_xinchuang.packages.syscall_bridge.host import State, check_host
    from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds

    subject = load_subject(Path(context.options.subject))
    needs = subject.section(HostNeeds)
    if needs is None:
        raise XcError(
            _("{manifest} has no host section", manifest=verbatim(str(subject.manifest))),
            mend=verbatim("host: {sysctls: {vm.max_map_count: 262144}, cpus: 2}"),
        )
    found = check_host(needs)
    if context.options.format == "json":
        context.write_json([asdict(need) for need in found])
    else:
        lines: list[Message] = []
        for need in found:
            lines.append(
                _(
                    "{state:<8} {what}: {found}; needs {wanted}",
                    state=need.state.word,
                    what=need.what,
                    found=need.found,
                    wanted=need.wanted,
                )
            )
            if need.mend:
                lines.append(_("         mend: {mend}", mend=need.mend))
        context.write(context.lines(lines))
    states = {need.state for need in found}
    if State.MISSING in states:
        return Exit.FINDINGS
    return Exit.INCOMPLETE if State.UNKNOWN in states or not found else Exit.CLEAN

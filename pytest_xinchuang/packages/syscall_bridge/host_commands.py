"""`xc host`: whether a host has what a subject needs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from pytest_xinchuang.commands.common import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INCOMPLETE, Command, Load
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _


def add_command(command: Command, load: Load) -> None:  # noqa: ARG001 - every command is added alike
    """Add ``xc host``."""
    top = command("host", _help, "whether this host has what a subject needs: calls, sysctls, limits")
    top.set_defaults(parser=top)
    actions = top.add_subparsers(metavar="ACTION")
    check = actions.add_parser("check", help="hold this host against the `host` section of a manifest")
    check.add_argument("subject", nargs="?", default=".", help="the manifest or its directory")
    check.add_argument("--json", action="store_true")
    check.set_defaults(run=_check)


def _help(options: argparse.Namespace) -> int:
    options.parser.print_help()
    return EXIT_CLEAN


def _check(options: argparse.Namespace) -> int:
    from pytest_xinchuang.packages.registry import load_subject
    from pytest_xinchuang.packages.syscall_bridge.host import State, check_host
    from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds

    subject = load_subject(Path(options.subject))
    needs = subject.section(HostNeeds)
    if needs is None:
        raise XcError(
            _("{manifest} has no host section", manifest=subject.manifest),
            mend=_("host: {{sysctls: {{vm.max_map_count: 262144}}, cpus: 2}}"),
        )
    found = check_host(needs)
    if options.json:
        print(json.dumps([asdict(need) for need in found], indent=1, ensure_ascii=False))
    else:
        for need in found:
            print(f"{need.state:<8} {need.what}: {need.found}; needs {need.wanted}")
            if need.mend:
                print(f"         mend: {need.mend}")
    states = {need.state for need in found}
    if State.MISSING in states:
        return EXIT_FINDINGS
    return EXIT_INCOMPLETE if State.UNKNOWN in states or not found else EXIT_CLEAN

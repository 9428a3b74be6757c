"""Uses of what a product has to choose deliberately, found by the identity of objects: the default HTTP client, the clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goproblems import GoProblemCode, failure_told, problem_told
from pytest_xinchuang.toolchain.goprograms import GOAPI, go_program
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import Runner

TIMEOUT_S = 1200
"""Seconds for the largest module, on a loaded machine."""

_INITIALIZATION = " (initialization)"
_UNPARSED = (GoProblemCode.SYNTAX_ERROR, GoProblemCode.MORE_SYNTAX_ERRORS)

CODES = {"default-http-client": "XC-SUP-060", "unchecked-clock": "XC-SUP-061"}


@dataclass(frozen=True)
class Allowances:
    """Patterns of functions that may read the clock or use the default HTTP client (``example.com/m/clock.*``)."""

    clock: Sequence[str] = ()
    http: Sequence[str] = ()

    def covers(self, rule: str, function: str) -> bool:
        patterns = self.clock if rule == "unchecked-clock" else self.http
        return any(fnmatchcase(function, pattern) for pattern in patterns)


def lint(cache: Cache, directory: Path, target: str = "linux/amd64", allow: Allowances | None = None) -> list[Finding]:
    """The findings of a module.

    Raises:
        XcError: it cannot be read.
        HostFault: our reader broke, or there is no Go.
    """
    runner = Runner()
    settings = GoCommand(runner).settings
    argv = [
        str(go_program(cache, GOAPI, runner)),
        "-lint",
        f"-dir={directory}",
        f"-targets={target}",
        f"-goroot={settings['GOROOT']}",
        f"-modcache={settings['GOMODCACHE']}",
    ]
    done = runner.run(argv, timeout_s=TIMEOUT_S).exited(doing=_("{directory} could not be read", directory=directory))
    if not done.ok:
        why = failure_told(done.errors)
        if why is None:
            raise HostFault(verbatim(done.errors.strip()[-300:]))
        raise XcError(_("{directory} cannot be read: {why}", directory=directory, why=why))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if not records or records[-1].get("record") != "end":
        raise HostFault(_("{directory}: the reader's answer was cut off", directory=directory))
    findings = []
    allowed = allow or Allowances()
    for record in records:
        if record["record"] == "lint" and not allowed.covers(record["rule"], record["function"]):
            way = joined(map(_function, record["path"]), verbatim(" > "))
            params = {"function": _function(record["function"]), "used": record["object"], "way": way or "-"}
            certainty = Certainty.CERTAIN if way else Certainty.NOTE
            findings.append(Finding(CODES[record["rule"]], certainty, record["at"], "go", params))
        elif record["record"] == "problem" and record["code"] in _UNPARSED:
            where = f"{record['file']}:{record['line']}"
            detail = problem_told(record["code"], record["params"] or {}, record["message"])
            findings.append(Finding("XC-SUP-069", Certainty.UNDECIDED, where, "go", {"detail": detail}))
    return findings


def _function(name: str) -> Message:
    """A function as people read it: the reader names the initialization of a package's variables in this way."""
    package = name.removesuffix(_INITIALIZATION)
    return verbatim(name) if package == name else _("{package} (initialization)", package=package)

"""Uses of what a product has to choose deliberately, found by the identity of objects: the default HTTP client, the clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goprograms import GOAPI, go_program
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import Runner

TIMEOUT_S = 1200
"""Seconds for the largest module, on a loaded machine."""

CODES = {"default-http-client": "XC-SUP-060", "unchecked-clock": "XC-SUP-061"}


@dataclass(frozen=True)
class Allowances:
    """Functions that may use what others may not, by pattern (``example.com/m/clock.*``)."""

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
        text = done.errors.strip()
        raise (XcError if done.code == 2 and "goroutine" not in text else HostFault)(verbatim(text[-300:]))
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if not records or records[-1].get("record") != "end":
        raise HostFault(_("{directory}: the reader's answer was cut off", directory=directory))
    findings = []
    allowed = allow or Allowances()
    for record in records:
        if record["record"] == "lint" and not allowed.covers(record["rule"], record["function"]):
            way = " > ".join(record["path"])
            params = {"function": record["function"], "used": record["object"], "way": way or "-"}
            certainty = Certainty.CERTAIN if way else Certainty.NOTE
            findings.append(Finding(CODES[record["rule"]], certainty, record["at"], "go", params))
        elif record["record"] == "problem" and "syntax error" in record["message"]:
            where = f"{record['file']}:{record['line']}"
            findings.append(Finding("XC-SUP-069", Certainty.UNDECIDED, where, "go", {"detail": record["message"]}))
    return findings

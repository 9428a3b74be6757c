"""Uses of what a product has to choose deliberately, found by the identity of objects: the default HTTP client, the clock."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.packages.sdk_ast.extractor import TIMEOUT_S, extractor, go_environment
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import find_go

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
    environment = go_environment(find_go())
    argv = [
        str(extractor(cache)),
        "-lint",
        f"-dir={directory}",
        f"-targets={target}",
        f"-goroot={environment['GOROOT']}",
        f"-modcache={environment['GOMODCACHE']}",
    ]
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFault(f"{directory} could not be looked at: {error}") from error
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()
        raise (XcError if done.returncode == 2 and "goroutine" not in text else HostFault)(text[-300:])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if not records or records[-1].get("record") != "end":
        raise HostFault(f"{directory}: the reader's answer was cut off")
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

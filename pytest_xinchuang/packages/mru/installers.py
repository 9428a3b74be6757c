"""Installers: scripts that choose files by the system. Shims record what they ask for; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.sandbox.protocol import Outcome
from pytest_xinchuang.sandbox.shims import MANAGERS


@dataclass(frozen=True)
class Wrong:
    """Something that an installer should not have asked for: a finding's code, and the parameters of its text."""

    code: str
    params: dict[str, str]


def wrong_requests(
    platform: Platform, architectures: Mapping[Any, Architecture], requests: list[str], outcome: Outcome
) -> list[Wrong]:
    """The requests for files of another architecture, and the calls of package managers of another family."""
    found = []
    for request in requests:
        # The shim's own words and the name of the output file are not part of what is fetched.
        for url in re.findall(r"(?:https?|ftp)://\S+", request) or [request]:
            named = architecture_named(url, architectures)
            if named is not None and named != platform.arch:
                found.append(
                    Wrong(
                        "XC-INS-001",
                        {"machine": platform.architecture.uname, "request": url[:200], "named": str(named)},
                    )
                )
    edition = platform.system.packaging.value
    others = [name for family, names in MANAGERS.items() if edition is not None and family != edition for name in names]
    text = outcome.stderr.decode(errors="replace")
    for name in others:
        if re.search(rf"(?:^|[\s:]){re.escape(name)}: (?:command )?not found", text):
            params = {"system": platform.system.title.message(), "wanted": str(edition), "called": name}
            found.append(Wrong("XC-INS-003", params))
            break
    return found

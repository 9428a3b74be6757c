"""Installers: scripts that choose files by the system they find. What they ask for is recorded, and nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.rules.packages import architecture_named
from pytest_xinchuang.sandbox.protocol import Outcome

REQUESTS = "requests.txt"

FETCHERS = ("curl", "wget")
MANAGERS: Mapping[str, tuple[str, ...]] = {
    "rpm": ("dnf", "yum", "rpm"),
    "deb": ("apt-get", "apt", "dpkg"),
}

_FETCH = """#!/bin/sh
printf '%s\\n' "{name} $*" >> "$XC_REQUESTS"
out= url=
while [ $# -gt 0 ]; do
    case $1 in
        -o|--output|--output-document) out=$2; shift ;;
        -O) [ {name} = wget ] && {{ out=$2; shift; }} || out=remote ;;
        -o*) out=${{1#-o}} ;;
        http*|ftp*) url=$1 ;;
    esac
    shift
done
[ "$out" = remote ] && out=${{url##*/}}
[ {name} = wget ] && [ -z "$out" ] && out=${{url##*/}}
case $out in
    ''|-) printf '{{"tag_name": "v1.0.0"}}\\n' ;;
    *) printf 'a stand-in for %s\\n' "$url" > "$out" ;;
esac
"""

_MANAGE = """#!/bin/sh
printf '%s\\n' "{name} $*" >> "$XC_REQUESTS"
"""


def shims(platform: Platform, place: str) -> dict[str, bytes]:
    """Path -> content of the programs that stand before the real ones: fetchers, and the package managers of the edition."""
    files = {f"{place}/shims/{name}": _FETCH.format(name=name).encode() for name in FETCHERS}
    edition = platform.system.packaging.value
    for name in MANAGERS.get(edition or "", ()):
        files[f"{place}/shims/{name}"] = _MANAGE.format(name=name).encode()
    return files


def uname_shim(machine: str) -> bytes:
    """A uname that answers another machine."""
    return f"""#!/bin/sh
case $1 in
    -m|-p|-i|--machine) echo {machine} ;;
    *) PATH=/usr/bin:/bin; uname "$@" ;;
esac
""".encode()


@dataclass(frozen=True)
class Wrong:
    """What an installer asked for and should not have: the finding's code and what its text is filled in with."""

    code: str
    params: dict[str, str]


def wrong_requests(
    platform: Platform, architectures: Mapping[Any, Architecture], requests: list[str], outcome: Outcome
) -> list[Wrong]:
    """Files of another architecture, and package managers of another family."""
    found = []
    for request in requests:
        # The shim's own words and the output's name are no part of what is fetched.
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
            params = {"system": platform.system.title.en, "wanted": str(edition), "called": name}
            found.append(Wrong("XC-INS-003", params))
            break
    return found

"""Scripts that a package manager runs when it installs a package: whether they bring files from elsewhere, and what they run.

Sources: Node.js' documentation (https, fetch, child_process); the names of programs and of npm's packages are those that
installers of native packages use.
"""

from __future__ import annotations

import re
from typing import Any

from pytest_xinchuang.inspect.artifact import Node, Script
from pytest_xinchuang.inspect.formats.magic import is_plain, is_script
from pytest_xinchuang.inspect.names import SCRIPTS

MOST = 256 << 10
"""Bytes of a script that is read; of a longer one it is open what it does."""
MOST_KEPT = 1000
"""Scripts of one container that are read: of others it is open what they do, should they be run."""
MOST_NAMES = 64

ENDS = (*SCRIPTS, ".ts", ".mts", ".cts")

_COMMENTS = re.compile(r"^[ \t]*(?:#(?!!)|//|\*|/\*)[^\n]*$", re.MULTILINE)

FETCHING = re.compile(
    # Programs
    r"\b(?:curl|wget|aria2c|rsync|scp|sftp|Invoke-WebRequest)\b|\bgit\s+clone\b|['\"]git['\"]\s*,\s*\[\s*['\"]clone\b"
    r"|\b(?:npm|pnpm|yarn)\s+(?:install|i|add|pack|ci)\b|\bpip3?\s+(?:install|download)\b|\b(?:apt|apt-get|yum|dnf)\s+install\b"
    # Node.js: its modules, its function, and packages that fetch
    r"|(?:\brequire\(|\bfrom\b|\bimport\b\(?)\s*['\"](?:node:)?(?:https?2?|net|tls|undici|axios|got|node-fetch|cross-fetch|needle"
    r"|request|superagent|phin|bent|ky|follow-redirects|simple-get|make-fetch-happen|minipass-fetch|download|@electron/get"
    r"|prebuild-install|node-pre-gyp|@mapbox/node-pre-gyp|@npmcli/[\w-]+|pacote|nugget|node-downloader-helper)['\"/]"
    r"|\bfetch\s*\(|\bXMLHttpRequest\b|\bhttps?\s*\.\s*(?:get|request)\b"
    # Python, Perl, Ruby
    r"|\burllib\b|\burlopen\b|\burlretrieve\b|\bhttp\.client\b|\b(?:import|from)\s+(?:requests|httpx|aiohttp)\b|\bLWP::|\bNet::HTTP\b"
)
"""What brings something from elsewhere. An address alone does not: scripts print them."""

_NAMED = re.compile(
    r"['\"](\.{1,2}/[^'\"\s]+)['\"]|['\"]([\w@][\w@./-]*\.(?:[cm]?[jt]s|sh|py))['\"]|(?:^|[\s;&|('\"`])(?:\.|source|sh|bash|node|python3?)\s+([\w./-]+)"
)
"""Files that a script runs or imports."""


def fetches_itself(text: str) -> bool:
    """Whether a script, or a command, brings something from elsewhere by what stands in it."""
    return FETCHING.search(_COMMENTS.sub("", text)) is not None


def note_fetching(node: Node, name: str, data: Any) -> None:
    """Keep of a script in ``node`` whether it brings something from elsewhere, and which files it names."""
    if not (name.endswith(ENDS) or is_script(data)) or "node_modules/" in name or len(node.installing) >= MOST_KEPT:
        return
    # Where the package.json is that counts: in a tarball of `npm pack`, or at the top, where a directory is read first.
    if "/" in name and not name.startswith("package/") and "package.json" not in node.texts:
        return
    if len(data) > MOST or not is_plain(data):
        return
    text = _COMMENTS.sub("", bytes(data).decode(errors="replace"))
    names = tuple(dict.fromkeys(next(filter(None, groups)) for groups in _NAMED.findall(text)))
    node.installing[name] = Script(FETCHING.search(text) is not None or len(names) > MOST_NAMES, names[:MOST_NAMES])

"""Our own programs in Go: each is built once with the Go of the machine, for the machine, and then kept in the cache."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.provision.cache import Cache, is_whole, note_digest
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.gomod import go_key
from pytest_xinchuang.tools.process import Runner, last_line
from pytest_xinchuang.tools.versions import toolchains

SOURCES = Path(__file__).parent

GOAPI = "goapi"
"""Reads the API of a module, and looks for uses in it (``-lint``)."""
GOLAYOUT = "golayout"
"""Reads the layout of a package's structures."""

_PURPOSE = {GOAPI: _("the reader of Go APIs"), GOLAYOUT: _("the reader of Go structures")}


def purpose(name: str) -> Message:
    """What users know a program as."""
    return _PURPOSE[name]


def go_program(cache: Cache, name: str, runner: Runner | None = None) -> Path:
    """The program, built if need be.

    Raises:
        ToolchainFault: there is no Go, it is too old, or the program does not build.
    """
    source = SOURCES / name
    go = GoCommand(runner or Runner(), offline=True, build_cache=cache.root / "gocache")
    _need_go(go, source, name)
    digest = hashlib.sha256(go.version.encode())
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    place = cache.root / "builds" / f"{name}-{digest.hexdigest()[:32]}"
    if is_whole(place):
        return place
    with cache.lock(name):
        if not is_whole(place):
            part = place.with_suffix(".part")
            words = ["build", "-trimpath", "-o", str(part), "."]
            run = go.run(words, source, changes={"CGO_ENABLED": "0"}, mod="mod")
            if run.code:
                raise ToolchainFault(
                    _(
                        "{program} does not build with {version}: {why}",
                        program=purpose(name),
                        version=go.settings["GOVERSION"],
                        why=last_line(run.finished.errors),
                    )
                )
            note_digest(part, place)
            part.rename(place)
    return place


def _need_go(go: GoCommand, source: Path, name: str) -> None:
    """Raises ToolchainFault when this Go is older than the program's go.mod asks."""
    found = re.search(r"^go (\S+)$", (source / "go.mod").read_text(encoding="utf-8"), re.M)
    assert found is not None
    have = go.settings["GOVERSION"].removeprefix("go")
    # "devel ..." is later than any release.
    if have[:1].isdigit() and go_key(have) < go_key(found[1]):
        raise ToolchainFault(
            _(
                "Go {have} is too old for {program}: {needed} or later is needed",
                have=have,
                program=purpose(name),
                needed=found[1],
            ),
            mend=toolchains(),
        )

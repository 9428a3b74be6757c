"""The agent of a virtual machine as an entry of the cache: built by Go once, or brought by whoever has built it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.agent_client import AGENT_SOURCE
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import Runner

KIND, PROGRAM = "agent", "agent"
"""The kind of the cache's entry, whose name is the architecture's, and the file in it."""


def agent_for(store: Store, arch: Arch, architecture: Architecture, runner: Runner, *, force: bool = False) -> bytes:
    """The agent for an architecture. Go is needed only where nobody has built it from this source yet.

    Raises:
        HostFault: it is not in the cache, and cannot be built here.
    """

    def build(tree: Path) -> tuple[str, dict[str, str]]:
        target = Target(arch, architecture, architecture.libc_base)
        program = tree / PROGRAM
        program.write_bytes(Builder(store.cache, runner=runner).go(target, AGENT_SOURCE))
        program.chmod(0o755)
        return "built from the source of this release", {"go": GoCommand(runner, offline=True).version}

    # Which Go has built it is a fact of the entry and not of its recipe: where there is none nobody could ask for it.
    entry = store.cache.make(KIND, arch.value, f"1 {_source_digest()}", build, force=force)
    return (store.cache.tree(KIND, entry.name) / PROGRAM).read_bytes()


def _source_digest() -> str:
    total = hashlib.sha256()
    for path in [*sorted(AGENT_SOURCE.glob("*.go")), AGENT_SOURCE / "go.mod"]:
        data = path.read_bytes()
        total.update(f"{path.name} {len(data)}\n".encode() + data)
    return total.hexdigest()

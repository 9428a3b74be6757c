"""Has modules of Node.js loaded by a real one, under the platform's CPU.

Any Node.js takes a module for Node-API; one that uses V8 itself is taken by the version alone whose number it has. Where a
signal struck is not told here: Node.js takes all handlers back when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.interpreters import abis_of, is_bound
from pytest_xinchuang.loading.interpreters import root_filesystems, with_packages
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Sandbox

SUITES = {"bullseye": 72, "bookworm": 108, "trixie": 115, "forky": 137}
"""Debian's suites and NODE_MODULE_VERSION of their nodejs, 12, 18, 20 and 24 (nodejs/node, doc/abi_version_registry.json)."""

PACKAGES = ("nodejs",)
MOST = 20
"""Modules that are loaded; each starts a Node.js."""
SECONDS = 40.0
"""For one of them."""

LOAD = "process.dlopen({exports: {}}, process.argv[1])"


@dataclass
class Required:
    """What came of the modules of a delivery.

    Attributes:
        by: the Node.js; empty: there was none, for the reason ``why``.
        done: the modules that were loaded, by ``id``.
        refused: those that lack a name, and what was said.
        died: (module, signal).
    """

    by: Message = NOTHING
    why: Message = NOTHING
    modules: list[ElfRecord] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    refused: list[tuple[ElfRecord, str]] = field(default_factory=list)
    died: list[tuple[ElfRecord, int]] = field(default_factory=list)


def abi_of(record: ElfRecord) -> int | None:
    """The one NODE_MODULE_VERSION that takes a module: 0 for any, None where it is not told."""
    if not is_bound(record):
        return 0
    return next(iter(abis_of(record)), None)


def require(
    pool: Pool, platform: Platform, modules: Sequence[ElfRecord], place: Callable[[Sandbox], dict[int, str]]
) -> list[Required]:
    """Load modules, each in a process of its own.

    Args:
        place: puts them and what stands around them into a sandbox, and tells their paths by ``id``.
    """
    if not modules:
        return []
    at_hand = [(name, SUITES[suite]) for name, suite in root_filesystems(pool, platform) if suite in SUITES]
    newest = max(at_hand, key=lambda each: each[1], default=None)
    groups: dict[str, list[ElfRecord]] = {}
    left: list[ElfRecord] = []
    for record in modules[:MOST]:
        abi = abi_of(record)
        name = newest[0] if newest and abi == 0 else next((n for n, number in at_hand if number == abi), None)
        if name is None:
            left.append(record)
        else:
            groups.setdefault(name, []).append(record)
    found = []
    for name, mine in groups.items():
        result = Required(modules=mine)
        try:
            with with_packages(pool, platform, name, PACKAGES) as sandbox:
                _load(sandbox, result, place(sandbox))
        except HostFault as fault:
            result.why = fault.what
        found.append(result)
    if modules[MOST:]:
        found.append(Required(why=_("at most {most} modules are loaded", most=MOST), modules=list(modules[MOST:])))
    if left:
        found.append(Required(why=_("there is no Node.js here of its version"), modules=left))
    return found


def _load(sandbox: Sandbox, result: Required, paths: dict[int, str]) -> None:
    limits = Limits(wall_s=SECONDS, memory_mb=2048)
    begun = sandbox.run(["/usr/bin/node", "-p", "process.version"], limits=limits)
    if not begun.ok:
        result.why = _("Node.js did not start: {how}", how=begun.describe_with_tail())
        return
    version = begun.stdout.decode(errors="replace").strip()
    result.by = _("Node.js {version} ({rootfs})", version=version, rootfs=verbatim(sandbox.fingerprint.rootfs))
    for record in result.modules:
        path = paths.get(id(record))
        if path is None:
            continue
        outcome = sandbox.run(["/usr/bin/node", "-e", LOAD, path], limits=limits)
        said = outcome.stderr.decode(errors="replace")
        if outcome.ok:
            result.done.add(id(record))
        elif outcome.ended is Ended.SIGNALED and outcome.signal is not None:
            result.died.append((record, outcome.signal))
        elif "undefined symbol" in said:
            line = next(line for line in said.splitlines() if "undefined symbol" in line)
            result.refused.append((record, line))

"""The reference bridge: built from its sources for a platform, and asked the same probes as the graded one."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient
from pytest_xinchuang.packages.syscall_bridge.probes import Probes
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, run_bridge, run_kernel
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.sandbox.emulators import known_difference
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Launch, Limits, Process, Sandbox
from pytest_xinchuang.toolchain.builder import Builder, Target

LIMITS = Limits(wall_s=3600, memory_mb=2048, processes=512, output_mb=256, file_mb=512)
TIMEOUT_S = 40.0
"""For one operation: a kernel probe ends itself after 30 s."""


def sources() -> list[Path]:
    return sorted((resources.fixtures_dir() / "bridge" / "c").glob("*.c"))


def build_reference(builder: Builder, arch: Arch, architecture: Architecture, libc: str) -> bytes:
    """The reference harness for an architecture and the oldest glibc that it may meet."""
    target = Target(arch, architecture, libc)
    return builder.c(target, sources(), libraries=("pthread", "rt"))


def launch_in(sandbox: Sandbox, program: bytes, name: str = "reference-bridge") -> Launch:
    """Starts a harness in an emptied sandbox, in a directory of its own."""
    place = f"{WORK_DIR}/{name}"

    def launch() -> Process:
        sandbox.reset()
        sandbox.put(f"{place}/bridge", program, executable=True)
        return sandbox.start([f"{place}/bridge"], env={"HOME": place, "TMPDIR": place}, cwd=place, limits=LIMITS)

    return launch


def page_of(sandbox: Sandbox) -> int:
    """The page of the kernel that a sandbox's programs meet, bytes: under qemu-user the host's."""
    return int(sandbox.fingerprint.observed.get("page_size") or mmap.PAGESIZE)


def emulator_of(sandbox: Sandbox) -> str:
    """The layer between a program and the kernel, as conformance/emulators.yaml calls it."""
    said = sandbox.fingerprint
    if said.backend == "system":
        return "qemu-system"
    return "qemu-user" if said.emulated else "sandbox"


@dataclass(frozen=True)
class Column:
    """The answers of one kernel or emulator.

    Attributes:
        emulator: the layer between the probes and the kernel: qemu-user, qemu-system, or the sandbox.
    """

    name: str
    arch: str
    fidelity: str
    page: int
    kernel: str
    emulator: str
    seen: tuple[ProbeOutcome, ...]

    def of(self) -> dict[str, ProbeOutcome]:
        return {s.id: s for s in self.seen}


def ask_all(client: BridgeClient, probes: Probes, profile: str, page: int) -> list[ProbeOutcome]:
    """Every probe, of kernel and bridge."""
    return [
        *run_kernel(client, probes, profile, page),
        *run_bridge(client, probes, probes.bridge.values(), profile, page),
    ]


def column(
    name: str,
    sandbox: Sandbox,
    program: bytes,
    arch: str,
    probes: Probes,
    profile: str,
    timeout_scale: float = 1.0,
) -> Column:
    """The answers of the reference harness in one sandbox."""
    page = page_of(sandbox)
    with BridgeClient(launch_in(sandbox, program), timeout_s=TIMEOUT_S * timeout_scale) as client:
        seen = ask_all(client, probes, profile, page)
    said = sandbox.fingerprint
    emulator = emulator_of(sandbox)
    kernel = said.observed.get("uname_r", "") if emulator == "qemu-system" else said.host_kernel
    return Column(name, arch, str(said.fidelity), page, kernel, emulator, tuple(seen))


def columns(
    pool: Pool, builder: Builder, platform: Platform, probes: Probes, profile: str, kernels: Sequence[str] = ()
) -> list[Column]:
    """The same probes on the host, under qemu-user, and on the target's real kernels.

    Args:
        kernels: names of stand-in kernels; none means the platform's own.

    Raises:
        HostFault: a sandbox cannot be opened.
    """
    store = pool.store
    found = []
    architectures = store.platforms.file.architectures
    if HOST_ARCH is Arch.AMD64:
        reference = pool.reference()
        own = build_reference(builder, Arch.AMD64, architectures[Arch.AMD64], "2.28")
        native = reference.fingerprint.fidelity is Fidelity.NATIVE
        place = "host" if native else f"{emulator_of(reference)} amd64"
        found.append(column(place, reference, own, "amd64", probes, profile, pool.timeout_scale))
    libc = "2.36" if platform.arch is Arch.LOONG64 else "2.28"
    program = build_reference(builder, platform.arch, platform.architecture, libc)
    arch = platform.arch.value
    # With every call: the probes ask how a kernel behaves, not which calls the platform's kernel lacks.
    found.append(
        column(
            f"qemu-user {arch}", pool.sandbox(platform, floor=False), program, arch, probes, profile, pool.timeout_scale
        )
    )
    for name in kernels or ("",):
        sandbox = pool.system(platform, store.kernel(name) if name else None, floor=False)
        said = f"{name or sandbox.fingerprint.extra['kernel']}"
        found.append(column(f"system {said}", sandbox, program, arch, probes, profile, pool.timeout_scale))
    return found


@dataclass(frozen=True)
class Divergence:
    """An assertion that some column answers otherwise than expected.

    Attributes:
        answers: column and its answer.
        reason: why, where that is known; empty: unexplained.
        believe: the fidelity of the column whose answer holds, if the reason is known.
    """

    id: str
    expected: Message
    source: Message
    answers: tuple[tuple[str, Message], ...]
    reason: Message
    believe: str


def divergences(found: Sequence[Column]) -> list[Divergence]:
    """Where a column is not as expected, with the reason if it is known."""
    tables = [(c, c.of()) for c in found]
    result = []
    for name in dict.fromkeys(i for _, table in tables for i in table):
        rows = [(c, table[name]) for c, table in tables if name in table]
        wrong = [(c, s) for c, s in rows if s.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED)]
        if not wrong:
            continue
        reasons = [known_difference(name, c.arch, c.emulator) for c, _ in wrong]
        known = [r for r in reasons if r is not None]
        whole = len(known) == len(wrong)
        result.append(
            Divergence(
                name,
                rows[-1][1].expected,
                rows[0][1].source,
                tuple((c.name, s.found) for c, s in rows),
                known[0].reason.message() if whole else NOTHING,
                known[0].believe.value if whole else "",
            )
        )
    return result

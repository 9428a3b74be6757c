"""A real kernel of the target: booted, and restored from a snapshot of its boot, to the first command; then a small command.

Beside qemu-user and Docker; what a guest takes of the host's memory; and the package mru warm, by each of both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.snapshots import Snapshots
from pytest_xinchuang.sandbox.backends.system import SystemSandbox
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Sandbox
from pytest_xinchuang.tools.process import Runner

ROUNDS = 5
COMMANDS = 25
PLATFORMS = {
    "arm64, 4K pages": ("phytium", None),
    "arm64, 16K pages": ("phytium", "debian-arm64-16k"),
    "loong64, 16K pages": ("loongson", None),
    "amd64, 4K pages": ("hygon", None),
}
GOALS = ("arm64, 4K pages", "arm64, 16K pages", "loong64, 16K pages")


def measure(rounds: int) -> Result:
    """Boot to the first command, seconds, and the median of small commands, ms; every way once in each round."""
    rounds = rounds or ROUNDS
    result = Result("system")
    store = Store(Platforms([resources.platforms_file()]))
    store.system_emulator()
    boots: dict[str, list[float]] = {name: [] for name in PLATFORMS}
    restored: dict[str, list[float]] = {name: [] for name in PLATFORMS}
    memory: dict[str, list[float]] = {name: [] for name in PLATFORMS}
    commands: dict[str, list[float]] = {name: [] for name in PLATFORMS}
    peers: dict[str, list[float]] = {}
    for platform_name, kernel in PLATFORMS.values():
        if kernel:
            store.kernel(kernel)
        store.kernel_for(store.platforms.get(platform_name))
    for number in range(rounds + 1):
        for name, (platform_name, kernel) in PLATFORMS.items():
            platform = store.platforms.get(platform_name)
            for times in (boots, restored):
                # The pool is new: nothing is kept but what was provisioned, and for the second one the snapshot.
                pool = Pool(store)
                started = time.perf_counter()
                with pool.system(platform, store.kernel(kernel) if kernel else None) as sandbox:
                    sandbox.run(["true"], cwd="/")
                    taken_s = time.perf_counter() - started
                    taken = _commands(sandbox)
                    if number:
                        times[name].append(taken_s)
                        commands[name] += taken
                        memory[name] += _resident(sandbox) if times is restored else []
            if number < rounds:
                _forget(store, sandbox)
            for backend in ("qemu", "docker"):
                if kernel:
                    continue
                try:
                    with Pool(store, backend).sandbox(platform) as peer:
                        peers.setdefault(f"{backend}, {name}: a command", []).extend(_commands(peer) if number else [])
                except HostFault as fault:
                    if not number:
                        result.notes.append(f"{backend} was not measured: {fault.what}")
    for name in PLATFORMS:
        boot = result.add(f"system, {name}: boot, snapshot and first command", boots[name], "s")
        again = result.add(f"system, {name}: restored, to the first command", restored[name], "s")
        result.add(f"system, {name}: memory of the host", memory[name], "MiB")
        result.ratios[f"restored / booted {name}"] = round(again / boot, 3)
        command = result.add(f"system, {name}: a command", commands[name])
        if name in GOALS:
            result.ratios[f"boot_s {name}"] = round(boot, 2)
            result.goals[f"boot_s {name}"] = "<= 8"
            result.ratios[f"command_ms {name}"] = round(command, 1)
            result.goals[f"command_ms {name}"] = "<= 100"
    for name, samples in peers.items():
        if samples:
            result.add(name, samples)
    _measure_mru(result)
    return result


SUITE_PLATFORMS = ("kunpeng", "hygon", "loongson")
SUITE_ROUNDS = 2


def _measure_mru(result: Result) -> None:
    """The package mru of the reference subject, whole, everything warm: each way once in each round."""
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(SUITE_ROUNDS + 1):
        for platform in SUITE_PLATFORMS:
            for backend in ("qemu", "system"):
                with tempfile.TemporaryDirectory() as reports:
                    words = [f"--xc-platform={platform}", f"--xc-backend={backend}", f"--xc-report={reports}"]
                    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, "conformance/mru"]
                    started = time.perf_counter()
                    done = Runner().run(argv, timeout_s=1800, cwd=Path(__file__).parent.parent)
                if number and done.code is not None and done.code < 2:
                    samples.setdefault((platform, backend), []).append(time.perf_counter() - started)
    for platform in SUITE_PLATFORMS:
        found = [samples.get((platform, backend), []) for backend in ("qemu", "system")]
        if not all(found):
            result.notes.append(f"mru on {platform} was not measured: a run did not end with a grade")
            continue
        user, system = (
            result.add(f"mru, {platform}, {b}", s, "s") for b, s in zip(("qemu", "system"), found, strict=True)
        )
        result.ratios[f"mru system / qemu {platform}"] = round(system / user, 2)
        result.goals[f"mru system / qemu {platform}"] = "<= 1.5"


def _resident(sandbox: Sandbox) -> list[float]:
    """What a guest has of the host's memory, MiB, without what guests of one snapshot share (proc(5): smaps_rollup)."""
    if not isinstance(sandbox, SystemSandbox) or sandbox.pid is None:
        return []
    text = Path(f"/proc/{sandbox.pid}/smaps_rollup").read_text(encoding="utf-8")
    return [sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024]


def _forget(store: Store, sandbox: Sandbox) -> None:
    """Remove the snapshot of a machine, so that the next one boots."""
    if isinstance(sandbox, SystemSandbox):
        Snapshots(store.cache).remove(sandbox.key)


def _commands(sandbox: Sandbox) -> list[float]:
    taken = []
    for _ in range(COMMANDS):
        started = time.perf_counter()
        sandbox.run(["true"], cwd="/")
        taken.append((time.perf_counter() - started) * 1000)
    return taken

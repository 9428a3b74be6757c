"""A real kernel of the target: from nothing to the first command, and then a small command, beside qemu-user and Docker."""

from __future__ import annotations

import time

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Sandbox

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
    commands: dict[str, list[float]] = {name: [] for name in PLATFORMS}
    peers: dict[str, list[float]] = {}
    for platform_name, kernel in PLATFORMS.values():
        if kernel:
            store.kernel(kernel)
        store.kernel_for(store.platforms.get(platform_name))
    for number in range(rounds + 1):
        for name, (platform_name, kernel) in PLATFORMS.items():
            platform = store.platforms.get(platform_name)
            # The pool is new: nothing is kept but what was provisioned.
            pool = Pool(store)
            started = time.perf_counter()
            with pool.system(platform, store.kernel(kernel) if kernel else None) as sandbox:
                sandbox.run(["true"], cwd="/")
                boot = time.perf_counter() - started
                taken = _commands(sandbox)
            if number:
                boots[name].append(boot)
                commands[name] += taken
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
        boot = result.add(f"system, {name}: boot to the first command", boots[name], "s")
        command = result.add(f"system, {name}: a command", commands[name])
        if name in GOALS:
            result.ratios[f"boot_s {name}"] = round(boot, 2)
            result.goals[f"boot_s {name}"] = "<= 8"
            result.ratios[f"command_ms {name}"] = round(command, 1)
            result.goals[f"command_ms {name}"] = "<= 100"
    for name, samples in peers.items():
        if samples:
            result.add(name, samples)
    return result


def _commands(sandbox: Sandbox) -> list[float]:
    taken = []
    for _ in range(COMMANDS):
        started = time.perf_counter()
        sandbox.run(["true"], cwd="/")
        taken.append((time.perf_counter() - started) * 1000)
    return taken

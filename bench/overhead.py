"""What one tiny dynamic program costs: our sandboxes, the raw emulator, and the ways that others go."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from typing import Any

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platform, Platforms
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.docker import DockerSandbox
from pytest_xinchuang.sandbox.pool import Pool

PLATFORMS = {"arm64": "phytium", "loong64": "loongson"}
ROUNDS = 25
ARGV = ["uname", "-m"]


def measure(rounds: int) -> Result:
    """All ways, one after the other in each round, so that a noisy moment hits all alike."""
    rounds = rounds or ROUNDS
    result = Result("overhead")
    platforms = Platforms([resources.platforms_file()])
    store = Store(platforms, progress=Progress())
    for arch, name in PLATFORMS.items():
        with contextlib.ExitStack() as stack:
            ways = _ways(store, platforms.get(name), stack, result)
            samples: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(rounds + 2):
                for way, run in ways.items():
                    # A container per case is slow: fewer rounds of it are enough.
                    if way == "docker run" and number > 12:
                        continue
                    started = time.perf_counter()
                    said = run()
                    elapsed = (time.perf_counter() - started) * 1000
                    if said.strip() != platforms.get(name).architecture.uname.encode():
                        raise HostFault(f"{way}: said {said!r}")
                    if number >= 2:
                        samples[way].append(elapsed)
            medians = {way: result.add(f"{arch} {way}", taken) for way, taken in samples.items()}
        raw, qemu = medians["raw qemu -L"], medians["our qemu sandbox"]
        result.ratios[f"qemu_vs_raw_{arch}"] = round(qemu / raw, 3)
        result.goals[f"qemu_vs_raw_{arch}"] = "<= 1.1"
        if "docker run" in medians:
            result.ratios[f"docker_run_vs_qemu_{arch}"] = round(medians["docker run"] / qemu, 3)
            result.ratios[f"docker_vs_raw_{arch}"] = round(medians["our docker sandbox"] / raw, 3)
            result.goals[f"docker_run_vs_qemu_{arch}"] = ">= 8"
            result.goals[f"docker_vs_raw_{arch}"] = "<= 1.1"
    return result


def _ways(
    store: Store, platform: Platform, stack: contextlib.ExitStack, result: Result
) -> dict[str, Callable[[], bytes]]:
    emulator = store.emulator(platform.architecture.qemu)
    rootfs = store.rootfs_for(platform)
    model = platform.cpu.emulation.strict.value or ""
    qemu_pool = Pool(store, "qemu")
    stack.callback(qemu_pool.close)
    ours = qemu_pool.sandbox(platform)
    program = next(p for p in (rootfs.path / "bin/uname", rootfs.path / "usr/bin/uname") if p.exists())
    raw = [str(emulator.path), "-cpu", model, "-L", str(rootfs.path), str(program), "-m"]
    ways: dict[str, Callable[[], bytes]] = {
        "raw qemu -L": lambda: subprocess.run(raw, capture_output=True, check=True).stdout,
        "our qemu sandbox": lambda: ours.run(ARGV).stdout,
    }
    docker_pool = Pool(store, "docker", run_id="bench")
    try:
        container = docker_pool.sandbox(platform)
    except HostFault as fault:
        result.notes.append(f"docker was not measured: {fault.what}")
        return ways
    assert isinstance(container, DockerSandbox)
    stack.callback(docker_pool.close)
    ways["our docker sandbox"] = lambda: container.run(ARGV).stdout
    client, image = _client(stack), _image(container, stack)
    held = client.containers.get(container.name)
    # Without the host's binfmt_misc these need the emulator by name; with it they cost the same program.
    command = ["/.xc/emulator", "-cpu", model, "/bin/uname", "-m"]
    ways["docker-py exec_run"] = lambda: bytes(held.exec_run(command, user="1000").output)
    run = ["docker", "run", "--rm", "--network", "none", "--platform", f"linux/{platform.arch}", image, *command]
    ways["docker run"] = lambda: subprocess.run(run, capture_output=True, check=True).stdout
    return ways


def _client(stack: contextlib.ExitStack) -> Any:
    import docker

    client = docker.from_env()
    stack.callback(client.close)
    return client


def _image(container: DockerSandbox, stack: contextlib.ExitStack) -> str:
    return str(_client(stack).containers.get(container.name).image.tags[0])

"""What a program costs that a program starts: by the kernel's private binfmt_misc, and by our tracer."""

from __future__ import annotations

import contextlib

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.progress import Progress
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec

PLATFORMS = ("phytium", "loongson", "zhaoxin")
ROUNDS = 15
STARTS = 40
SCRIPT = f"n=0; while [ $n -lt {STARTS} ]; do /bin/true; n=$((n+1)); done"


def measure(rounds: int) -> Result:
    """Both ways, one after the other in each round; the time of one start within a shell."""
    rounds = rounds or ROUNDS
    result = Result("execs")
    platforms = Platforms([resources.platforms_file()])
    store = Store(platforms, progress=Progress())
    for name in PLATFORMS:
        platform = platforms.get(name)
        samples: dict[str, list[float]] = {"binfmt_misc": [], "tracer": []}
        with contextlib.ExitStack() as stack:
            opened = {way: stack.enter_context(_sandbox(store, platforms, name, way)) for way in samples}
            for number in range(rounds + 1):
                for way, sandbox in opened.items():
                    done = sandbox.run(["sh", "-c", SCRIPT])
                    if not done.ok:
                        raise HostFault(done.describe())
                    if number:
                        samples[way].append(done.wall_ms / STARTS)
        kernel, tracer = (result.add(f"{platform.arch} {way}", taken) for way, taken in samples.items())
        result.ratios[f"tracer_vs_binfmt_{platform.arch}"] = round(tracer / kernel, 3)
        result.goals[f"tracer_vs_binfmt_{platform.arch}"] = "<= 1.1"
    return result


def _sandbox(store: Store, platforms: Platforms, name: str, way: str) -> QemuSandbox:
    platform = platforms.get(name)
    sandbox = QemuSandbox(
        QemuSpec(
            platform.id,
            platform.arch,
            store.rootfs_for(platform),
            store.emulator(platform.architecture.qemu),
            platform.cpu.emulation.strict.value or "",
            platform.system.kernel.value or "4.19.0",
            10,
            children="" if way == "binfmt_misc" else way,
        )
    )
    if sandbox.fingerprint.extra["children"] != way:
        sandbox.close()
        raise HostFault(f"this host gives {sandbox.fingerprint.extra['children']}, not {way}")
    return sandbox

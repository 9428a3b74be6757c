"""``python -m bench inspect``: reading wheels, ours and auditwheel's interleaved; a tree of 1 GB on five platforms; wheels of
100 MB; and the speed of the scan of instructions with what guards them."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.inspected import PLATFORMS, Cost, cost_of, make_tree, make_wheel
from bench.result import Result
from bench.wheels import fetch_wheels
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.tools.processors import processors

ROUNDS = 5
LARGE_ROUNDS = 3


def _forget() -> None:
    """auditwheel keeps what it has read; a round has to read anew."""
    for name, module in list(sys.modules.items()):
        if name.startswith("auditwheel"):
            for value in vars(module).values():
                clear = getattr(value, "cache_clear", None)
                if callable(clear):
                    clear()


def _auditwheel(path: Path) -> None:
    from auditwheel.architecture import Architecture
    from auditwheel.libc import Libc
    from auditwheel.wheel_abi import analyze_wheel_abi

    tag = path.name[:-4].split("-")[-1].split(".")[0]
    arch = next(a for a in ("x86_64", "aarch64", "armv7l", "ppc64le", "s390x", "i686") if tag.endswith(a))
    libc = Libc.MUSL if "musl" in tag else Libc.GLIBC
    analyze_wheel_abi(libc, Architecture(arch), path, frozenset(), disable_isa_ext_check=True, allow_graft=True)


def measure(rounds: int) -> Result:
    """All wheels by each reader in turn; seconds for all of them."""
    logging.disable(logging.CRITICAL)
    wheels = fetch_wheels(Cache())
    platforms = Platforms([resources.platforms_file()])
    platform = platforms.get("kunpeng")

    def ours(path: Path, *, isa: bool) -> None:
        # As the command does: instructions of the platform's machine alone, and on all processors what is worth it.
        inspector = Inspector(isa=isa, machines=[platform.architecture.elf_machine], jobs=processors())
        Verdicts(platform, platforms.file.architectures).of(inspector.read(path))

    readers: dict[str, Callable[[Path], None]] = {
        "auditwheel": _auditwheel,
        "xc inspect --no-isa": lambda path: ours(path, isa=False),
        "xc inspect": lambda path: ours(path, isa=True),
    }
    times: dict[str, list[float]] = {name: [] for name in readers}
    for reader in readers.values():
        reader(wheels[0])
    for _ in range(rounds or ROUNDS):
        round_s = dict.fromkeys(readers, 0.0)
        for path in wheels:
            for name, reader in readers.items():
                _forget()
                start = time.perf_counter()
                reader(path)
                round_s[name] += time.perf_counter() - start
        for name, seconds in round_s.items():
            times[name].append(seconds)
    result = Result("inspect")
    for name, values in times.items():
        result.add(name, values, "s")
    base = median(times["auditwheel"])
    result.goals = {"auditwheel_vs_inspect": ">= 5", "auditwheel_vs_inspect_with_isa": ">= 5"}
    result.ratios["auditwheel_vs_inspect"] = base / median(times["xc inspect --no-isa"])
    result.ratios["auditwheel_vs_inspect_with_isa"] = base / median(times["xc inspect"])
    _isa(result)
    _large(result, rounds or LARGE_ROUNDS)
    return result


def _isa(result: Result) -> None:
    """Seconds of a processor for 100 MB of code, of the libraries of the provisioned root filesystems."""
    store = Store(Platforms([resources.platforms_file()]))
    for name in ("bullseye-amd64", "bullseye-arm64", "forky-loong64"):
        scanned, seconds = 0, 0.0
        for path in sorted(store.rootfs(name).path.rglob("*.so*")):
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            if data[:4] != b"\x7fELF":
                continue
            elf = read_elf(data, path.name)
            start = time.process_time()
            scanned += scan_isa(elf, data).scanned
            seconds += time.process_time() - start
        per_100 = seconds * 100e6 / scanned
        result.add(f"ISA scan of {name}", [per_100], "s per 100 MB")
        key = f"isa_s_per_100mb_{name.rpartition('-')[2]}"
        result.ratios[key], result.goals[key] = per_100, "<= 5"


def _large(result: Result, rounds: int) -> None:
    """The whole command, with each of these in turn, on two processors."""
    cache = Cache().root
    with tempfile.TemporaryDirectory(prefix="xc-bench-", dir=cache) as directory:
        place = Path(directory)
        size, files = make_tree(cache, place / "tree")
        result.notes.append(f"the tree: {size / 1e6:.0f} MB in {files} files")
        ways: dict[str, list[str]] = {"tree": [str(place / "tree"), "--platform", PLATFORMS]}
        roots = sorted(p for p in (place / "tree").iterdir())
        for arch, machine, platform in (("amd64", "x86_64", "zhaoxin"), ("arm64", "aarch64", "kunpeng")):
            wheel = make_wheel(roots, machine, place)
            if wheel is None:
                result.notes.append(f"there are not 100 MB of libraries for {arch}")
            else:
                ways[f"wheel_100mb_{arch}"] = [str(wheel), "--platform", platform]
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _round in range(rounds):
            for name, arguments in ways.items():
                costs[name].append(cost_of(["inspect", *arguments, "--format", "json"]))
    for name, measured in costs.items():
        wall = result.add(f"xc inspect, {name}", [c.wall_s for c in measured], "s")
        cpu = result.add(f"xc inspect, {name}: processors", [c.cpu_s for c in measured], "s")
        memory = result.add(f"xc inspect, {name}: memory", [c.memory_mb for c in measured], "MB")
        result.ratios |= {f"{name}_s": wall, f"{name}_processors_used": cpu / wall, f"{name}_mb": memory}
        result.goals |= {f"{name}_s": "<= 10" if name == "tree" else "<= 5", f"{name}_mb": "<= 500"}

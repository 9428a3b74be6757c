"""What ``python -m bench inspect`` inspects, of what is provisioned: a tree of 1 GB, wheels of 100 MB; and what it costs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TREE_BYTES = 1_000_000_000
WHEEL_BYTES = 100_000_000
PLATFORMS = "kunpeng,phytium,hygon,zhaoxin,loongson"


def make_tree(cache: Path, tree: Path) -> tuple[int, int]:
    """Copy root filesystems, emulators and kernels, each content once; then again what is missing to 1 GB. Bytes and files."""
    kinds = ("rootfs", "system-emulator", "emulator", "kernel")
    found = [tree for kind in kinds for entry in sorted(cache.glob(f"entries/{kind}/*")) for tree in _trees(entry)]
    seen: set[str] = set()
    size = files = 0
    for again in (False, True):
        for number, source in enumerate(found):
            place = tree / f"{number}{'-again' if again else ''}"
            for path in sorted(source.rglob("*")):
                target = place / path.relative_to(source)
                if path.is_symlink():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if not os.path.lexists(target):
                        target.symlink_to(path.readlink())
                elif path.is_file() and size < TREE_BYTES:
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    if digest in seen and not again:
                        continue
                    seen.add(digest)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                    size += path.stat().st_size
                    files += 1
    return size, files


def _trees(entry: Path) -> list[Path]:
    """What is provisioned of an entry: its current state, or the only one."""
    current = entry / "current"
    state = entry / current.read_text().strip() if current.is_file() else entry
    return [state / "tree"] if (state / "tree").is_dir() else []


NUMBERS = {"x86_64": b"\x3e\0", "aarch64": b"\xb7\0"}
"""e_machine."""


def _objects(root: Path, machine: str) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                head = file.read(20)
            if head[:4] == b"\x7fELF" and head[18:20] == NUMBERS[machine]:
                yield path


def make_wheel(roots: Sequence[Path], machine: str, directory: Path) -> Path | None:
    """A wheel of 100 MB of objects; None: there are not so many."""
    wheel = directory / f"bench-1.0-cp311-cp311-manylinux_2_31_{machine}.whl"
    size = 0
    seen: set[tuple[str, int]] = set()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("bench-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: bench\nVersion: 1.0\n")
        tag = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_31_{machine}\n"
        archive.writestr("bench-1.0.dist-info/WHEEL", tag)
        for number, root in enumerate(roots):
            for path in _objects(root, machine):
                key = (path.name, path.stat().st_size)
                if size + key[1] <= WHEEL_BYTES and key not in seen:
                    seen.add(key)
                    archive.write(path, f"bench.libs/{number}/{path.relative_to(root)}")
                    size += key[1]
    return wheel if size > WHEEL_BYTES * 0.9 else None


@dataclass(frozen=True)
class Cost:
    """What a command has cost: seconds of the clock and of the processors, and the most memory of all its processes in MB."""

    wall_s: float
    cpu_s: float
    memory_mb: float


def cost_of(arguments: Sequence[str], processors: int = 2) -> Cost:
    """Run ``xc`` with these arguments on so many processors."""
    code = "import sys; from pytest_xinchuang.cli import main; sys.exit(main())"
    allowed = set(sorted(os.sched_getaffinity(0))[:processors])
    before, begin = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    most = [0.0]
    watch = threading.Thread(target=_watch, args=(process, most))
    watch.start()
    process.wait()
    wall = time.perf_counter() - begin
    watch.join()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if process.returncode not in (0, 1, 3):
        raise RuntimeError(f"xc {' '.join(arguments)} ended with {process.returncode}")
    return Cost(wall, cpu, most[0])


def _watch(process: subprocess.Popen[bytes], most: list[float]) -> None:
    """The proportional set sizes of a process and its children: a page that several share counts once."""
    while process.poll() is None:
        children: list[str] = []
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        except OSError:
            pass
        most[0] = max(most[0], sum(map(_pss_mb, [str(process.pid), *children])))
        time.sleep(0.1)


def _pss_mb(pid: str) -> float:
    """The proportional set size of a process, the pages of files that it has mapped among it; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    found = {
        name: float(value.split()[0]) / 1024 for name, _colon, value in (line.partition(":") for line in lines[1:])
    }
    return found.get("Pss", 0.0)

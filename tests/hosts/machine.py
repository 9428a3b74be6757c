"""A host that is a virtual machine: a kernel of Debian's under qemu-system, and a userland on a disk."""

from __future__ import annotations

import contextlib
import json
import lzma
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.kernels import unpacked
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.initramfs import Archive, write_files
from pytest_xinchuang.tools.process import DEVNULL, Runner
from tests.hosts import packages
from tests.hosts.declared import Host, Kernel
from tests.hosts.product import PLACE
from tests.hosts.userland import VENDOR_UID, copy_tree

MODULES = ("virtio_pci", "virtio_blk", "ext4", "overlay", "binfmt_misc", "virtio_rng", "nls_ascii", "fuse")
"""What a distribution loads by itself where it is used; what is built in is passed over."""

CPU = {"amd64": "Nehalem", "arm64": "cortex-a72", "loong64": "la464"}
"""Numpy's wheels need x86-64-v2; more would have to be emulated."""

SLOWER = 8
"""What time-outs are multiplied by: a machine whose processor is emulated boots another one within it in minutes."""

RESULTS_MB = 64
DISK_TIMEOUT_S = 300
SPARE_MB = 1024
"""Room on the disk for what a run writes."""

FIRST = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /disk
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    /bin/busybox insmod "$module" 2>/dev/null || /bin/busybox echo "host: ${module##*/} was not loaded"
done
/bin/busybox mount -t ext4 -o noatime /dev/vda /disk || /bin/busybox echo "host: no disk"
/bin/busybox cp -a /payload/. /disk/opt/xc/
exec /bin/busybox switch_root /disk /opt/xc/init
"""

SECOND = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
mount --make-rshared /
busybox ifconfig lo up
busybox hostname host
chmod 666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx
echo "host: up after $(cut -d' ' -f1 /proc/uptime) s"
. /opt/xc/host
echo "host: graded after $(cut -d' ' -f1 /proc/uptime) s"
dmesg | tail -n 200 >/out/dmesg.txt
tar -C /out -cf /dev/vdb . && sync
busybox poweroff -f
"""


@dataclass(frozen=True)
class Ended:
    """How a host's run ended: where its results are, and what was wrong with the host itself."""

    results: Path
    problem: str = ""


def kernel(cache: Cache, declared: Kernel, arch: str, runner: Runner) -> Path:
    """A directory with ``vmlinuz``, ``config`` and ``modules/*.ko`` in the order of loading."""

    def make(tree: Path) -> tuple[str, dict[str, str]]:
        with packages.unpacked(declared.suite, arch, [declared.package], runner) as found:
            image = next(iter([*found.glob("boot/vmlinu[xz]-*"), *found.glob("usr/lib/modules/*/vmlinuz")]))
            (tree / "vmlinuz").write_bytes(unpacked(image.read_bytes()))
            for config in [*found.glob("boot/config-*"), *found.glob("usr/lib/modules/*/config")]:
                shutil.copy(config, tree / "config")
            (tree / "modules").mkdir()
            for number, (name, data) in enumerate(_in_order(found)):
                (tree / "modules" / f"{number:02d}-{name}.ko").write_bytes(data)
        return f"Debian {declared.suite} {declared.package}", {}

    recipe = "1 " + json.dumps([arch, declared.suite, declared.package, MODULES])
    entry = cache.make("kernel", f"{declared.suite}-{arch}", recipe, make)
    return cache.tree("kernel", entry.name)


def _in_order(found: Path) -> list[tuple[str, bytes]]:
    """The modules that a host needs, each after what it depends on (modinfo's ``depends``)."""
    files = {
        path.name.partition(".ko")[0].replace("-", "_"): path for path in found.glob("**/modules/*/kernel/**/*.ko*")
    }
    loaded: dict[str, bytes] = {}

    def take(name: str) -> None:
        if name in loaded or name not in files:
            return
        raw = files[name].read_bytes()
        data = lzma.decompress(raw) if files[name].suffix == ".xz" else raw
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends.group(1).decode().split(",") if depends else ():
            take(other.replace("-", "_"))
        loaded[name] = data

    for name in MODULES:
        take(name)
    return list(loaded.items())


def disk(cache: Cache, userland: Path, name: str, digest: str, provisioned: Path, runner: Runner) -> Path:
    """An ext4 image of a userland with the provisioned cache at ``/cache``; made once for both, in the older one's place."""
    place = cache.root / "disks" / f"{name}-{digest[:24]}.ext4"
    with cache.lock(f"disk-{name}"):
        if place.exists():
            return place
        place.parent.mkdir(exist_ok=True)
        for old in place.parent.glob(f"{name}-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        tree, part = place.with_suffix(".tree"), place.with_suffix(".part")
        copy_tree(userland, tree, runner)
        shutil.rmtree(tree / "cache")
        copy_tree(provisioned, tree / "cache", runner)
        size = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()) * 5 // 4
        words = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", str(tree), str(part)]
        done = runner.run([*words, f"{(size >> 20) + SPARE_MB}M"], timeout_s=DISK_TIMEOUT_S)
        shutil.rmtree(tree)
        if not done.ok:
            raise HostFault(verbatim(f"mke2fs: {done.errors.strip() or done.told()}"))
        part.rename(place)
    return place


def script(host: Host, arguments: list[str]) -> str:
    """What a machine does as its first process, once it is up: its sysctls, its user's things, the run."""
    lines = []
    for name, value in host.sysctls.items():
        lines.append(f"echo {value} >/proc/sys/{name.replace('.', '/')} || echo 'host: no {name}'")
    uid = 0 if host.user == "root" else VENDOR_UID
    home = "/root" if uid == 0 else "/home/vendor"
    lines += [f"mkdir -p {home}/.cache && mv /cache {home}/.cache/pytest-xinchuang", f"mkdir -p {home}/product"]
    if uid:
        lines.append(f"chown -R {uid}:{uid} {home}")
    run = [
        "env",
        "-i",
        "PATH=$PATH",
        f"HOME={home}",
        "LANG=C.UTF-8",
        "XC_LANGUAGE=en",
        *(f"{k}={v}" for k, v in host.environment.items()),
    ]
    if host.profile:
        lines.append("apparmor_parser -r -K /opt/xc/profile || echo 'host: the profile was not loaded'")
        run += ["aa-exec", "-p", host.profile, "--"]
    if uid:
        run = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--", *run]
    lines.append(f"busybox tail -F {home}/product/said.txt 2>/dev/null >/dev/console &")
    lines.append(" ".join([*run, f"{PLACE}/grade", f"{home}/product", *arguments]))
    lines.append(f"cp -r {home}/product/. /out/")
    return "\n".join(lines) + "\n"


def _write_initramfs(
    host: Host, kernel: Path, userland: Path, payload: Path, arguments: list[str], place: Path
) -> None:
    busybox = next(path for path in (userland / "bin/busybox", userland / "usr/bin/busybox") if path.is_file())
    files = {
        "/init": (FIRST.encode(), 0o755),
        "/bin/busybox": (busybox.read_bytes(), 0o755),
        "/payload/init": (SECOND.encode(), 0o755),
        "/payload/host": (script(host, arguments).encode(), 0o644),
    }
    files |= {f"/modules/{module.name}": (module.read_bytes(), 0o644) for module in (kernel / "modules").iterdir()}
    if host.profile:
        files["/payload/profile"] = (Path(__file__).with_name("profiles").joinpath(host.profile).read_bytes(), 0o644)
    for path in payload.rglob("*"):
        if path.is_file():
            files[f"/payload/{path.relative_to(payload)}"] = (path.read_bytes(), path.stat().st_mode & 0o777)
    with place.open("wb") as file:
        archive = Archive(file)
        archive.add("dev", 0o40755)
        archive.add("dev/console", 0o20600, device=(5, 1))
        archive.close()
        write_files(files, file)


def run(
    store: Store,
    host: Host,
    host_kernel: Kernel,
    kernel: Path,
    userland: Path,
    image: Path,
    payload: Path,
    arguments: list[str],
    place: Path,
) -> Ended:
    """Boot the host, wait until it is off, and take its results."""
    architecture = store.platforms.file.architectures[Arch(host.arch)]
    machine = architecture.system
    assert machine is not None
    emulator = store.system_emulator()
    place.mkdir(parents=True, exist_ok=True)
    _write_initramfs(host, kernel, userland, payload, arguments, place / "initramfs")
    results = place / "results.tar"
    with results.open("wb") as file:
        file.truncate(RESULTS_MB << 20)
    words = [f"console={machine.console}", "quiet", "panic=-1", "mitigations=off", "audit=0", *host_kernel.arguments]
    words += [f"earlycon={machine.early}"] if machine.early else []
    argv = [
        *emulator.command(machine.program),
        *("-L", str(emulator.share / "qemu"), "-L", str(emulator.share / "seabios")),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-M", machine.machine, "-cpu", CPU[host.arch], "-m", f"{host.memory_mb}M", "-smp", str(host.cpus)),
        *("-accel", "tcg,thread=multi", "-serial", f"file:{place / 'console'}"),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(place / "initramfs"), "-append", " ".join(words)),
        *(
            "-drive",
            f"file={image},format=raw,if=none,id=a,snapshot=on,cache=unsafe",
            "-device",
            "virtio-blk-pci,drive=a",
        ),
        *("-drive", f"file={results},format=raw,if=none,id=b,cache=unsafe", "-device", "virtio-blk-pci,drive=b"),
        *("-device", "virtio-rng-pci"),
    ]
    if machine.firmware:
        argv += ["-bios", str(emulator.share / machine.firmware)]
    (place / "console").touch()
    with (place / "qemu").open("wb") as log:
        running = store.runner.start(
            argv, stdout=DEVNULL, stderr=log, cwd="/", env={"TMPDIR": str(place)}, dies_with_us=True
        )
        try:
            status = running.wait(store.runner.seconds(host.timeout_s))
        finally:
            running.kill()
    (place / "initramfs").unlink()
    return Ended(place / "out", _taken(results, place, status))


def _taken(results: Path, place: Path, status: int | None) -> str:
    """Unpack what the machine wrote to its second disk; returns what was wrong with the machine."""
    with contextlib.suppress(tarfile.TarError, OSError), tarfile.open(results) as archive:
        archive.extractall(place / "out")
    results.unlink()
    if status is not None and (place / "out").is_dir():
        return ""
    said = [line for name in ("console", "qemu") for line in (place / name).read_text(errors="replace").splitlines()]
    how = "was not off in time" if status is None else "brought no results"
    return f"the machine {how}: {' | '.join(line.strip() for line in said[-4:])}"

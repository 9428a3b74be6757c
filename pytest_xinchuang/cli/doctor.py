"""What works on this host, what is missing, why it matters, and the exact command that mends it."""

from __future__ import annotations

import importlib.util
import os
import platform as host
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, MissingDependency, XcError
from pytest_xinchuang.core.optional import EXTRAS
from pytest_xinchuang.messages import NOTHING, Message, _, joined, render, verbatim
from pytest_xinchuang.packages.registry import shipped
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.docker import connect
from pytest_xinchuang.sandbox.backends.kvm import device_works
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.backends.system import kvm_problem
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import find_zig, gnu_compiler
from pytest_xinchuang.tools.go import find_go
from pytest_xinchuang.tools.process import End, Runner, first_line
from pytest_xinchuang.tools.versions import version_of

TRY_TIMEOUT_S = 10


@dataclass(frozen=True)
class HostFeature:
    """One feature of the host. ``state`` is ok, missing or unknown."""

    feature: Message
    state: str
    detail: Message
    matters: Message
    mend: Message = NOTHING
    needed: bool = True
    """Whether grading with the default backend comes to nothing, or to less, without it."""

    def as_dict(self, language: str) -> dict[str, str]:
        """As JSON; ``feature`` is English in every language, so that a program finds it."""
        texts = {name: render(getattr(self, name), language) for name in ("detail", "matters", "mend")}
        return {"feature": str(self.feature), "state": self.state, **texts}


def state_word(feature: HostFeature) -> Message:
    """The state, as users read it."""
    return {"ok": _("ok"), "missing": _("missing")}.get(feature.state) or _("unknown")


def examine(store: Store) -> list[HostFeature]:
    """Try each feature; nothing is assumed from a version number that can be tried."""
    checks: list[Callable[[Store], HostFeature]] = [
        _kernel,
        _user_namespaces,
        _private_binfmt,
        _mmdebstrap,
        _uidmap,
        _cache,
        _zig,
        _go,
        _gnu,
        _docker,
        _kvm,
        _real_kernels,
    ]
    optional = {_uidmap, _gnu, _docker, _kvm, _real_kernels}
    return [*(replace(check(store), needed=check not in optional) for check in checks), *_extras()]


def _extras() -> Iterator[HostFeature]:
    """A line for each extra of this distribution: without its modules less is examined, and requirements stay open."""
    whys = {
        "inspect": _("instructions of artifacts are scanned, and what is compressed with zstd is read"),
        "docker": _("sandboxes can be containers"),
    }
    extras = [(name, modules, whys[name]) for name, modules in EXTRAS.items()]
    for package in shipped():
        if modules := tuple(getattr(package, "modules", ())):
            why = _("a part of what the package {name} does needs it", name=verbatim(package.name))
            extras.append((package.name, modules, why))
    for name, modules, why in extras:
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        feature = _("extra {name}", name=verbatim(name))
        if missing:
            gone = joined(map(verbatim, missing), _(", "))
            mend = verbatim(f"pip install 'pytest-xinchuang[{name}]'")
            needed = name != "docker"
            yield HostFeature(feature, "missing", _("not installed: {modules}", modules=gone), why, mend, needed)
        else:
            yield HostFeature(feature, "ok", joined(map(verbatim, modules), _(", ")), why)


def _kernel(_store: Store) -> HostFeature:
    release = host.release()
    numbers = tuple(int(p) for p in release.split("-")[0].split(".")[:2] if p.isdigit())
    good = numbers >= (6, 7)
    newer = verbatim("sudo apt-get install -t bookworm-backports linux-image-amd64")
    return HostFeature(
        _("Linux 6.7 or later"),
        "ok" if good else "missing",
        verbatim(f"{host.machine()} {release}"),
        _("since 6.7 each user namespace has a binfmt_misc of its own: children are emulated without root rights"),
        NOTHING if good else _("install a newer kernel (Debian 12: {command})", command=newer),
    )


def _user_namespaces(_store: Store) -> HostFeature:
    feature, why = _("user namespaces"), _("the rootless sandbox is made of them")
    done = Runner().run(["unshare", "-Urmpf", "true"], timeout_s=TRY_TIMEOUT_S)
    if done.end is not End.EXITED:
        return HostFeature(feature, "unknown", done.told(), why, verbatim("sudo apt-get install util-linux"))
    if done.ok:
        return HostFeature(feature, "ok", _("an unprivileged one can be made"), why)
    mend = "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000"
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        mend = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return HostFeature(feature, "missing", verbatim(first_line(done.errors)), why, verbatim(mend))


def _private_binfmt(store: Store) -> HostFeature:
    feature = _("rootless sandbox with emulated children")
    why = _("scripts and child processes run on the platform's CPU too")
    names = [
        n for n, r in store.platforms.file.rootfs.items() if store.cache.peek("rootfs", n) and r.arch is not HOST_ARCH
    ]
    emulators = [e for e in store.cache.entries() if e.kind == "emulator"]
    if not names or not emulators:
        nothing = _("nothing is provisioned to try it with")
        return HostFeature(feature, "unknown", nothing, why, verbatim("xc provision"))
    recipe = store.platforms.file.rootfs[names[0]]
    architecture = store.platforms.file.architectures[recipe.arch]
    try:
        platform = next(
            store.platforms.get(i) for i in store.platforms.ids if store.platforms.get(i).arch is recipe.arch
        )
        spec = QemuSpec(
            platform.id,
            recipe.arch,
            store.rootfs(names[0]),
            store.emulator(architecture.qemu),
            platform.cpu.emulation.strict.value or "max",
            "4.19.0",
            10,
        )
        with QemuSandbox(spec) as sandbox:
            if sandbox.fingerprint.degraded:
                detail = verbatim(sandbox.fingerprint.degraded)
                return HostFeature(feature, "missing", detail, why, _("use Linux 6.7 or later"))
            tried = _(
                "tried with {rootfs}, {ms} ms a program",
                rootfs=verbatim(names[0]),
                ms=sandbox.fingerprint.baseline_ms,
            )
            return HostFeature(feature, "ok", tried, why)
    except XcError as fault:
        return HostFeature(feature, "missing", verbatim(fault.what), why, _("see the lines above"))


def _mmdebstrap(_store: Store) -> HostFeature:
    feature, why = verbatim("mmdebstrap"), _("root filesystems are made with it")
    if path := shutil.which("mmdebstrap"):
        return HostFeature(feature, "ok", verbatim(path), why)
    if all(shutil.which(t) for t in ("apt-get", "dpkg-deb", "perl")):
        unpacked = _("not installed; it is unpacked into the cache from its package")
        return HostFeature(feature, "ok", unpacked, why)
    return HostFeature(feature, "missing", _("not on PATH"), why, verbatim("sudo apt-get install mmdebstrap"))


def _uidmap(_store: Store) -> HostFeature:
    path = shutil.which("newuidmap")
    return HostFeature(
        verbatim("uidmap"),
        "ok" if path else "missing",
        verbatim(path) if path else _("not on PATH"),
        _("not needed for what this suite provisions; mmdebstrap's own unshare mode uses it"),
        NOTHING if path else verbatim("sudo apt-get install uidmap"),
    )


def _cache(store: Store) -> HostFeature:
    free = shutil.disk_usage(store.cache.root).free >> 20
    good = free > 2048
    return HostFeature(
        _("cache"),
        "ok" if good else "missing",
        _("{directory}, {free} MiB free", directory=verbatim(str(store.cache.root)), free=free),
        _("root filesystems and builds live there"),
        NOTHING if good else verbatim("export XC_CACHE=/a/directory/with/2/GiB"),
    )


def _zig(_store: Store) -> HostFeature:
    return _compiler("zig", find_zig, "version", _("C units are built with it, against the platform's glibc"))


def _go(_store: Store) -> HostFeature:
    return _compiler("Go", find_go, "version", _("Go units are built with it"))


def _compiler(feature: str, find: Callable[[], str], argument: str, why: Message) -> HostFeature:
    name = verbatim(feature)
    try:
        program = find()
        return HostFeature(name, "ok", verbatim(f"{program} ({version_of(program, argument)})"), why)
    except HostFault as fault:
        return HostFeature(name, "missing", verbatim(fault.what), why, verbatim(fault.mend))


def _gnu(store: Store) -> HostFeature:
    found = [a.triplet for a in store.platforms.file.architectures.values() if gnu_compiler(a)]
    return HostFeature(
        _("GNU cross compilers"),
        "ok" if found else "missing",
        joined(map(verbatim, found), _(", ")) if found else _("none"),
        _("an alternative to zig for C units"),
        NOTHING if found else verbatim("sudo apt-get install gcc-aarch64-linux-gnu"),
    )


def _docker(_store: Store) -> HostFeature:
    feature = verbatim("Docker Engine")
    why = _("vendor images run in it; the default backend does not need it")
    try:
        client = connect()
    except MissingDependency as fault:
        return HostFeature(feature, "unknown", fault.what, why, fault.mend)
    except HostFault as fault:
        what = verbatim(fault.what)
        if shutil.which("dockerd") is None:
            return HostFeature(feature, "missing", what, why, verbatim("sudo apt-get install docker.io"))
        mend = "sudo systemctl start docker" if Path("/run/systemd/system").is_dir() else "sudo dockerd &"
        grouped = _("{command}  (and be in the group docker)", command=verbatim(mend))
        return HostFeature(feature, "missing", what, why, grouped)
    version = client.version()["Version"]
    client.close()
    number = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:3] if part.isdigit())
    if number < (20, 10, 10):
        # A container is needed to try it; each sandbox of the docker backend does when it opens.
        detail = _(
            "version {version}: its seccomp profile answers EPERM to clone3, and threads fail [XC-HOST-001]",
            version=verbatim(version),
        )
        return HostFeature(feature, "missing", detail, why, _("install Docker 20.10.10 or later"))
    return HostFeature(feature, "ok", _("version {version}", version=verbatim(version)), why)


def _kvm(store: Store) -> HostFeature:
    feature = verbatim("KVM")
    why = _("a real kernel of the host's own architecture runs fast with it; without it such a kernel is emulated too")
    if device_works():
        if problem := kvm_problem(Pool(Store(store.platforms, store.cache, offline=True))):
            died = _("a virtual machine can be made, and dies before its first program: {why}", why=problem)
            return HostFeature(
                feature,
                "missing",
                died,
                why,
                _("switch nesting on in the hypervisor; without it nothing is lost but time"),
            )
        return HostFeature(feature, "ok", _("a virtual machine can be made"), why)
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        opened = _("/dev/kvm can be opened, but makes no machine")
        return HostFeature(feature, "missing", opened, why, _("switch nesting on"))
    if Path("/dev/kvm").exists():
        return HostFeature(
            feature, "missing", _("/dev/kvm may not be opened"), why, verbatim("sudo usermod -aG kvm $USER")
        )
    switch = _("switch virtualization on in the firmware, or in the hypervisor")
    return HostFeature(feature, "missing", _("/dev/kvm is not there"), why, switch)


def _real_kernels(store: Store) -> HostFeature:
    """Which kernels of targets are there to be booted."""
    feature = _("real kernels")
    why = _("page sizes, system calls and signals are decided by a kernel of the platform: --xc-backend=system")
    have = [e.name for e in store.cache.entries() if e.kind == "kernel"]
    if not have or not any(e.kind == "system-emulator" for e in store.cache.entries()):
        return HostFeature(feature, "unknown", _("none is provisioned"), why, verbatim("xc provision --system"))
    return HostFeature(feature, "ok", joined(map(verbatim, have), _(", ")), why)

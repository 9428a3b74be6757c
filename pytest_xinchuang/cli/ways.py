"""The ways to run target code on this host, each tried, in the order in which `auto` prefers them."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from pytest_xinchuang.cli.features import HostFeature
from pytest_xinchuang.core.errors import HostFault, MissingDependency, XcError
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox import machine
from pytest_xinchuang.sandbox.backends.direct import differences
from pytest_xinchuang.sandbox.backends.docker import connect
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.backends.system import kvm_works
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.situation import (
    CLONE3_SINCE,
    WITHOUT_EFFECT,
    Hindrance,
    hindrances,
    instead_of,
    mend_for,
    mend_for_rootless,
    situation,
)
from pytest_xinchuang.sandbox.ways import Refused, refused
from pytest_xinchuang.tools.host import Device

REMEMBERED = "doctor.json"
"""Where the cache keeps that a kernel has booted: it takes seconds, and comes to the same until something is changed."""


def examine_ways(store: Store) -> list[HostFeature]:
    """Try each way; nothing is assumed from a version number that can be tried."""
    with ThreadPoolExecutor(1) as beside:
        booting = beside.submit(_system, store)
        found = refused()
        rootless = _rootless(store, found)
        others = [_docker(), _native(store)]
        system, kvm = booting.result()
    ways = [rootless, system, *others]
    chosen = replace(_auto(rootless, system, found), needed=not others[-1].ok)
    return [
        chosen,
        *(replace(each, needed=False) for each in (_user_namespaces(found), _binfmt(found), *ways, kvm)),
    ]


def _auto(rootless: HostFeature, system: HostFeature, found: Refused | None) -> HostFeature:
    feature = _("what --xc-backend=auto takes")
    why = _("without a way that is whole, requirements stay open")
    if rootless.ok:
        return HostFeature(feature, "ok", rootless.feature, why)
    if system.ok:
        better = rootless.feature
        told = _("{way}; {better} would be faster, and its line has the mend", way=system.feature, better=better)
        return HostFeature(feature, "ok", told, why)
    if _hindrance(found) is None and rootless.state == "unknown":
        return HostFeature(feature, "unknown", rootless.detail, why, rootless.mend)
    if system.state == "unknown":
        return HostFeature(feature, "unknown", system.detail, why, system.mend)
    return HostFeature(feature, "missing", _("none of them is whole"), why, rootless.mend)


def _hindrance(found: Refused | None) -> Hindrance | None:
    """What keeps a rootless sandbox from starting at all."""
    return next((each for each, _problem in found or () if each not in WITHOUT_EFFECT), None)


def _user_namespaces(found: Refused | None) -> HostFeature:
    feature, why = _("user namespaces"), _("the rootless sandbox is made of them")
    if found is None:
        return HostFeature(feature, "unknown", _("they could not be tried"), why, mend_for_rootless())
    for hindrance, problem in found:
        if hindrance not in WITHOUT_EFFECT:
            told = _("{why} ({problem})", why=hindrance.word, problem=problem)
            return HostFeature(feature, "missing", told, why, mend_for(hindrance))
    return HostFeature(feature, "ok", _("an unprivileged one can be made"), why)


def _binfmt(found: Refused | None) -> HostFeature:
    host = situation()
    feature = _("Linux 6.7 or later")
    why = _("since 6.7 each user namespace has a binfmt_misc of its own: the kernel itself has children emulated")
    detail = verbatim(f"{host.machine} {host.release}")
    lacks = {hindrance for hindrance, _problem in found or ()}
    if host.kernel >= (6, 7) and Hindrance.NO_BINFMT not in lacks:
        return HostFeature(feature, "ok", detail, why)
    return HostFeature(feature, "missing", detail, why, mend_for(_of_machine() or Hindrance.NO_BINFMT))


def _of_machine() -> Hindrance | None:
    """That this host's architecture is none for which emulators are made."""
    return Hindrance.MACHINE if Hindrance.MACHINE in hindrances() else None


_CHILDREN = {"tracer": _("the tracer"), "binfmt_misc": verbatim("binfmt_misc")}
_LAYERS = {"copy": _("a copy"), "overlay": verbatim("overlay"), "tmpfs": verbatim("tmpfs")}


def _rootless(store: Store, found: Refused | None) -> HostFeature:
    feature = _("rootless sandbox with emulated children")
    why = _("scripts and child processes run on the platform's CPU too")
    hindrance = _hindrance(found) or Hindrance.UNKNOWN
    if _of_machine():
        return HostFeature(feature, "missing", Hindrance.MACHINE.word, why, mend_for(Hindrance.MACHINE))
    spec = _spec(store)
    if spec is None:
        nothing = _("nothing is provisioned to try it with")
        return HostFeature(feature, "unknown", nothing, why, verbatim("xc provision"))
    try:
        with QemuSandbox(spec()) as sandbox:
            fingerprint = sandbox.fingerprint
    except XcError as fault:
        mend = mend_for(hindrance) if getattr(fault, "namespaces", False) else fault.mend or mend_for(hindrance)
        return HostFeature(feature, "missing", verbatim(fault.what), why, verbatim(mend))
    if fingerprint.degraded:
        return HostFeature(feature, "missing", verbatim(fingerprint.degraded), why, instead_of("qemu"))
    ms, name = fingerprint.baseline_ms, verbatim(fingerprint.rootfs)
    told = _("tried with {rootfs}, {ms} ms a program", rootfs=name, ms=ms)
    children, layer = (fingerprint.extra.get(key) for key in ("children", "layer"))
    if children in _CHILDREN and layer in _LAYERS:
        by = _CHILDREN[children]
        told = _("{told}; children by {children}, changes in {layer}", told=told, children=by, layer=_LAYERS[layer])
    return HostFeature(feature, "ok", told, why)


def _spec(store: Store) -> Any:
    """Makes the spec of a sandbox of another architecture, if what it is made of has been provisioned."""
    recipes = store.platforms.file.rootfs
    names = [n for n, r in recipes.items() if r.arch is not HOST_ARCH and store.cache.peek("rootfs", n)]
    if not names or not any(e.kind == "emulator" for e in store.cache.entries()):
        return None
    arch = recipes[names[0]].arch
    platform = next(p for p in map(store.platforms.get, store.platforms.ids) if p.arch is arch)

    def make() -> QemuSpec:
        return QemuSpec(
            platform.id,
            arch,
            store.rootfs(names[0]),
            store.emulator(platform.architecture.qemu),
            platform.cpu.emulation.strict.value or "max",
            "4.19.0",
            10,
        )

    return make


def _bootable(store: Store) -> Platform | None:
    """A platform whose kernel and root filesystem are there: of this host's architecture first, to try KVM as well."""
    found = [
        platform
        for platform in map(store.platforms.get, store.platforms.file.shorts.values())
        if platform.rootfs_name and store.cache.peek("rootfs", platform.rootfs_name) and store.has_system(platform)
    ]
    return next((p for p in found if p.arch is HOST_ARCH), next(iter(found), None))


def _system(store: Store) -> tuple[HostFeature, HostFeature]:
    """The system sandbox, and KVM."""
    feature = _("system sandbox")
    why = _(
        "a real kernel of the platform decides page sizes, system calls and signals, and asks nothing of the host's"
    )
    try:
        platform = _bootable(store)
        if platform is None:
            untried = HostFeature(feature, "unknown", _("none is provisioned"), why, verbatim("xc provision --system"))
            return untried, _kvm("", "")
        seen = _boot(store, platform)
    except XcError as fault:
        mend = mend_for(Hindrance.MACHINE) if _of_machine() else fault.mend or verbatim("xc provision --system --force")
        failed = HostFeature(feature, "missing", verbatim(fault.what), why, verbatim(mend))
        return failed, _kvm("", "")
    told = _(
        "tried with {platform}, up in {seconds} s, {ms} ms a program",
        platform=verbatim(platform.id),
        seconds=seen["seconds"],
        ms=seen["ms"],
    )
    return HostFeature(feature, "ok", told, why), _kvm(seen["accelerator"], seen["without_kvm"])


def _boot(store: Store, platform: Platform) -> dict[str, Any]:
    """What was seen of a kernel that has booted; it is booted anew when anything that it depends on is another."""
    host, entries = situation(), store.cache.entries()
    parts = sorted(e.digest for e in entries if e.kind in ("kernel", "system-emulator"))
    version = importlib.metadata.version("pytest-xinchuang")
    key = [version, platform.id, host.release, str(host.memory_mb), str(host.kvm), str(host.container), *parts]
    place = store.cache.root / REMEMBERED
    try:
        kept = json.loads(place.read_text())
        if kept["key"] == key and {"seconds", "ms", "accelerator", "without_kvm"} <= kept.keys():
            return dict(kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    start = time.monotonic()
    pool = Pool(store, "system")
    try:
        fingerprint = pool.sandbox(platform).fingerprint
    finally:
        pool.close()
    seen = {
        "key": key,
        "seconds": round(time.monotonic() - start, 1),
        "ms": fingerprint.baseline_ms,
        "accelerator": str(fingerprint.extra.get("accelerator", "")),
        "without_kvm": str(fingerprint.extra.get("without_kvm", "")),
    }
    part = place.with_suffix(f".{time.monotonic_ns()}")
    try:
        part.write_text(json.dumps(seen))
        part.rename(place)
    except OSError:
        part.unlink(missing_ok=True)
    return seen


def _kvm(accelerator: str, without: str) -> HostFeature:
    feature = verbatim("KVM")
    why = _("a real kernel of the host's own architecture runs fast with it; without it such a kernel is emulated too")
    if accelerator == "kvm":
        return HostFeature(feature, "ok", _("a kernel boots with it"), why)
    if without:
        booted = _("a virtual machine can be made, but the kernel does not boot in it")
        return HostFeature(feature, "missing", booted, why, mend_for(Hindrance.KVM_USELESS))
    if kvm_works():
        return HostFeature(feature, "ok", _("a virtual machine can be made"), why)
    hindrance = {
        Device.USABLE: Hindrance.KVM_USELESS,
        Device.DENIED: Hindrance.KVM_DENIED,
        Device.ABSENT: Hindrance.KVM_ABSENT,
    }[situation().kvm]
    return HostFeature(feature, "missing", hindrance.word, why, mend_for(hindrance))


def _docker() -> HostFeature:
    feature = verbatim("Docker Engine")
    why = _("vendor images run in it; the default backend does not need it")
    try:
        client = connect()
    except MissingDependency as fault:
        return HostFeature(feature, "unknown", fault.what, why, fault.mend)
    except HostFault as fault:
        number = getattr(fault.__cause__, "errno", None)
        hindrance = Hindrance.DOCKER_MISSING
        if number in (errno.EACCES, errno.EPERM):
            hindrance = Hindrance.DOCKER_DENIED
        elif shutil.which("dockerd"):
            hindrance = Hindrance.DOCKER_STOPPED
        return HostFeature(feature, "missing", verbatim(fault.what), why, mend_for(hindrance))
    try:
        version = client.version()["Version"]
    finally:
        client.close()
    number = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:3] if part.isdigit())
    if number < CLONE3_SINCE:
        # A container is needed to try it; each sandbox of the docker backend does when it opens.
        detail = _(
            "version {version}: its seccomp profile answers EPERM to clone3, and threads fail [XC-HOST-001]",
            version=verbatim(version),
        )
        return HostFeature(feature, "missing", detail, why, mend_for(Hindrance.DOCKER_OLD))
    return HostFeature(feature, "ok", _("version {version}", version=verbatim(version)), why)


def _native(store: Store) -> HostFeature:
    feature = _("native")
    why = _("the strongest evidence: this host itself is the platform (--xc-backend=native)")
    seen = machine.look(machine.HostReader())
    release = machine.HostReader().file(machine.OS_RELEASE) or ""
    same = [p for p in map(store.platforms.get, store.platforms.ids) if p.arch is HOST_ARCH]
    name = situation().machine
    found = [p.id for p in same if not differences(p, name, seen.cpuinfo, release) and not machine.doubts(p, seen)]
    if found:
        return HostFeature(feature, "ok", joined(map(verbatim, found), _(", ")), why)
    mend = _("run it on a board: {option} there", option=verbatim("--xc-backend=native"))
    return HostFeature(feature, "missing", _("this host is none of the platforms"), why, mend)

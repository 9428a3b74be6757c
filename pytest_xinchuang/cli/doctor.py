"""What works on this host, what is missing, why it matters, and the exact command that mends it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator

from pytest_xinchuang.cli.features import HostFeature
from pytest_xinchuang.cli.ways import examine_ways
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.installing import install_extra
from pytest_xinchuang.core.optional import EXTRAS
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.registry import shipped
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.situation import LEAST_MEMORY_MB, Hindrance, mend_for, situation
from pytest_xinchuang.toolchain.builder import find_zig, gnu_compiler
from pytest_xinchuang.tools.go import find_go
from pytest_xinchuang.tools.versions import version_of

LEAST_FREE_MB = 2048
"""MiB of the cache: root filesystems, emulators and builds of a few products."""

Groups = list[tuple[Message, list[HostFeature]]]


def examine(store: Store) -> Groups:
    """Try each feature; the lines by what they are about."""
    return [
        (_("ways to run target code, the preferred first"), examine_ways(store)),
        (_("this host"), [_host(), _cache(store), _real_kernels(store)]),
        (_("tool chains"), [_zig(), _go(), _gnu(store)]),
        (_("extras"), list(_extras())),
    ]


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
            needed = name != "docker"
            told = _("not installed: {modules}", modules=gone)
            yield HostFeature(feature, "missing", told, why, install_extra(name, missing), needed)
        else:
            yield HostFeature(feature, "ok", joined(map(verbatim, modules), _(", ")), why)


def _host() -> HostFeature:
    host = situation()
    memory = host.memory_mb
    parts = [verbatim(f"{host.machine} {host.release}")]
    if host.distribution:
        parts.append(verbatim(f"{host.distribution} {host.version}".strip()))
    if host.container:
        parts.append(_("in a container ({kind})", kind=verbatim(host.container)))
    parts.append(verbatim("Python {}.{}, {}".format(*host.python, host.libc or "libc")))
    if memory is not None:
        parts.append(_("{mib} MiB of memory", mib=memory))
    if host.processors is not None:
        parts.append(_("{number:g} processors", number=host.processors))
    why = _("a sandbox has 1 GiB for what it runs, and its layer beside that")
    told = joined(parts, _(", "))
    if memory is not None and memory < LEAST_MEMORY_MB:
        return HostFeature(_("memory"), "missing", told, why, mend_for(Hindrance.MEMORY))
    return HostFeature(_("memory"), "ok", told, why)


def _cache(store: Store) -> HostFeature:
    free = shutil.disk_usage(store.cache.root).free >> 20
    good = free > LEAST_FREE_MB
    return HostFeature(
        _("cache"),
        "ok" if good else "missing",
        _("{directory}, {free} MiB free", directory=verbatim(str(store.cache.root)), free=free),
        _("root filesystems and builds live there"),
        NOTHING if good else mend_for(Hindrance.CACHE_FULL),
    )


def _zig() -> HostFeature:
    return _compiler("zig", find_zig, "version", _("C units are built with it, against the platform's glibc"))


def _go() -> HostFeature:
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
    detail = joined(map(verbatim, found), _(", ")) if found else _("none")
    why = _("an alternative to zig for C units")
    if found:
        return HostFeature(_("GNU cross compilers"), "ok", detail, why, needed=False)
    mend = verbatim(situation().install("gcc-aarch64")) or _("this system has no package of them; zig does the same")
    return HostFeature(_("GNU cross compilers"), "missing", detail, why, mend, needed=False)


def _real_kernels(store: Store) -> HostFeature:
    """Which kernels of targets are there to be booted."""
    feature = _("real kernels")
    why = _("page sizes, system calls and signals are decided by a kernel of the platform: --xc-backend=system")
    have = [e.name for e in store.cache.entries() if e.kind == "kernel"]
    if not have or not any(e.kind == "system-emulator" for e in store.cache.entries()):
        mend = verbatim("xc provision --system")
        return HostFeature(feature, "unknown", _("none is provisioned"), why, mend, needed=False)
    return HostFeature(feature, "ok", joined(map(verbatim, have), _(", ")), why, needed=False)

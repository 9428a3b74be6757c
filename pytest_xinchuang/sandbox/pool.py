"""Sandboxes of a run: opened when first asked for, one for each platform and CPU variant, closed at the end."""

from __future__ import annotations

import contextlib
import platform as host
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core.errors import HostFault, SandboxFault, UnknownName
from pytest_xinchuang.core.kernel_calls import Lacking, lacking_on
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.protocol import Fingerprint, Sandbox
from pytest_xinchuang.sandbox.qemu import NEEDED_BY_QEMU, QemuSandbox, QemuSpec
from pytest_xinchuang.tools.process import Runner

if TYPE_CHECKING:
    from pytest_xinchuang.sandbox.system import KernelRef

EMULATION_SCALE = 10.0
"""How much longer a program may take under qemu-user than on the real machine: 8 to 10 times is usual (PyTables#1331)."""

HOST_ARCH = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64, "loongarch64": Arch.LOONG64}.get(host.machine())


class CpuVariant(StrEnum):
    """Which emulated CPU a sandbox has; see ``emulation`` in platforms.yaml."""

    STRICT = "strict"
    POOREST = "poorest"
    SUPERSET = "superset"


@dataclass(frozen=True)
class Circumstances:
    """What is otherwise in a sandbox than on the platform, to find out what a unit depends on.

    Attributes:
        vendor: another vendor string of CPUID (x86-64).
        floor: system calls that the platform's kernel lacks answer ENOSYS.
        loopback: 127.0.0.1 can be reached, and nothing else.
    """

    variant: CpuVariant = CpuVariant.STRICT
    vendor: str = ""
    floor: bool = True
    loopback: bool = False

    @property
    def name(self) -> str:
        extra = [f"vendor={self.vendor}"] if self.vendor else []
        return ",".join(
            [
                self.variant.value,
                *extra,
                *([] if self.floor else ["every system call"]),
                *(["loopback"] if self.loopback else []),
            ]
        )


BACKENDS = ("auto", "qemu", "docker", "system", "native")


class Pool:
    """Opens sandboxes of one backend. A failure to open is remembered: it is tried once, and told to everyone who asks."""

    def __init__(
        self,
        store: Store,
        backend: str = "auto",
        *,
        timeout_scale: float = 1.0,
        image: str | None = None,
        run_id: str = "",
        keep: bool = False,
        extra_backends: Mapping[str, BackendFactory] | None = None,
        on_open: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.backend = backend
        self.timeout_scale = timeout_scale
        self.runner = Runner(timeout_scale)
        self.image = image
        self.run_id = run_id
        self.keep = keep
        self._extra = dict(extra_backends or {})
        if backend not in BACKENDS and backend not in self._extra:
            raise UnknownName(f"unknown backend {backend!r}; there are {', '.join((*BACKENDS, *self._extra))}")
        self._on_open = on_open
        self._open: dict[tuple[str, Circumstances], Sandbox] = {}
        self._failed: dict[tuple[str, Circumstances], HostFault] = {}
        self.shared: dict[Hashable, dict[str, Any]] = {}
        """Results that engines of several platforms share, such as the x86-64 runs."""

    def sandbox(
        self,
        platform: Platform,
        variant: CpuVariant = CpuVariant.STRICT,
        *,
        vendor: str = "",
        floor: bool = True,
        loopback: bool = False,
    ) -> Sandbox:
        """The sandbox of a platform; opened again when it has died. See :class:`Circumstances` for the arguments.

        Raises:
            HostFault: it cannot be opened here; the message names the first cause and the mend.
        """
        wanted = Circumstances(variant, vendor, floor, loopback)
        return self._get((platform.id, wanted), lambda: self._start(platform, wanted))

    def system(self, platform: Platform, kernel: KernelRef | None = None, *, floor: bool = True) -> Sandbox:
        """A real kernel of the platform, whatever the backend of this run; ``kernel`` names another than its own.

        Raises:
            HostFault: it cannot be opened here.
        """
        wanted = Circumstances(floor=floor)
        key = (f"system:{platform.id}:{kernel.name if kernel else ''}", wanted)
        if self.backend == "system" and kernel is None and floor:
            return self.sandbox(platform)
        return self._get(key, lambda: self._start_system(platform, wanted, kernel))

    def _start_system(self, platform: Platform, wanted: Circumstances, kernel: KernelRef | None = None) -> Sandbox:
        from pytest_xinchuang.sandbox.system import open_system

        return open_system(self, platform, wanted, kernel)

    def reference(self, *, loopback: bool = False) -> Sandbox:
        """Where the x86-64 runs are made that a target's output is compared with: native on an x86-64 host."""
        wanted = Circumstances(loopback=loopback)
        return self._get(("reference", wanted), lambda: self._start_reference(loopback))

    def _get(self, key: tuple[str, Circumstances], start: Starter) -> Sandbox:
        if key in self._failed:
            raise self._failed[key]
        sandbox = self._open.get(key)
        if sandbox is not None and sandbox.alive():
            return sandbox
        if sandbox is not None:
            sandbox.close()
        try:
            opened = self._open[key] = start()
        except HostFault as fault:
            self._failed[key] = fault
            raise
        self._on_open({**fingerprint_event(opened.fingerprint), "variant": key[1].name})
        return opened

    def _start(self, platform: Platform, wanted: Circumstances) -> Sandbox:
        variant = wanted.variant
        if self.backend == "system":
            return self._start_system(platform, wanted)
        if self.backend not in ("auto", "qemu") and wanted != Circumstances(variant):
            raise HostFault(f"the backend {self.backend} cannot run it under {wanted.name}", mend="--xc-backend=qemu")
        if self.backend in self._extra:
            return self._extra[self.backend](self, platform, variant)
        if self.backend == "docker":
            from pytest_xinchuang.sandbox.docker import DockerSandbox

            return DockerSandbox.open(self, platform, variant)
        if self.backend == "native":
            from pytest_xinchuang.sandbox.direct import open_native

            return open_native(platform, self.runner)
        model = getattr(platform.cpu.emulation, variant).value
        if model is None:
            raise HostFault(f"{platform.id}: no QEMU CPU model is known for its {variant} variant")
        rootfs = self.store.rootfs_for(platform)
        kernel = platform.system.kernel.value
        lacking = lacking_on(platform) if wanted.floor else Lacking()
        # The filter sees what the emulator asks of the host, by the host's numbers.
        numbers = tables()[HOST_ARCH.value] if HOST_ARCH else {}
        taken = [numbers[n] for n in lacking.absent if n in numbers and n not in NEEDED_BY_QEMU]
        spec = QemuSpec(
            platform=platform.id,
            arch=platform.arch,
            rootfs=rootfs,
            emulator=self.store.emulator(platform.architecture.qemu),
            cpu_model=f"{model},vendor={wanted.vendor}" if wanted.vendor else model,
            kernel_release=kernel or "4.19.0",
            timeout_scale=EMULATION_SCALE * self.timeout_scale,
            runner=self.runner,
            identity=tuple(identity_of(platform, rootfs.stand_in).items()),
            absent_calls=tuple(taken),
            floor=wanted.floor and kernel is not None,
            loopback=wanted.loopback,
        )
        try:
            return QemuSandbox(spec)
        except SandboxFault as fault:
            from pytest_xinchuang.sandbox.direct import open_emulated

            if not fault.namespaces:
                raise
            return open_emulated(spec, str(fault.what))

    def _start_reference(self, loopback: bool) -> Sandbox:
        name = self.store.platforms.file.reference
        if name is None:
            raise HostFault("platforms.yaml names no reference root filesystem", mend="add `reference:`")
        native = HOST_ARCH is Arch.AMD64
        spec = QemuSpec(
            platform="reference-amd64",
            arch=Arch.AMD64,
            rootfs=self.store.rootfs(name),
            emulator=None if native else self.store.emulator("qemu-x86_64"),
            cpu_model="" if native else "max",
            kernel_release=host.release(),
            timeout_scale=self.timeout_scale * (1 if native else EMULATION_SCALE),
            runner=self.runner,
            loopback=loopback,
        )
        return QemuSandbox(spec)

    def close(self) -> None:
        """Close every sandbox; one that cannot be closed keeps none of the others open."""
        with contextlib.ExitStack() as stack:
            for sandbox in self._open.values():
                stack.callback(sandbox.close)
            self._open.clear()


def identity_of(platform: Platform, stand_in: bool) -> dict[str, str]:
    """Files that tell what system and CPU this is; a vendor's root filesystem has its own of the first kind."""
    files = {}
    release = platform.system.os_release.value
    if release is not None and stand_in:
        files["/etc/os-release"] = files["/usr/lib/os-release"] = release
    block = platform.cpu.cpuinfo.value
    if block is not None:
        block = block.replace("{features}", " ".join(platform.cpu.features.value or ()))
        files["/proc/cpuinfo"] = "".join(f"processor\t: {n}\n{block}\n\n" for n in range(2))
    return files


Starter = Callable[[], Sandbox]
BackendFactory = Callable[[Pool, Platform, CpuVariant], Sandbox]


def fingerprint_event(fingerprint: Fingerprint) -> dict[str, Any]:
    """A fingerprint as plain data, for the journal."""
    data = asdict(fingerprint)
    data["fidelity"] = str(fingerprint.fidelity)
    return data

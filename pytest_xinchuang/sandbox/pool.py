"""Sandboxes of a run: opened when first asked for, one for each platform and CPU variant, closed at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict

from pytest_xinchuang.core.errors import HostFault, UnknownName, XcError
from pytest_xinchuang.core.events import SandboxOpened, messages_of
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.shared import SharedResults
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.provision.refs import KernelRef
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox import machine
from pytest_xinchuang.sandbox.backend import Backend, BackendTable, Hindrances
from pytest_xinchuang.sandbox.backends.shipped import SHIPPED
from pytest_xinchuang.sandbox.circumstances import Circumstances, CpuVariant
from pytest_xinchuang.sandbox.protocol import Fingerprint, Sandbox
from pytest_xinchuang.tools.process import Runner


class Pool:
    """Opens sandboxes of one backend. A failure to open is remembered: it is tried once, and told to everyone who asks.

    Args:
        backend: a name of ``table`` or of ``extra_backends``.
        extra_backends: backends of others, by name; no circumstances but the variant of the CPU are asked of them.

    Raises:
        UnknownName: there is no such backend.
    """

    def __init__(
        self,
        store: Store,
        backend: str = "auto",
        *,
        timeout_scale: float = 1.0,
        image: str | None = None,
        run_id: str = "",
        keep: bool = False,
        table: BackendTable = SHIPPED,
        extra_backends: Mapping[str, BackendFactory] | None = None,
        on_open: Callable[[SandboxOpened], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.backend = backend
        self.timeout_scale = timeout_scale
        self.runner = Runner(timeout_scale)
        self.image = image
        self.run_id = run_id
        self.keep = keep
        self._table = table
        theirs = extra_backends or {}
        for name in theirs:
            if name in table.backends:
                raise XcError(
                    _(
                        "{plugin} registers the backend {name}, which the suite ships",
                        plugin=_of(theirs[name]),
                        name=name,
                    ),
                    mend=_("give it another name"),
                )
        backends = {**table.backends, **{n: self._theirs(f) for n, f in theirs.items()}}
        if backend not in backends:
            raise UnknownName(
                _(
                    "unknown backend {name}{hint}; there are {known}",
                    name=verbatim(repr(backend)),
                    hint=near(backend, backends),
                    known=joined(map(verbatim, backends), _(", ")),
                )
            )
        self._backend = backends[backend]
        self._plugin = _of(theirs[backend]) if backend in theirs else ""
        self._on_open = on_open
        self._open: dict[tuple[str, Circumstances], Sandbox] = {}
        self._failed: dict[tuple[str, Circumstances], HostFault] = {}
        self.hindrances: Hindrances = {}
        self.shared = SharedResults()
        """Results that engines of several platforms share, such as the x86-64 runs."""

    def _theirs(self, factory: BackendFactory) -> Backend:
        return Backend(lambda _opening, platform, wanted: factory(self, platform, wanted.variant))

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

    def lasting(self, platform: Platform) -> Sandbox:
        """Another sandbox of a platform, which nobody empties: for what lives as long as the run, such as a server.

        Raises:
            HostFault: it cannot be opened here.
        """
        wanted = Circumstances()
        return self._get((f"lasting:{platform.id}", wanted), lambda: self._start(platform, wanted))

    def system(self, platform: Platform, kernel: KernelRef | None = None, *, floor: bool = True) -> Sandbox:
        """A real kernel of the platform, whatever the backend of this run; ``kernel`` names another than its own.

        Raises:
            HostFault: it cannot be opened here.
        """
        wanted = Circumstances(floor=floor, kernel=kernel)
        if wanted == Circumstances() and (self._backend.boots or self._has_booted(platform)):
            return self.sandbox(platform)
        return self._get((f"system:{platform.id}", wanted), lambda: self._table.booting.open(self, platform, wanted))

    def _has_booted(self, platform: Platform) -> bool:
        """Whether the sandbox of a platform is a machine with the kernel that the platform gets."""
        opened = self._open.get((platform.id, Circumstances()))
        kernel = opened.fingerprint.extra.get("kernel") if opened is not None else None
        return kernel is not None and kernel == self.store.kernel_for(platform).name

    def reference(self, *, loopback: bool = False) -> Sandbox:
        """Where the x86-64 runs are made that a target's output is compared with: native on an x86-64 host.

        Raises:
            HostFault: it cannot be opened here.
        """
        wanted = Circumstances(loopback=loopback)
        return self._get(("reference", wanted), lambda: self._table.reference(self, wanted))

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
        event = fingerprint_event(opened.fingerprint, key[1].name)
        if self._plugin and not key[0].startswith(("system:", "reference")):
            event = event.model_copy(update={"plugin": self._plugin, "confirmed": self._confirmed(opened.fingerprint)})
        self._on_open(event)
        return opened

    def _confirmed(self, fingerprint: Fingerprint) -> bool:
        """Whether this host itself is seen to be the platform that somebody else's backend says it is."""
        if fingerprint.fidelity < Fidelity.NATIVE or fingerprint.platform not in self.store.platforms.ids:
            return False
        return not machine.doubts(self.store.platforms.get(fingerprint.platform), machine.look(machine.HostReader()))

    def _start(self, platform: Platform, wanted: Circumstances) -> Sandbox:
        if not self._backend.adapts and wanted != Circumstances(wanted.variant):
            raise HostFault(
                _("the backend {backend} cannot run it under {name}", backend=self.backend, name=wanted.told),
                mend=verbatim("--xc-backend=qemu"),
            )
        return self._backend.open(self, platform, wanted)

    def close(self) -> None:
        """Close every sandbox; one that cannot be closed keeps none of the others open."""
        with contextlib.ExitStack() as stack:
            for sandbox in self._open.values():
                stack.callback(sandbox.close)
            self._open.clear()


Starter = Callable[[], Sandbox]
BackendFactory = Callable[[Pool, Platform, CpuVariant], Sandbox]
"""A backend of others, as the hook ``pytest_xc_sandbox_backends`` returns it."""


def _of(factory: BackendFactory) -> str:
    """The file that a backend's factory comes from, for people."""
    code = getattr(factory, "__code__", None) or getattr(getattr(factory, "__call__", None), "__code__", None)  # noqa: B004
    return str(code.co_filename) if code else str(getattr(factory, "__module__", "?"))


def fingerprint_event(fingerprint: Fingerprint, variant: str) -> SandboxOpened:
    """A fingerprint as the journal has it."""
    messages = messages_of(
        differs=tuple(fingerprint.differs),
        degraded=fingerprint.degraded,
        passed_over=tuple(fingerprint.passed_over),
        contradicts=tuple(fingerprint.contradicts),
    )
    return SandboxOpened(**asdict(fingerprint), variant=variant, messages=messages)

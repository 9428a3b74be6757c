"""`auto`: rootless qemu-user where it is whole on this host, else a real kernel under qemu-system; the x86-64 runs likewise.

qemu-system asks nothing of the host's kernel, so it is whole wherever programs can be started at all; it costs more time.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends import user_mode
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox
from pytest_xinchuang.sandbox.backends.system import open_system, open_system_reference
from pytest_xinchuang.sandbox.circumstances import Circumstances
from pytest_xinchuang.sandbox.protocol import Sandbox
from pytest_xinchuang.sandbox.ways import KERNEL, ROOTLESS, Way, open_first_whole, refuses_namespaces

_NATIVE = _("rootless, natively")


def open_automatic(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    """The sandbox of a platform, by the first way that is whole on this host.

    Raises:
        HostFault: something is missing that every way is made of.
    """
    spec = user_mode.spec_of(run, platform, wanted)
    ways = (
        Way(ROOTLESS, lambda: QemuSandbox(spec), key="rootless", hindered=refuses_namespaces),
        # Another CPU or kernel may be what cannot be had: that says nothing of the next.
        Way(
            KERNEL,
            lambda: _on_a_kernel(run, platform, wanted),
            key=f"kernel of {platform.arch}",
            telling=wanted == Circumstances(),
        ),
    )
    return open_first_whole(ways, run.hindrances, lambda: user_mode.open_user_mode(run, platform, wanted))


def _on_a_kernel(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    """A machine with the platform's own CPU: the kernel with the platform's page size may need another, and this is not about
    pages."""
    store = run.store
    if wanted.kernel is None and store.kernel_for(platform).cpu:
        plain = [name for name, r in store.platforms.file.kernels.items() if r.arch is platform.arch and not r.cpu]
        if plain:
            wanted = replace(wanted, kernel=store.kernel(plain[0]))
    return open_system(run, platform, wanted)


def open_reference(run: Opening, wanted: Circumstances) -> Sandbox:
    """Where the x86-64 runs are made, by the first way that is whole on this host: native on an x86-64 host.

    Raises:
        HostFault: no way can be opened here.
    """
    ways = (
        Way(
            _NATIVE,
            lambda: user_mode.open_reference(run, wanted),
            key="rootless reference",
            hindered=refuses_namespaces,
        ),
        Way(KERNEL, lambda: open_system_reference(run, wanted)),
    )
    return open_first_whole(ways, run.hindrances)

"""Runs a unit again with one thing changed: the vendor string, the missing system calls, os-release, cpuinfo or uname.

The one change that makes a failing unit work shows what the unit depends on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from pytest_xinchuang.building.built import Built
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.subject import Unit
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import _, joined
from pytest_xinchuang.packages.mru.bench import Bench
from pytest_xinchuang.sandbox.circumstances import CpuVariant
from pytest_xinchuang.sandbox.emulators import not_emulated
from pytest_xinchuang.sandbox.protocol import Ended, Outcome, Sandbox
from pytest_xinchuang.sandbox.shims import uname_shim
from pytest_xinchuang.sandbox.tracing import Trace

FOREIGN_VENDOR = "GenuineIntel"
"""A vendor string that every allow-list contains."""

OTHER_FAMILIES = 'ID_LIKE="rhel fedora centos debian"\n'

Works = Callable[[Outcome], bool]


class Counterfactuals:
    """Runs of one platform's units under other circumstances."""

    def __init__(self, bench: Bench) -> None:
        self.platform = bench.platform
        self.pool = bench.pool
        self.catalogue = bench.findings
        self.execute = bench.execute
        self.traced = bench.traced

    def _finding(self, code: str, unit: Unit, **params: str) -> Finding:
        return Finding(code, Certainty.CERTAIN, unit.name, self.platform.id, params)

    def missing_call(
        self, unit: Unit, built: Built, sandbox: Sandbox, outcome: Outcome, works: Works
    ) -> Finding | None:
        """Find a system call that the platform's kernel lacks and the unit needs: with all calls answered, the unit works."""
        calls = Trace.of(self.traced(sandbox, built)).missing_calls()
        if not calls:
            return None
        if sandbox.fingerprint.isolation["kernel_floor"] and sandbox.fingerprint.emulated:
            whole = self.execute(self.pool.sandbox(self.platform, floor=False), built)
            # Calls that the emulator itself lacks stay missing: they say nothing about the platform's kernel, except for
            # calls that the architecture never had.
            if not works(whole) and not any(call.isdigit() for call in calls):
                return None
        elif not any(call.isdigit() for call in calls):
            return None
        return self._finding(
            "XC-RUN-008",
            unit,
            calls=joined(calls[:4], _(", ")),
            how=outcome.describe(),
            system=self.platform.system.title.message(),
        )

    def refused_by_emulator(self, built: Built, sandbox: Sandbox, works: Works) -> tuple[str, ...]:
        """System calls that the emulator lacks, that the platform's kernel has, and that may have failed the unit.

        Where a real kernel is at hand, the unit is run on it: a failure there as well is not the emulator's.
        """
        if sandbox.fingerprint.fidelity is not Fidelity.EMULATED_USER:
            return ()
        refused = not_emulated(self.traced(sandbox, built), self.platform)
        if not refused:
            return ()
        with contextlib.suppress(HostFault):
            if self.pool.store.has_system(self.platform):
                real = self.execute(self.pool.system(self.platform), built)
                if not real.is_fault and not works(real):
                    return ()
        return refused

    def works_with_small_pages(self, built: Built, works: Works) -> bool:
        """Whether the unit works on the kernel of this architecture with the smallest pages; False without such a kernel."""
        kernels = self.pool.store.platforms.file.kernels
        same = {n: k for n, k in kernels.items() if k.arch is self.platform.arch}
        small = min(same, key=lambda n: same[n].page_size, default=None)
        mine = self.platform.page_size
        if small is None or mine is None or mine.value is None or same[small].page_size >= mine.value:
            return False
        try:
            sandbox = self.pool.system(self.platform, self.pool.store.kernel(small))
        except HostFault:
            return False
        return works(self.execute(sandbox, built))

    def other_vendors(self) -> tuple[str, ...]:
        """Vendor strings under which a unit has to behave the same: the CPU's other ones, and a foreign one."""
        vendors = self.platform.cpu.vendors
        known = vendors.value if vendors is not None and vendors.value else ()
        return (*known[1:], FOREIGN_VENDOR) if known else ()

    def vendor_refused(self, unit: Unit, built: Built, outcome: Outcome, works: Works) -> Finding | None:
        """Find that a failing unit works under another vendor's name."""
        mine = self.platform.cpu.vendors
        for vendor in self.other_vendors():
            if works(self.execute(self.pool.sandbox(self.platform, vendor=vendor), built)):
                assert mine is not None and mine.value
                return self._finding("XC-RUN-006", unit, vendor=mine.value[0], how=outcome.describe(), other=vendor)
        return None

    def vendor_differs(self, unit: Unit, built: Built, outcome: Outcome) -> tuple[Finding | None, dict[str, Outcome]]:
        """Find that a working unit behaves differently under another vendor's name; returns the runs as well.

        Raises:
            HostFault: a run under another name broke.
        """
        seen = {}
        for vendor in self.other_vendors():
            other = self.execute(self.pool.sandbox(self.platform, vendor=vendor), built)
            seen[vendor] = other
            if other.is_fault:
                raise HostFault(other.describe())
            if (other.ended, other.code, other.stdout) != (outcome.ended, outcome.code, outcome.stdout):
                how = other.describe() if other.ended is not Ended.EXITED or other.code else _("another output")
                return self._finding("XC-RUN-006", unit, vendor=vendor, how=how, other=_("the CPU's own name")), seen
        return None, seen

    def identity_refused(self, unit: Unit, built: Built, outcome: Outcome, works: Works) -> Finding | None:
        """Find the part of the system's identity (os-release, uname, cpuinfo) that a script cannot handle."""
        sandbox = self.pool.sandbox(self.platform, CpuVariant.STRICT)
        how = outcome.describe()
        release = self.platform.system.os_release.value or ""
        if release and "ID_LIKE" not in release:
            other = release + OTHER_FAMILIES

            def tell_family(where: Sandbox) -> None:
                where.put("/etc/os-release", other.encode())
                where.put("/usr/lib/os-release", other.encode())

            if works(self.execute(sandbox, built, before=tell_family)):
                identifier = next((line[3:].strip('"') for line in release.splitlines() if line.startswith("ID=")), "")
                return self._finding("XC-INS-004", unit, how=how, other=OTHER_FAMILIES.strip(), identifier=identifier)
        for alias in self.platform.architecture.aliases:
            if alias == self.platform.architecture.uname:
                continue
            shim = {f"{built.directory}/shims/uname": uname_shim(alias)}
            shimmed = replace(built, files={**built.files, **shim}, shims=True)
            if works(self.execute(sandbox, shimmed)):
                return self._finding("XC-INS-002", unit, machine=self.platform.architecture.uname, how=how, other=alias)
        block = self.platform.cpu.cpuinfo.value or ""
        if block and "model name" not in block:
            named = "processor\t: 0\nmodel name\t: a processor\n" + block.replace("{features}", "fp asimd") + "\n\n"
            if works(self.execute(sandbox, built, before=lambda where: where.put("/proc/cpuinfo", named.encode()))):
                return self._finding("XC-INS-005", unit, how=how)
        return None

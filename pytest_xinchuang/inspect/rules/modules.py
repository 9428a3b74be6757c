"""Rules about kernel modules: their vermagic and symbol versions against the platform's kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.kernel_calls import release_key
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.kernel_module import (
    Kernel,
    KernelModule,
    Misfits,
    is_symvers,
    kernel_of,
    misfits,
    module_name,
    of_tree,
    read_symvers,
)
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.judge import Judge, several
from pytest_xinchuang.messages import Message, _, joined, verbatim


class Kernels:
    """The kernels and modules of one artifact."""

    def __init__(self, root: Node | None = None) -> None:
        self._root = root

    @cached_property
    def tables(self) -> list[Kernel]:
        """Those whose Module.symvers comes along."""
        found = []
        for node in self._root.walk() if self._root is not None else ():
            for name, text in node.texts.items():
                if is_symvers(name) and (kernel := read_symvers(text, node.within(name))) is not None:
                    found.append(kernel)
        return found

    @cached_property
    def releases(self) -> frozenset[str]:
        """The releases of kernels that are delivered themselves."""
        nodes = self._root.walk() if self._root is not None else ()
        return frozenset(release for node in nodes for name in node.members if (release := kernel_of(name)))

    @cached_property
    def modules(self) -> dict[str, KernelModule]:
        """The modules by their names."""
        records = self._root.all_objects() if self._root is not None else ()
        return {module_name(record.file_name): record.module for record in records if record.module is not None}


@cache
def _of_tree(tree: Path) -> list[Kernel]:
    return of_tree(tree)


def check_module(judge: Judge, record: ElfRecord, kernels: Kernels) -> None:
    """A kernel module against the kernel that loads it: symbols where a table of them is at hand, and vermagic."""
    module = record.module
    if module is None:
        return
    tree = judge.own_rootfs
    own = _of_tree(tree) if tree is not None else []
    tables = own or [kernel for kernel in kernels.tables if kernel.release == module.release]
    if tables and _check_tables(judge, record, module, tables, kernels):
        return
    if own:
        # Where both have CRCs a kernel leaves the release out of account; else it must be the same.
        if not any((kernel.versioned and module.versions) or kernel.release == module.release for kernel in own):
            _tell_release(judge, record, module, Certainty.UNDECIDED)
        return
    _check_release(judge, record, module, kernels)


def _check_release(judge: Judge, record: ElfRecord, module: KernelModule, kernels: Kernels) -> None:
    kernel = judge.platform.system.kernel.value
    delivered = module.release in kernels.releases
    if kernel is None:
        _tell_release(judge, record, module, Certainty.UNDECIDED)
    elif _same_series(module.release, kernel, 3):
        if delivered:
            _tell_release(judge, record, module, Certainty.NOTE)
        elif module.versions:
            _tell_open(judge, record, module)
        else:
            _tell_release(judge, record, module, Certainty.GUARDED)
    elif delivered:
        _tell_release(judge, record, module, Certainty.GUARDED)  # it is for the kernel that comes with it
    elif module.versions and _same_series(module.release, kernel, 2):
        _tell_open(judge, record, module)
    else:
        _tell_release(judge, record, module, Certainty.CERTAIN)


def _tell_release(judge: Judge, record: ElfRecord, module: KernelModule, certainty: Certainty) -> None:
    system = judge.platform.system
    judge.find(
        "XC-SYS-002",
        certainty,
        record.place,
        vermagic=module.vermagic,
        system=system.title.message(),
        kernel=system.kernel.value or _("an unknown kernel"),
    )


def _tell_open(judge: Judge, record: ElfRecord, module: KernelModule) -> None:
    judge.find(
        "XC-SYS-014",
        Certainty.UNDECIDED,
        record.place,
        n=len(module.versions or ()),
        vermagic=module.vermagic,
        system=judge.platform.system.title.message(),
    )


def _same_series(release: str, kernel: str, most: int) -> bool:
    """Whether a module's release may be one of the platform's: the numbers that both have, up to ``most``, are the same."""
    ours, theirs = release_key(kernel), release_key(release.partition("-")[0])
    length = min(len(ours), len(theirs), most)
    return ours[:length] == theirs[:length]


def _check_tables(
    judge: Judge, record: ElfRecord, module: KernelModule, tables: Sequence[Kernel], kernels: Kernels
) -> bool:
    """Whether none of the kernels takes the module, which is told."""
    beside = [other for other in kernels.modules.values() if other is not module]
    found = [(kernel, misfits(module, kernel, beside)) for kernel in tables]
    told = [(kernel, misfit, _told(module, misfit)) for kernel, misfit in found]
    if any(not why for _kernel, _misfit, why in told):
        return False
    kernel, misfit, why = told[0]
    judge.find(
        "XC-SYS-013",
        Certainty.CERTAIN if _is_sure(module, kernel, misfit, kernels) else Certainty.UNDECIDED,
        record.place,
        {"differ": list(misfit.differ[:50]), "absent": list(misfit.absent[:50]), "table": kernel.place},
        why=joined(why),
        table=verbatim(kernel.place),
    )
    return True


def _is_sure(module: KernelModule, kernel: Kernel, misfit: Misfits, kernels: Kernels) -> bool:
    """A module that is not here may have what is absent; a kernel may be configured to mind no namespace."""
    if misfit.differ or misfit.closed or misfit.unversioned:
        return True
    whole = bool(kernel.modules - {"vmlinux"}) and {*map(module_name, module.depends)} <= {
        *kernel.modules,
        *kernels.modules,
    }
    return bool(misfit.absent) and whole


def _told(module: KernelModule, misfit: Misfits) -> list[Message]:
    found = []
    if misfit.differ:
        found.append(_("the kernel has other CRCs of {names}", names=several(misfit.differ, 3)))
    if misfit.absent:
        found.append(_("the kernel has no {names}", names=several(misfit.absent, 3)))
    if misfit.unversioned:
        found.append(_("the module has no CRC of {names}", names=several(misfit.unversioned, 3)))
    if misfit.closed:
        licence = verbatim(module.license) if module.license else _("none at all")
        names = several(misfit.closed, 3)
        found.append(
            _("{names} are for modules under the GPL, and its licence is {licence}", names=names, licence=licence)
        )
    if misfit.spaces:
        found.append(_("it does not import the symbols' namespace {names}", names=several(misfit.spaces, 3)))
    return found

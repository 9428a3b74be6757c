"""System calls that came late: since which kernel, and under which number."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.syscall_names import tables

LATE_CALLS: Mapping[str, str] = {
    # name -> first kernel release. Source: include/uapi/asm-generic/unistd.h, later scripts/syscall.tbl, and
    # arch/x86/entry/syscalls/syscall_64.tbl, by release. The oldest kernel of platforms.yaml is 3.10.
    "sched_setattr": "3.14",
    "sched_getattr": "3.14",
    "renameat2": "3.15",
    "seccomp": "3.17",
    "getrandom": "3.17",
    "memfd_create": "3.17",
    "bpf": "3.18",
    "execveat": "3.19",
    "userfaultfd": "4.3",
    "membarrier": "4.3",
    "mlock2": "4.4",
    "copy_file_range": "4.5",
    "preadv2": "4.6",
    "pwritev2": "4.6",
    "pkey_mprotect": "4.9",
    "pkey_alloc": "4.9",
    "pkey_free": "4.9",
    "statx": "4.11",
    "io_pgetevents": "4.18",
    "rseq": "4.18",
    "pidfd_send_signal": "5.1",
    "io_uring_setup": "5.1",
    "io_uring_enter": "5.1",
    "io_uring_register": "5.1",
    "open_tree": "5.2",
    "move_mount": "5.2",
    "fsopen": "5.2",
    "fsconfig": "5.2",
    "fsmount": "5.2",
    "fspick": "5.2",
    "pidfd_open": "5.3",
    "clone3": "5.3",
    "close_range": "5.9",
    "openat2": "5.6",
    "pidfd_getfd": "5.6",
    "faccessat2": "5.8",
    "process_madvise": "5.10",
    "epoll_pwait2": "5.11",
    "mount_setattr": "5.12",
    "quotactl_fd": "5.14",
    "landlock_create_ruleset": "5.13",
    "landlock_add_rule": "5.13",
    "landlock_restrict_self": "5.13",
    "memfd_secret": "5.14",
    "process_mrelease": "5.15",
    "futex_waitv": "5.16",
    "set_mempolicy_home_node": "5.17",
    "cachestat": "6.5",
    "fchmodat2": "6.6",
    "map_shadow_stack": "6.6",
    "futex_wake": "6.7",
    "futex_wait": "6.7",
    "futex_requeue": "6.7",
    "statmount": "6.8",
    "listmount": "6.8",
    "lsm_get_self_attr": "6.8",
    "lsm_set_self_attr": "6.8",
    "lsm_list_modules": "6.8",
    "mseal": "6.10",
    "setxattrat": "6.13",
    "getxattrat": "6.13",
    "listxattrat": "6.13",
    "removexattrat": "6.13",
    "open_tree_attr": "6.15",
    "file_getattr": "6.17",
    "file_setattr": "6.17",
    "listns": "6.19",
    "rseq_slice_yield": "7.0",
}
"""System call -> the kernel release that brought it; numbers are those of the shipped tables."""

LATER: Mapping[str, Mapping[str, str]] = {
    # Not in the headers of 6.19, in those of 7.2.
    "loong64": {"memfd_secret": "7.2"},
}
"""Architecture -> calls that it got later than the others."""

UNSURE: Mapping[str, Mapping[str, str]] = {
    # Dropped when LoongArch went upstream (5.19), brought back by 6.11 and the stable releases 6.10.6, 6.6.47 and 6.1.106: what
    # of that a vendor's 6.6.0 has, its release does not say. The old world never was without them.
    "loong64": {"fstat": "6.11", "newfstatat": "6.11"},
}
"""Architecture -> calls that a kernel of the new world may lack before this release."""

_FALLS_BACK = frozenset(
    {
        # glibc does it another way (statx, copy_file_range until 2.30, preadv2 and pwritev2 without flags, clone3, faccessat2,
        # fchmodat2), has a function of that name that is something else (futex_*), or the caller has to expect a refusal on
        # most processors anyway (pkey_*).
        "statx",
        "copy_file_range",
        "preadv2",
        "pwritev2",
        "clone3",
        "faccessat2",
        "fchmodat2",
        "futex_wait",
        "futex_wake",
        "pkey_mprotect",
        "pkey_alloc",
        "pkey_free",
    }
)

LIBC_FUNCTIONS: Mapping[str, str] = {
    # functions of libc and liburing that do nothing without the call
    **{name: name for name in LATE_CALLS if name not in _FALLS_BACK},
    "io_uring_queue_init": "io_uring_setup",
    "io_uring_queue_init_params": "io_uring_setup",
    "io_uring_queue_init_mem": "io_uring_setup",
}


@functools.lru_cache(4096)
def release_key(text: str) -> tuple[int, ...]:
    """``4.19.90`` as (4, 19, 90)."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@functools.cache
def calls_after(kernel: str, arch: str) -> Mapping[str, int]:
    """The calls that a kernel of this release lacks: name -> number. Vendors may have backported some: a conservative floor.

    Args:
        arch: whose numbers, by Go's name of it.
    """
    numbers, own = tables()[arch], release_key(kernel)
    dated = {**LATE_CALLS, **LATER.get(arch, {})}
    return {n: numbers[n] for n, since in dated.items() if n in numbers and release_key(since) > own}


@dataclass(frozen=True)
class Lacking:
    """System calls that a platform's kernel has not got.

    Attributes:
        absent: name -> number on the platform's architecture.
        unsure: names of those that it may or may not have.
    """

    absent: Mapping[str, int] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Both kinds."""
        return frozenset(self.absent) | self.unsure


def since_of(name: str, platform: Platform) -> str:
    """The kernel release that brought a call to the platform's architecture."""
    return LATER.get(platform.architecture.names["go"], {}).get(name) or LATE_CALLS[name]


def lacking_on(platform: Platform) -> Lacking:
    """What the platform's kernel lacks by its release; nothing where that is not known."""
    kernel = platform.system.kernel.value
    if kernel is None:
        return Lacking()
    arch = platform.architecture.names["go"]
    dated = UNSURE.get(arch, {}) if platform.world != "old" else {}
    unsure = frozenset(name for name, since in dated.items() if release_key(since) > release_key(kernel))
    return Lacking(calls_after(kernel, arch), unsure)

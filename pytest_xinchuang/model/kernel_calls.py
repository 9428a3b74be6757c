"""System calls that came late: since which kernel, and under which number."""

from __future__ import annotations

from collections.abc import Mapping

LATE_CALLS: Mapping[str, tuple[int, str]] = {
    # name -> number (the same on every architecture from 424 on), first kernel release. Source: the kernel's
    # scripts/syscall.tbl and arch/x86/entry/syscalls/syscall_64.tbl, by release.
    "pidfd_send_signal": (424, "5.1"),
    "io_uring_setup": (425, "5.1"),
    "io_uring_enter": (426, "5.1"),
    "io_uring_register": (427, "5.1"),
    "open_tree": (428, "5.2"),
    "move_mount": (429, "5.2"),
    "fsopen": (430, "5.2"),
    "fsconfig": (431, "5.2"),
    "fsmount": (432, "5.2"),
    "fspick": (433, "5.2"),
    "pidfd_open": (434, "5.3"),
    "clone3": (435, "5.3"),
    "close_range": (436, "5.9"),
    "openat2": (437, "5.6"),
    "pidfd_getfd": (438, "5.6"),
    "faccessat2": (439, "5.8"),
    "process_madvise": (440, "5.10"),
    "epoll_pwait2": (441, "5.11"),
    "mount_setattr": (442, "5.12"),
    "quotactl_fd": (443, "5.14"),
    "landlock_create_ruleset": (444, "5.13"),
    "landlock_add_rule": (445, "5.13"),
    "landlock_restrict_self": (446, "5.13"),
    "memfd_secret": (447, "5.14"),
    "process_mrelease": (448, "5.15"),
    "futex_waitv": (449, "5.16"),
    "set_mempolicy_home_node": (450, "5.17"),
    "cachestat": (451, "6.5"),
    "fchmodat2": (452, "6.6"),
    "map_shadow_stack": (453, "6.6"),
    "futex_wake": (454, "6.7"),
    "futex_wait": (455, "6.7"),
    "futex_requeue": (456, "6.7"),
    "statmount": (457, "6.8"),
    "listmount": (458, "6.8"),
    "lsm_get_self_attr": (459, "6.8"),
    "lsm_set_self_attr": (460, "6.8"),
    "lsm_list_modules": (461, "6.8"),
    "mseal": (462, "6.10"),
}

LIBC_FUNCTIONS: Mapping[str, str] = {
    # functions of libc and liburing that do nothing without the call
    **{
        name: name
        for name in LATE_CALLS
        if name not in ("clone3", "faccessat2", "fchmodat2", "futex_wait", "futex_wake")
    },
    "io_uring_queue_init": "io_uring_setup",
    "io_uring_queue_init_params": "io_uring_setup",
    "io_uring_queue_init_mem": "io_uring_setup",
}


def release_key(text: str) -> tuple[int, ...]:
    """``4.19.90`` as (4, 19, 90)."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def calls_after(kernel: str) -> dict[str, int]:
    """The calls that a kernel of this release lacks: name -> number. Vendors may have backported some: a conservative floor."""
    return {name: number for name, (number, since) in LATE_CALLS.items() if release_key(since) > release_key(kernel)}

"""The system calls of the host that target code may make, and what the others answer.

An allow-list: what is not named here answers ENOSYS, as under a kernel without it, so that programs that probe do without. What
only root may do answers EPERM, as it does to any ordinary user. The emulator makes its calls from within the same filter.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.sandbox.wall.bpf import ALLOW, TRACE, Action, Case, Checked, assemble, refusal

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""linux/audit.h: EM_X86_64 and EM_AARCH64, 64-bit, little-endian; by ``uname -m``."""
_TABLE = {"x86_64": "amd64", "aarch64": "arm64"}

_ALLOWED = (
    # files
    """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
    fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr file_getattr file_setattr flistxattr flock
    fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat llistxattr
    lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64
    preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat
    renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysfs
    tee truncate umask unlink unlinkat ustat utime utimensat utimes vmsplice write writev io_cancel io_destroy io_getevents
    io_pgetevents io_setup io_submit ioprio_get ioprio_set
    """
    # memory
    """
    brk cachestat get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create mincore mlock mlock2 mlockall mmap
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages set_mempolicy
    set_mempolicy_home_node shmat shmctl shmdt shmget
    """
    # processes, threads, signals
    """
    alarm arch_prctl capget capset clone3 execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv
    futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid
    getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid kcmp kill pause pidfd_getfd pidfd_open
    pidfd_send_signal prctl prlimit64 restart_syscall rseq rseq_slice_yield rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
    setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack tgkill times tkill
    vfork wait4 waitid process_mrelease
    """
    # waiting, pipes, sockets, messages
    """
    accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 poll ppoll pselect6 recvfrom recvmmsg recvmsg select semctl
    semget semop semtimedop sendmmsg sendmsg sendto setsockopt shutdown signalfd signalfd4
    """
    # time
    """
    adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    """
    # the system; rules that a program gives itself
    """
    getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp sysinfo uname
    """
)
ALLOWED = frozenset(_ALLOWED.split())
"""Calls that are allowed whatever their arguments are."""

_NOT_PERMITTED = """
    acct bpf chroot clock_settime delete_module fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen fspick
    init_module ioperm iopl kexec_file_load kexec_load migrate_pages mount mount_setattr move_mount move_pages
    open_by_handle_at open_tree open_tree_attr perf_event_open pivot_root process_vm_readv process_vm_writev ptrace quotactl
    quotactl_fd reboot setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 vhangup
"""
NOT_PERMITTED = frozenset(_NOT_PERMITTED.split())
"""Calls that answer EPERM: a kernel answers so to whoever is not root, or who may not look into others."""

# bits/socket.h, sched.h, sys/personality.h, asm-generic/ioctls.h
_UNIX, _INET, _INET6, _NETLINK, _PACKET = 1, 2, 10, 16, 17
_NAMESPACES = 0x7E020000
_NEWTIME = 0x80
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
_REFUSED, _NO_FAMILY = refusal(errno.EPERM), refusal(errno.EAFNOSUPPORT)

CHECKED: dict[str, Checked] = {
    # Of netlink only protocol 0, NETLINK_ROUTE: getifaddrs(3) and what lists interfaces; it is empty here.
    "socket": Checked(
        (
            Case(0, (_UNIX, _INET, _INET6), ALLOW),
            Case(0, (_NETLINK,), ALLOW, zero=2),
            Case(0, (_PACKET,), _REFUSED),
        ),
        _NO_FAMILY,
    ),
    # The kernel itself refuses pairs of Internet sockets, with EOPNOTSUPP, which programs know.
    "socketpair": Checked((Case(0, (_UNIX, _INET, _INET6), ALLOW),), _NO_FAMILY),
    "clone": Checked((Case(0, (0,), ALLOW, mask=_NAMESPACES),), _REFUSED),
    "unshare": Checked((Case(0, (0,), ALLOW, mask=_NAMESPACES | _NEWTIME),), _REFUSED),
    "personality": Checked((Case(0, _PERSONALITIES, ALLOW),), _REFUSED),
    # What types into a terminal that others read, or loads a line discipline.
    "ioctl": Checked((Case(1, (_TIOCSTI, _TIOCLINUX, _TIOCSETD), _REFUSED),), ALLOW),
}
"""Calls whose arguments decide."""

_NEW_LISTENER = 1 << 3
TRACED: dict[str, Action] = {
    "execve": TRACE,
    "execveat": TRACE,
    # linux/seccomp.h. A filter with a listener (USER_NOTIF) is heard before TRACE, and could let a call pass by the tracer. The
    # answer is that of a kernel before 5.0.
    "seccomp": Checked((Case(1, (_NEW_LISTENER,), refusal(errno.EINVAL), mask=_NEW_LISTENER),), ALLOW),
}
"""What is otherwise where a tracer starts programs (backends/inside/execs.py)."""


def supported(machine: str) -> bool:
    """Whether there is a filter for this host machine (``uname -m``)."""
    return machine in _TABLE


_PR_SET_DUMPABLE = 4
SEEN = Checked((Case(0, (_PR_SET_DUMPABLE,), refusal(0), zero=1),), ALLOW)
"""prctl where a tracer has no right to look at who will not be looked at: to become such a one is answered 0, and not done."""


def seccomp_program(machine: str, absent: Iterable[int] = (), *, traced: bool = False, seen: bool = False) -> bytes:
    """The filter for target code on a host, as the kernel takes it.

    Args:
        machine: ``uname -m`` of the host.
        absent: numbers that answer ENOSYS all the same: the platform's kernel has not got them.
        traced: whether a tracer starts programs; without one, none starts.
        seen: whether processes stay as they can be looked at by their user (``SEEN``).

    Raises:
        KeyError: there is no filter for this machine.
    """
    numbers, gone = tables()[_TABLE[machine]], frozenset(absent)
    actions: dict[int, Action] = {}
    for name, number in numbers.items():
        if number in gone:
            continue
        if seen and name == "prctl":
            actions[number] = SEEN
        elif traced and name in TRACED:
            actions[number] = TRACED[name]
        elif name in ALLOWED:
            actions[number] = ALLOW
        elif name in NOT_PERMITTED:
            actions[number] = _REFUSED
        elif name in CHECKED:
            actions[number] = CHECKED[name]
    return assemble(AUDIT_ARCH[machine], actions, refusal(errno.ENOSYS))


_AGENTS = frozenset({"ptrace"})


def docker_profile() -> dict[str, Any]:
    """The same wall as a seccomp profile of Docker.

    clone3 is missing there: its flags are in memory, where no filter sees them, and a container may make namespaces. The agent
    traces commands, and takes that from them by ``seccomp_program``.
    """
    known = frozenset().union(*tables().values())
    missing = sorted({"clone3"} | known - ALLOWED - NOT_PERMITTED - CHECKED.keys())
    rules: list[dict[str, Any]] = [
        # By name too: engines before 22.06 do not know a default errno, and answer EPERM.
        {"names": missing, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        {"names": sorted((ALLOWED | _AGENTS) - {"clone3"}), "action": "SCMP_ACT_ALLOW"},
        {"names": sorted(NOT_PERMITTED - _AGENTS), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
        *(_when("socket", (0, family, "SCMP_CMP_EQ")) for family in (_UNIX, _INET, _INET6)),
        _when("socket", (0, _NETLINK, "SCMP_CMP_EQ"), (2, 0, "SCMP_CMP_EQ")),
        {**_when("socket", (0, _NETLINK, "SCMP_CMP_GT")), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EAFNOSUPPORT},
        *(_when("socketpair", (0, family, "SCMP_CMP_EQ")) for family in (_UNIX, _INET, _INET6)),
        _when("clone", (0, _NAMESPACES, "SCMP_CMP_MASKED_EQ")),
        _when("unshare", (0, _NAMESPACES | _NEWTIME, "SCMP_CMP_MASKED_EQ")),
        *(_when("personality", (0, value, "SCMP_CMP_EQ")) for value in _PERSONALITIES),
        {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW"},
    ]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.ENOSYS, "syscalls": rules}


def _when(name: str, *conditions: tuple[int, int, str]) -> dict[str, Any]:
    """A rule that allows a call under conditions on its arguments: index, value, operator (libseccomp's)."""
    args = [{"index": index, "value": value, "op": operator} for index, value, operator in conditions]
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": args}

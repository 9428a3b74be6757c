"""The attempts of ``probes.c``: what each tries, and the right answer."""

from __future__ import annotations

from dataclasses import dataclass

TABLE = """
socket-vsock             EAFNOSUPPORT  reach the hypervisor by AF_VSOCK
socket-alg               EAFNOSUPPORT  the kernel's ciphers by AF_ALG
socket-packet            EPERM         frames of the network by AF_PACKET
socket-raw               EPERM         raw ICMP
socket-audit             EAFNOSUPPORT  the audit log by netlink                                     its-own
socket-netfilter         EAFNOSUPPORT  firewall rules by netlink
socket-bluetooth         EAFNOSUPPORT  a family whose module would be loaded
socket-tipc-pair         EAFNOSUPPORT  a pair of another family than AF_UNIX
socket-rds               EAFNOSUPPORT  a family whose module would be loaded
network-out              ENETUNREACH   a host of the Internet
network-host             ENETUNREACH   the host by the loopback address
unix-docker              ENOENT        the socket of Docker's engine
unix-abstract            ECONNREFUSED  a socket of the host with an abstract name
keyctl-join              ENOSYS        the keyrings of whoever started the run                       its-own
keyctl-secret            ENOSYS        a secret in the session keyring
add-key                  ENOSYS        a key in the session keyring                                  its-own
bpf                      EPERM         a program in the kernel
perf                     EPERM         counters of the kernel                                        its-own
io-uring                 ENOSYS        rings, which pass by every filter                             its-own
userfaultfd              ENOSYS        to hold the kernel up at a page                               its-own
kexec                    EPERM         another kernel
init-module              EPERM         a module from memory
finit-module             EPERM         a module from a file
delete-module            EPERM         to remove a module
mount                    EPERM         a file system of its own
mount-proc               EPERM         a /proc without masks
mount-binfmt             EPERM         other formats of programs
umount                   EPERM         to uncover what is masked
remount                  EPERM         to make /proc/sys writable
pivot-root               EPERM         another root
chroot                   EPERM         out of the root by chroot and fchdir
fsopen                   EPERM         the newer calls for mounts
open-tree                EPERM         a copy of the mounts
move-mount               EPERM         to move a mount
mount-setattr            EPERM         to change a mount
setns                    EPERM         a namespace again
setns-1                  EPERM         the namespaces of the first process
unshare-user             EPERM         a user namespace, where it is root                            its-own
unshare-mount            EPERM         a mount namespace
unshare-net              EPERM         a network namespace
clone-user               EPERM         a user namespace by clone                                     its-own
clone-net                EPERM         a network namespace by clone
clone3-user              ENOSPC        a user namespace by clone3, which no filter looks into        its-own
ptrace-1                 EPERM         to take the first process over
ptrace-parent            EPERM         to take its parent over                                       its-own
read-parent              EPERM         the memory of another process                                 its-own
by-handle                EPERM         a file by its number, past the root
quotactl                 EPERM         quotas of the host                                            its-own
swapon                   EPERM         swap
reboot                   EPERM         to halt the machine
hostname                 EPERM         another host name
set-time                 EPERM         another time
kernel-log               EPERM         the kernel's messages
vhangup                  EPERM         to hang the terminal up
acct                     EPERM         process accounting
type-into-terminal       EPERM         to type into the terminal of whoever looks on
read-implies-exec        EPERM         executable data                                               its-own
setuid-0                 EPERM|EINVAL  to be root
setgroups                EPERM         to be in root's group
kill-1                   EPERM         to end the first process
pidfd-1                  EPERM         a descriptor of the first process
proc-1-mem               EACCES        the first process's memory
proc-1-environ           EACCES        its environment
proc-1-fd                EACCES        its descriptors
proc-1-stdout            EACCES        to forge what it says
proc-1-root              EACCES        its root
proc-1-cwd               EACCES        its directory
proc-1-exe               EACCES        its program
proc-kallsyms            ENODATA       addresses of the kernel                                       its-own
proc-kcore               ENOENT        the memory of the kernel
proc-keys                ENODATA       keys of the host                                              its-own
proc-cmdline             ENODATA       the host's kernel command line                                its-own
proc-kmsg                EACCES        the kernel's messages
proc-timers              EACCES        timers of the host's programs
proc-slabs               EACCES        memory of the kernel
proc-sysrq               ENOENT        to command the kernel
proc-core-pattern        EACCES        to have the host start a program of ours
proc-sys-printk          EACCES        settings of the kernel
proc-ns-limit            EACCES        to be allowed namespaces
mounts-tell-the-host     ENODATA       paths of the host in the table of mounts
mounts-tell-the-emulator ENODATA       the emulator's path in the table of mounts
capabilities             EPERM         whether it has capabilities
new-privileges           EPERM         whether setuid programs give rights
unfiltered               EPERM         whether it is behind no filter
dev-mem                  ENOENT        the memory of the machine
dev-kvm                  ENOENT        virtual machines
dev-disk                 ENOENT        the host's disk
dev-fuse                 ENOENT        a file system in user space
mknod-char               EPERM         a device of characters
mknod-block              EPERM         a device of blocks
see-lower                ENOENT        the supervisor's copy of the root filesystem
see-helpers              ENOENT        the emulators' place
see-binfmt               ENOENT        the sandbox's formats of programs
see-host-cache           ENOENT        the host's files
write-host-cgroup        ENOENT        to leave its control group
iopl                     EPERM         the ports of the machine                                      x86
modify-ldt               ENOSYS        descriptors of segments                                       x86
call-32                  ENOSYS        system calls of 32-bit x86                                    x86
call-x32                 ENOSYS        system calls of x32                                           x86
"""


@dataclass(frozen=True)
class Probe:
    """One attempt.

    Attributes:
        answer: the right one for native code behind the wall; elsewhere another refusal is right as well.
        its_own: in a virtual machine it may work: the kernel is the machine's own.
        x86: only programs for x86-64 can try.
    """

    name: str
    answer: str
    tries: str
    its_own: bool = False
    x86: bool = False


def _probe(line: str) -> Probe:
    name, answer, rest = line.split(None, 2)
    tries, _space, mark = rest.partition("  ")
    return Probe(name, answer, tries, mark.strip() == "its-own", mark.strip() == "x86")


PROBES = tuple(_probe(line) for line in TABLE.strip().splitlines())

REFUSALS = frozenset(
    {
        "EPERM",
        "EACCES",
        "ENOSYS",
        "EAFNOSUPPORT",
        "EPROTONOSUPPORT",
        "EINVAL",
        "ENOENT",
        "EROFS",
        "ENODATA",
        "ENETUNREACH",
    }
    | {"ECONNREFUSED", "ENOSPC", "EBADF", "ENOTTY", "ENOKEY"}
)
KILLED = "signal-31"
"""SIGSYS: how Docker's filter answers calls of another architecture."""

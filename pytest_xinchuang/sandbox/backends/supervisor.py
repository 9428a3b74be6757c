"""The first process of a rootless sandbox: makes the namespaces and mounts, then runs commands it is sent.

Started as ``python -I -S supervisor.py FD`` with a SOCK_SEQPACKET socket as FD; the first message is the configuration. It
uses the standard library alone and what is in ``inside`` and ``tracer.py``, and imports everything before it gives up the
host's root. When the socket closes (its owner has died, however that came), it exits, and the kernel ends every process of its
PID namespace and frees every mount: nothing can be left behind.

Messages are JSON objects, one a packet; files travel as descriptors beside them. To us: ``spawn``, ``kill``, ``put``,
``get``, ``changes``, ``reset``, ``stats``. From us: ``ready`` or ``failed`` once, then replies with the request's ``id``.
Texts for users travel as the journal holds messages: ``{"id": TEMPLATE, "params": {...}}``; the other side has the catalogues.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pytest_xinchuang.sandbox.backends.inside import confinement, copies, execs, programs
else:
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside"))
    import confinement
    import copies
    import execs
    import programs

# linux/sched.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE, MNT_DETACH = 16384, 1 << 18, 2
# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
UID = 1000
FROM_ROOT = os.geteuid() == 0
POLL_MS = 100
AT_ONCE = 256
"""Stops and ends that are answered before anybody else is."""
PATIENCE_S = 30
"""Seconds for what is done in a child before it becomes a command, and for a file that is put or got."""

PASSING = ("/tmp/", "/var/tmp/")
"""Where files may come and go (FHS 3.0, 3.18 and 5.15)."""

MADE = ("proc", "dev", "tmp", "run", "xc")
"""Directories that there are in every sandbox."""
MADE_APART = ("proc", "dev", "xc")
"""Those that are no part of the layer: mounted over, and the command's own."""

LOGGING = "xc-logging"
"""How the registrations of the emulator with a log begin, which are enabled while a traced command runs."""

Message = dict[str, Any]
Text = dict[str, Any]
"""A text for users, as the journal holds messages."""

libc = ctypes.CDLL(None, use_errno=True)


def beside(name: str) -> Any:
    """A module of this directory, which is no package to us."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tracer = beside("tracer")


def _(template: str, /, **params: Any) -> Text:
    """A text of the host's catalogues."""
    return {"id": template, "params": params}


def told(what: Text, number: int) -> Text:
    """What the kernel refused, with its error, whose Chinese is in the host's catalogues (messages/system.py)."""
    problem: Text = {"id": os.strerror(number), "params": {}}
    return _("{step}: {problem}", step=what, problem=problem)


class StepFailed(Exception):
    """A step of the set-up that the kernel refused."""

    def __init__(self, step: Text, number: int) -> None:
        super().__init__(step["id"], os.strerror(number))
        self.step = step
        self.number = number


def call(step: Text, result: int) -> None:
    if result != 0:
        raise StepFailed(step, ctypes.get_errno())


def mount(step: Text, source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    call(step, libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode() or None))


def write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def enter_namespaces(network: bool) -> None:
    """New user, mount, PID, IPC, UTS (and network) namespaces, with ourselves as their user 0.

    That is who owns a private binfmt_misc. Started by host root, an unprivileged host id is mapped to 1000 beside it: target
    code never runs as host root, which owns /proc/sys even without capabilities.
    """
    uid, gid = os.geteuid(), os.getegid()
    extra = f"{UID} {config['sandbox_host_uid']} 1\n" if FROM_ROOT else ""
    maps, group_maps = f"0 {uid} 1\n{extra}", f"0 {gid} 1\n{extra}"
    unshared_r, unshared_w = os.pipe()
    mapped_r, mapped_w = os.pipe()
    me = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.close(unshared_w)
        os.close(mapped_r)
        try:
            if os.read(unshared_r, 1):
                if not FROM_ROOT:
                    write(f"/proc/{me}/setgroups", b"deny")
                write(f"/proc/{me}/uid_map", maps.encode())
                write(f"/proc/{me}/gid_map", group_maps.encode())
                os.write(mapped_w, b"0")
        except OSError as error:
            os.write(mapped_w, str(error.errno).encode())
        os._exit(0)
    os.close(unshared_r)
    os.close(mapped_w)
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    failed = libc.unshare(flags | (0 if network else CLONE_NEWNET))
    number = ctypes.get_errno()
    if not failed:
        os.write(unshared_w, b"1")
    os.close(unshared_w)
    answer = os.read(mapped_r, 16)
    os.close(mapped_r)
    os.waitpid(helper, 0)
    if failed:
        raise StepFailed(_("create a user namespace"), number)
    if answer != b"0":
        raise StepFailed(_("map user ids into the namespace"), int(answer or b"1"))


def raise_loopback() -> None:
    """Bring `lo` of our network namespace up (netdevice(7): SIOCSIFFLAGS with IFF_UP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", b"lo", 1))


def become_target() -> None:
    """From user 0 of the sandbox to user 1000, without a capability once the next program starts.

    Host root has 1000 mapped. An ordinary user has one id alone to map: a user namespace below ours calls it 1000.
    """
    if FROM_ROOT:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        return
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to the host's root
    call(_("create the target's user namespace"), libc.unshare(CLONE_NEWUSER))
    write("/proc/self/setgroups", b"deny")
    write("/proc/self/uid_map", f"{UID} 0 1".encode())
    write("/proc/self/gid_map", f"{UID} 0 1".encode())
    write("/proc/sys/user/max_user_namespaces", b"0")


class State(NamedTuple):
    """What is compared of a file: of a directory its rights, of all else what it is, too. ``opaque`` is overlay's marker.

    ``entries``, of a directory, is when a name in it was last made or removed, in ns.
    """

    directory: bool
    rights: tuple[int, int, int]
    attributes: tuple[tuple[str, bytes], ...]
    opaque: bool
    content: tuple[int, ...]
    entries: int


def state(path: str) -> State:
    """The state of a file of one layer, without what overlay notes there for itself (overlayfs.rst, "userxattr")."""
    found = os.lstat(path)
    directory = stat.S_ISDIR(found.st_mode)
    attributes = {}
    try:
        attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        pass  # no extended attributes there
    return State(
        directory,
        (found.st_mode, found.st_uid, found.st_gid),
        tuple(sorted((n, v) for n, v in attributes.items() if not n.startswith("user.overlay."))),
        "user.overlay.opaque" in attributes,
        () if directory else (found.st_ino, found.st_size, found.st_mtime_ns, found.st_rdev),
        found.st_mtime_ns if directory else 0,
    )


class Root:
    """The root filesystem that target code sees: the provisioned one, read-only, under a private writable layer."""

    BASE = "/tmp"  # only a mount point: what is mounted here becomes our own root

    def __init__(self) -> None:
        base = self.BASE
        call(_("make mounts private"), libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        lower = os.open(config["rootfs"], os.O_PATH)
        emulator: int | None = os.open(config["emulator"], os.O_RDONLY) if config["emulator"] else None
        devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in ("null", "zero", "full", "random", "urandom")}
        size = config["layer_mb"]
        mount(_("mount a private tmpfs"), "xc", base, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size}m,mode=755")
        for name in ("lower", "root", "old", "proc", "helpers", "binfmt", "dev"):
            os.mkdir(f"{base}/{name}")
        mount(_("show the root filesystem"), f"/proc/self/fd/{lower}", f"{base}/lower", "", MS_BIND)
        confinement.write_helpers(f"{base}/helpers", emulator, config)
        self.emulators: dict[str, int] = {}
        if emulator is not None:
            # No name that target code could find: it is executed by its descriptor, or by binfmt_misc, which has opened it.
            paths = {name: f"{name}/{config['emulator_name']}" for name in config["emulators"]} | {"refuser": "refuser"}
            self.emulators = {n: os.open(f"{base}/helpers/{p}", os.O_PATH | os.O_CLOEXEC) for n, p in paths.items()}
        for name, fd in devices.items():
            os.close(os.open(f"{base}/dev/{name}", os.O_CREAT | os.O_WRONLY))
            mount(_("show /dev/{name}", name=name), f"/proc/self/fd/{fd}", f"{base}/dev/{name}", "", MS_BIND)
        for opened in (lower, emulator, *devices.values()):
            if opened is not None:
                os.close(opened)
        mount(_("mount /proc"), "proc", f"{base}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        self.children, self.missing = "kernel", None
        if config["registrations"]:
            self.missing = None if config["children"] == "tracer" else self._register(base)
            self.children = "tracer" if self.missing or config["children"] == "tracer" else "binfmt_misc"
        os.chdir(base)
        call(_("make the sandbox the root"), libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"old"))
        call(_("leave the host's files"), libc.umount2(b"/old", MNT_DETACH))
        os.chdir("/")
        os.rmdir("/old")
        # No namespace of its own for target code: it could mount another binfmt_misc and leave the CPU model. An
        # ordinary user's sandbox needs one for each command, and forbids more inside of that.
        if FROM_ROOT:
            write("/proc/sys/user/max_user_namespaces", b"0")
        self.copy: copies.Copy | None = None
        self.copied = 0
        self.build()
        if self.children == "tracer":
            self._trace()

    def _trace(self) -> None:
        """Start programs by a tracer of ours; where we may not, those that a command starts are not emulated."""
        global tracing
        if FROM_ROOT:
            os.setgroups([])  # as the target: by its rights files are looked at
        self.ours = {(a.st_dev, a.st_ino): n for n, fd in self.emulators.items() for a in (os.fstat(fd),)}
        taking = execs.Execs("/root", UID if FROM_ROOT else 0, config, self.ours)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                execs.wait_to_be_taken(theirs)
            finally:
                os._exit(0)
        theirs.close()
        try:
            taking.take(pid, ours, b"")
        except OSError as error:
            why = told(_("trace processes"), error.errno or 0)
            self.missing = _("{first}, and {second}", first=self.missing, second=why) if self.missing else why
            self.children = ""
        else:
            tracing = taking
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, execs.WALL)
        taking.ended(pid)

    def _register(self, base: str) -> Text | None:
        """Register the emulator in a binfmt_misc of our own (Linux >= 6.7); returns why not, or nothing."""
        try:
            mount(_("mount a private binfmt_misc"), "binfmt_misc", f"{base}/binfmt", "binfmt_misc")
            for line in config["registrations"]:
                write(f"{base}/binfmt/register", line.encode())
            self.switch_logging(f"{base}/binfmt", False)
        except StepFailed as error:
            return told(error.step, error.number)
        except OSError as error:
            return told(_("register with binfmt_misc"), error.errno or 0)
        return None

    def build(self) -> None:
        """(Re)make the writable layer and everything that is mounted in it."""
        anew = True
        if self.copy is not None:
            anew = self.copy.restore()
            self._complete("/root")
        elif config["layer"] == "copy" or not self.attributes("/"):
            # Without attributes (tmpfs before Linux 6.6) no directory can be made where one of the lower layer was removed.
            self._copy()
        else:
            try:
                self._overlay()
            except StepFailed as error:
                if error.number not in (errno.EPERM, errno.EINVAL, errno.ENODEV):
                    raise
                self._copy()  # Linux < 5.11 lets root alone mount one, and does not know userxattr
        mount(_("mount the target's /proc"), "proc", "/root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        confinement.hide("/root/proc", config["masked"], config["read_only"], "/dev/null")
        mount(_("mount the target's /dev"), "dev", "/root/dev", "tmpfs", MS_NOSUID, "size=64m,mode=755")
        for name in os.listdir("/dev"):
            os.close(os.open(f"/root/dev/{name}", os.O_CREAT | os.O_WRONLY))
            mount(_("show /dev/{name} to the target", name=name), f"/dev/{name}", f"/root/dev/{name}", "", MS_BIND)
        os.mkdir("/root/dev/shm", 0o1777)
        os.chmod("/root/dev/shm", 0o1777)
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            os.symlink(target, f"/root/dev/{name}")
        self._identify(anew)
        if anew:
            os.chmod("/root/tmp", 0o1777)
        if FROM_ROOT:
            for path in ("/root", "/root/xc") if anew else ("/root/xc",):
                os.chown(path, UID, UID)
            os.chown("/root/dev/shm", UID, UID)
        self._fresh_ipc()
        self.devices = {
            f"{directory[len('/root') :]}/{name}"
            for directory, names, files in os.walk("/root/dev")
            for name in (*names, *files)
        }
        if self.copy is not None:
            if anew:
                self.copy.settle()
        else:
            self.made = self._upper()

    @staticmethod
    def _complete(place: str) -> None:
        """Make what the root filesystem itself may lack."""
        for name in MADE:
            missing = not os.path.isdir(f"/lower/{name}") or os.path.islink(f"/lower/{name}")
            if (missing or place == "/root") and not os.path.lexists(f"{place}/{name}"):
                os.mkdir(f"{place}/{name}")

    def _overlay(self) -> None:
        for name in ("upper", "layer"):
            shutil.rmtree(f"/{name}", ignore_errors=True)
            os.mkdir(f"/{name}", 0o755)
        self._complete("/upper")
        options = "lowerdir=/lower,upperdir=/upper,workdir=/layer,userxattr"
        mount(_("mount the writable layer (overlay)"), "overlay", "/root", "overlay", MS_NOSUID | MS_NODEV, options)

    def _copy(self) -> None:
        self.copied = copies.size_of("/lower")
        size = self.copied + (config["layer_mb"] << 20)
        mount(_("mount the writable layer"), "root", "/root", "tmpfs", MS_NOSUID | MS_NODEV, f"size={size},mode=755")
        self.copy = copies.Copy("/lower", "/root", MADE_APART)
        self._complete("/root")

    @staticmethod
    def attributes(place: str) -> bool:
        """Whether files can have attributes of users there, as on a disk (tmpfs: since Linux 6.6)."""
        try:
            os.setxattr(place, "user.xc", b"")
            os.removexattr(place, "user.xc")
        except OSError:
            return False
        return True

    def _identify(self, anew: bool) -> None:
        """The system's own /etc/os-release and the like, and the CPU's /proc/cpuinfo."""
        for path, text in config["identity"].items():
            if path == "/proc/cpuinfo":
                with open("/cpuinfo", "w", encoding="utf-8") as file:
                    file.write(text)
                mount(_("show the CPU's /proc/cpuinfo"), "/cpuinfo", "/root/proc/cpuinfo", "", MS_BIND)
                if FROM_ROOT:
                    os.chown("/cpuinfo", UID, UID)
                continue
            if not anew:
                continue
            place = f"/root{path}"
            if os.path.lexists(place):
                os.unlink(place)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(text)
            # Like the rest of the tree: `put` replaces it, and so may target code, which `changes` tells.
            if FROM_ROOT:
                os.chown(place, UID, UID)

    def logging(self, wanted: bool) -> None:
        """Have emulators that are started from here on log their system calls."""
        if self.children == "binfmt_misc":
            self.switch_logging("/binfmt", wanted)

    @staticmethod
    def switch_logging(binfmt: str, wanted: bool) -> None:
        for name in os.listdir(binfmt):
            if name.startswith(LOGGING):
                write(f"{binfmt}/{name}", b"1" if wanted else b"0")

    def reset(self) -> None:
        if self.copy is None:
            call(_("unmount the writable layer"), libc.umount2(b"/root", MNT_DETACH))
        else:
            for name in ("proc", "dev"):
                call(_("unmount /{name}", name=name), libc.umount2(f"/root/{name}".encode(), MNT_DETACH))
            self.copy.empty("/root/xc")
        self.build()

    def _upper(self) -> dict[str, State]:
        """What the writable layer holds, but for what is mounted there and the command's own place."""
        found = {"": state("/upper")}
        for directory, names, files in os.walk("/upper"):
            inside = directory[len("/upper") :]
            if inside == "":
                names[:] = [n for n in names if n not in MADE_APART]
            for name in (*names, *files):
                found[f"{inside}/{name}"] = state(f"/upper{inside}/{name}")
        return found

    def changes(self) -> list[str]:
        """Paths that were made, written, removed or given other rights since ``build``, and what is left in memory.

        A directory in which something was made and removed again is one of them, whatever it was called by.
        """
        if self.copy is not None:
            written, within = self.copy.compare()
            changed = {path or "/" for path in written}
            passing = {path or "/" for path in within if not f"{path}/".startswith(PASSING)}
        else:
            changed, passing = self._changes_in_layer()
        passing -= {os.path.dirname(path) for path in changed}
        return sorted(changed | passing | set(self._identity_changed()) | set(self._left()))

    def _changes_in_layer(self) -> tuple[set[str], set[str]]:
        now = self._upper()
        changed = {path or "/" for path in self.made if path not in now}
        passing = set()
        for path, is_now in now.items():
            # A directory is copied into the layer for what changes in it. One that is opaque stands in for another.
            lower = f"/lower{path}"
            was = self.made.get(path) or (state(lower) if is_now.directory and os.path.lexists(lower) else None)
            if (
                was is None
                or was._replace(entries=is_now.entries) != is_now
                or (is_now.opaque and path not in self.made)
            ):
                changed.add(path or "/")
            elif was.entries != is_now.entries and not f"{path}/".startswith(PASSING):
                passing.add(path or "/")
        return changed, passing

    def _left(self) -> list[str]:
        """What is left in shared memory, in queues and among the devices."""
        found = []
        for kind in ("shm", "sem", "msg"):
            with open(f"/proc/sysvipc/{kind}", "rb") as file:
                for line in file.readlines()[1:]:
                    found.append(f"/proc/sysvipc/{kind}#0x{int(line.split()[0]) & 0xFFFFFFFF:08x}")
        found += [f"/dev/mqueue/{name}" for name in os.listdir("/mqueue")]
        for directory, names, files in os.walk("/root/dev"):
            inside = directory[len("/root") :]
            found += [f"{inside}/{name}" for name in (*names, *files) if f"{inside}/{name}" not in self.devices]
        return found

    def _fresh_ipc(self) -> None:
        """Shared memory, semaphores and queues of their own for the commands that are started from here on."""
        call(_("create an IPC namespace"), libc.unshare(CLONE_NEWIPC))
        confinement.limit_shared_memory(config["shared_mb"])
        if os.path.isdir("/mqueue"):
            call(_("unmount the message queues"), libc.umount2(b"/mqueue", MNT_DETACH))
        else:
            os.mkdir("/mqueue")
        mount(_("mount the message queues"), "mqueue", "/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)

    def _identity_changed(self) -> list[str]:
        layer, found = "/upper" if self.copy is None else "/root", []
        for path, text in config["identity"].items():
            try:
                with open("/cpuinfo" if path == "/proc/cpuinfo" else f"{layer}{path}", encoding="utf-8") as file:
                    same = file.read() == text
            except (OSError, UnicodeDecodeError):
                same = False
            if not same:
                found.append(path)
        return found


def become_target_in_root() -> None:
    """Become the target's user, with the target's root filesystem as root."""
    confinement.be_killed_first()
    if FROM_ROOT:
        os.chroot("/root")
        become_target()
    else:  # the new namespace allows chroot, and its maps are written by way of our own /proc
        become_target()
        os.chroot("/root")


class Command:
    """A command that runs; ``tracer`` takes its log of system calls down, where one is wanted and can be had."""

    def __init__(self, message: Message, pid: int) -> None:
        self.id = message["id"]
        self.pid = pid
        self.memory_mb = message["limits"]["memory_mb"]
        self.processes = message["limits"]["processes"]
        self.started = time.monotonic_ns()
        self.over: Text | None = None
        self.broken: Text | None = None
        self.tracer: Any = None
        self.untraced: Text | None = None


def find_program(argv0: str, path: str) -> str:
    if "/" in argv0:
        return argv0
    for directory in path.split(":"):
        candidate = f"{directory}/{argv0}"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    return argv0


def explicit(argv: list[str], program: str, kind: str) -> tuple[list[str], int]:
    """How to start ``program`` by an emulator: as binfmt_misc does, and scripts through their interpreter."""
    planned = programs.plan(os.fsencode(program), programs.look_here(root.ours), config["kinds"])
    if planned.kind != "emulator":
        return argv, root.emulators["refuser"]
    words = [os.fsdecode(word) for word in planned.words or ()] or argv[:1]
    called = config["called"].format(kind=kind)
    return [called, os.fsdecode(planned.program), *words, *argv[1:]], root.emulators[kind]


def not_in_time(*_arguments: object) -> None:
    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def close(number: int) -> None:
    try:
        os.close(number)
    except OSError:
        pass


def hand_over(channel: socket.socket) -> None:
    """Give the supervisor the descriptor by which it takes down what our emulators log, or say why there is none."""
    try:
        socket.send_fds(channel, [b"listener"], [tracer.hand_over()])
    except OSError as error:
        channel.send(str(error.errno or 0).encode())


def wait_to_be_traced(gate: socket.socket) -> None:
    try:
        execs.wait_to_be_taken(gate)
    except OSError as error:
        raise StepFailed(_("trace processes"), error.errno or 0) from None


def in_child(
    message: Message, fds: list[int], error_fd: int, channel: socket.socket | None, gate: socket.socket | None
) -> None:
    """Become the command. Never returns."""
    try:
        if gate is not None:
            wait_to_be_traced(gate)
        os.setsid()
        # Whatever of the target's is opened on the way may block: nobody else is served meanwhile.
        signal.signal(signal.SIGALRM, not_in_time)
        signal.alarm(PATIENCE_S)
        for number, fd in enumerate(fds[:3]):
            os.dup2(fd, number)
        if message.get("tty"):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        become_target_in_root()
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        limits = message["limits"]
        mb = 1 << 20
        # The emulator maps up to 1 GiB of translation buffer for itself; 2 GiB on top keep it out of the account.
        resource.setrlimit(resource.RLIMIT_DATA, ((limits["memory_mb"] + 2048) * mb,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_mb"] * mb,) * 2)
        resource.setrlimit(resource.RLIMIT_NPROC, (2 * limits["processes"] + 16,) * 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) not in (signal.SIG_DFL, None):  # what is ignored stays so across exec
                signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        try:
            os.chdir(message["cwd"])
        except FileNotFoundError:
            os.makedirs(message["cwd"])
            os.chdir(message["cwd"])
        argv = message["argv"]
        program: str | int = find_program(argv[0], message["env"].get("PATH", "/usr/bin:/bin"))
        if root.emulators and root.children != "binfmt_misc":
            argv, program = explicit(argv, str(program), "plain" if channel is None else "logging")
        if channel is not None:
            hand_over(channel)
        for number in range(3, 256):
            if number not in (error_fd, program):  # both are closed by execve
                close(number)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        confinement.install_filter(bytes.fromhex(config["filter" if gate is None else "traced_filter"]))
        os.execve(program, argv, message["env"])
    except StepFailed as error:
        os.write(error_fd, b"-" + json.dumps(told(error.step, error.number)).encode())
    except OSError as error:
        os.write(error_fd, str(error.errno).encode())
    except BaseException as error:
        os.write(error_fd, b"-" + json.dumps({"text": repr(error)[:200]}).encode())
    finally:
        os._exit(127)


def spawn(message: Message, fds: list[int]) -> None:
    error_r, error_w = os.pipe()
    ours, theirs = socket.socketpair() if len(fds) > 3 else (None, None)
    gate, inner = socket.socketpair() if tracing is not None else (None, None)
    if theirs is not None:
        root.logging(True)
    pid = os.fork()
    if pid == 0:
        if gate is not None:
            gate.close()
        in_child(message, fds, error_w, theirs, inner)
    command = Command(message, pid)
    os.close(error_w)
    if tracing is not None and gate is not None and inner is not None:
        inner.close()
        with gate, contextlib.suppress(OSError):  # the child is told by the end of the gate
            tracing.take(pid, gate, os.fsencode(message["argv"][0].rsplit("/", 1)[-1]))
    problem = problem_of(error_r)
    os.close(error_r)
    if ours is not None and theirs is not None:
        theirs.close()
        take_listener(command, ours, fds[3])
    if problem:
        wait_for(pid)
        end_trace(command)
        if problem.startswith(b"-"):
            reply({"id": command.id, "broken": json.loads(problem[1:])})
        else:
            reply({"id": command.id, "exec_errno": int(problem)})
        return
    commands[pid] = command


def problem_of(error_r: int) -> bytes:
    """What a child says of why it has not become the command; nothing if it has. It is traced meanwhile."""
    while error_r not in select.select([error_r, *woken[:1]], [], [])[0]:
        awake()
        gather()
    return os.read(error_r, 4096)  # one write of at most PIPE_BUF bytes (pipe(7))


def wait_for(pid: int) -> None:
    """Wait for the end of a child that is no command."""
    while pid not in ends and not gather() and pid not in ends:
        select.select(woken[:1], [], [], 0.1)
        awake()
    ends.pop(pid, None)


def awake() -> None:
    """Take the bytes that signals have written."""
    with contextlib.suppress(BlockingIOError):
        os.read(woken[0], 4096)


def gather() -> bool:
    """Take what wait(2) has to tell: a stop is answered at once, an end is kept. Returns whether there may be more."""
    for _turn in range(AT_ONCE):
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG | (execs.WALL if tracing is not None else 0))
        except ChildProcessError:
            return False
        if pid == 0:
            return False
        if tracing is None or not os.WIFSTOPPED(status):
            ends[pid] = (status, usage)
        else:
            tracing.stopped(pid, status)
            if tracing.escaped:
                tracing.escaped = 0
                for command in commands.values():
                    command.broken = _("a program got past the tracer and was killed")
        if tracing is not None and pid in ends:
            tracing.ended(pid)
    return True


def take_listener(command: Command, channel: socket.socket, out: int) -> None:
    """Take what ``hand_over`` gave; the log goes to the file ``out``."""
    with channel:
        said, listeners, _flags, _address = socket.recv_fds(channel, 256, 1)
    if listeners:
        command.tracer = tracer.Tracer(listeners[0], config["log"], os.dup(out))
        listening[listeners[0]] = command.tracer
        poll.register(listeners[0], select.POLLIN)
    else:
        command.untraced = told(_("install the filter of system calls"), int(said)) if said else _("it was not started")


def end_trace(command: Command) -> Message:
    """Finish a command's log; returns what the reply tells of it."""
    if command.tracer is None:
        return {"untraced": command.untraced} if command.untraced else {}
    stop_listening(command.tracer.listener)
    command.tracer.close()
    if not any(other.tracer for other in commands.values()):
        root.logging(False)
    return {"untraced": command.tracer.lost, "emulators": command.tracer.opened}


def stop_listening(listener: int) -> None:
    """The processes of a traced command have ended, or it has."""
    if listening.pop(listener, None) is not None:
        poll.unregister(listener)


def processes() -> dict[int, tuple[int, int, int]]:
    """Every process of the sandbox but ourselves: pid -> (parent, session, resident pages)."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
            if fields[0] != b"Z":
                found[int(name)] = (int(fields[1]), int(fields[3]), int(fields[21]))
        except (OSError, IndexError):
            continue
    return found


def leftovers_of(pid: int) -> list[int]:
    """What a command that has ended left running: nothing of any other command that still runs."""
    alive = processes()
    if not commands:
        return list(alive)
    sessions = set(commands)

    def belongs_to_live(number: int) -> bool:
        for _hop in range(64):
            if number in commands:
                return True
            if number not in alive:
                return False
            number = alive[number][0]
        return False

    return [
        p
        for p, (_parent, session, _pages) in alive.items()
        if session == pid or (session not in sessions and not belongs_to_live(p))
    ]


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end_all() -> None:
    """End whatever runs, and wait for it."""
    deadline = time.monotonic() + PATIENCE_S
    while alive := list(processes()):
        kill_all(alive)
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        gather()
        time.sleep(0.0005)


def reap() -> bool:
    """Answer for commands that have ended. Returns whether more may have happened."""
    more = gather()
    done = dict(ends)
    ends.clear()
    for pid, (status, usage) in done.items():
        command = commands.pop(pid, None)
        if command is not None:
            answer_for(command, status, usage)
    return more


def answer_for(command: Command, status: int, usage: resource.struct_rusage) -> None:
    wall = time.monotonic_ns() - command.started
    left = leftovers_of(command.pid)
    for _turn in range(20):
        kill_all(left)
        again = leftovers_of(command.pid)
        if not again:
            break
        left += [p for p in again if p not in left]
    traced = end_trace(command)
    if command.broken is not None:
        reply({"id": command.id, "broken": command.broken})
        return
    reply(
        {
            "id": command.id,
            "status": status,
            "wall_ns": wall,
            "left": len(left),
            "over": command.over,
            "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1000,
            "rss_kb": usage.ru_maxrss,
            **traced,
        }
    )


def watch() -> None:
    """Kill what is over its limits: an emulator's address space says nothing, so what is resident is counted."""
    if not commands:
        return
    alive = processes()
    used_mb = sum(pages for _parent, _session, pages in alive.values()) * resource.getpagesize() >> 20
    if not config["memory_group"]:
        used_mb += confinement.unmapped_mb(alive)
    for command in commands.values():
        if used_mb > command.memory_mb:
            limit = command.memory_mb
            command.over = _("memory: {used} MiB resident, limit {limit} MiB", used=used_mb, limit=limit)
        elif len(alive) > command.processes:
            limit = command.processes
            command.over = _("processes: {used} at once, limit {limit}", used=len(alive), limit=limit)
        if command.over:
            kill_all([command.pid, *leftovers_of(command.pid)])


def copy_in_child(message: Message, fd: int) -> None:
    """put or get, done as the target's user from inside its root, so that no link leads anywhere else."""
    error_r, error_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        number = errno.EIO
        try:
            signal.signal(signal.SIGALRM, not_in_time)
            signal.alarm(PATIENCE_S)
            become_target_in_root()
            os.chdir("/")
            copy(message, fd)
            number = 0
        except StepFailed as error:
            number = error.number
        except OSError as error:
            number = error.errno or number
        finally:
            os.write(error_w, str(number).encode())
            os._exit(0)
    os.close(error_w)
    problem = os.read(error_r, 16)
    os.close(error_r)
    os.waitpid(pid, 0)
    reply({"id": message["id"], "errno": int(problem or str(errno.EIO))})


def copy(message: Message, fd: int) -> None:
    """Copy between a file of the target and ``fd``: regular files only, and no more of one than a command may write."""
    path, putting = message["path"], message["op"] == "put"
    if putting:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    flags = os.O_CREAT | os.O_WRONLY if putting else os.O_RDONLY
    there = os.open(
        path, flags | os.O_NONBLOCK | os.O_NOCTTY, message.get("mode", 0)
    )  # a FIFO would wait for another side
    if not stat.S_ISREG(os.fstat(there).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if putting:
        os.ftruncate(there, 0)
        os.fchmod(there, message["mode"])
    elif os.fstat(there).st_size > message["most"]:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    source, target, left = (fd, there, 1 << 62) if putting else (there, fd, message["most"])
    while left > 0 and (data := os.read(source, min(1 << 20, left))):
        left -= len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]


def reply(message: Message) -> None:
    try:
        confinement.send(control, message)
    except OSError:
        os._exit(0)


def handle() -> None:
    message, fds = confinement.receive(control)
    if message is None:
        os._exit(0)
    try:
        match message["op"]:
            case "spawn":
                spawn(message, fds)
            case "kill":
                for command in [c for c in commands.values() if c.id == message["target"]]:
                    kill_all([command.pid, *leftovers_of(command.pid)])
            case "put" | "get":
                copy_in_child(message, fds[0])
            case "changes":
                reply({"id": message["id"], "paths": root.changes()[:1000]})
            case "reset":
                end_all()
                root.reset()
                reply({"id": message["id"]})
    except StepFailed as error:
        reply({"id": message["id"], "broken": told(error.step, error.number)})
    except OSError as error:
        reply({"id": message["id"], "broken": told({"text": message["op"]}, error.errno or 0)})
    finally:
        for fd in fds:
            os.close(fd)


def serve() -> None:
    """The loop of PID 1."""
    global root
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        confinement.leave_keyring()
        root = Root()
    except StepFailed as error:
        reply({"failed": error.step, "errno": error.number})
        os._exit(1)
    except OSError as error:
        reply({"failed": _("prepare {file}", file=str(error.filename)), "errno": error.errno or 0})
        os._exit(1)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_r, wake_w = woken
    signal.signal(signal.SIGCHLD, lambda *_arguments: None)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    reply(
        {
            "ready": True,
            "children": root.children,
            "missing": root.missing,
            "layer": "overlay" if root.copy is None else "copy",
            "copied": root.copied,
            "attributes": root.attributes("/root/xc"),
        }
    )
    poll.register(control, select.POLLIN)
    poll.register(wake_r, select.POLLIN)
    watched, more = 0.0, False
    while True:
        events = poll.poll(0 if more else POLL_MS if commands else 5000)
        for fd, event in events:
            if fd in listening:
                if event & select.POLLIN:
                    listening[fd].answer()
                else:
                    stop_listening(fd)
        if more or any(fd == wake_r for fd, _event in events):
            awake()
            more = reap()
        if any(fd == control.fileno() for fd, _event in events):
            handle()
            more = reap()
        if time.monotonic() - watched > POLL_MS / 1000:
            watch()
            watched = time.monotonic()


control = socket.socket(fileno=int(sys.argv[1]))
control.set_inheritable(False)
_received, _nothing = confinement.receive(control)
if _received is None:
    sys.exit(1)
config: Message = _received
commands: dict[int, Command] = {}
listening: dict[int, Any] = {}
"""Tracers by the descriptor on which their commands' calls are announced."""
poll = select.poll()
tracing: execs.Execs | None = None
"""What starts programs where no binfmt_misc does."""
ends: dict[int, tuple[int, resource.struct_rusage]] = {}
"""Processes that have ended and are not answered for yet: status and usage."""
woken: tuple[int, int] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
"""Where signals write a byte each."""
root: Root

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        enter_namespaces(config["network"])
        if config["loopback"]:
            raise_loopback()
    except StepFailed as error:
        reply({"failed": error.step, "errno": error.number})
        sys.exit(1)
    first = os.fork()
    if first == 0:
        serve()
    control.close()
    os.waitpid(first, 0)

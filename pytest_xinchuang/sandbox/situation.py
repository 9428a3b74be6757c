"""What hinders a sandbox on this host, and the one command or sentence that mends it here.

`tools/host.py` reads what host this is; here is what that means for sandboxes. A hindrance that is seen is no proof: only a
trial says that a way does not work, and then the hindrance says why.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from enum import StrEnum

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.sandbox.wall import calls, pinned
from pytest_xinchuang.tools.host import Ci, Container, Device, Situation, situation

OVERLAY_SINCE = (5, 11)
"""The first Linux whose overlayfs may be mounted in a user namespace (459c7c565ac3)."""
BINFMT_SINCE = (6, 7)
"""The first Linux that gives a user namespace a binfmt_misc of its own (21ca59b365c0)."""
CLONE3_SINCE = (20, 10, 10)
"""The first Docker Engine whose filter answers ENOSYS to clone3, so that libc takes clone (moby/moby#42681)."""
LEAST_MEMORY_MB = 1536
"""MiB that a sandbox needs with what it runs: 1024 by default (``Limits``), and as much again as its layer."""


class Hindrance(StrEnum):
    """What keeps a way to run target code from working, or from working whole."""

    MACHINE = "machine"
    """The rootless sandbox is not made for hosts of this architecture."""
    NO_NAMESPACES = "no-user-namespaces"
    """The kernel has none."""
    NONE_LEFT = "user-namespaces-used-up"
    """user.max_user_namespaces is zero, or as many are there."""
    FORBIDDEN = "user-namespaces-for-root-alone"
    """kernel.unprivileged_userns_clone is zero."""
    FILTERED = "system-calls-filtered"
    """A filter of system calls refuses namespaces or pivot_root, as containers have it by default."""
    OTHER_KERNEL = "kernel-in-user-mode"
    """gVisor: another kernel answers, which has not got what Linux has."""
    CONFINED = "apparmor-user-namespaces"
    """kernel.apparmor_restrict_unprivileged_userns: a user namespace has no capabilities."""
    UNMOUNTABLE = "mounts-refused"
    """A profile of AppArmor or a container refuses mounts."""
    MASKED = "proc-masked"
    """A part of /proc is covered, so that no new one may be mounted."""
    NO_OVERLAY = "no-overlay"
    """The kernel lets no user namespace mount an overlay: the writable layer is a copy."""
    NO_BINFMT = "no-private-binfmt"
    """The kernel gives no user namespace a binfmt_misc: a tracer catches the programs that programs start."""
    UNKNOWN = "unknown"
    MEMORY = "memory"
    CACHE_FULL = "cache-full"
    CACHE_READ_ONLY = "cache-read-only"
    DOCKER_MISSING = "docker-missing"
    DOCKER_STOPPED = "docker-stopped"
    DOCKER_DENIED = "docker-denied"
    DOCKER_OLD = "docker-old"
    KVM_ABSENT = "kvm-absent"
    KVM_DENIED = "kvm-denied"
    KVM_USELESS = "kvm-useless"
    """It can be opened, and makes no machine."""

    @property
    def word(self) -> Message:
        """What is wrong, for people."""
        return _WORDS[self]


_WORDS = {
    Hindrance.MACHINE: _("the rootless sandbox is not made for hosts of this architecture"),
    Hindrance.NO_NAMESPACES: _("the kernel has no user namespaces"),
    Hindrance.NONE_LEFT: _("user.max_user_namespaces allows no more user namespaces"),
    Hindrance.FORBIDDEN: _("kernel.unprivileged_userns_clone keeps user namespaces for root"),
    Hindrance.FILTERED: _("a filter of system calls (seccomp) refuses namespaces, as containers have it by default"),
    Hindrance.OTHER_KERNEL: _("gVisor answers system calls, and has not got what a Linux kernel has"),
    Hindrance.CONFINED: _("AppArmor takes the capabilities of unprivileged user namespaces away"),
    Hindrance.UNMOUNTABLE: _("mounts are refused, by a profile of AppArmor or by the container"),
    Hindrance.MASKED: _("parts of /proc are covered, so that a sandbox cannot have its own"),
    Hindrance.NO_OVERLAY: _("an overlay in a user namespace needs Linux 5.11"),
    Hindrance.NO_BINFMT: _("a binfmt_misc for each user namespace needs Linux 6.7"),
    Hindrance.UNKNOWN: _("the kernel refused it, and nothing that is seen of this host says why"),
    Hindrance.MEMORY: _("there is too little memory"),
    Hindrance.CACHE_FULL: _("there is too little room for the cache"),
    Hindrance.CACHE_READ_ONLY: _("the cache cannot be written"),
    Hindrance.DOCKER_MISSING: _("Docker Engine is not installed"),
    Hindrance.DOCKER_STOPPED: _("Docker Engine does not run"),
    Hindrance.DOCKER_DENIED: _("Docker Engine's socket may not be opened"),
    Hindrance.DOCKER_OLD: _("Docker Engine is too old"),
    Hindrance.KVM_ABSENT: _("/dev/kvm is not there"),
    Hindrance.KVM_DENIED: _("/dev/kvm may not be opened"),
    Hindrance.KVM_USELESS: _("/dev/kvm can be opened, but makes no machine"),
}

WITHOUT_EFFECT = frozenset({Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT})
"""What the rootless sandbox gets around by itself: by a copy, and by a tracer."""


def hindrances(host: Situation | None = None) -> tuple[Hindrance, ...]:
    """What is seen on a host that hinders the rootless sandbox, in the order in which it would be met."""
    host = host or situation()
    return tuple(each for each, seen in _SEEN.items() if seen(host))


def _filtered(host: Situation) -> bool:
    # Podman and LXC let their containers make namespaces; Docker's filter refuses pivot_root to CAP_SYS_ADMIN too.
    return host.seccomp > 0 and host.container not in (Container.PODMAN, Container.LXC)


_PROFILES = ("docker-default", "cri-containerd", "containers-default", "lxc-container-default", "k8s-")
"""Profiles of AppArmor that refuse mounts."""

_SEEN: dict[Hindrance, Callable[[Situation], bool]] = {
    Hindrance.MACHINE: lambda host: not (calls.supported(host.machine) and pinned.supported(host.machine)),
    Hindrance.OTHER_KERNEL: lambda host: host.container is Container.GVISOR,
    Hindrance.NO_NAMESPACES: lambda host: not host.user_namespaces,
    Hindrance.NONE_LEFT: lambda host: host.most_user_namespaces == 0,
    Hindrance.FORBIDDEN: lambda host: host.unprivileged == 0 and not host.privileged,
    Hindrance.FILTERED: _filtered,
    Hindrance.CONFINED: lambda host: host.apparmor_restricts and not host.privileged and "unconfined" in host.profile,
    Hindrance.UNMOUNTABLE: lambda host: host.profile.startswith(_PROFILES) and "(enforce)" in host.profile,
    Hindrance.MASKED: lambda host: bool(host.masked) and host.container is not Container.GVISOR,
    Hindrance.NO_OVERLAY: lambda host: host.kernel < OVERLAY_SINCE and host.distribution != "ubuntu",
    Hindrance.NO_BINFMT: lambda host: host.kernel < BINFMT_SINCE,
}

_STEPS: dict[str, dict[int, Hindrance] | Hindrance] = {
    "create a user namespace": {
        errno.ENOSPC: Hindrance.NONE_LEFT,
        errno.EUSERS: Hindrance.NONE_LEFT,
        errno.EINVAL: Hindrance.NO_NAMESPACES,
        errno.ENOSYS: Hindrance.NO_NAMESPACES,
    },
    "mount /proc": Hindrance.MASKED,
    "mount the target's /proc": Hindrance.MASKED,
    "mount the writable layer (overlay)": Hindrance.NO_OVERLAY,
    "mount a private binfmt_misc": Hindrance.NO_BINFMT,
    "register with binfmt_misc": Hindrance.NO_BINFMT,
    "make the sandbox the root": Hindrance.FILTERED,
    "make mounts private": Hindrance.UNMOUNTABLE,
    "mount a private tmpfs": Hindrance.UNMOUNTABLE,
    "show the root filesystem": Hindrance.UNMOUNTABLE,
}
"""A step of the sandbox's supervisor, by the id of its message -> what a refusal means, by errno where it depends on that."""

_OF_NAMESPACES = (Hindrance.NONE_LEFT, Hindrance.FORBIDDEN, Hindrance.FILTERED, Hindrance.CONFINED)


def why_refused(step: str, number: int, host: Situation | None = None) -> Hindrance:
    """Why the kernel has refused a step of the rootless sandbox.

    Args:
        step: the id of the step's message, as the supervisor sends it. number: errno.
    """
    seen = hindrances(host)
    meant = _STEPS.get(step, {})
    if isinstance(meant, dict):
        if number in meant:
            return meant[number]
        return next((each for each in _OF_NAMESPACES if each in seen), Hindrance.UNKNOWN)
    if meant is Hindrance.UNMOUNTABLE and Hindrance.CONFINED in seen:
        return Hindrance.CONFINED
    return meant


def hindrance_of_rootless(host: Situation | None = None) -> Hindrance:
    """What most likely keeps the rootless sandbox from starting, for whoever knows only that it does not."""
    return next((each for each in hindrances(host) if each not in WITHOUT_EFFECT), Hindrance.UNKNOWN)


def mend_for(hindrance: Hindrance, host: Situation | None = None) -> Message:
    """The one command or sentence that mends it on this host, or that nothing has to be done."""
    return _MENDS[hindrance](host or situation())


def mend_for_rootless(host: Situation | None = None) -> Message:
    """What makes the rootless sandbox start here, for whoever knows only that it does not."""
    return mend_for(hindrance_of_rootless(host), host)


def instead_of(backend: str, host: Situation | None = None) -> Message:
    """What decides on this host what a sandbox of ``backend`` leaves open, because it is not whole.

    Args:
        backend: as the fingerprint has it: "qemu", "qemu -L", "docker", "system" or "native".
    """
    host = host or situation()
    hindrance = hindrance_of_rootless(host)
    if hindrance is Hindrance.MACHINE or backend.startswith("qemu"):
        return mend_for(hindrance, host)
    if hindrance is Hindrance.UNKNOWN:
        return verbatim("--xc-backend=qemu")
    if backend == "system":
        return _("{mend}; then --xc-backend=qemu", mend=_WAYS_THROUGH[hindrance](host))
    return _SYSTEM


_SYSTEM = verbatim("--xc-backend=system")


def _or_system(through: Callable[[Situation], Message], host: Situation) -> Message:
    return _("{mend}; or --xc-backend=system, which asks nothing of the host", mend=through(host))


def _sysctl(setting: str) -> Callable[[Situation], Message]:
    def mend(host: Situation) -> Message:
        if host.container:
            there = verbatim(f"sudo sysctl -w {setting}")
            return _("on the machine that runs the container: {command}", command=there)
        return verbatim(host.as_root(f"sysctl -w {setting}"))

    return mend


def _restart_container(host: Situation) -> Message:
    """How the container is to be started so that sandboxes can be made in it."""
    options = ["seccomp=unconfined", "systempaths=unconfined"]
    if host.profile and "unconfined" not in host.profile:
        options.append("apparmor=unconfined")
    flags = " ".join(f"--security-opt {option}" for option in options)
    if host.container is Container.KUBERNETES:
        context = "securityContext: {seccompProfile: {type: Unconfined}, procMount: Unmasked}"
        return _(
            "in the pod: {users}, and in the container: {context}",
            users=verbatim("hostUsers: false"),
            context=verbatim(context),
        )
    if host.container is Container.PODMAN:
        return verbatim("podman run --security-opt seccomp=unconfined --security-opt unmask=ALL ...")
    if host.container is Container.LXC:
        return verbatim("`lxc config set CONTAINER security.nesting=true`")
    if host.ci is Ci.GITHUB:
        return _("in the job: {setting}", setting=verbatim(f'container: {{options: "{flags}"}}'))
    if host.ci is Ci.GITLAB:
        quoted = ", ".join(f'"{option}"' for option in options)
        return _(
            "in the runner's config.toml, [runners.docker]: {setting}", setting=verbatim(f"security_opt = [{quoted}]")
        )
    if host.container is Container.DOCKER:
        return verbatim(f"docker run {flags} ...")
    if host.container is Container.NONE:
        return _("start it outside of the service or sandbox that filters its system calls")
    return _("start the container without a filter of system calls and without masks over /proc")


def _docker_missing(host: Situation) -> Message:
    if host.container:
        return _(
            "start this container with {option}",
            option=verbatim("-v /var/run/docker.sock:/var/run/docker.sock"),
        )
    return verbatim(host.install("docker")) or _("install Docker Engine 20.10.10 or later")


def _docker_stopped(host: Situation) -> Message:
    if host.container:
        return _docker_missing(host)
    if host.systemd:
        return verbatim(host.as_root("systemctl start docker"))
    return verbatim(host.as_root("service docker start" if host.wsl else "dockerd &"))


def _kvm_absent(host: Situation) -> Message:
    if host.container is Container.KUBERNETES:
        return _("give the pod a device of a KVM plugin; nothing needs it")
    if host.container:
        return _("start this container with {option}", option=verbatim("--device /dev/kvm"))
    if host.wsl:
        return _("write {setting} into .wslconfig", setting=verbatim("[wsl2] nestedVirtualization=true"))
    return _("switch virtualization on in the firmware, or in the hypervisor")


def _kvm_denied(host: Situation) -> Message:
    if host.container:
        return _("start this container with {option}", option=verbatim("--group-add kvm"))
    return _("{command}, and log in again", command=verbatim(host.as_root("usermod -aG kvm $USER")))


def _memory(host: Situation) -> Message:
    if host.container is Container.KUBERNETES:
        return _("in the container: {setting}", setting=verbatim("resources: {limits: {memory: 2Gi}}"))
    if host.container in (Container.DOCKER, Container.PODMAN):
        return verbatim(f"{host.container} run --memory 2g ...")
    if host.wsl:
        return _("write {setting} into .wslconfig", setting=verbatim("[wsl2] memory=4GB"))
    return _("give this machine 2 GiB of memory, or run one platform at a time without -n")


def _machine(_host: Situation) -> Message:
    return _(
        "on a board: {option}; what is emulated needs an x86-64 or arm64 host", option=verbatim("--xc-backend=native")
    )


_WAYS_THROUGH: dict[Hindrance, Callable[[Situation], Message]] = {
    Hindrance.MACHINE: _machine,
    Hindrance.NO_NAMESPACES: lambda _host: _("boot a kernel that is built with CONFIG_USER_NS"),
    Hindrance.NONE_LEFT: _sysctl("user.max_user_namespaces=15000"),
    Hindrance.FORBIDDEN: _sysctl("kernel.unprivileged_userns_clone=1"),
    Hindrance.FILTERED: _restart_container,
    Hindrance.OTHER_KERNEL: lambda _host: _("run the container under runc instead of runsc"),
    Hindrance.CONFINED: _sysctl("kernel.apparmor_restrict_unprivileged_userns=0"),
    Hindrance.UNMOUNTABLE: _restart_container,
    Hindrance.MASKED: _restart_container,
}

_MENDS: dict[Hindrance, Callable[[Situation], Message]] = {
    **{each: functools.partial(_or_system, through) for each, through in _WAYS_THROUGH.items()},
    Hindrance.MACHINE: _machine,
    Hindrance.UNKNOWN: lambda _host: _SYSTEM,
    Hindrance.NO_OVERLAY: lambda _host: _("nothing has to be done: the writable layer is a copy"),
    Hindrance.NO_BINFMT: lambda _host: _("nothing has to be done: a tracer catches the programs that programs start"),
    Hindrance.MEMORY: _memory,
    Hindrance.CACHE_FULL: lambda _host: verbatim("export XC_CACHE=/a/directory/with/2/GiB"),
    Hindrance.CACHE_READ_ONLY: lambda _host: verbatim("export XC_CACHE=/a/directory/that/can/be/written"),
    Hindrance.DOCKER_MISSING: _docker_missing,
    Hindrance.DOCKER_STOPPED: _docker_stopped,
    Hindrance.DOCKER_DENIED: lambda host: _(
        "{command}, and log in again", command=verbatim(host.as_root("usermod -aG docker $USER"))
    ),
    Hindrance.DOCKER_OLD: lambda _host: _("install Docker 20.10.10 or later"),
    Hindrance.KVM_ABSENT: _kvm_absent,
    Hindrance.KVM_DENIED: _kvm_denied,
    Hindrance.KVM_USELESS: lambda host: _("switch nesting on") if host.kvm is Device.USABLE else _kvm_absent(host),
}

__all__ = [
    "Hindrance",
    "Situation",
    "hindrance_of_rootless",
    "hindrances",
    "instead_of",
    "mend_for",
    "mend_for_rootless",
    "situation",
    "why_refused",
]

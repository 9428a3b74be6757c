"""Root filesystems and emulators from a distribution's packages, without root rights and without running a script."""

from __future__ import annotations

import contextlib
import os
import platform as host
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import RootfsRecipe
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.provision.cache import Cache, remove_tree
from pytest_xinchuang.provision.places import in_tree
from pytest_xinchuang.tools.process import End, Runner, environment, first_line

TIMEOUT_S = 3600
"""Seconds for fetching and unpacking a root filesystem over a slow line."""
ANSWER_TIMEOUT_S = 120

EMULATOR_SUITE = "trixie"
"""Debian 13 has QEMU 10.0; LoongArch LSX needs at least 8.2, the Dhyana, YongFeng and la464 models 10.0."""

Builder = Callable[[Path], tuple[str, dict[str, str]]]

EMULATORS = ("qemu-aarch64", "qemu-loongarch64", "qemu-x86_64")

_UNNEEDED = (
    "dev",  # device nodes, which mmdebstrap makes as root alone: a sandbox has a /dev of its own
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "var/lib/apt",
    "var/cache",
    "usr/share/bug",
)

_MEND = _("sudo apt-get install mmdebstrap, or xc provision --offline DIR with an export made elsewhere")


def host_architecture() -> str:
    """Debian's name of the host's architecture.

    Raises:
        HostFault: a host for which Debian has no qemu-user that we know.
    """
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = host.machine()
    if machine not in known:
        raise HostFault(
            _("no emulator can be provisioned for a {machine} host; x86_64 and aarch64 are supported", machine=machine)
        )
    return known[machine]


def mirror(runner: Runner | None = None) -> str:
    """The package mirror: ``$XC_MIRROR``, else the first one that the host's apt uses.

    Raises:
        HostFault: the host has no apt, or apt knows no repository.
    """
    if given := os.environ.get("XC_MIRROR"):
        return given
    words = ["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI) $(RELEASE)"]
    done = (runner or Runner()).run(words, timeout_s=ANSWER_TIMEOUT_S)
    if not done.ok:
        raise HostFault(
            _("apt-get cannot be asked for a package mirror: {why}", why=done.told()),
            mend=_("export XC_MIRROR=<URL of a Debian mirror>"),
        )
    listing = done.text.splitlines()
    for line in listing:
        uri = line.partition(" ")[2].split(" ")[0]
        if "security" not in uri and "debian" in uri:
            return uri
    raise HostFault(
        _("apt knows no Debian repository on this host"),
        mend=_("export XC_MIRROR=<URL of a Debian mirror>"),
    )


def find_mmdebstrap(cache: Cache, runner: Runner | None = None) -> list[str]:
    """How to call mmdebstrap: the host's, or one unpacked from its package into the cache as an ordinary user.

    Raises:
        HostFault: it is not there and cannot be fetched.
    """
    if path := shutil.which("mmdebstrap"):
        return [path]
    entry = cache.make("tool", "mmdebstrap", "1", lambda tree: _fetch_package("mmdebstrap", tree, cache, runner))
    return ["perl", str(cache.tree("tool", entry.name) / "usr/bin/mmdebstrap")]


def _fetch_package(package: str, tree: Path, cache: Cache, runner: Runner | None) -> tuple[str, dict[str, str]]:
    for tool in ("apt-get", "dpkg-deb", "perl"):
        if shutil.which(tool) is None:
            raise HostFault(_("neither mmdebstrap nor {tool} is on this host", tool=tool), mend=_MEND)
    # An apt of our own: an ordinary user may not update the host's lists, and they may be empty.
    state = cache.root / "tmp" / f"apt-{os.getpid()}"
    remove_tree(state)
    (state / "lists/partial").mkdir(parents=True)
    (state / "archives/partial").mkdir(parents=True)
    options = [
        "-qq",
        "-o",
        f"Dir::State::lists={state}/lists",
        "-o",
        f"Dir::Cache={state}",
        "-o",
        "APT::Sandbox::User=root",
    ]
    try:
        run_tool(["apt-get", *options, "update"], _("fetch the package {package}", package=package), runner=runner)
        run_tool(
            ["apt-get", *options, "download", package], _("fetch the package {package}", package=package), state, runner
        )
        archive = next(state.glob(f"{package}_*.deb"), None)
        if archive is None:
            raise HostFault(_("apt-get downloaded no {package}", package=package), mend=_MEND)
        run_tool(["dpkg-deb", "-x", str(archive), str(tree)], _("unpack {file}", file=archive.name), runner=runner)
        return f"Debian package {archive.name}", {}
    finally:
        remove_tree(state)


def run_tool(argv: Sequence[str], doing: Message, cwd: Path | None = None, runner: Runner | None = None) -> str:
    """Run a tool that provisions; returns what it printed.

    Args:
        doing: what it is run for, after "could not".

    Raises:
        HostFault: it failed.
    """
    env = environment({"DEBIAN_FRONTEND": "noninteractive"})
    done = (runner or Runner()).run(argv, timeout_s=TIMEOUT_S, cwd=cwd, env=env)
    if done.end is not End.EXITED:
        raise HostFault(_("could not {do}: {why}", do=doing, why=done.told()), mend=_MEND)
    if not done.ok:
        lines = [line for line in done.errors.splitlines() if re.match(r"E:|dpkg|W: .*GPG|.*rror", line)]
        cause = lines[0] if lines else first_line(done.errors)
        raise HostFault(
            _("could not {do}: {why}", do=doing, why=cause),
            mend=_("check the network and `apt-get update`, then try again"),
        )
    return done.text


def bootstrap(
    cache: Cache,
    suite: str,
    architecture: str,
    packages: Sequence[str],
    target: Path,
    *,
    expired: bool = False,
    runner: Runner | None = None,
) -> None:
    argv = [
        *find_mmdebstrap(cache, runner),
        # chrootless writes files as the calling user; extract runs no maintainer script, so nothing is emulated.
        "--mode=chrootless",
        "--variant=extract",
        "--skip=check/qemu",
        f"--architectures={architecture}",
        f"--include={','.join(packages)}",
        "--format=directory",
        "--quiet",
    ]
    if expired:
        argv.append('--aptopt=Acquire::Check-Valid-Until "false"')
    target.rmdir()
    doing = _("make a root filesystem of Debian {suite} {arch}", suite=suite, arch=architecture)
    run_tool([*argv, suite, str(target), mirror(runner)], doing, runner=runner)


@contextlib.contextmanager
def unpacked_packages(
    cache: Cache,
    suite: str,
    architecture: str,
    packages: Sequence[str],
    *,
    expired: bool = False,
    runner: Runner | None = None,
) -> Iterator[Path]:
    """Packages with all that they need, unpacked into a directory that is gone afterwards: to take a few files out of."""
    scratch = cache.root / "tmp" / f"{packages[0]}-{architecture}-{os.getpid()}"
    remove_tree(scratch)
    scratch.mkdir()
    try:
        bootstrap(cache, suite, architecture, packages, scratch, expired=expired, runner=runner)
        yield scratch
    finally:
        remove_tree(scratch)


def build_rootfs(
    cache: Cache, recipe: RootfsRecipe, tree: Path, runner: Runner | None = None
) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with a root filesystem; returns its source and what was read off it."""
    bootstrap(cache, recipe.suite, recipe.arch, recipe.packages, tree, expired=recipe.expired_release, runner=runner)
    for name in _UNNEEDED:
        remove_tree(tree / name)
    for archive in tree.glob("usr/lib/*/*.a"):
        archive.unlink()
    _configure(tree)
    for name in ("proc", "dev", "sys", "run", "xc", ".xc", "tmp"):
        (tree / name).mkdir(exist_ok=True)
    facts = read_facts(tree)
    if facts.get("libc") != recipe.libc_version:
        raise HostFault(
            _(
                "Debian {suite} {arch} has glibc {get}, platforms.yaml says {libc_version}",
                suite=recipe.suite,
                arch=recipe.arch,
                get=facts.get("libc"),
                libc_version=recipe.libc_version,
            ),
            mend=_("correct libc_version of this root filesystem: verdicts compare with it"),
        )
    return f"Debian {recipe.suite} {recipe.arch}", facts


def _configure(tree: Path) -> None:
    """What maintainer scripts would have written: the few accounts, and the loader's cache.

    Links are made relative, set-id bits are dropped.
    """
    for directory, names, files in os.walk(tree):
        for name in names + files:
            path = Path(directory) / name
            # Outside of a chroot (`qemu -L`, a linker) an absolute link would lead into the host.
            if path.is_symlink():
                if (target := str(path.readlink())).startswith("/"):
                    path.unlink()
                    path.symlink_to(os.path.relpath(tree / target.lstrip("/"), directory))
            elif (mode := stat.S_IMODE(path.stat().st_mode)) & 0o6000:
                path.chmod(mode & 0o1777)
    (tree / "etc").mkdir(exist_ok=True)
    (tree / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nxc:x:1000:1000::/xc:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
    )
    # An empty cache: without one, `qemu -L` would find the host's, and the host's libraries by it.
    (tree / "etc/ld.so.cache").write_bytes(b"")
    (tree / "etc/group").write_text("root:x:0:\nxc:x:1000:\nnogroup:x:65534:\n")


def read_facts(tree: Path) -> dict[str, str]:
    """The glibc and OpenSSL versions, the machine (e_machine) and the name of a root filesystem, read from its files."""
    facts: dict[str, str] = {}
    for libc in _found(tree, "libc.so.6"):
        data = libc.read_bytes()
        found = re.search(rb"GNU C Library .*?version (\d+\.\d+)", data)
        if found:
            facts["libc"] = found.group(1).decode()
            facts["machine"] = str(int.from_bytes(data[18:20], "little"))
    for crypto in _found(tree, "libcrypto.so.*"):
        found = re.search(rb"OpenSSL (\d+\.\d+\.\d+[a-z]*) ", crypto.read_bytes())
        if found:
            facts["openssl"] = found.group(1).decode()
    if name := re.search(r'^PRETTY_NAME="?([^"\n]*)', read_os_release(tree), re.M):
        facts["name"] = name.group(1)
    return facts


def read_os_release(tree: Path) -> str:
    """The os-release of a root filesystem; empty where it has none (os-release(5): /etc first)."""
    found = in_tree(tree, "/etc/os-release") or in_tree(tree, "/usr/lib/os-release")
    return found.read_text(encoding="utf-8", errors="replace") if found else ""


def _found(tree: Path, pattern: str) -> Iterator[Path]:
    """The files of this name, each where links within the tree lead to."""
    for path in sorted(tree.glob(f"**/{pattern}")):
        if (file := in_tree(tree, str(path.relative_to(tree)))) is not None:
            yield file


def build_emulators(
    cache: Cache, tree: Path, mark: bytes, offset: int, runner: Runner | None = None
) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with static qemu programs, each with ``mark`` at ``offset`` of its ELF header."""
    with unpacked_packages(cache, EMULATOR_SUITE, host_architecture(), ["qemu-user"], runner=runner) as scratch:
        for name in EMULATORS:
            program = bytearray((scratch / "usr/bin" / name).read_bytes())
            program[offset : offset + len(mark)] = mark
            # qemu-aarch64 answers for /proc/cpuinfo by itself, with a model name that no such machine prints. Without a
            # file that it looks for, the sandbox's own is seen.
            program = program.replace(b"/proc/cpuinfo\0", b"/proc/cpuinf-\0")
            (tree / name).write_bytes(program)
            (tree / name).chmod(0o755)
    said = run_tool([str(tree / EMULATORS[0]), "--version"], _("ask qemu for its version"), runner=runner).splitlines()[
        0
    ]
    version = said.rpartition("version ")[2]
    return f"Debian {EMULATOR_SUITE} qemu-user", {"version": version}

"""Where a build runs in the guise of a machine: a copy of the tree, behind the wall, stand-ins before the host's programs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.builds.guise import SYSTEM_PROGRAMS, Guise, put_up, shown, zig_target
from pytest_xinchuang.advise.c.host import HostHeaders
from pytest_xinchuang.advise.tree import FOREIGN, SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, told, verbatim
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.jail import Sights

LARGEST_TREE = 2 << 30
"""Bytes of a tree that is copied."""
STEP_S = 300.0
"""Seconds for one step of a build: configure scripts of some hundred questions take a minute, and each asks a compiler."""
WARM_S = 300.0
"""Seconds in which zig makes the C library's parts for a target on a loaded machine."""
LARGEST_LOG = 80 << 20
"""Bytes of the log of calls: the stand-ins stop below it."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/alternatives", "/etc/ld.so.cache", "/etc/passwd",
           "/etc/group", "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf", "/etc/mime.types")  # fmt: skip
"""What of the host a build needs: its programs, and nothing of who uses it."""


_CONFIG_SITE = "cross_compiling=yes\n"
"""What configure scripts of Autoconf's read, also those that a makefile starts: no program of a guise is started, in that of
x86-64 neither (Autoconf manual, Site Defaults)."""


@dataclass(frozen=True)
class Step:
    """What one program of a build has said.

    Attributes:
        calls: what the stand-ins wrote down, in its order: ``t`` is what was called (cc, as, ld, uname, gone, started).
        lost: why it came to no end of its own: time, or output without a bound.
    """

    code: int
    stdout: str = ""
    stderr: str = ""
    calls: tuple[Mapping[str, Any], ...] = ()
    lost: Message = NOTHING

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.lost

    @property
    def unstarted(self) -> bool:
        """Whether it started a program that it had made for the machine, and that cannot run on this host."""
        return any(call.get("t") == "started" and call.get("c") for call in self.calls)


@dataclass
class Site:
    """A copy of a tree, and a guise.

    Attributes:
        copy: the copy's directory.
        headers: flags by which compilers find libraries' headers of this host.
    """

    tree: SourceTree
    guise: Guise
    work: Work
    place: Path
    zig: str
    cache: Path
    baseline: Triple
    headers: tuple[str, ...] = ()

    @property
    def copy(self) -> Path:
        return self.place / "tree"

    def step(
        self,
        argv: Sequence[str],
        *,
        within: str = "",
        tries: bool = False,
        env: Mapping[str, str] | None = None,
        seconds: float = STEP_S,
    ) -> Step:
        """Run a program of the build.

        Args:
            argv: its first word is a path of the host's, or one that begins with ``./`` and is the tree's own.
            within: the directory in the copy.
            tries: it tries things out: everything is compiled and linked.
        """
        state, tmp = self.place / "state", self.place / "tmp"
        log = state / "log"
        log.unlink(missing_ok=True)
        shims = put_up(
            self.place / "shims",
            self.guise,
            zig=self.zig,
            tree=self.copy,
            state=state,
            baseline=self.baseline,
            tries=tries,
            programs=SYSTEM_PROGRAMS,
            headers=self.headers,
        )
        program = Path(argv[0])
        own = (
            ()
            if program.is_relative_to("/usr") or program.is_relative_to(self.copy)
            else (program.resolve().parent.parent,)
        )
        whole = {
            "PATH": f"{shims}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(tmp),
            "TMPDIR": str(tmp),
            "LC_ALL": "C",
            "TZ": "UTC",
            "ZIG_GLOBAL_CACHE_DIR": str(self.cache),
            "ZIG_LOCAL_CACHE_DIR": str(tmp / "zig"),
            "CONFIG_SITE": str(state / "config.site"),
            "PYTHONPATH": str(self.place / "shims" / "python"),
            # bash takes over what is there already (bash manual, Bash Variables).
            "HOSTTYPE": self.guise.uname,
            "MACHTYPE": self.guise.triple.gnu,
            **(env or {}),
        }
        sights = Sights(
            (
                *(Path(name) for name in _SYSTEM),
                *shown(self.zig),
                *own,
                self.place / "shims",
                *map(Path, self.headers[1::2]),
            ),
            (self.copy, state, tmp),
            {self.cache: self.place / "above"},
            {Path("/proc/cpuinfo"): self.place / "cpuinfo"} if self.guise.cpuinfo else {},
        )
        try:
            done = self.work.jail.run(
                argv,
                sights,
                scratch=self.place / "jail",
                cwd=self.copy / within,
                env=whole,
                timeout_s=self.work.budget.within(seconds),
            ).finished
        except XcError as fault:
            return Step(-1, calls=_calls(log), lost=fault.what)
        return Step(done.code or 0, self.plain(done.text), self.plain(done.errors), _calls(log))

    def plain(self, text: str) -> str:
        """A text with the names that files have in the tree, in place of the copy's."""
        return text.replace(f"{self.copy}/", "").replace(str(self.copy), ".")


def together(argv: list[str]) -> list[str]:
    """Have both outputs of a program in one, in the order in which they were written."""
    return ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", *argv]


def _calls(log: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        with log.open("rb") as file:
            lines = file.read(LARGEST_LOG).splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            call = json.loads(line)
        except ValueError:
            continue  # the tree's own programs may write there too
        if isinstance(call, dict):
            found.append(call)
    return tuple(found)


def open_site(
    tree: SourceTree, guise: Guise, work: Work, place: Path, baseline: Triple, *, compiles: bool = True
) -> Site:
    """Copy the tree and have zig make what every program of the guise needs, where programs are compiled.

    Raises:
        XcError: there is no zig, or no room, or the tree is too large.
    """
    zig = find_zig()
    cache = (work.kept or work.scratch) / "zig"
    try:
        for name in ("state", "tmp", "jail", "above", "shims/python"):
            (place / name).mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        (place / "state/config.site").write_text(_CONFIG_SITE, encoding="ascii")
        (place / "shims/python/sitecustomize.py").write_text(guise.python, encoding="utf-8")
        # Builds look into it for what uname does not tell.
        (place / "cpuinfo").write_text(guise.cpuinfo, encoding="utf-8")
        size = sum((tree.root / name).stat().st_size for name in tree.files)
        if size > LARGEST_TREE:
            raise ToolchainFault(_("the tree has {mib} MiB, more than is copied for a build", mib=size >> 20))
        shutil.copytree(
            tree.root, place / "tree", symlinks=True, ignore=shutil.ignore_patterns(*FOREIGN), dirs_exist_ok=True
        )
        _writable(place / "tree")
    except (OSError, shutil.Error) as error:
        why = system_error(error) if isinstance(error, OSError) and error.strerror else told(error)
        raise ToolchainFault(_("the tree could not be copied for a build: {why}", why=why)) from error
    headers = HostHeaders(work.scratch, Path(zig).resolve().parent / "lib").words()
    site = Site(tree, guise, work, place, zig, cache, baseline, headers)
    if compiles:
        _warm(site)
    return site


def _writable(root: Path) -> None:
    """What is copied may be written to, as a build expects."""
    for directory, _below, names in os.walk(root):
        Path(directory).chmod(0o755)
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o600)


def _warm(site: Site) -> None:
    """Have zig make a target's start files and C library of a program of our own, and an object of nothing."""
    source = site.place / "tmp" / "own.c"
    source.write_text("int main(void) { return 0; }\n", encoding="ascii")
    nothing = site.place / "tmp" / "nothing.c"
    nothing.touch()
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(source.parent),
        "TMPDIR": str(source.parent),
        "LC_ALL": "C",
        "ZIG_GLOBAL_CACHE_DIR": str(site.cache),
        "ZIG_LOCAL_CACHE_DIR": str(source.parent / "zig"),
    }
    plain = [site.zig, "cc", "-target", zig_target(site.guise), "-O2", "-s"]
    mark = site.cache / "xc-warm" / zig_target(site.guise)
    words = [[*plain, "-c", str(nothing), "-o", str(site.place / "state" / "empty.o")]]
    if not mark.exists():
        words.append([*plain, str(source), "-lm", "-lpthread", "-o", str(source.parent / "own")])
    for argv in words:
        done = site.work.jail.run(
            argv,
            Sights(shown(site.zig), (site.place / "state", source.parent, site.cache)),
            scratch=site.place / "jail",
            cwd=source.parent,
            env=env,
            timeout_s=WARM_S,
        ).finished
        if not done.ok:
            raise ToolchainFault(
                _(
                    "zig makes nothing for {target}: {why}",
                    target=zig_target(site.guise),
                    why=verbatim(done.errors[-300:]),
                )
            )
    mark.parent.mkdir(exist_ok=True)
    mark.touch()

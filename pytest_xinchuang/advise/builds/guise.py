"""What a build sees of the machine that it believes to run on: what names it, its compilers, and a log of their calls."""

from __future__ import annotations

import functools
import marshal
import platform as host
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.sandbox.circumstances import cpuinfo_of

STAND_IN = Path(__file__).with_name("stand_in.py")
SYSTEM_PROGRAMS = (Path("/usr/bin"), Path("/bin"), Path("/usr/local/bin"))

_COMPILERS = {
    "cc": False, "gcc": False, "clang": False, "c89": False, "c99": False, "c++": True, "g++": True, "clang++": True,
}  # fmt: skip
"""Name -> whether it takes what it is given for C++."""
_TOOLS = {
    "ar": "ar", "gcc-ar": "ar", "llvm-ar": "ar", "ranlib": "ranlib", "gcc-ranlib": "ranlib", "llvm-ranlib": "ranlib",
    "strip": "strip", "llvm-strip": "strip", "as": "as", "ld": "ld", "ld.bfd": "ld", "ld.gold": "ld", "ld.lld": "ld",
    "gold": "ld", "objcopy": "objcopy", "llvm-objcopy": "objcopy", "nm": "reads", "objdump": "reads", "readelf": "reads",
    "size": "reads",
}  # fmt: skip
_MACHINE = {
    "uname": "uname", "arch": "arch", "dpkg": "package", "dpkg-architecture": "package", "rpm": "package", "getconf": "getconf",
    "lscpu": "lscpu",
}  # fmt: skip
_OF_A_TOOL_CHAIN = re.compile(
    r"(?P<triplet>[a-z0-9_]+-(?:[a-z0-9]+-)?linux-(?:gnu|musl)[a-z0-9]*-)?"
    r"(?P<name>cc|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|gcc-ar|gcc-ranlib|ar|ranlib|strip|as|ld|ld\.bfd|ld\.gold|objcopy|nm|objdump|readelf|size)"
    r"(?P<version>-[0-9.]+)?"
)
"""How Debian and Red Hat name the programs of a tool chain."""


@dataclass(frozen=True)
class Guise:
    """A machine, as far as a build can ask for it.

    Attributes:
        kernel: what ``uname -r`` prints.
        page: bytes of a page; 0: the host's.
        cpuinfo: what ``/proc/cpuinfo`` says; "": what the host's does.
        foreign: it is no x86-64, so that tool chains for x86-64 under their own names are not there.
    """

    triple: Triple
    kernel: str
    deb: str
    rpm: str
    page: int = 0
    cpuinfo: str = ""

    @property
    def python(self) -> str:
        """What has Python answer as the machine (Python library, site: sitecustomize)."""
        return (
            "import os\n_real = os.uname()\n"
            f"os.uname = lambda: os.uname_result((_real[0], _real[1], {self.kernel!r}, _real[3], {self.uname!r}))\n"
        )

    @property
    def uname(self) -> str:
        return self.triple.architecture.uname

    @property
    def foreign(self) -> bool:
        return self.uname != host.machine()

    @property
    def key(self) -> list[str]:
        """What tells two apart, for what is kept between runs."""
        return [self.triple.zig, self.uname, self.kernel, self.deb, self.rpm, str(self.page), self.cpuinfo]


def guise_of(platform: Platform, triple: Triple) -> Guise:
    """That of a platform."""
    page = platform.page_size
    return Guise(
        triple,
        kernel=_release(platform.system.kernel.value or "5.10"),
        deb=platform.package_arch("deb"),
        rpm=platform.package_arch("rpm"),
        page=(page.value if page is not None else None) or 0,
        cpuinfo=cpuinfo_of(platform),
    )


def _release(version: str) -> str:
    """What ``uname -r`` prints for a kernel's version: it has three numbers at least."""
    return version + ".0" * max(0, 2 - version.count("."))


def guise_of_baseline(triple: Triple) -> Guise:
    """That of the x86-64 which everything is compared with."""
    names = triple.architecture.names
    return Guise(triple, kernel="5.10.0", deb=names.get("deb", ""), rpm=names.get("rpm", ""))


def shown(zig: str) -> tuple[Path, ...]:
    """What the stand-ins are made of: they need Python, and zig."""
    python = Path(sys.executable).resolve()
    return (Path(sys.base_prefix), python.parent, Path(zig).parent, Path(zig).resolve().parent)


def put_up(
    place: Path,
    guise: Guise,
    *,
    zig: str,
    tree: Path,
    state: Path,
    baseline: Triple,
    tries: bool,
    programs: Iterable[Path],
    headers: Sequence[str] = (),
) -> Path:
    """Make a directory of stand-ins in ``place``; returns the one for PATH.

    Args:
        tree: the copy in which the build runs.
        state: where the stand-ins write.
        tries: this step tries things out: everything is compiled.
        headers: flags by which libraries' headers of this host are found.
        programs: directories of the host's programs: all tool chains that stand there are stood before.
    """
    shims = place / "bin"
    shims.mkdir(parents=True, exist_ok=True)
    script = place / "stand-in"
    for name, code in _code().items():
        (place / f"{name}.code").write_bytes(code)
    starts = (
        f"import marshal\nwith open({str(place / 'stand-in.code')!r}, 'rb') as file:\n    exec(marshal.load(file))\n"
    )
    script.write_text(f"#!{Path(sys.executable).resolve()} -IS\n{starts}", encoding="utf-8")
    script.chmod(0o755)
    kinds, cxx = _programs(guise, programs)
    for name in kinds:
        link = shims / name
        if not link.is_symlink():
            link.symlink_to("../stand-in")
    data = {
        "uname": guise.uname,
        "kernel": guise.kernel,
        "deb": guise.deb,
        "rpm": guise.rpm,
        "page": guise.page,
        "gnu": guise.triple.gnu,
        "zig": zig,
        "zig_target": zig_target(guise),
        "clang": guise.triple.zig.partition(".")[0],
        "other": baseline.zig.partition(".")[0],
        "host": not guise.foreign,
        "host_target": host_target(),
        "programs": kinds,
        "cxx": cxx,
        "tree": str(tree),
        "state": str(state),
        "log": str(state / "log"),
        "object": str(state / "empty.o"),
        "tries": tries,
        "headers": list(headers),
        "libraries": [str(place) for place in library_places()],
    }
    (place / "guise").write_bytes(marshal.dumps(data))
    return shims


@functools.cache
def _code() -> dict[str, bytes]:
    """The stand-in and its parts, compiled: what is started some thousand times is not compiled as often."""
    sources = (STAND_IN, *sorted(STAND_IN.parent.glob("stand_in_*.py")))
    return {
        source.stem.removeprefix("stand_in_").replace("_", "-"): marshal.dumps(
            compile(source.read_bytes(), str(source), "exec", dont_inherit=True)
        )
        for source in sources
    }


def library_places() -> tuple[Path, ...]:
    """Directories in which this host keeps libraries for its own programs."""
    own = f"{host.machine()}-linux-gnu"
    names = (f"/usr/lib/{own}", f"/lib/{own}", "/usr/lib64", "/usr/local/lib", "/usr/lib")
    return tuple(place for name in names if (place := Path(name)).is_dir())


def _programs(guise: Guise, programs: Iterable[Path]) -> tuple[dict[str, str], dict[str, bool]]:
    """The stand-ins: name -> what it does, and which of the compilers are for C++."""
    kinds = {**dict.fromkeys(_COMPILERS, "cc"), **_TOOLS, **_MACHINE, "xc-started": "started"}
    cxx = dict(_COMPILERS)
    for name in (*_COMPILERS, *_TOOLS):
        kinds[f"{guise.triple.gnu}-{name}"] = kinds[name]
        cxx[f"{guise.triple.gnu}-{name}"] = cxx.get(name, False)
    for name in _names_in(programs):
        found = _OF_A_TOOL_CHAIN.fullmatch(name)
        if found is None or name in kinds:
            continue
        triplet, tool = (found["triplet"] or "").rstrip("-"), found["name"]
        there = not triplet or triplet == guise.triple.gnu
        kinds[name] = kinds.get(tool, "cc") if there else "gone"
        cxx[name] = "++" in tool
    return kinds, cxx


def _names_in(directories: Iterable[Path]) -> Sequence[str]:
    found: set[str] = set()
    for directory in directories:
        if directory.is_dir():
            found.update(path.name for path in directory.iterdir())
    return sorted(found)


def host_target() -> str:
    """What zig compiles for when a program shall run on this host."""
    kind, version = host.libc_ver()
    libc = f"gnu.{version}" if kind == "glibc" and version else "musl"
    return f"{host.machine()}-linux-{libc}"


def zig_target(guise: Guise) -> str:
    """zig's target; where programs of the guise run on this host, its libc is none that the host has not."""
    if guise.foreign or guise.triple.libc != "glibc":
        return guise.triple.zig
    kind, version = host.libc_ver()
    wanted = guise.triple.libc_version
    if kind == "glibc" and version and (not wanted or version_key(version) < version_key(wanted)):
        return f"{guise.triple.architecture.zig}.{version}"
    return guise.triple.zig

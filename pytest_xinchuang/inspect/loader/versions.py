"""The symbol versions of the libraries that every system has, by what platforms.yaml knows of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.elf import version_key

GLIBC_LIBRARIES = (
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libBrokenLocale.so.1",
    "libthread_db.so.1",
    "libnss_files.so.2",
    "libnss_dns.so.2",
)
LOADER = re.compile(r"ld-linux.*\.so\.\d|ld\.so\.1|ld64\.so\.\d")

# Markers without a function: the machine that alone has them, the release of glibc that came with them, and the oldest
# whose stable branch was given them.
MARKERS: Mapping[str, tuple[str, tuple[int, int], tuple[int, int]]] = {
    "GLIBC_ABI_DT_RELR": ("", (2, 36), (2, 36)),
    "GLIBC_ABI_GNU2_TLS": ("EM_X86_64", (2, 43), (2, 38)),
    "GLIBC_ABI_GNU_TLS": ("EM_386", (2, 43), (2, 38)),
    "GLIBC_ABI_DT_X86_64_PLT": ("EM_X86_64", (2, 43), (2, 33)),
}

# libstdc++'s manual, "ABI Policy and Guidelines": GLIBCXX -> the major releases of GCC that have it as their last.
_GCC_OF = {
    "3.4.20": (4, 4),
    "3.4.21": (5, 5),
    "3.4.22": (6, 6),
    "3.4.23": (7, 7),
    "3.4.24": (7, 7),
    "3.4.25": (8, 8),
    "3.4.26": (9, 9),
    "3.4.27": (9, 9),
    "3.4.28": (9, 10),
    "3.4.29": (11, 11),
    "3.4.30": (12, 12),
    "3.4.31": (13, 13),
    "3.4.32": (13, 13),
    "3.4.33": (14, 14),
    "3.4.34": (15, 15),
}
_OLDEST_GCC = 4

# The version scripts of libgomp and libatomic: GCC's major release -> the last of each family.
_GOMP = {4: "4.0", 5: "4.0.1", 6: "4.5", 9: "5.0", 10: "5.0.1", 12: "5.1", 13: "5.1.1", 14: "5.1.2", 15: "6.0"}
_OMP = {4: "4.0", 6: "4.5", 9: "5.0", 11: "5.0.2", 12: "5.1", 14: "5.2"}
_GOACC = {5: "2.0", 7: "2.0.1"}
_OACC = {5: "2.0", 7: "2.0.1", 8: "2.5", 9: "2.5.1", 10: "2.6"}
_LIBATOMIC = {4: "1.1", 5: "1.2", 15: "1.3"}

Number = tuple[int, ...]
_WORD = re.compile(r"([A-Za-z]+[0-9]*?)_([0-9][0-9._]*)([a-z]?)")


def split(version: str) -> tuple[str, Number | None]:
    """``OPENSSL_1_1_1d`` as ("OPENSSL", (1, 1, 1, 4)); no number where the rest is none (``GLIBC_PRIVATE``)."""
    found = _WORD.fullmatch(version)
    if found is None:
        return version.partition("_")[0], None
    number = version_key(found.group(2).replace("_", "."))
    return found.group(1), (*number, ord(found.group(3)) - ord("a") + 1) if found.group(3) else number


@dataclass(frozen=True)
class Reach:
    """How far a family of versions goes in a library. None: not known.

    Attributes:
        sure: every version up to this one is there.
        most: no version above it is.
        least: no version below it is, in any release.
    """

    sure: Number | None = None
    most: Number | None = None
    least: Number | None = None

    def has(self, number: Number) -> bool | None:
        if self.least is not None and number < self.least:
            return False
        if self.sure is not None and number <= self.sure:
            return True
        return False if self.most is not None and number > self.most else None


@dataclass(frozen=True)
class Library:
    """A library of a platform.

    Attributes:
        versions: the symbol versions that it defines, where they were read from the library itself.
        installed: whether it is there; None: not known.
        families: how far its families go, by facts; a family that is not here is not known.
        closed: it has no family but these.
        markers: single versions that are known to be there or not.
    """

    soname: str
    versions: frozenset[str] | None = None
    installed: bool | None = True
    families: Mapping[str, Reach] = field(default_factory=dict)
    closed: bool = False
    markers: Mapping[str, bool | None] = field(default_factory=dict)

    def never(self, version: str) -> bool:
        """Whether no release of it ever defined a version: what the family began with came after it."""
        family, number = split(version)
        least = self.families[family].least if family in self.families and self.versions is None else None
        return least is not None and number is not None and number < least

    def has(self, version: str) -> bool | None:
        """Whether it defines a version; None: not known."""
        if self.versions is not None:
            # A library without versions satisfies every need (glibc, dl-version.c).
            return not self.versions or version in self.versions
        if version in self.markers:
            return self.markers[version]
        family, number = split(version)
        if family not in self.families:
            return False if self.closed and number is not None else None
        return self.families[family].has(number) if number is not None else None


def by_facts(platform: Platform) -> dict[str, Library]:
    """The libraries that a platform has by its facts: those of libc, of GCC, OpenSSL's and zlib."""
    found: dict[str, Library] = {}
    system = platform.system
    if system.libc == "glibc":
        found |= _glibc(version_key(system.libc_version.value) if system.libc_version.value else None, platform)
        found |= _gcc(system.glibcxx_max.value)
    found |= _openssl(system.openssl.value)
    # Package managers of both kinds are linked with it; 1.2.8 of Ubuntu 16.04 is the oldest that a platform descends from.
    # Distributions of glibc 2.28 (August 2018) have zlib 1.2.11 (January 2017): Debian 10, RHEL 8, openEuler 20.03.
    libc = system.libc_version.value
    recent = system.libc == "glibc" and libc is not None and version_key(libc) >= (2, 28)
    zlib = Reach(sure=(1, 2, 9) if recent else (1, 2, 7, 1))
    found["libz.so.1"] = Library("libz.so.1", families={"ZLIB": zlib}, closed=True)
    return found


def _glibc(release: Number | None, platform: Platform) -> dict[str, Library]:
    base = version_key(platform.architecture.libc_base)
    reach = Reach(sure=release or base, most=release, least=base)
    marks: dict[str, bool | None] = {}
    for mark, (machine, since, branch) in MARKERS.items():
        if machine not in ("", platform.architecture.elf_machine):
            marks[mark] = False
        else:
            known = release is not None and (release >= since or release < branch)
            marks[mark] = (release is not None and release >= since) if known else None
    names = (
        *GLIBC_LIBRARIES,
        *(i.rpartition("/")[2] for group in platform.architecture.interpreters.values() for i in group),
    )
    libraries = {name: Library(name, families={"GLIBC": reach}, closed=True, markers=marks) for name in names}
    # Elsewhere since glibc split them off: what they have goes by their own releases.
    libraries["libcrypt.so.1"] = Library("libcrypt.so.1", installed=None, families={"GLIBC": Reach(sure=base)})
    libraries["libnsl.so.1"] = Library("libnsl.so.1", installed=None, families={"GLIBC": reach}, closed=True)
    return libraries


def _gcc(glibcxx: str | None) -> dict[str, Library]:
    least, most = _GCC_OF.get(glibcxx or "", (_OLDEST_GCC, None))

    def last(table: Mapping[int, str]) -> Reach:
        def at(major: int) -> Number:
            return version_key(next((v for g, v in sorted(table.items(), reverse=True) if g <= major), "0"))

        return Reach(at(least), at(most) if most is not None else None)

    own = Reach((least, 99), (most, 99) if most is not None else None)
    cxx = version_key(glibcxx) if glibcxx else None
    # GCC 4.7 and, on x86-64, 5.1: versions without a number.
    words = {"CXXABI_TM_1": True, "CXXABI_FLOAT128": True if least >= 5 else None}
    return {
        "libgcc_s.so.1": Library("libgcc_s.so.1", families={"GCC": own}),
        "libstdc++.so.6": Library(
            "libstdc++.so.6", families={"GLIBCXX": Reach(cxx, cxx), "CXXABI": Reach((1, 3))}, markers=words
        ),
        "libgomp.so.1": Library(
            "libgomp.so.1",
            installed=None,
            families={"GOMP": last(_GOMP), "OMP": last(_OMP), "GOACC": last(_GOACC), "OACC": last(_OACC)},
        ),
        "libatomic.so.1": Library("libatomic.so.1", installed=None, families={"LIBATOMIC": last(_LIBATOMIC)}),
    }


def _openssl(release: str | None) -> dict[str, Library]:
    """A soname bounds the versions by itself: no libcrypto.so.1.1 has OPENSSL_3.0.0, and no libcrypto.so.3 OPENSSL_1_1_0
    (util/libcrypto.num and util/libssl.num of OpenSSL 1.1.1 and 3.0)."""
    found = {}
    for soname, series, end in (("1.1", (1, 1), (1, 1, 1, 99)), ("3", (3,), (3, 99))):
        reach = Reach(most=end, least=series)
        mine = _openssl_reach(release, series)
        for name in (f"libssl.so.{soname}", f"libcrypto.so.{soname}"):
            installed = True if mine is not None else None
            found[name] = Library(name, installed=installed, families={"OPENSSL": mine or reach}, closed=True)
    return found


def _openssl_reach(release: str | None, series: Number) -> Reach | None:
    parts = re.fullmatch(r"([0-9.]+)([a-z]?)", release or "")
    if parts is None or (number := version_key(parts.group(1)))[: len(series)] != series:
        return None
    if parts.group(2):
        number = (*number, ord(parts.group(2)) - ord("a") + 1)
    # A release that is given in part, as 1.1.1 or 3.0, says nothing of what comes behind it.
    whole = bool(parts.group(2)) or (series == (3,) and len(number) > 2)
    return Reach(number, number, series) if whole else Reach((*number, 0), (*number, 99), series)

"""Source packages of Debian's, fetched once into the cache: what builds on arm64 and loong64 there, and what is for x86 alone.

.venv/bin/python -m bench.sources pick    choose them anew from the archive's indexes, and write bench/sources.yaml
"""

from __future__ import annotations

import itertools
import json
import lzma
import random
import re
import sys
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish

LIST = Path(__file__).with_name("sources.yaml")
SUITES = ("trixie", "bookworm")
"""Those whose archives are looked at, the first one that has them."""
TRUTH_SUITE = "forky"
"""The suite that says for what a package builds: the first that has loong64."""
ARCHES = ("amd64", "arm64", "loong64")

NAMED = (
    "libzstd", "redis", "snappy", "simdjson", "leveldb", "libyuv", "xxhash", "lz4", "pigz", "htop", "gron", "rust-ring",
    "golang-github-minio-sha256-simd", "jansi", "jffi", "lz4-java", "node-modern-syslog", "node-sqlite3", "python-xxhash",
    "python-levenshtein", "python-blosc", "i7z",
)  # fmt: skip
"""Trees that are looked at by name: C, C++, Go, Rust, Java, Node, Python."""

SEED = 20261130
RANDOM = 12
"""So many at random, and at most three times as many that are x86's by their maintainers' word: some build elsewhere."""
LEAST, MOST = 3_000, 1_500_000
"""Bytes of a source archive that is chosen at random."""

_USUAL = re.compile(
    r"debhelper|dh-|cmake|meson|ninja|autoconf|automake|libtool|pkg(conf|-config)|python3|bison|flex|gettext|help2man|txt2man|gcc|g\+\+"
    r"|perl|cython|golang|dpkg-dev|autotools|default-jdk|nodejs"
)
"""Packages that most machines have: what needs others beside them is not chosen at random, for its headers are not here."""

OF_X86 = (
    "zlib1g-dev", "libncurses-dev", "libpci-dev", "libx86-dev", "libnuma-dev", "libssl-dev", "libjson-c-dev", "libelf-dev",
    "uuid-dev", "libkeyutils-dev", "libcap-dev", "libgmp-dev", "libgsl-dev", "libfuse3-dev", "libdrm-dev", "libsdl2-dev",
    "libmupen64plus-dev", "libgl-dev", "libpng-dev", "libfreetype-dev", "libsimde-dev",
)  # fmt: skip
"""Packages that the benchmark's machine has beside the usual ones, for what is x86's alone: few of those need no library."""
_OF_X86 = re.compile(
    rf"{'|'.join(re.escape(name) for name in OF_X86)}|nasm|yasm|asciidoc|xmlto|pandoc|quilt|cdbs|libncurses5-dev|libz-dev"
    r"|libgles2|libx11-dev|systemd-dev|uuid|libsystemd-dev|libglu|gcc-multilib|libc6-dev-i386"
)
ARCHES_OF_X86 = frozenset({"amd64", "i386", "x32", "any-amd64", "any-i386", "linux-amd64", "linux-i386", "all"})
"""What ``Architecture`` names where a package is x86's by its maintainer's word, and not for want of a build."""

_ARCHIVE = re.compile(r"\.tar\.(gz|xz|bz2)$")


@dataclass(frozen=True)
class Source:
    """A source package.

    Attributes:
        path: its archive below the root of Debian's.
        why: "named", "random", or "x86" for one of those that Debian builds for x86 alone.
        builds: the architectures, by Debian's names, for which Debian builds it.
    """

    name: str
    version: str
    path: str
    size: int
    sha256: str
    why: str
    builds: tuple[str, ...]


def declared() -> list[Source]:
    """Those of ``bench/sources.yaml``."""
    data = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return [Source(**{**entry, "builds": tuple(entry["builds"])}) for entry in data["sources"]]


def unpacked(source: Source, cache: Cache) -> Path:
    """The directory of its sources.

    Raises:
        HostFault: it cannot be had.
    """
    place = cache.root / "sources" / source.sha256
    with cache.lock(f"source-{source.sha256[:16]}"):
        if not place.is_dir():
            urls = tuple(f"{mirror.rstrip('/')}/{source.path}" for mirror in Mirrors.of_the_environment().mirrors)
            (archive,) = Downloads(cache.root / "downloads").all([Wish(urls, source.size, source.sha256)])
            part = place.with_suffix(".part")
            part.mkdir(parents=True, exist_ok=True)
            try:
                with tarfile.open(archive) as tar:
                    tar.extractall(part, filter="data")
            except (tarfile.TarError, OSError) as error:
                raise HostFault(f"{source.name}: {error}") from error
            part.rename(place)
    inside = [path for path in place.iterdir() if path.is_dir()]
    return inside[0] if len(inside) == 1 and len(list(place.iterdir())) == 1 else place


def _paragraphs(path: Path) -> Iterator[dict[str, str]]:
    """The paragraphs of an index (Debian policy, 5.1)."""
    found: dict[str, str] = {}
    key = ""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in (*file, "\n"):
            text = line.rstrip("\n")
            if not text:
                if found:
                    yield found
                found = {}
            elif text[0] in " \t":
                found[key] += f"\n{text.strip()}"
            else:
                key, _colon, value = text.partition(":")
                found[key] = value.strip()


def _index(suite: str, name: str) -> Path:
    return Downloads(Cache().root / "indexes").unknown(
        f"{Mirrors.of_the_environment().mirrors[0].rstrip('/')}/dists/{suite}/main/{name}/"
        f"{'Sources' if name == 'source' else 'Packages'}.xz"
    )


def packages_of(suite: str, arch: str) -> dict[str, dict[str, str]]:
    """The binary packages of a suite by name, as its index describes them.

    Raises:
        HostFault: the index cannot be had.
    """
    return {p["Package"]: p for p in _paragraphs(_index(suite, f"binary-{arch}"))}


def _is_there(path: str) -> bool:
    """Whether the archive has a file today."""
    url = f"{Mirrors.of_the_environment().mirrors[0].rstrip('/')}/{urllib.parse.quote(path)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class _Archive:
    """What the indexes say."""

    def __init__(self) -> None:
        self.built: dict[str, set[str]] = {
            arch: {
                p.get("Source", p["Package"]).split()[0]
                for p in _paragraphs(_index(TRUTH_SUITE, f"binary-{arch}"))
                if p.get("Architecture") != "all"
            }
            for arch in ARCHES
        }
        self.sources: dict[str, dict[str, str]] = {}
        self.older: dict[str, list[dict[str, str]]] = {}
        for suite in SUITES:
            for entry in _paragraphs(_index(suite, "source")):
                self.older.setdefault(entry["Package"], []).append(entry)
                self.sources.setdefault(entry["Package"], entry)

    def made(self, name: str, why: str) -> Source | None:
        """The newest source of a name that the archive has, in one archive file; None: there is none."""
        for entry in self.older.get(name, ()):
            files = [line.split() for line in entry["Checksums-Sha256"].split("\n") if line]
            archives = [f for f in files if _ARCHIVE.search(f[2]) and ".debian.tar" not in f[2]]
            if len(archives) == 1 and _is_there(path := f"{entry['Directory']}/{archives[0][2]}"):
                sha256, size, _file = archives[0]
                builds = tuple(arch for arch in ARCHES if name in self.built[arch])
                return Source(name, entry["Version"], path, int(size), sha256, why, builds)
        return None

    def fits(self, name: str, more: re.Pattern[str] | None = None) -> bool:
        """Whether it needs nothing that most machines have not got, but for packages that ``more`` matches."""
        entry = self.sources[name]
        needs = re.split(r",\s*", f"{entry.get('Build-Depends', '')},{entry.get('Build-Depends-Arch', '')}")
        known = [_USUAL, *([more] if more else [])]
        return all(any(p.match(need.strip()) for p in known) for need in needs if need.strip())

    def of_x86(self, name: str) -> bool:
        """Whether its maintainers say that it is for x86 alone."""
        arches = set(self.sources[name].get("Architecture", "").split())
        return arches <= ARCHES_OF_X86 and arches != {"all"}


def pick() -> None:
    """Choose, and write the list."""
    archive, chance = _Archive(), random.Random(SEED)
    known = archive.sources.keys()
    both = sorted(archive.built["amd64"] & archive.built["arm64"] & archive.built["loong64"] & known)
    portable = [n for n in both if "any" in archive.sources[n].get("Architecture", "").split() and archive.fits(n)]
    alone = (archive.built["amd64"] & known) - archive.built["arm64"] - archive.built["loong64"]
    of_x86 = [n for n in sorted(alone) if archive.of_x86(n) and archive.fits(n, _OF_X86) and "signed" not in n]
    chosen = [found for n in NAMED if (found := archive.made(n, "named"))]
    for names, why, number in ((portable, "random", RANDOM), (of_x86, "x86", 3 * RANDOM)):
        drawn = (archive.made(n, why) for n in chance.sample(names, len(names)))
        chosen += itertools.islice((s for s in drawn if s and LEAST < s.size < MOST), number)
    lines = [json.dumps({**vars(s), "builds": list(s.builds)}) for s in chosen]
    head = f"# Written by `python -m bench.sources pick`: seed {SEED}. `builds`: for what Debian builds it ({TRUTH_SUITE}).\n"
    LIST.write_text(f"{head}sources:\n" + "".join(f"- {line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(pick() if sys.argv[1:] == ["pick"] else __doc__)

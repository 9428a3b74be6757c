"""Source packages of Debian's, fetched once into the cache: what builds on arm64 and loong64 there, and what is for x86 alone.

.venv/bin/python -m bench.sources pick    choose them anew from the archive's indexes, and write bench/sources.yaml
"""

from __future__ import annotations

import json
import lzma
import random
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish

LIST = Path(__file__).with_name("sources.yaml")
SUITE = "forky"
ARCHES = ("amd64", "arm64", "loong64")

NAMED = (
    "libzstd", "redis", "snappy", "simdjson", "leveldb", "libyuv", "xxhash", "lz4", "pigz", "htop", "gron", "croc", "rust-ring",
    "rust-memchr", "jansi", "jffi", "node-iconv", "node-bcrypt", "python-xxhash", "python-zstandard", "msgpack-python", "i7z",
)  # fmt: skip
"""Trees that are looked at by name: C, C++, Go, Rust, Java, Node, Python."""

SEED = 20261130
RANDOM = 12
"""So many at random of each kind."""
LEAST, MOST = 3_000, 1_500_000
"""Bytes of a source archive that is chosen at random."""

_USUAL = re.compile(
    r"debhelper|dh-|cmake|meson|ninja|autoconf|automake|libtool|pkg(conf|-config)|python3|bison|flex|gettext|help2man|txt2man|gcc|g\+\+"
    r"|perl|cython|golang|dpkg-dev|autotools|default-jdk|nodejs"
)
"""Packages that most machines have: what needs others beside them is not chosen at random, for its headers are not here."""

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


def _index(name: str) -> Path:
    return Downloads(Cache().root / "indexes").unknown(
        f"{Mirrors.of_the_environment().mirrors[0].rstrip('/')}/dists/{SUITE}/main/{name}/"
        f"{'Sources' if name == 'source' else 'Packages'}.xz"
    )


def pick() -> None:
    """Choose, and write the list."""
    built: dict[str, set[str]] = {
        arch: {
            p.get("Source", p["Package"]).split()[0]
            for p in _paragraphs(_index(f"binary-{arch}"))
            if p.get("Architecture") != "all"
        }
        for arch in ARCHES
    }
    sources = {p["Package"]: p for p in _paragraphs(_index("source"))}

    def made(name: str, why: str) -> Source | None:
        entry = sources[name]
        files = [line.split() for line in entry["Checksums-Sha256"].split("\n") if line]
        archives = [f for f in files if _ARCHIVE.search(f[2]) and ".debian.tar" not in f[2]]
        if len(archives) != 1:
            return None
        sha256, size, file = archives[0]
        builds = tuple(arch for arch in ARCHES if name in built[arch])
        return Source(name, entry["Version"], f"{entry['Directory']}/{file}", int(size), sha256, why, builds)

    def fits(name: str) -> bool:
        found = made(name, "")
        entry = sources[name]
        needs = re.split(r",\s*", f"{entry.get('Build-Depends', '')},{entry.get('Build-Depends-Arch', '')}")
        unusual = [n for n in needs if n.strip() and not _USUAL.match(n.strip())]
        return found is not None and LEAST < found.size < MOST and not unusual

    chance = random.Random(SEED)
    both = sorted(built["amd64"] & built["arm64"] & built["loong64"] & sources.keys())
    portable = [n for n in both if "any" in sources[n].get("Architecture", "").split() and fits(n)]
    alone = sorted((built["amd64"] & sources.keys()) - built["arm64"] - built["loong64"])
    x86 = [n for n in alone if "signed" not in n and (m := made(n, "")) is not None and LEAST < m.size < MOST]
    chosen = [made(n, "named") for n in NAMED if n in sources]
    chosen += [made(n, "random") for n in chance.sample(portable, RANDOM)]
    chosen += [made(n, "x86") for n in chance.sample(x86, RANDOM)]
    lines = [json.dumps({**vars(s), "builds": list(s.builds)}) for s in chosen if s is not None]
    head = f"# Written by `python -m bench.sources pick`: {SUITE}, seed {SEED}. `builds`: for what Debian builds it.\n"
    head += "sources:\n"
    LIST.write_text(head + "".join(f"- {line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(pick() if sys.argv[1:] == ["pick"] else __doc__)

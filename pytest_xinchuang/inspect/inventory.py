"""The libraries that a platform has, with their symbol versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.loader.versions import LOADER, Library, by_facts
from pytest_xinchuang.provision.cache import IMPORTED, VENDOR, Cache
from pytest_xinchuang.provision.places import in_tree
from pytest_xinchuang.provision.rootfs import read_facts
from pytest_xinchuang.provision.vendors import disagreements

_PLACES = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64")
"""Where the loader looks without being told, before /etc/ld.so.conf; below them lie Debian's multiarch directories."""


@dataclass(frozen=True)
class Inventory:
    """What is known of a platform's libraries.

    Attributes:
        whole: a library that is not in it is absent; otherwise it is not known.
        source: where it is from, for people.
    """

    libraries: Mapping[str, Library]
    whole: bool = False
    source: str = "platforms.yaml"

    def library(self, soname: str) -> Library | None:
        """The library of this name; None: it is absent where the inventory is whole, and not known otherwise."""
        found = self.libraries.get(soname)
        if found is None and not self.whole and LOADER.fullmatch(soname):
            # Another name of the loader that is there: a link, or that of another multilib.
            return next((each for name, each in self.libraries.items() if LOADER.fullmatch(name)), None)
        return found


_KNOWN: dict[tuple[str, Path | None], Inventory] = {}


def inventory(platform: Platform) -> Inventory:
    """What is known of a platform's libraries: from its own root filesystem where one was imported, else from its facts."""
    tree = own_rootfs(platform)
    key = (platform.digest, tree)
    if key not in _KNOWN:
        _KNOWN[key] = Inventory(by_facts(platform)) if tree is None else of_tree(platform, tree)
    return _KNOWN[key]


def own_rootfs(platform: Platform) -> Path | None:
    """The platform's own root filesystem, where one was imported. A stand-in is another distribution's, and tells nothing."""
    cache = Cache()
    name = f"{VENDOR}{platform.id}"
    if not cache.holds("rootfs", name) or cache.verified("rootfs", name, IMPORTED) is None:
        return None
    tree = cache.tree("rootfs", name)
    return None if disagreements(platform, tree, read_facts(tree)) else tree


def of_tree(platform: Platform, tree: Path) -> Inventory:
    """The libraries of a root filesystem, by the names that a loader finds them under.

    It is not whole: more may be installed than an image of the system has.
    """
    found = dict(by_facts(platform))
    wanted = platform.architecture.elf_machine
    for directory in _directories(tree, platform.architecture.triplet):
        for path in sorted(directory.iterdir()):
            name = path.name
            if ".so" not in name or (file := in_tree(tree, str(path.relative_to(tree)))) is None:
                continue
            try:
                elf = read_elf(file.read_bytes(), name)
            except (NotElf, OSError):
                continue
            if elf.machine == wanted and elf.kind == "dyn":
                found[name] = Library(name, versions=elf.provided)
    return Inventory(found, source=str(tree))


def _directories(tree: Path, triplet: str) -> list[Path]:
    configured = []
    for conf in [tree / "etc/ld.so.conf", *sorted((tree / "etc/ld.so.conf.d").glob("*.conf"))]:
        if conf.is_file():
            lines = (line.split("#")[0].strip() for line in conf.read_text(errors="replace").splitlines())
            configured += [line.strip("/") for line in lines if line.startswith("/")]
    names = [*_PLACES, *(f"{place}/{triplet}" for place in _PLACES[:3:2]), *configured]
    return [place for name in dict.fromkeys(names) if (place := tree / name).is_dir()]

"""What is delivered, as the file systems that it becomes on the platform: one root for the layers of an image, for packages
that are installed together, for a directory, for a wheel in its site-packages.

The loader, and whoever chooses between files, knows such a root alone: not the archive that a file came in.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_xinchuang.inspect.artifact import Node, taken
from pytest_xinchuang.inspect.images import Start, images
from pytest_xinchuang.inspect.maintainer import SCRIPTS, diverted_by, effects_of
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.script_state import KEPT, Became, Change, Effects
from pytest_xinchuang.inspect.script_state import Delivered as Installed

LINKS = 40
"""Symbolic links that are followed in one path (Linux, MAXSYMLINKS)."""

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""``PATH`` in a container whose image says none (runc and containerd, default environment)."""


LOADERS = {libc: re.compile(rf"ld-{name}-[\w-]+\.so\.\d") for libc, name in (("glibc", "linux"), ("musl", "musl"))}
"""How the loaders of C libraries are called (glibc, shlib-versions; musl, Makefile: LDSO_PATHNAME)."""


class Kind(StrEnum):
    """What a root is."""

    SYSTEM = "system"
    """Its paths are those on the target: an image, packages, a root file system."""
    TREE = "tree"
    """A directory or archive that is put anywhere."""
    PYTHON = "python"
    """A wheel: its paths are below site-packages."""
    CLASS_PATH = "class path"
    """A jar: what is in it is looked up by name, and native files are copied out to be loaded."""


@dataclass(frozen=True)
class Doubt:
    """Why a path may lead nowhere once the scripts of packages have run.

    Attributes:
        command: the one that takes the file or link away, or makes it.
        package: the place of the package whose script has it.
        sure: it is so for certain: the path is among neither the files nor the links.
        made: it is there where the command has run, and not where it has been taken away.
        record: the object that was delivered there.
        target: that of the link that was.
    """

    command: str
    package: str
    sure: bool
    made: bool = False
    record: ElfRecord | None = None
    target: str | None = None


@dataclass
class Root:
    """One file system.

    Attributes:
        arch: the architecture that the container says of itself, as it spells it; empty: it says nothing.
        files: path without a leading slash -> the object there, None where it is none.
        links: path -> target of the symbolic links.
        texts: path -> content of the files that say something of the whole.
        scripts: path -> first line of the files that the kernel runs by what that names.
        outer: the root in which the container of this one stands.
        name: where in that.
        computed: scripts of its packages make files whose names cannot be read from them.
        whole: it is all that its programs see: an image of which no layer is missing. What is not in it is not there.
        start: what is started in it, where it is an image.
        doubts: path -> what scripts of its packages do to it.
        takes: what a script takes away of which no word says what that is: nothing is sure to be there.
    """

    kind: Kind
    place: str
    arch: str = ""
    name: str = ""
    files: dict[str, ElfRecord | None] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    scripts: dict[str, bytes] = field(default_factory=dict)
    outer: Root | None = None
    computed: bool = False
    whole: bool = False
    start: Start = field(default_factory=Start)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    takes: Doubt | None = None
    _libcs: dict[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def inside(self) -> str:
        """Its place in what is delivered, as a prefix of its paths: ``lib/outer.jar!META-INF/inner.jar!``."""
        outer = self.outer.inside if self.outer is not None else ""
        return f"{outer}{self.name}!" if self.name else outer

    @property
    def records(self) -> list[ElfRecord]:
        return [record for record in self.files.values() if record is not None]

    def resolve(self, path: str) -> str | None:
        """Where a path leads, links followed; None: nowhere, in circles, or out of the root."""
        return self._resolved(path, [])

    def doubt(self, path: str) -> Doubt | None:
        """What scripts do to a file or link that a path leads through, or would lead through without them."""
        if not self.doubts:
            return None  # as with most roots
        met: list[Doubt] = []
        self._resolved(path, met)
        return next((each for each in met if each.sure), met[0] if met else None)

    def _resolved(self, path: str, met: list[Doubt]) -> str | None:
        path = path.strip("/")
        for _turn in range(LINKS):
            here: list[str] = []
            parts = [part for part in path.split("/") if part not in ("", ".")]
            while parts:
                part = parts.pop(0)
                if part == "..":
                    here = here[:-1]
                    continue
                here.append(part)
                target = self.links.get("/".join(here))
                if self.doubts and (doubt := self.doubts.get("/".join(here))) is not None:
                    met.append(doubt)
                    target = doubt.target if doubt.sure else target
                if target is not None:
                    stem = [] if target.startswith("/") else here[:-1]
                    path = "/".join([*stem, target.strip("/"), *parts])
                    break
            else:
                found = "/".join(here)
                return found if found in self.files and not any(doubt.sure for doubt in met) else None
        return None

    def at(self, path: str) -> ElfRecord | None:
        """The object that a path leads to."""
        found = self.resolve(path)
        return self.files[found] if found is not None else None

    def libc(self, machine: str) -> str | None:
        """The C library that it brings for a machine, ``glibc`` or ``musl``: its programs use that and not the platform's."""
        if machine not in self._libcs:
            self._libcs[machine] = self._libc(machine) if self.kind is Kind.SYSTEM else None
        return self._libcs[machine]

    def _libc(self, machine: str) -> str | None:
        linked = ((path, self.at(path)) for path in self.links if posixpath.basename(path).startswith("ld-musl-"))
        for path, record in (*self.files.items(), *linked):
            if record is None or record.elf.machine != machine:
                continue
            name = posixpath.basename(path)
            if name.startswith("ld-musl-") or (name == "libc.so" and record.elf.soname in (None, "libc.so")):
                return "musl"
            if record.elf.soname == "libc.so.6" and path.split("/")[0] in ("lib", "lib64", "usr"):
                return "glibc"
        return None

    def loader(self, machine: str, libc: str) -> str | None:
        """The path of a C library's loader for a machine, ``glibc``'s or ``musl``'s, be it a file or a link."""
        pattern = LOADERS[libc]
        named = (path for path in (*self.files, *self.links) if pattern.fullmatch(posixpath.basename(path)))
        return next(
            (path for path in named if (found := self.at(path)) is not None and found.elf.machine == machine), None
        )

    def libc_of(self, record: ElfRecord) -> str | None:
        """The C library that comes with an object: this root's, that of an outer one, or that of a loader which it names."""
        loader = self.loader_of(record)
        if loader is not None and loader.elf.machine == record.elf.machine:
            return "musl" if "musl" in loader.file_name else "glibc"
        return self.libc(record.elf.machine) or (self.outer.libc_of(record) if self.outer is not None else None)

    def has_loader_below(self, record: ElfRecord) -> bool:
        """Whether the loader that a program names stands below another directory: whose content may be what is installed."""
        if record.elf.interpreter is None or self.kind is not Kind.TREE:
            return False
        end = "/" + record.elf.interpreter.strip("/")
        return any(
            each is not None and each.elf.machine == record.elf.machine and f"/{path}".endswith(end)
            for path, each in self.files.items()
        )

    def loader_of(self, record: ElfRecord) -> ElfRecord | None:
        """The loader that a program names, where it is delivered."""
        named = record.elf.interpreter
        if named is None:
            return None
        if self.kind is Kind.SYSTEM:
            return self.at(named)
        # A tree is put anywhere: that a path of it is the end of the loader's is as much as can be seen.
        parts = named.strip("/").split("/")
        ends = ("/".join(parts[begin:]) for begin in range(len(parts) - 1))
        return next((found for end in ends if (found := self.at(end)) is not None), None)

    def remove(self, path: str) -> None:
        """What a layer above takes away: a file, or a directory with all that is in it."""
        below = path + "/"
        for known in (self.files, self.links):
            for name in [n for n in known if n == path or n.startswith(below)]:
                del known[name]

    def empty(self, directory: str) -> None:
        """What a layer's opaque directory hides: all that lower layers have in it."""
        below = directory + "/" if directory else ""
        for known in (self.files, self.links):
            for name in [n for n in known if n.startswith(below)]:
                del known[name]

    def add(self, node: Node, prefix: str = "", diverted: Mapping[str, str] | None = None) -> None:
        """Put what a container holds into this root, over what is there; ``diverted``: path -> where its file goes instead."""
        objects = {_clean(record.path): record for record in node.objects}
        other = diverted or {}
        for name in node.members:
            path = other.get(prefix + _clean(name), prefix + _clean(name))
            self.links.pop(path, None)
            self.files[path] = objects.get(_clean(name))
            self.texts.pop(path, None)
            self.scripts.pop(path, None)
        for path, record in objects.items():
            path = prefix + path
            self.files.setdefault(other.get(path, path), record)  # a file that is delivered by itself
        self.texts |= {prefix + _clean(name): text for name, text in node.texts.items()}
        self.scripts |= {prefix + _clean(name): line for name, line in node.scripts.items()}
        for name, target in node.links.items():
            path = other.get(prefix + _clean(name), prefix + _clean(name))
            self.files.pop(path, None)
            self.links[path] = target

    def apply(self, effects: Effects, package: str = "", foreign: Container[str] = ()) -> None:
        """What the scripts of an installed package make, and what they take away.

        Args:
            package: the place of the package.
            foreign: paths of which it is not sure that they are there when the scripts run: of packages that may come later.
        """
        self.computed = self.computed or effects.computed
        if effects.takes:
            self.takes = Doubt(effects.takes, package, sure=False)
        before, links = (
            {path: self.files.get(path) for path in effects.changes},
            dict(self.links) if effects.changes else {},
        )
        for path, change in effects.changes.items():
            if path in foreign:
                change = Change(change.outcomes | {KEPT}, change.command)
            self._become(path, change, package, before, links)

    def _become(
        self, path: str, change: Change, package: str, before: Mapping[str, ElfRecord | None], links: Mapping[str, str]
    ) -> None:
        ways = {outcome.how for outcome in change.outcomes}
        left = ways - {Became.GONE, Became.NONE}
        if not left or Became.OTHER in left:
            self._taken(path, change, package, sure=not left or ways == {Became.OTHER})
            return
        made = sorted((o for o in change.outcomes if o.how in (Became.LINK, Became.FILE)), key=lambda o: o.target)
        if Became.KEPT not in left and made:
            was = path in self.files or path in self.links
            record, target = self.files.pop(path, None), self.links.pop(path, None)
            first = made[0]
            if first.how is Became.FILE:
                self.files[path] = before[first.target] if first.target in before else self.files.get(first.target)
            else:
                self.links[path] = first.target
            if was and first.how is Became.LINK and self.resolve(path) is None:
                # Where it leads now is not delivered.
                self.doubts[path] = Doubt(change.command, package, sure=False, record=record, target=target)
        if left != ways and Became.THERE not in left:
            known = path in links or Became.KEPT in left
            self.doubts[path] = Doubt(change.command, package, sure=False, made=not known, record=self.files.get(path))

    def _taken(self, path: str, change: Change, package: str, *, sure: bool) -> None:
        if path not in self.files and path not in self.links:
            return
        record, target = self.files.get(path), self.links.get(path)
        self.doubts[path] = Doubt(change.command, package, sure, record=record, target=target)
        if sure:
            self.files.pop(path, None)
            self.links.pop(path, None)


class Delivery:
    """All roots of an artifact, and which of them an object is in."""

    def __init__(self, top: Node) -> None:
        self.roots: list[Root] = []
        self._of: dict[int, list[tuple[Root, str]]] = {}
        self._known = {id(r) for node in top.walk() if node.kind != "static-archive" for r in node.objects}
        self._visit(top, None)
        for root in self.roots:
            for path, record in root.files.items():
                if record is not None:
                    self._of.setdefault(id(record), []).append((root, path))
            for path, doubt in root.doubts.items():
                # What a script takes away was delivered all the same.
                if doubt.record is not None and id(doubt.record) not in self._of:
                    self._of[id(doubt.record)] = [(root, path)]

    def places_of(self, record: ElfRecord) -> list[tuple[Root, str]]:
        """The roots that an object is in, and where: several for a layer that images share, none where it was removed."""
        return self._of.get(id(record), [])

    def is_placed(self, record: ElfRecord) -> bool:
        """Whether an object is a file of some root at all: the members of a static library are of none."""
        return id(record) in self._known

    def _root(self, kind: Kind, place: str, outer: Root | None, *, arch: str = "", name: str = "") -> Root:
        root = Root(kind, place, arch, name if outer is not None else "", outer=outer)
        self.roots.append(root)
        return root

    def _visit(self, node: Node, outer: Root | None) -> None:
        if node.kind == "image":
            self._image(node, outer)
        elif node.kind in ("deb", "rpm"):
            self._packages([node], outer)
        elif node.kind == "upx" and outer is not None:
            for record in node.objects:  # it runs in the place of the packed one, $ORIGIN and all
                outer.files[f"{_clean(node.name)}!{record.path}"] = record
            self._children(node.children, outer)
        elif node.kind != "static-archive":
            root = self._root(_kind_of(node), node.place, outer, name=node.name)
            root.add(node)
            if root.kind is Kind.PYTHON:
                _install(root)
            elif root.kind is Kind.TREE:
                for prefix in _systems((*root.files, *root.links)):
                    self._split(root, prefix)
            self._children(node.children, root)

    def _split(self, tree: Root, prefix: str) -> None:
        """Make a root of its own of a directory that is a root file system."""
        if not prefix:
            tree.kind = Kind.SYSTEM
            return
        root = self._root(Kind.SYSTEM, f"{tree.place}/{prefix.rstrip('/')}", tree, name=prefix.rstrip("/"))
        root.files, root.links = taken(tree.files, prefix), taken(tree.links, prefix)
        root.texts = taken(tree.texts, prefix)

    def _children(self, children: Iterable[Node], outer: Root) -> None:
        together: dict[str, list[Node]] = {"deb": [], "rpm": []}
        for child in children:
            if child.kind in together:
                together[child.kind].append(child)
            else:
                self._visit(child, outer)
        for nodes in together.values():
            self._packages(nodes, outer)

    def _packages(self, nodes: list[Node], outer: Root | None) -> None:
        """Packages that stand beside each other are installed together, as far as one machine takes them."""
        of_all = [node for node in nodes if architecture_of(node) in INDEPENDENT]
        for arch in sorted({architecture_of(node) for node in nodes} - INDEPENDENT) or ([""] if of_all else []):
            mine = [*of_all, *(node for node in nodes if architecture_of(node) == arch)]
            root = self._root(Kind.SYSTEM, mine[-1].place, outer, arch=arch)
            diverts = {id(node): diverted_by(_texts(node)) for node in mine}
            owners: dict[str, Node] = {}
            for node in mine:
                diverted: dict[str, str] = {}
                for other in mine:
                    if other is not node:
                        diverted |= diverts[id(other)]
                for part in (node, *node.children):
                    if part is node or part.name.startswith("data.tar"):
                        root.add(part, diverted=diverted)
                        names = map(_clean, (*part.members, *part.links))
                        owners |= dict.fromkeys((diverted.get(name, name) for name in names), node)
                    elif part.name.startswith("control.tar"):
                        _keep_scripts(root, node, part)
            for node in mine:
                _run_scripts(root, node, owners)
            for node in mine:
                inner = [c for c in node.children if not c.name.startswith(("data.tar", "control.tar"))]
                inner += [c for part in node.children if part.name.startswith("data.tar") for c in part.children]
                if node not in of_all or not arch:
                    self._children(inner, root)

    def _image(self, node: Node, outer: Root | None) -> None:
        layers = {child.name: child for child in node.children}
        taken: set[str] = set()
        for image in images(node):
            root = self._root(Kind.SYSTEM, node.place, outer, arch=image.arch)
            root.start = image.start
            root.whole = bool(image.layers) and all(name in layers for name in image.layers)
            for name in image.layers:
                layer = layers.get(name)
                if layer is None:
                    continue
                _apply(root, layer)
                if name not in taken:
                    taken.add(name)
                    self._children(layer.children, root)
        for child in node.children:
            if child.name not in taken:
                self._visit(child, outer)


def _run_scripts(root: Root, node: Node, owners: Mapping[str, Node]) -> None:
    """Have the scripts of a package do to a root what they do."""
    texts = _texts(node)
    if not any(name.rpartition("/")[2] in SCRIPTS for name in texts):
        return  # as of most packages
    own = {path for path, owner in owners.items() if owner is node}
    there = Installed({*root.files, *root.links}, root.links, own, root.arch, node.kind == "rpm")
    needed = re.findall(
        r"[\w.+-]+", " ".join(control_of(node).get(key, "") for key in ("Depends", "Pre-Depends", "Requires"))
    )
    # What it depends on is there before its scripts run; other packages may come after it.
    before = {*needed}
    foreign = {p for p, owner in owners.items() if owner is not node and control_of(owner).get("Package") not in before}
    root.apply(effects_of(texts, there), node.place, foreign)


def _keep_scripts(root: Root, package: Node, control: Node) -> None:
    """Put a package's scripts that are programs to where dpkg keeps and starts them (dpkg, lib/dpkg/db-ctrl-access.c)."""
    name = control_of(package).get("Package", "")
    for record in control.objects:
        root.files[f"var/lib/dpkg/info/{name}.{_clean(record.path)}"] = record
        root.computed = True  # nobody reads what a program makes


def _texts(package: Node) -> dict[str, bytes]:
    """The scripts and fields of a package: in a deb's control.tar, and in an rpm itself."""
    controls = [child for child in package.children if child.name.startswith("control.tar")]
    return {name: text for node in (controls or [package]) for name, text in node.texts.items()}


INDEPENDENT = frozenset({"", "all", "noarch"})


def architecture_of(node: Node) -> str:
    """The architecture that a deb or an rpm names; empty where it names none."""
    return control_of(node).get("Architecture", "")


def control_of(node: Node) -> dict[str, str]:
    """The control fields of a deb, or the header of an rpm."""
    for each in node.walk():
        for name, text in each.texts.items():
            if name.rpartition("/")[2] == "control":
                lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if line[:1].strip())
                return {key.strip(): value.strip() for key, _colon, value in lines}
    return {}


def _kind_of(node: Node) -> Kind:
    if node.kind == "wheel":
        return Kind.PYTHON
    return Kind.CLASS_PATH if node.kind == "jar" else Kind.SYSTEM if node.kind == "cpio" else Kind.TREE


_OF_SYSTEM = re.compile(
    r"(?P<root>(?:.*/)?)(?:(?:usr/lib|etc)/os-release|etc/(?:ld\.so\.(?:cache|conf)|passwd)"
    r"|(?P<loader>(?:usr/)?lib(?:64)?/ld-(?:linux|musl)-[^/]*))"
)
"""What only a root file system has at its place. A program that brings its loader is none: that needs an /etc beside it."""


def _systems(files: Iterable[str]) -> list[str]:
    """The directories of a tree that are root file systems, with a slash at their end; "" is the tree itself."""
    files = list(files)
    found: set[str] = set()
    for name in files:
        match = _OF_SYSTEM.fullmatch(name)
        if match is not None and (
            not match["loader"] or any(other.startswith(match["root"] + "etc/") for other in files)
        ):
            found.add(match["root"])
    # The shortest: /usr of one is no other.
    return sorted(root for root in found if not any(root != other and root.startswith(other) for other in found))


def _apply(root: Root, layer: Node) -> None:
    """A layer over those below it; what it removes is of those alone."""
    for path in layer.removed:
        root.empty(_clean(path)) if path.endswith("/") else root.remove(_clean(path))
    directories = {parent for name in (*root.files, *root.links) for parent in _parents(name)}
    for name in [*layer.members, *layer.links]:
        if (path := _clean(name)) in directories:
            root.remove(path)  # a file or a link in the place of a directory
    root.add(layer)


def _install(root: Root) -> None:
    """Move a wheel's ``NAME.data`` to where an installer puts it (PEP 427): ``scripts`` go beside site-packages."""
    root.files = {_installed(name): record for name, record in root.files.items()}
    root.links = {_installed(name): target for name, target in root.links.items()}


def _installed(name: str) -> str:
    """Where a file of a wheel lies below the prefix of its Python: what is beside ``lib`` has a path of the root too."""
    return posixpath.normpath(posixpath.join("lib/python/site-packages", installed_path(name)))


def installed_path(name: str) -> str:
    """Where an installer puts a file of a wheel, from site-packages (PEP 427)."""
    top, _slash, rest = name.partition("/")
    scheme, _slash, inside = rest.partition("/")
    there = {"purelib": "", "platlib": "", "scripts": "../../../bin/", "data": "../../../"}.get(scheme)
    return there + inside if top.endswith(".data") and inside and there is not None else name


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _clean(name: str) -> str:
    return name.removeprefix("./").strip("/")

"""The files of an artifact, to be put into a sandbox. In memory alone; bounded like the walk."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.formats.contained import CannotRead, TooMuch
from pytest_xinchuang.inspect.formats.image import removed_by
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.process import Runner

MAX_BYTES = 400 << 20
"""What fits into a sandbox's private layer (512 MiB) beside what the program writes itself."""


class _Account:
    """Bounds of an extraction."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._walker = Walker(lambda *_: None, Bounds(expanded=2 << 30), runner)

    def expanded(self, size: int, so_far: int, compressed: int) -> None:
        self._walker.expanded(size, so_far, compressed)


def extract(path: Path, arch: str = "", runner: Runner | None = None) -> dict[str, bytes]:
    """Path inside of the artifact -> content of every regular file in it; links are given as copies of what they lead to.

    Links that lead out of the artifact are left out: on the target they lead to files of the target.

    Args:
        arch: which of an image's platforms is meant, by OCI's name; empty: the first.

    Raises:
        XcError: it cannot be read, or holds more than ``MAX_BYTES``.
    """
    if path.is_dir():
        root = path.resolve()
        inside = (p for p in sorted(path.rglob("*")) if p.is_file() and p.resolve().is_relative_to(root))
        return _bounded({p.relative_to(path).as_posix(): p.read_bytes() for p in inside}, path)
    data = path.read_bytes()
    kind = kind_of(data, path.name)
    if kind in (None, "elf", "jar"):
        return _bounded({path.name: data}, path)
    try:
        account = _Account(runner or Runner())
        tree = _Tree()
        tree.take(str(kind), data, account)
        if {"manifest.json", "index.json"} & tree.files.keys():
            tree = _image(tree, arch, account)
        files = tree.whole()
        return _bounded(files, path)
    except (CannotRead, TooMuch) as error:
        raise XcError(_("{name}: cannot be unpacked: {why}", name=path.name, why=error)) from error


class _Tree:
    """Files and links by their paths."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}

    def take(self, kind: str, data: bytes, account: _Account) -> None:
        """Add what a container holds."""
        for member in members(kind, data, account):
            name = member.name.removeprefix("./").lstrip("/")
            if ".." in name.split("/"):
                continue
            if member.link is not None:
                self.links[name] = member.link
                self.files.pop(name, None)
                continue
            member.peek(512)
            content = b"".join(member.chunks())
            member.close()
            if kind == "deb":
                if name.startswith("data.tar"):
                    self.take(str(kind_of(content, name)), content, account)
                continue
            self.files[name] = content
            self.links.pop(name, None)
            if sum(map(len, self.files.values())) > MAX_BYTES:
                raise TooMuch(_("more than {limit} MiB", limit=MAX_BYTES >> 20))

    def lay(self, above: _Tree) -> None:
        """Put a layer of an image on top: what it marks as removed goes first."""
        for path in above.files:
            for gone in removed_by(path) or ():
                self._remove(gone)
        for path, content in above.files.items():
            if removed_by(path) is None:
                self.files[path] = content
                self.links.pop(path, None)
        for path, target in above.links.items():
            self.links[path] = target
            self.files.pop(path, None)

    def _remove(self, gone: str) -> None:
        inside = gone if gone.endswith("/") else f"{gone}/"
        for path in [p for p in (*self.files, *self.links) if p == gone or p.startswith(inside) or gone == "/"]:
            self.files.pop(path, None)
            self.links.pop(path, None)

    def whole(self) -> dict[str, bytes]:
        """The files, and copies of those that links lead to."""
        copies = {name: self.files[real] for name in self.links if (real := self.real(name)) in self.files}
        return self.files | copies

    def real(self, name: str) -> str:
        """Where a path leads, through links to files and to directories."""
        for _step in range(MAX_LINKS):
            parts = name.split("/")
            first = next((n for n in range(1, len(parts) + 1) if "/".join(parts[:n]) in self.links), None)
            if first is None:
                return name
            at, rest = "/".join(parts[:first]), parts[first:]
            target = self.links[at]
            leads = target.lstrip("/") if target.startswith("/") else _join(at, target)
            name = "/".join((leads, *rest)) if leads else "/".join(rest)
        return name


MAX_LINKS = 40
"""As Linux follows them, path_resolution(7)."""


def _image(saved: _Tree, arch: str, account: _Account) -> _Tree:
    """The file system of an OCI layout or docker-save archive: its layers on top of one another."""
    node = Node("image", "", "", texts=saved.files, links=saved.links)
    mine = [image for image in images(node) if image.present and (not arch or image.arch in ("", arch))]
    if not mine:
        raise CannotRead(_("the image's index leads to no manifest"))
    merged = _Tree()
    for name in mine[0].layers:
        data = saved.files.get(saved.real(name))
        if data is None:
            raise CannotRead(_("the layer {name} is not in the image", name=name))
        kind = kind_of(data, "")
        layer = _Tree()
        if kind in ("tar", "compressed"):
            layer.take(kind, data, account)
        merged.lay(layer)
    return merged


def _join(name: str, target: str) -> str:
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _bounded(files: dict[str, bytes], path: Path) -> dict[str, bytes]:
    if sum(map(len, files.values())) > MAX_BYTES:
        raise XcError(
            _("{name}: more than {value} MiB do not fit into a sandbox", name=path.name, value=MAX_BYTES >> 20)
        )
    return files

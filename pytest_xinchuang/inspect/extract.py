"""The files of an artifact, to be put into a sandbox. In memory alone; bounded like the walk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect.formats.contained import CannotRead, TooMuch
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.members import members
from pytest_xinchuang.inspect.walk import Bounds, Walker
from pytest_xinchuang.messages import _, told
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
        files = _files(str(kind), data, account)
        if {"manifest.json", "index.json"} & files.keys():
            files = _image(files, arch, account)
        return _bounded(files, path)
    except (CannotRead, TooMuch) as error:
        raise XcError(_("{name}: cannot be unpacked: {why}", name=path.name, why=error)) from error


def _files(kind: str, data: bytes, account: _Account) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for member in members(kind, data, account):
        name = member.name.removeprefix("./").lstrip("/")
        if ".." in name.split("/"):
            continue
        if member.link is not None:
            links[name] = member.link
            continue
        member.peek(512)
        content = b"".join(member.chunks())
        member.close()
        if kind == "deb":
            if name.startswith("data.tar"):
                inner = kind_of(content, name)
                found |= _files(str(inner), content, account)
            continue
        found[name] = content
        if sum(map(len, found.values())) > MAX_BYTES:
            raise TooMuch(_("more than {limit} MiB", limit=MAX_BYTES >> 20))
    for name, target in links.items():
        leads = target.lstrip("/") if target.startswith("/") else _join(name, target)
        if leads in found:
            found[name] = found[leads]
    return found


def _image(files: dict[str, bytes], arch: str, account: _Account) -> dict[str, bytes]:
    """The file system of an OCI layout or docker-save archive: its layers on top of one another."""
    merged: dict[str, bytes] = {}
    for name in _layers(files, arch):
        data = files.get(name)
        if data is None:
            raise CannotRead(_("the layer {name} is not in the image", name=name))
        kind = kind_of(data, "")
        layer = _files(str(kind), data, account) if kind in ("tar", "compressed") else {}
        for path, content in layer.items():
            directory, _rest, last = path.rpartition("/")
            if last == ".wh..wh..opq":  # OCI image layers: an opaque directory, and a removed file
                merged = {p: c for p, c in merged.items() if not p.startswith(f"{directory}/")}
            elif last.startswith(".wh."):
                gone = f"{directory}/{last[4:]}".lstrip("/")
                merged = {p: c for p, c in merged.items() if p != gone and not p.startswith(f"{gone}/")}
            else:
                merged[path] = content
    return merged


def _layers(files: dict[str, bytes], arch: str) -> list[str]:
    def blob(descriptor: Any) -> str:
        return f"blobs/{str(descriptor['digest']).replace(':', '/')}"

    try:
        if "manifest.json" in files:
            return [str(name) for name in json.loads(files["manifest.json"])[0]["Layers"]]
        index = json.loads(files["index.json"])
        for _rest in range(4):
            mine = [
                m for m in index["manifests"] if not arch or m.get("platform", {}).get("architecture") in (None, arch)
            ]
            index = json.loads(files[blob(mine[0])])
            if "layers" in index:
                return [blob(layer) for layer in index["layers"]]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CannotRead(_("the image's manifest cannot be read: {why}", why=told(error))) from error
    raise CannotRead(_("the image's index leads to no manifest"))


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

"""Container images: OCI layouts, and what ``docker save`` writes. Their layers in order, and what each takes away."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.messages import Message, _

T = TypeVar("T")

HOLDERS = ("tar", "compressed", "zip", "directory")
EMPTY_LAYER = 20 << 10
"""A layer of this size at most may be a tar archive with no file in it, plain or compressed."""

MOST_DEPTH = 4


@dataclass(frozen=True)
class Image:
    """One image of a layout or archive.

    Attributes:
        system: its operating system, by OCI's name.
        architecture: by OCI's name; empty: it does not say.
        layers: names of its layers' files, the lowest first.
        sizes: bytes of each, None where that is not told.
        present: its manifest is there; another platform's may have been left out of an archive.
    """

    system: str = "linux"
    architecture: str = ""
    layers: tuple[str, ...] = ()
    sizes: tuple[int | None, ...] = ()
    present: bool = True


def prefixes(node: Node) -> list[str]:
    """Where in a container an image begins: "" for its root, else a directory that ends with ``/``."""
    found = []
    for name, text in node.texts.items():
        directory, _slash, last = name.rpartition("/")
        prefix = f"{directory}/" if directory else ""
        if (last == "index.json" and _is_index(text)) or (last == "manifest.json" and _is_saved(text)):
            found.append(prefix)
    return sorted(set(found))


def _is_index(text: bytes) -> bool:
    value = _load(text)
    return isinstance(value, dict) and isinstance(value.get("manifests"), list)


def _is_saved(text: bytes) -> bool:
    value = _load(text)
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "Layers" in v for v in value)


def _load(text: bytes | None) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return None


def images(texts: Mapping[str, bytes]) -> list[Image]:
    """The images that the texts of a layout or archive tell of, in the order in which they are told.

    ``index.json`` counts first: in what newer engines save it tells the platforms. ``manifest.json`` adds what is not in it.
    """
    found: list[Image] = []
    index = _load(texts.get("index.json"))
    for descriptor in _list(index.get("manifests") if isinstance(index, dict) else None):
        found += _followed(texts, descriptor, 0)
    known = {image.layers for image in found if image.present}
    for item in _list(_load(texts.get("manifest.json"))):
        layers = tuple(str(name) for name in _list(item.get("Layers"))) if isinstance(item, dict) else ()
        if not isinstance(item, dict) or layers in known:
            continue
        config = _load(texts.get(str(item.get("Config", ""))))
        system, architecture = _platform(config)
        found.append(Image(system, architecture, layers, (None,) * len(layers)))
    return found


def _followed(texts: Mapping[str, bytes], descriptor: Any, depth: int) -> Iterator[Image]:
    if not isinstance(descriptor, dict) or depth > MOST_DEPTH:
        return
    system, architecture = _platform(descriptor.get("platform"))
    if architecture == "unknown":
        return  # an attestation that goes with an image
    blob = _load(texts.get(_blob(descriptor)))
    if not isinstance(blob, dict):
        yield Image(system, architecture, present=False)
        return
    for child in _list(blob.get("manifests")):
        yield from _followed(texts, child, depth + 1)
    if not isinstance(blob.get("layers"), list):
        return
    if not architecture and isinstance(blob.get("config"), dict):
        system, architecture = _platform(_load(texts.get(_blob(blob["config"]))))
    layers = [layer for layer in blob["layers"] if isinstance(layer, dict)]
    sizes = tuple(s if isinstance(s := layer.get("size"), int) else None for layer in layers)
    yield Image(system, architecture, tuple(_blob(layer) for layer in layers), sizes)


def _platform(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "linux", ""
    return str(value.get("os") or "linux"), str(value.get("architecture") or "")


def _blob(descriptor: Mapping[str, Any]) -> str:
    return f"blobs/{str(descriptor.get('digest', '')).replace(':', '/', 1)}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def settle(node: Node) -> Iterator[tuple[str, str, Message]]:
    """What a container turned out to be, once its members are known; gives code, place and detail of what is wrong with it.

    An image has its layers among its children, and each says where it stands (``facts``: ``image``, ``layer``) and what it
    takes away (``removed``). An image in a directory of a larger delivery becomes a child of its own.
    """
    if node.kind not in HOLDERS:
        return
    for prefix in prefixes(node):
        image = node if not prefix else _apart(node, prefix)
        image.kind = "image"
        yield from _layers(image)


def _apart(node: Node, prefix: str) -> Node:
    """A child of its own, of all that stands in one directory."""
    child = Node("image", node.within(prefix.rstrip("/")), prefix.rstrip("/"), node)
    inside = [name for name in node.members if name.startswith(prefix)]
    node.members = [name for name in node.members if not name.startswith(prefix)]
    child.members = [name.removeprefix(prefix) for name in inside]
    _move(node.links, child.links, prefix)
    _move(node.texts, child.texts, prefix)
    _move(node.modes, child.modes, prefix)
    child.children = [c for c in node.children if c.name.startswith(prefix)]
    for layer in child.children:
        layer.parent, layer.name = child, layer.name.removeprefix(prefix)
    node.children = [c for c in node.children if c not in child.children] + [child]
    return child


def _move(mine: dict[str, T], its: dict[str, T], prefix: str) -> None:
    for name in [name for name in mine if name.startswith(prefix)]:
        its[name.removeprefix(prefix)] = mine.pop(name)


def _layers(node: Node) -> Iterator[tuple[str, str, Message]]:
    children = {child.name: child for child in node.children}
    found = images(node.texts)
    told: set[str] = set()
    for number, image in enumerate(found):
        for place, (name, size) in enumerate(zip(image.layers, image.sizes, strict=True)):
            real = _resolved(node, name)
            layer = children.get(real)
            if layer is not None:
                if "layer" not in layer.facts:
                    layer.facts |= {"layer": str(place), "image": str(number)}
                    _whiteouts(layer)
            elif real not in told:
                told.add(real)
                if real not in node.members:
                    yield "XC-BAD-002", node.place, _("the layer {name} is not in the image", name=name)
                elif size is None or size > EMPTY_LAYER:
                    yield "XC-BAD-006", node.place, _("the layer {name} is of no kind that is known here", name=name)
    if not found or not any(image.present for image in found):
        yield "XC-BAD-002", node.place, _("the image's index leads to no manifest")


def _resolved(node: Node, name: str) -> str:
    """Older engines save a layer that two images share once, and a link to it."""
    for _step in range(8):
        target = node.links.get(name)
        if target is None:
            break
        name = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)).lstrip("/")
    return name


_WHITEOUT = re.compile(r"(?P<directory>(?:.*/)?)\.wh\.(?P<name>[^/]+)", re.DOTALL)
OPAQUE = ".wh..opq"
"""OCI Image Layer Filesystem Changeset: the whole name of an opaque directory's mark is ``.wh..wh..opq``."""


def removed_by(name: str) -> list[str] | None:
    """What a file of a layer takes away by its name: one path, what is in a directory, or nothing; None: it is no such mark."""
    found = _WHITEOUT.fullmatch(name)
    if found is None:
        return None
    if found["name"] == OPAQUE:
        return [found["directory"] or "/"]
    # aufs keeps files of its own under names that begin with two such marks.
    return [] if found["name"].startswith(".wh.") else [found["directory"] + found["name"]]


def _whiteouts(layer: Node) -> None:
    """Take the marks of what a layer removes out of its files."""
    kept = []
    for name in layer.members:
        removed = removed_by(name)
        if removed is None:
            kept.append(name)
        else:
            layer.modes.pop(name, None)
            layer.removed += removed
    layer.members = kept

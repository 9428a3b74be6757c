"""Container images: OCI layouts, and what ``docker save`` writes. Their layers in order, and what each takes away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_xinchuang.inspect.artifact import Node, taken
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.messages import Message, _

HOLDERS = ("tar", "compressed", "zip", "directory")
EMPTY_LAYER = 20 << 10
"""A layer of this size at most may be a tar archive with no file in it, plain or compressed."""


def prefixes(node: Node) -> list[str]:
    """Where in a container an image begins: "" for its root, else a directory that ends with ``/``."""
    found = []
    for name in node.texts:
        directory, _slash, last = name.rpartition("/")
        prefix = f"{directory}/" if directory else ""
        if (last == "index.json" and _is_index(node.json(name))) or (
            last == "manifest.json" and _is_saved(node.json(name))
        ):
            found.append(prefix)
    return sorted(set(found))


def _is_index(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("manifests"), list)


def _is_saved(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "Layers" in v for v in value)


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
    child.links, child.texts = taken(node.links, prefix), taken(node.texts, prefix)
    child.modes, child.scripts = taken(node.modes, prefix), taken(node.scripts, prefix)
    child.classes, child.natives = taken(node.classes, prefix), taken(node.natives, prefix)
    child.children = [c for c in node.children if c.name.startswith(prefix)]
    for layer in child.children:
        layer.parent, layer.name = child, layer.name.removeprefix(prefix)
    node.children = [c for c in node.children if c not in child.children] + [child]
    return child


def _layers(node: Node) -> Iterator[tuple[str, str, Message]]:
    children = {child.name: child for child in node.children}
    found = images(node)
    told: set[str] = set()
    for number, image in enumerate(found):
        for place, (name, size) in enumerate(zip(image.layers, image.sizes, strict=True)):
            layer = children.get(name)
            if layer is not None:
                if "layer" not in layer.facts:
                    layer.facts |= {"layer": str(place), "image": str(number)}
                    _whiteouts(layer)
            elif name not in told:
                told.add(name)
                if name not in node.members:
                    yield "XC-BAD-002", node.place, _("the layer {name} is not in the image", name=name)
                elif size is None or size > EMPTY_LAYER:
                    yield "XC-BAD-006", node.place, _("the layer {name} is of no kind that is known here", name=name)
    if not any(image.present for image in found):
        yield "XC-BAD-002", node.place, _("the image's index leads to no manifest")


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

"""The images of an OCI layout or of what `docker save` writes: their platforms, and their layers from the bottom up.

Sources: OCI Image Format Specification 1.1 (index.json, manifests, configurations, whiteouts); Docker Image Specification 1.2
(manifest.json). What is not as they say is passed over: an image that cannot be followed has no layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.inspect.artifact import Node

DEPTH = 4
"""Indexes in one another that are followed: engines write one, buildx two."""


@dataclass(frozen=True)
class Start:
    """What an engine starts in an image, as its configuration says it.

    Attributes:
        words: the entry point and the command, as one list; empty: whoever starts it has to say.
        environment: name -> value.
        directory: where it is started.
    """

    words: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        os: by Go's names, as is ``arch``; empty where it does not say.
        layers: the paths of its layers in the archive, the lowest first.
        sizes: bytes of each, None where that is not told.
        present: its manifest is there: an engine that keeps one platform of several saves the index of all.
        start: what is started in it.
    """

    os: str
    arch: str
    layers: tuple[str, ...] = ()
    sizes: tuple[int | None, ...] = ()
    present: bool = True
    start: Start = Start()


def images(node: Node) -> list[Image]:
    """The images of an archive or directory; attestations, which run nowhere, are left out."""
    found = list(_of_layout(node))
    # What newer engines save has both: manifest.json adds what index.json does not lead to.
    known = {image.layers for image in found if image.layers}
    return [*found, *(image for image in _saved(node) if image.layers not in known)]


def _of_layout(node: Node) -> Iterator[Image]:
    def follow(descriptor: Any, depth: int) -> Iterator[Image]:
        if not isinstance(descriptor, dict) or depth > DEPTH:
            return
        said = descriptor.get("platform")
        said = said if isinstance(said, dict) else {}
        if said.get("architecture") == "unknown":
            return
        blob = node.json(_blob(descriptor))
        if isinstance(blob, dict) and _list(blob.get("manifests")):
            for child in _list(blob.get("manifests")):
                yield from follow(child, depth + 1)
            return
        present = isinstance(blob, dict)
        blob = blob if isinstance(blob, dict) else {}
        config = node.json(_blob(blob.get("config")))
        config = config if isinstance(config, dict) else {}
        arch = said.get("architecture") or config.get("architecture") or ""
        system = said.get("os") or config.get("os") or "linux"
        told = [layer for layer in _list(blob.get("layers")) if isinstance(layer, dict)]
        sizes = tuple(size if isinstance(size := layer.get("size"), int) else None for layer in told)
        if arch or told:
            yield Image(str(system), str(arch), tuple(_blob(layer) for layer in told), sizes, present, _start(config))

    index = node.json("index.json")
    for descriptor in _list(index.get("manifests")) if isinstance(index, dict) else ():
        yield from follow(descriptor, 0)


def _saved(node: Node) -> Iterator[Image]:
    for item in _list(node.json("manifest.json")):
        if not isinstance(item, dict):
            continue
        config = node.json(str(item.get("Config", "")))
        config = config if isinstance(config, dict) else {}
        layers = tuple(_linked(node, str(layer)) for layer in _list(item.get("Layers")))
        system, arch = config.get("os") or "linux", config.get("architecture") or ""
        yield Image(str(system), str(arch), layers, (None,) * len(layers), start=_start(config))


def _start(config: Mapping[str, Any]) -> Start:
    """``config`` of an image's configuration: ``Entrypoint`` and ``Cmd`` are lists of words, ``Env`` one of NAME=VALUE."""
    said = config.get("config")
    said = said if isinstance(said, dict) else {}
    words = [word for name in ("Entrypoint", "Cmd") for word in _list(said.get(name))]
    pairs = (each.partition("=") for each in _list(said.get("Env")) if isinstance(each, str))
    directory = said.get("WorkingDir")
    return Start(
        tuple(words) if all(isinstance(word, str) for word in words) else (),
        {name: value for name, _equals, value in pairs},
        directory if isinstance(directory, str) else "",
    )


def _linked(node: Node, name: str) -> str:
    """Older engines write a layer that several images share once, and links to it."""
    target = node.links.get(name)
    if target is None:
        return name
    parts = name.split("/")[:-1] if not target.startswith("/") else []
    for part in target.strip("/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _blob(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return f"blobs/{str(digest).replace(':', '/')}" if digest else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

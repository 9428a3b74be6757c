"""Container images: OCI layouts, and what ``docker save`` writes."""

from __future__ import annotations

from pytest_xinchuang.inspect.artifact import Node


def settle(node: Node) -> None:
    """What a container turned out to be, once its members are known."""
    if node.kind in ("tar", "compressed", "directory") and {"index.json", "manifest.json"} & set(node.texts):
        node.kind = "image"

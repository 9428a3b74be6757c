"""Python sources of wheels that ask for the machine: what chooses among files for several architectures does."""

from __future__ import annotations

import re
from typing import Any

from pytest_xinchuang.inspect.artifact import Node

_ASKING = re.compile(rb"\b(?:machine|uname|get_platform|processor|MULTIARCH|HOST_GNU_TYPE|SOABI|EXT_SUFFIX)\b")
"""Words of what tells the machine (Python's platform, os and sysconfig)."""
MOST = 1 << 20
"""Bytes of a source that is looked at."""


def is_chooser(node: Node, name: str, data: Any) -> bool:
    """Whether a file may be a source of a wheel that asks for the machine."""
    return (
        node.kind == "wheel" and name.endswith(".py") and len(data) < MOST and _ASKING.search(bytes(data)) is not None
    )

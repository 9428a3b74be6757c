"""Macros whose values a release sets: its own version."""

from __future__ import annotations

import re

_RELEASE = re.compile(
    r"(?:^|_)(?:LIB)?(?:\w*VERSION|VER|VERNUM|\w*VERNUM|MAJOR|MINOR|MICRO|PATCH|PATCHLEVEL|PATCH_LEVEL|REVISION|SUBREVISION"
    r"|RELEASE|RELEASE_DATE|RELDATE|BUILD|SOVERSION|SONAME|TIMESTAMP|DATE|VERSIONSTRING|SOURCE_ID"
    r"|PACKAGE_(?:STRING|BUGREPORT|URL)|VERSION_\w+|VER_\w+)(?:_|$)",
    re.I,
)
_OTHER = re.compile(
    r"(?:^|_)(?:PROTO|PROTOCOL|ABI|FORMAT|WIRE|MAGIC|FILE|SCHEMA|STRUCT|MIN|MAX|REQUIRED|MINIMUM)(?:_|\d|$)", re.I
)
"""What has a version of its own, that others depend on."""


def of_the_release(name: str) -> bool:
    """Whether a macro says which release this is, so that every release changes it."""
    return bool(_RELEASE.search(name)) and not _OTHER.search(name)


def goes_back(old: str, new: str) -> bool:
    """Whether a version is less than the one before it; of what is no version nobody knows, and it does not."""
    before, after = ([int(n[:18]) for n in re.findall(r"\d+", text)] for text in (old, new))
    return bool(before and after) and len(before) == len(after) and after < before

"""The section ``sdk`` of the manifest."""

from __future__ import annotations

import re

from pydantic import Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.subject import Section
from pytest_xinchuang.packages.sdk_ast.languages import Language

_PUBLISHED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~/-]*\.[A-Za-z0-9._~/-]+@[A-Za-z0-9.+_-]+")


class Sdk(FrozenData):
    """An SDK whose callers must not break.

    Attributes:
        path: its directory, beside the manifest; a jar or wheel will do.
        baseline: what its users have: a snapshot or directory beside the manifest, or MODULE@VERSION of the module proxy.
        go, java, python, rust: the Go, Java, Python or Rust that its users have.
        tags: build tags.
    """

    language: Language
    path: str = "."
    baseline: str = ""
    go: str = Field(default="", pattern=r"^([0-9]+\.[0-9]+(\.[0-9]+)?)?$")
    java: str = Field(default="", pattern=r"^([1-9][0-9]?)?$")
    python: str = Field(default="", pattern=r"^(3\.[0-9]+(\.[0-9]+)?)?$")
    rust: str = Field(default="", pattern=r"^(1\.[0-9]+(\.[0-9]+)?)?$")
    tags: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every file or directory beside the manifest that it names."""
        return [self.path, *([] if not self.baseline or is_published(self.baseline) else [self.baseline])]


def is_published(text: str) -> bool:
    """Whether it is MODULE@VERSION."""
    return bool(_PUBLISHED.fullmatch(text))


SDK = Section("sdk", Sdk, "an SDK whose callers must not break", files=lambda section: section.names)

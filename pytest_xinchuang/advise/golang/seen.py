"""What the go command made of a module in one configuration, and what is judged of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.advise.golang.packages import Listing


@dataclass(frozen=True)
class Seen:
    """How a module's packages are in one configuration.

    Attributes:
        failed: import path -> what the compilers said of it.
        cgo: CGO_ENABLED.
        lost: nothing was built, by a fault of our side's, which ``failed`` tells.
    """

    listing: Listing
    failed: Mapping[str, str] = field(default_factory=dict)
    cgo: bool = False
    lost: bool = False

    def broken(self, path: str) -> tuple[str, ...]:
        """The packages that keep one from building: itself, or what it needs; each of them fails by itself."""
        package = self.listing.get(path)
        if package is None:
            return (path,)
        return tuple(name for name in package.within if self.fails(name))

    def fails(self, path: str) -> bool:
        """Whether a package fails by itself. What the go command makes up (``unsafe``, ``C``) is not in its listing."""
        package = self.listing.get(path)
        return path in self.failed or (package is not None and bool(package.error))

    def said(self, path: str) -> str:
        """What was said of a package that fails by itself."""
        package = self.listing.get(path)
        return self.failed.get(path) or (package.error if package else "")


def needs_cgo(path: str, off: Listing, on: Listing) -> bool:
    """Whether a package, or what it needs beside Go's own, is another one with cgo than without."""
    packages = {name for listing in (off, on) if path in listing for name in listing[path].within} | {path}
    for name in packages:
        ours, theirs = off.get(name), on.get(name)
        if (ours or theirs) and (ours or theirs).standard:  # type: ignore[union-attr]
            continue
        if ours is None or theirs is None:
            if ours is not theirs:
                return True
        elif (ours.sources, bool(ours.error)) != (theirs.sources, bool(theirs.error)):
            return True
    return False

"""A checksum database of a test's own: its key, its records, its tiles, written as the go command keeps them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1, h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.golang.proxy import Proxies, escape, unescape
from pytest_xinchuang.packages.supply_chain.golang.sumdb import tile_path
from pytest_xinchuang.packages.supply_chain.golang.vouching import Vouching, vouching
from pytest_xinchuang.tools.defaults import databases
from pytest_xinchuang.tools.go import GoCommand

NAME = "sum.example.org"
PADDING = 300
"""Records of others in front: more than one tile of 256 holds."""


def key_of_go() -> str:
    """The key of the public database, as Go's own source has it."""
    return next(iter(databases(GoCommand()).keys.values()))


def latest(name: str = NAME) -> bytes:
    """A head that the public database signed, by the name that Go has for it."""
    return (
        b"go.sum database tree\n72525630\nlCeWXl//f2IAQIyqY7xCLe3ExAMUBjN57RXnyKOhjr0=\n\n"
        + f"\N{EM DASH} {name} ".encode()
        + b"Az3grrPcY4sCw2jcC2FKd0xANejIToEqtTYNak0SAO1iN05rpUvxHXsZG7dHqMyImg74tVfBxOUEBrO0/1SCFLcGLg8=\n"
    )


class Notary:
    """Signs a tree of records, as a checksum database does."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        public = b"\x01" + self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._number = hashlib.sha256(NAME.encode() + b"\n" + public).digest()[:4]
        self.key = f"{NAME}+{self._number.hex()}+{base64.b64encode(public).decode()}"

    def note(self, size: int, root: bytes) -> bytes:
        text = f"go.sum database tree\n{size}\n{base64.b64encode(root).decode()}\n".encode()
        signature = base64.b64encode(self._number + self._private.sign(text)).decode()
        return text + f"\n\u2014 {NAME} {signature}\n".encode()

    def write(self, place: Path, records: dict[str, str]) -> Path:
        """A database with ``MODULE@VERSION`` -> the lines of go.sum; it is whole, and can be carried away."""
        texts = [f"example.net/m{n} v1.0.0 h1:none\n" for n in range(PADDING)]
        names = dict(enumerate(records, PADDING))
        texts += records.values()
        leaves = [hashlib.sha256(b"\0" + text.encode()).digest() for text in texts]
        note = self.note(len(leaves), merkle(leaves))
        level, hashes = 0, leaves
        while hashes:
            for start in range(0, len(hashes), 256):
                part = hashes[start : start + 256]
                put(place / tile_path(level, start // 256, len(part)), b"".join(part))
            whole = len(hashes) // 256 * 256
            hashes = [merkle(hashes[start : start + 256]) for start in range(0, whole, 256)]
            level += 1
        for number, name in names.items():
            path, _at, version = name.rpartition("@")
            record = f"{number}\n{texts[number]}\n".encode() + note
            put(place / f"lookup/{escape(path)}@{escape(version)}", record)
        put(place / "latest", note)
        return place

    def of_proxy(self, proxy: Path, place: Path) -> Path:
        """A database with everything that a proxy's directory has now."""
        return self.write(place, dict(lines_of(proxy)))

    def vouching(self, proxies: Proxies, place: Path) -> Vouching:
        return vouching(proxies, places=[str(place)], key=self.key)


NOTARY = Notary()
"""The one that a test trusts."""


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def merkle(leaves: list[bytes]) -> bytes:
    """The root of a tree, by the definition (RFC 6962, clause 2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\1" + merkle(leaves[:middle]) + merkle(leaves[middle:])).digest()


def lines_of(proxy: Path) -> Iterable[tuple[str, str]]:
    """``MODULE@VERSION`` with its two lines of go.sum."""
    for path in sorted(proxy.rglob("@v/*.zip")):
        module = unescape(path.parent.parent.relative_to(proxy).as_posix())
        version = unescape(path.stem)
        of_mod = h1_of_go_mod(path.with_suffix(".mod").read_bytes())
        of_zip = h1(digests_of_zip(path).items())
        yield f"{module}@{version}", f"{module} {version} {of_zip}\n{module} {version}/go.mod {of_mod}\n"

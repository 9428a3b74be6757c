"""The checksum database of Go: signed trees of the hashes of go.sum (golang.org/design/25530-sumdb; RFC 6962, clause 2.1).

A record counts when its inclusion in a tree is proven and a known key signed the head of the tree. Where its bytes come from
does not matter then: a server, a proxy that passes them on, the module cache, or a directory that was carried along.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.proxy import escape
from pytest_xinchuang.tools.defaults import databases
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.gomod import ModuleVersion

HEIGHT = 8
"""Of a tile, in levels of the tree (golang.org/design/25530-sumdb, Checksum Database)."""

_ED25519 = 1
"""The algorithm's number in a key (golang.org/x/mod/sumdb/note)."""

_SIGNATURE = "\N{EM DASH} "
_LARGEST = 1 << 20
_TIMEOUT_S = 30


class NotProven(XcError):
    """A record that is there and that no signed tree is shown to have."""


@dataclass(frozen=True)
class Verifier:
    """A key that signs notes.

    Attributes:
        name: of the database.
        number: the first four bytes of the SHA-256 of name and key.
        key: Ed25519, 32 bytes.
    """

    name: str
    number: int
    key: bytes

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """``NAME+HASH+KEY`` (golang.org/x/mod/sumdb/note, NewVerifier).

        Raises:
            XcError: it is not that.
        """
        name, _plus, rest = text.partition("+")
        number, _plus, encoded = rest.partition("+")
        try:
            whole = base64.b64decode(encoded, validate=True)
            hashed = int(number, 16)
        except ValueError:
            whole, hashed = b"", -1
        right = int.from_bytes(hashlib.sha256(f"{name}\n".encode() + whole).digest()[:4])
        if not name or len(number) != 8 or len(whole) != 33 or whole[0] != _ED25519 or right != hashed:
            raise XcError(
                _("{key} is no key of a checksum database", key=repr(text)),
                mend=_("give it as go env GOSUMDB has it: NAME+HASH+KEY"),
            )
        return cls(name, hashed, whole[1:])

    def verifies(self, text: bytes, signature: bytes) -> bool:
        """Whether the key signed the text.

        Raises:
            MissingDependency: there is nothing here that verifies Ed25519.
        """
        with optional("supply_chain"):
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def setting(text: str, go: GoCommand) -> tuple[Verifier, str] | None:
    """The key and the URL that a value of GOSUMDB names, as the go command takes it; None: it is off.

    Raises:
        HostFault: it is a name, and Go does not say which it knows.
        XcError: it names a database whose key is not known.
    """
    words = text.split()
    if not words or words[0] == "off":
        return None
    if "+" not in words[0]:
        known = databases(go)
        words = known.aliases.get(" ".join(words), " ".join(words)).split()
        words[0] = known.keys.get(words[0], words[0])
    verifier = Verifier.parse(words[0])
    return verifier, words[1] if len(words) > 1 else f"https://{verifier.name}"


@dataclass(frozen=True)
class Tree:
    """A signed head: the number of its records and its root's hash."""

    size: int
    root: bytes


def signed_tree(note: bytes, verifier: Verifier) -> Tree:
    """The tree whose head a note gives (golang.org/x/mod/sumdb/note, Open; tlog, ParseTree).

    Raises:
        NotProven: it is malformed, or the key did not sign it.
    """
    text, found, signatures = note.rpartition(b"\n\n")
    text += b"\n"
    lines = text.decode("utf-8", "replace").split("\n")
    try:
        tree = Tree(int(lines[1]), base64.b64decode(lines[2], validate=True))
        if not found or lines[0] != "go.sum database tree" or len(tree.root) != 32 or lines[1] != str(tree.size):
            raise ValueError
    except (IndexError, ValueError):
        raise NotProven(_("the head of the tree is malformed")) from None
    for line in signatures.decode("utf-8", "replace").splitlines():
        name, _space, encoded = line.removeprefix(_SIGNATURE).partition(" ")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if (name, int.from_bytes(signature[:4])) == (verifier.name, verifier.number):
            if verifier.verifies(text, signature[4:]):
                return tree
            raise NotProven(_("the signature of {name} under the head of the tree is wrong", name=verifier.name))
    raise NotProven(_("{name} did not sign the head of the tree", name=verifier.name))


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


Nodes = Callable[[int, int], bytes]
"""The hash of a complete subtree: of ``2**level`` records, beginning with record ``index * 2**level``."""


def root_with(data: bytes, number: int, size: int, node: Nodes) -> bytes:
    """The root of a tree of ``size`` records that has a record at ``number`` (RFC 6962, clause 2.1.1)."""

    def plain(low: int, high: int) -> bytes:
        count = high - low
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return node(level, low >> level)
        middle = low + (1 << ((count - 1).bit_length() - 1))
        return _pair(plain(low, middle), plain(middle, high))

    def holding(low: int, high: int) -> bytes:
        if high - low == 1:
            return _leaf(data)
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if number < middle:
            return _pair(holding(low, middle), plain(middle, high))
        return _pair(plain(low, middle), holding(middle, high))

    return holding(0, size)


def tile_path(level: int, index: int, width: int = 1 << HEIGHT) -> str:
    """The name of a tile (golang.org/x/mod/sumdb/tlog, Tile.Path)."""
    name = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        name = f"x{index % 1000:03d}/{name}"
    return f"tile/{HEIGHT}/{level}/{name}" + ("" if width == 1 << HEIGHT else f".p/{width}")


class Place(Protocol):
    """Where the files of a database are read from."""

    def read(self, name: str) -> bytes | None:
        """A file; None: there is none.

        Raises:
            XcError: the place does not answer.
        """

    def partial(self, name: str) -> Iterator[bytes]:
        """What else there is of a tile of that name, whatever its width."""

    def heads(self) -> Iterator[bytes]:
        """Notes with heads of trees, the best first."""

    def keep(self, name: str) -> None:
        """A file that was read is proven, and may be kept."""


class DirectoryPlace:
    """A directory in the layout of the module cache (``lookup/``, ``tile/``), with a head in the file ``latest``."""

    def __init__(self, root: Path, latest: Path | None = None) -> None:
        self.root, self._latest = root, latest

    def read(self, name: str) -> bytes | None:
        path = self.root / name
        try:
            return path.read_bytes() if path.stat().st_size <= _LARGEST else None
        except OSError:
            return None

    def partial(self, name: str) -> Iterator[bytes]:
        yield from (p.read_bytes() for p in sorted(self.root.glob(f"{name}.p/*")) if p.is_file())

    def heads(self) -> Iterator[bytes]:
        for path in (self.root / "latest", self._latest):
            if path is not None and path.is_file():
                yield path.read_bytes()
        for path in sorted((self.root / "lookup").rglob("*@*")):
            if path.is_file() and (record := read_record(path.read_bytes())):
                yield record[2]

    def keep(self, name: str) -> None:
        """It is kept there."""


class UrlPlace:
    """A server, or a proxy that passes its answers on; what was proven is kept, and nothing else."""

    def __init__(self, url: str, kept: DirectoryPlace) -> None:
        self.url, self.kept = url.rstrip("/"), kept
        self._silent: Message | None = None
        self._fresh: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        if name != "latest" and (data := self.kept.read(name)) is not None:
            return data
        if self._silent is not None:
            raise XcError(self._silent)
        try:
            with urllib.request.urlopen(f"{self.url}/{name}", timeout=_TIMEOUT_S) as answer:
                data = bytes(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise XcError(_("{url} answers {code}", url=self.url, code=error.code)) from error
        except (OSError, ValueError) as error:
            # Who did not answer once is not waited for again.
            self._silent = _("{url}: {why}", url=self.url, why=told(error))
            raise XcError(self._silent) from error
        self._fresh[name] = data
        return data

    def partial(self, name: str) -> Iterator[bytes]:
        return self.kept.partial(name)

    def keep(self, name: str) -> None:
        data = self._fresh.pop(name, None)
        if data is not None:
            path = self.kept.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
            part.write_bytes(data)
            part.rename(path)

    def heads(self) -> Iterator[bytes]:
        if (data := self.read("latest")) is not None:
            yield data


def read_record(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The number, text and note of an answer to a look-up (golang.org/x/mod/sumdb/tlog, ParseRecord); None: it is none."""
    number, _newline, rest = data.partition(b"\n")
    text, found, note = rest.partition(b"\n\n")
    if not re.fullmatch(rb"\d{1,18}", number) or not found:
        return None
    return int(number), text + b"\n", note


class SumDatabase:
    """Records of one database, from one or more places.

    Attributes:
        verifier: the key that signs its trees.
    """

    def __init__(self, verifier: Verifier, places: Sequence[Place]) -> None:
        self.verifier, self.places = verifier, places
        self._tiles: dict[tuple[int, int, int], tuple[bytes, Place, str]] = {}

    def hashes(self, module: ModuleVersion) -> dict[bool, str]:
        """What the database says of a module version: whether it is of go.mod alone -> h1.

        Raises:
            NotProven: there is a record, and no signed tree is shown to have it.
            XcError: there is none, or nobody answers.
        """
        name = _lookup(module)
        refused: XcError | None = None
        for index, place in enumerate(self.places):
            try:
                data = place.read(name)
                if data is not None:
                    return self._proven(module, data, index)
            except NotProven as error:
                refused = error
            except XcError as error:
                refused = refused or error
        raise refused or XcError(_("{name} has no record of it here", name=self.verifier.name))

    def _proven(self, module: ModuleVersion, data: bytes, index: int) -> dict[bool, str]:
        record = read_record(data)
        if record is None:
            raise NotProven(_("the record is malformed"))
        number, text, note = record
        why: Message | None = None
        for tree in self._trees(index, note):
            if number >= tree.size:
                continue
            used: set[tuple[int, int, int]] = set()
            try:
                root = root_with(text, number, tree.size, self._nodes(tree.size, used))
            except NotProven as error:
                why = why or error.what
                continue
            if root == tree.root:
                self.places[index].keep(_lookup(module))
                for _data, place, name in (self._tiles[key] for key in used):
                    place.keep(name)
                return _lines(text, module)
            why = _("the record is not in the tree that {name} signed", name=self.verifier.name)
        # Only a note that nobody signed is left.
        signed_tree(note, self.verifier)
        raise NotProven(why or _("no head of a tree with it is here"))

    def _trees(self, index: int, note: bytes) -> Iterator[Tree]:
        yield from self._latest[index]
        try:
            yield signed_tree(note, self.verifier)
        except NotProven:
            pass
        yield from self._others[index]

    @cached_property
    def _latest(self) -> list[list[Tree]]:
        """Of each place the tree that is asked first: the same for all records, so that its edge is read once."""
        return [self._signed(place, 1) for place in self.places]

    @cached_property
    def _others(self) -> list[list[Tree]]:
        return [sorted(set(self._signed(place, 100_000)), key=lambda t: -t.size) for place in self.places]

    def _signed(self, place: Place, most: int) -> list[Tree]:
        found: list[Tree] = []
        try:
            for note in place.heads():
                try:
                    found.append(signed_tree(note, self.verifier))
                except NotProven:
                    continue
                if len(found) == most:
                    break
        except XcError:
            pass  # a place that does not answer tells it when a record is asked for
        return found

    def _nodes(self, size: int, used: set[tuple[int, int, int]]) -> Nodes:
        """The hashes of a tree's complete subtrees, out of its tiles; those tiles are added to ``used``."""

        def node(level: int, index: int) -> bytes:
            tile, inner = divmod(level, HEIGHT)
            at, offset = divmod(index << inner, 1 << HEIGHT)
            width = min(1 << HEIGHT, (size >> (tile * HEIGHT)) - (at << HEIGHT))
            data = self._tile(tile, at, width, offset + (1 << inner))
            used.add((tile, at, width))
            hashes = [data[n * 32 : n * 32 + 32] for n in range(offset, offset + (1 << inner))]
            while len(hashes) > 1:
                hashes = [_pair(*hashes[n : n + 2]) for n in range(0, len(hashes), 2)]
            return hashes[0]

        return node

    def _tile(self, level: int, index: int, width: int, needed: int) -> bytes:
        key = level, index, width
        if key not in self._tiles or len(self._tiles[key][0]) < needed * 32:
            self._tiles[key] = self._read_tile(level, index, width, needed)
        return self._tiles[key][0]

    def _read_tile(self, level: int, index: int, width: int, needed: int) -> tuple[bytes, Place, str]:
        whole = tile_path(level, index)
        for place in self.places:
            try:
                for name in dict.fromkeys((tile_path(level, index, width), whole)):
                    data = place.read(name)
                    if data is not None and len(data) >= width * 32:
                        return data, place, name
            except XcError:
                continue
            for data in place.partial(whole):
                if len(data) >= needed * 32:
                    return data, place, whole
        raise NotProven(_("{tile} is not here", tile=verbatim(tile_path(level, index, width))))


def _lookup(module: ModuleVersion) -> str:
    return f"lookup/{escape(module.path)}@{escape(module.version)}"


def _lines(text: bytes, module: ModuleVersion) -> dict[bool, str]:
    found: dict[bool, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == module.path and words[1].removesuffix("/go.mod") == module.version:
            found[words[1].endswith("/go.mod")] = words[2]
    return found

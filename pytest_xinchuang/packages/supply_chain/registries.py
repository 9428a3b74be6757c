"""What a registry published: asked over HTTPS, read from a place that whoever checks names, or from a cache of this machine."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import Message, _, joined, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, on_loopback
from pytest_xinchuang.packages.supply_chain.locked import Digest, LockedFile
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools import defaults

TIMEOUT_S = 60
LARGEST = 2 << 30
"""Bytes of an answer; the largest wheels that registries serve have about a gigabyte."""


class Standing(StrEnum):
    """Who says what was published."""

    PUBLISHED = "published"
    """The registry, asked now, or a place that whoever checks named."""
    SIGNED = "signed"
    """A signature by a key of the registry, which is known here."""
    CACHED = "cached"
    """A cache of this machine alone, which whoever built could have written."""


class Signed(StrEnum):
    """What is known of signatures."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """There is none, no key of it is known here, or nothing that could verify it is installed."""


@dataclass(frozen=True)
class Key:
    """Keys of publishers that whoever checks trusts.

    Attributes:
        below: the names of packages that they sign begin with it, up to a dot or a colon; "" is all.
        data: the keys, in the form that the ecosystem's signatures need.
    """

    below: str
    data: bytes

    def covers(self, name: str) -> bool:
        """Whether a package's signatures have to be by these keys."""
        return not self.below or name == self.below or name.startswith((f"{self.below}.", f"{self.below}:"))


@dataclass(frozen=True)
class PublishedFile:
    """A file that was published; ``path`` is where its bytes are here, ``url`` where they can be had."""

    name: str
    digests: tuple[Digest, ...] = ()
    path: Path | None = None
    url: str = ""


@dataclass(frozen=True)
class Published:
    """What was published under a name and version.

    Attributes:
        licence: as the metadata give it; "" where they do not.
        scripts: whether the package runs a script when it is installed or built; None: not known.
        withdrawn: whether the registry has taken it back (yanked, deprecated as malicious).
        notes: what else was seen: finding codes with what they are filled in with.
    """

    files: tuple[PublishedFile, ...]
    standing: Standing
    licence: str = ""
    scripts: bool | None = None
    withdrawn: bool = False
    notes: tuple[tuple[str, Message], ...] = field(default=())
    complete: bool = True
    """Whether these are all files of the version: a directory of archives may have some of them."""
    signature: tuple[Signed, Message] | None = None
    """What the publisher's signatures say, and why; None: they were not asked for."""

    def matching(self, file: LockedFile) -> list[PublishedFile]:
        """The published files that a locked one may be: of its name, or any where the lock gives no name."""
        return [p for p in self.files if not file.name or p.name == file.name]


class _NoRedirectOut(urllib.request.HTTPRedirectHandler):
    """Follows a redirect as far as the asked host may be asked: offline, to loopback alone."""

    def __init__(self, offline: bool) -> None:
        self.offline = offline

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not _web(newurl) or (self.offline and not on_loopback(newurl)):
            raise urllib.error.URLError(_("it leads on to {url}", url=newurl))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _web(url: str) -> bool:
    return urllib.parse.urlsplit(url).scheme in ("http", "https")


class Registries:
    """Fetches from registries.

    Args:
        places: ecosystem -> directories and URLs that stand for its registry.
        keys: ecosystem -> keys of publishers.
        offline: nobody is asked but what of ``places`` is on loopback.
    """

    def __init__(
        self,
        cache: Cache,
        places: Mapping[str, Sequence[str]] | None = None,
        *,
        keys: Mapping[str, Sequence[Key]] | None = None,
        offline: bool = False,
    ) -> None:
        self.cache, self.offline = cache, offline
        self._places = {name: tuple(given) for name, given in (places or {}).items()}
        self._keys = keys or {}
        self._answers: dict[str, Any | Gone] = {}
        self._asking = threading.Lock()
        self._opener = urllib.request.build_opener(_NoRedirectOut(offline))

    def directories(self, ecosystem: str) -> list[Path]:
        """The directories that were named for an ecosystem.

        Raises:
            XcError: one of them is none.
        """
        found = [Path(p) for p in self._places.get(ecosystem, ()) if "://" not in p]
        for place in found:
            if not place.is_dir():
                raise XcError(_("{place}: no such directory", place=place))
        return found

    def keys(self, ecosystem: str, name: str) -> list[bytes]:
        """The keys that a package's signatures have to be by; none: they are not asked for."""
        return [key.data for key in self._keys.get(ecosystem, ()) if key.covers(name)]

    def urls(self, ecosystem: str, gone: list[Gone]) -> list[str]:
        """The addresses that were named for an ecosystem; where nothing was named, the one that its tool asks by default.

        Args:
            gone: why that is not known is added.
        """
        given = self._places.get(ecosystem)
        if given is not None:
            return [p.rstrip("/") for p in given if "://" in p]
        usual = defaults.default(ecosystem)
        if isinstance(usual, Message):
            gone.append(Gone(usual, False))
            return []
        return [usual.url]

    def named(self, ecosystem: str) -> bool:
        """Whether a place was named that stands for the registry."""
        return ecosystem in self._places

    def trusts(self, ecosystem: str, url: str) -> bool | Message:
        """Whether an address is of a registry that was named, or of the one that the tool asks by default.

        A message says why that is not known: the tool is not here, or does not say which it takes for the same.
        """
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError:
            return False
        named = {urllib.parse.urlsplit(p).hostname or "" for p in self._places.get(ecosystem, ()) if "://" in p}
        if parts.hostname in named and (parts.scheme == "https" or on_loopback(url)):
            return True
        usual = defaults.default(ecosystem)
        if isinstance(usual, Message):
            return usual if parts.scheme == "https" else False
        found = usual.is_it(url)
        if found is not None:
            return found
        return _(
            "{tool} does not say which others it takes for {url}", tool=verbatim(ecosystem), url=verbatim(usual.url)
        )

    def trusting(self, ecosystem: str) -> Callable[[str], bool | Message]:
        """:meth:`trusts` of one ecosystem."""
        return functools.partial(self.trusts, ecosystem)

    def once(self, url: str) -> Any | Gone:
        """An answer in JSON that is asked for once, such as a registry's own settings."""
        with self._asking:
            if url not in self._answers:
                self._answers[url] = self.json(url)
            return self._answers[url]

    def get(self, url: str, accept: str = "*/*") -> bytes | Gone:
        """An answer of a registry; one that the registry denies is certain."""
        if not _web(url):
            return Gone(_("{url} is no address of the web", url=url), False)
        if self.offline and not on_loopback(url):
            return Gone(_("{url} was not asked: nothing may be fetched", url=url), False)
        try:
            request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "pytest-xinchuang"})
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                data: bytes = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            return Gone(_("{url} answers {code}", url=url, code=error.code), error.code in (404, 410))
        except (OSError, ValueError) as error:
            return Gone(_("{url}: {why}", url=url, why=told(error)), False)
        if len(data) > LARGEST:
            return Gone(_("{url} has more than {most} MiB", url=url, most=LARGEST >> 20), False)
        return data

    def json(self, url: str, accept: str = "application/json") -> Any | Gone:
        """An answer in JSON: an object or a list."""
        data = self.get(url, accept)
        return data if isinstance(data, Gone) else parsed(data, url)

    def artifact(self, url: str) -> Path | Gone:
        """A file of a registry, kept in the cache: what it is worth its digest has to tell."""
        kept = self.cache.root / "registry" / hashlib.sha256(url.encode()).hexdigest()
        if kept.is_file() and not on_loopback(url):
            return kept
        data = self.get(url)
        if isinstance(data, Gone):
            return data
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
        part.write_bytes(data)
        part.rename(kept)
        return kept


def parsed(data: bytes, name: object) -> Any | Gone:
    """JSON of a registry or a cache; what is none is no answer."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        return Gone(_("{file}: not JSON: {why}", file=verbatim(str(name)), why=told(error)), False)
    if not isinstance(found, dict | list):
        return Gone(_("{file}: neither an object nor a list of JSON", file=verbatim(str(name))), False)
    return found


def first(answers: Iterable[Published | Gone], gone: list[Gone]) -> Published | None:
    """The first place that has something; what those before it say is added to ``gone``."""
    for answer in answers:
        if isinstance(answer, Published):
            return answer
        gone.append(answer)
    return None


def worst(gone: Sequence[Gone], places: Sequence[str]) -> Gone:
    """One answer for several places that do not have something; certain where each is."""
    if not gone:
        return Gone(_("no place is known that could have it"), False)
    if len(gone) == 1:
        return gone[0]
    return Gone(joined([one.why for one in gone], _(", ")), bool(places) and all(one.certain for one in gone))

"""Files from mirrors, each known by its SHA-256 beforehand: fetched once, several at a time, continued where they broke off."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.locks import lock
from pytest_xinchuang.core.secrets import Redactor
from pytest_xinchuang.messages import NOTHING, Message, _, joined, system_error, told, verbatim
from pytest_xinchuang.provision.trees import writing_mend

APT = Path("/etc/apt")
"""Where the machine's own package manager keeps its sources (sources.list(5)), on a system of Debian's kind."""

_APT_FILES = (".list", ".sources")

TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection is given up."""

ATTEMPTS = 4
"""How often a file is asked for at one place, when it is the line that fails."""

_PAUSE_S = 0.5
"""Seconds before the second attempt; twice as many before each further one."""

AT_ONCE = 8
"""Files that are fetched beside each other."""

MOST = 8 << 30
"""Bytes of a file whose size nobody has told."""

_CHUNK = 1 << 18

_HEADERS = {"User-Agent": "pytest-xinchuang", "Accept-Encoding": "identity"}


class Trouble(StrEnum):
    """Why a file could not be had from a place."""

    MISSING = "missing"
    """The place has not got it."""
    REFUSED = "refused"
    """The place answers with an error."""
    DIGEST = "digest"
    """The place has another file there."""
    NAME = "name"
    """The name of the host is not resolved."""
    TLS = "tls"
    """The certificate is not trusted."""
    PROXY = "proxy"
    """The proxy of the environment refuses, or cannot be reached."""
    LINE = "line"
    """The host cannot be reached, or the connection breaks."""

    @property
    def of_the_place(self) -> bool:
        """Whether any other file would meet with it too."""
        return self in (Trouble.NAME, Trouble.TLS, Trouble.PROXY, Trouble.LINE)


class _Failed(Exception):
    """An attempt that failed."""

    def __init__(self, trouble: Trouble, why: Message, *, again: bool = False) -> None:
        super().__init__(why)
        self.trouble, self.why, self.again = trouble, why, again


@dataclass(frozen=True)
class Wish:
    """A file to be fetched.

    Attributes:
        urls: where it may be, the best place first.
        size: bytes; 0: unknown.
        sha256: of the whole file, in hexadecimal digits; it is the name under which the file is kept. Empty: unknown.
    """

    urls: tuple[str, ...]
    size: int
    sha256: str


@dataclass
class Mirrors:
    """Where packages are fetched from.

    Attributes:
        mirrors: roots of Debian archives (below them are ``dists`` and ``pool``), asked one after the other.
        snapshots: the root of an archive of snapshots, which are below it by their time; "": none is known.
    """

    mirrors: tuple[str, ...] = ()
    snapshots: str = ""

    @staticmethod
    def of_the_environment() -> Mirrors:
        """``$XC_MIRROR`` (several are separated by spaces) before those of the machine's apt, and ``$XC_SNAPSHOT``."""
        own = (*os.environ.get("XC_MIRROR", "").split(), *_of_apt())
        return Mirrors(tuple(dict.fromkeys(own)), os.environ.get("XC_SNAPSHOT", "").strip())

    def urls(self, path: str, snapshot: str, *, first: str = "") -> tuple[str, ...]:
        """Where a file of the archive may be; ``first`` is another name for it that mirrors have, and snapshots have not."""
        names = [f"{mirror.rstrip('/')}/{first or path}" for mirror in self.mirrors]
        kept = [f"{self.snapshots.rstrip('/')}/{snapshot}/{path}"] if self.snapshots else []
        return (*names, *kept)


def _of_apt() -> list[str]:
    """Roots of Debian's archive among the sources of the machine's apt: no security archive, no other distribution's."""
    found: list[str] = []
    for file in (APT / "sources.list", *sorted(APT.glob("sources.list.d/*"))):
        with contextlib.suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.suffix in _APT_FILES else []
            for line in lines:
                kind, _space, rest = line.strip().partition(" ")
                if kind in ("deb", "URIs:"):
                    found += [word.rstrip("/") for word in rest.split() if word.rstrip("/").endswith("/debian")]
    return found


@dataclass
class Downloads:
    """Files below one directory, by their SHA-256.

    Attributes:
        below: another such directory, of a cache that is read alone.
        unreachable: places that gave no answer: they are not asked again.
    """

    directory: Path
    below: Path | None = None
    unreachable: dict[str, _Failed] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def place(self, wish: Wish) -> Path:
        if self.below is not None and (self.below / wish.sha256).is_file():
            return self.below / wish.sha256
        return self.directory / wish.sha256

    def all(self, wishes: Sequence[Wish]) -> list[Path]:
        """The files, in this order.

        Raises:
            HostFault: one cannot be had; it tells of each place where it was looked for.
        """
        missing = [wish for wish in dict.fromkeys(wishes) if not self.place(wish).is_file()]
        if missing:
            # The largest first: the line is full until the end.
            missing.sort(key=lambda wish: -wish.size)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                doing = [pool.submit(self.one, wish) for wish in missing]
                wait(doing, return_when=FIRST_EXCEPTION)
                for each in doing:
                    each.cancel()
            for each in doing:
                if not each.cancelled():
                    each.result()
        return [self.place(wish) for wish in wishes]

    def one(self, wish: Wish) -> Path:
        """One file, kept from an earlier time or fetched now.

        Raises:
            HostFault: see ``all``.
        """
        place = self.place(wish)
        if place.is_file():
            return place
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f"{wish.sha256}.part")
            with part.open("a+b") as file:
                lock(file, wait=True)  # another process may be fetching it
                if not place.is_file():
                    self._fetch(wish, file)
                    part.rename(place)
        except OSError as error:
            raise self._unwritable(error) from error
        return place

    def small(self, url: str, most: int) -> bytes | None:
        """A small file whose digest nobody knows; None where there is none, or a larger one."""
        with contextlib.suppress(OSError, http.client.HTTPException, _Failed), _opened(url, _HEADERS) as answer:
            data = answer.read(most + 1)
            return data if len(data) <= most else None
        return None

    def unknown(self, url: str) -> Path:
        """A file whose digest nobody knows: fetched anew each time.

        Raises:
            HostFault: see ``all``.
        """
        place = self.directory / f"of-{hashlib.sha256(url.encode()).hexdigest()}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with place.open("w+b") as file:
                self._fetch(Wish((url,), 0, ""), file)
        except OSError as error:
            raise self._unwritable(error) from error
        return place

    def _unwritable(self, error: OSError) -> HostFault:
        return HostFault(
            _("{directory}: cannot be written: {why}", directory=self.directory, why=system_error(error)),
            mend=writing_mend(error, self.directory),
        )

    def _fetch(self, wish: Wish, file: IO[bytes]) -> None:
        failures: list[tuple[str, _Failed]] = []
        if not wish.urls:
            raise HostFault(
                _("no mirror of Debian's archive is known on this machine"),
                mend=_("export XC_MIRROR=<URL of a Debian mirror>, or xc provision --from ARCHIVE"),
            )
        for url in wish.urls:
            site = _site(url)
            with self._lock:
                known = self.unreachable.get(site)
            if known is not None:
                failures.append((url, known))
                continue
            try:
                self._from(url, wish, file)
                return
            except _Failed as failed:
                failures.append((url, failed))
                if failed.trouble.of_the_place:
                    with self._lock:
                        self.unreachable[site] = failed
        raise _fault(failures)

    def _from(self, url: str, wish: Wish, file: IO[bytes]) -> None:
        """Fetch from one place.

        Raises:
            _Failed: it cannot be had there.
            OSError: the file cannot be written.
        """
        pause, attempt = _PAUSE_S, 1
        while True:
            had = file.seek(0, os.SEEK_END)
            try:
                if not wish.size or had != wish.size:
                    _transfer(url, file, had, wish.size)
                _check(file, wish)
                return
            except _Failed as failed:
                whole = failed.trouble is Trouble.DIGEST
                if whole:
                    file.truncate(0)
                # What was put together of two answers, or lay there before, may be wrong where a fresh one is right.
                if not (failed.again or (whole and had)) or attempt >= ATTEMPTS:
                    raise
                if file.seek(0, os.SEEK_END) > had:
                    pause, attempt = _PAUSE_S, 0  # a bad line that still gets on
            attempt += 1
            time.sleep(pause)
            pause *= 2


def _site(url: str) -> str:
    """The scheme and host of a URL."""
    scheme, _sep, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _transfer(url: str, file: IO[bytes], had: int, size: int, most: int = MOST) -> None:
    """Append to ``file`` what it lacks."""
    headers = _HEADERS | ({"Range": f"bytes={had}-"} if had else {})
    try:
        with _opened(url, headers) as answer:
            if had and answer.headers.get("Content-Range", "").split("-")[0] != f"bytes {had}":
                had = 0  # it gives the whole again
            file.seek(had)
            file.truncate(had)
            length = answer.headers.get("Content-Length", "")
            end = had + int(length) if length.isdigit() else None
            while chunk := answer.read(_CHUNK):
                had += len(chunk)
                if had > (size or most):
                    raise _Failed(Trouble.DIGEST, _("it has more than {n} bytes", n=size or most))
                _write(file, chunk)
            if end is not None and had < end:
                raise _Failed(Trouble.LINE, _("the connection broke after {n} bytes", n=had), again=True)
    except _Failed:
        raise
    except _Unwritable as error:
        raise error.cause from error
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, file) from error
    except (OSError, http.client.HTTPException) as error:
        raise _trouble(error, url) from error


class _Unwritable(Exception):
    """The file cannot be written: no fault of the line."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause


def _write(file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise _Unwritable(error) from error


def _opened(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    # An opener of its own: the one that the module keeps has the proxies of when it was first used.
    opener = urllib.request.build_opener()
    answer: http.client.HTTPResponse = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    if url.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise _Failed(
            Trouble.REFUSED, _("it leads to {url}, which is not https", url=verbatim(Redactor().text(answer.url)))
        )
    return answer


def _refusal(error: urllib.error.HTTPError, file: IO[bytes]) -> _Failed:
    why = _("it answers {code} {reason}", code=error.code, reason=verbatim(error.reason))
    match error.code:
        case 404 | 410:
            return _Failed(Trouble.MISSING, why)
        case 407:
            return _Failed(Trouble.PROXY, why)
        case 416:  # it has less than we have
            file.truncate(0)
            return _Failed(Trouble.LINE, why, again=True)
        case 429 | 500 | 502 | 503 | 504:
            return _Failed(Trouble.REFUSED, why, again=True)
    return _Failed(Trouble.REFUSED, why)


def _trouble(error: OSError | http.client.HTTPException, url: str) -> _Failed:
    cause = getattr(error, "reason", None)
    cause = cause if isinstance(cause, BaseException) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _Failed(Trouble.TLS, _("its certificate is not trusted: {why}", why=verbatim(cause.verify_message)))
    if isinstance(cause, FileNotFoundError):  # of a mirror that is a directory
        return _Failed(Trouble.MISSING, told(cause))
    why = told(cause)
    if type(cause).__name__ == "gaierror":
        proxied = _proxy(url)
        # A resolver that did not answer may do so in a moment; one that does not know the name never will.
        again = not proxied and getattr(cause, "errno", None) == socket.EAI_AGAIN
        return _Failed(Trouble.PROXY if proxied else Trouble.NAME, why, again=again)
    if _proxy(url) and getattr(cause, "errno", None) in (
        None,
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    ):
        return _Failed(Trouble.PROXY, why)
    # Nobody listens there: to ask again at once is of no use.
    return _Failed(Trouble.LINE, why, again=getattr(cause, "errno", None) != errno.ECONNREFUSED)


def _proxy(url: str) -> str:
    """The proxy by which a URL is asked for; empty: none."""
    scheme, _sep, rest = url.partition("://")
    host = rest.partition("/")[0]
    with contextlib.suppress(OSError):
        if urllib.request.proxy_bypass(host):
            return ""
    return urllib.request.getproxies().get(scheme, "")


def _check(file: IO[bytes], wish: Wish) -> None:
    if not wish.sha256:
        return
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if found != wish.sha256:
        raise _Failed(Trouble.DIGEST, _("its SHA-256 is {found}, not {wanted}", found=found, wanted=wish.sha256))


def _fault(failures: list[tuple[str, _Failed]]) -> HostFault:
    """One message about all places, with the mend for the first of them."""
    hide = Redactor()
    places = [_("{url}: {why}", url=verbatim(hide.text(url)), why=failed.why) for url, failed in failures]
    return HostFault(_("could not be fetched: {places}", places=joined(places)), mend=_mend(failures))


def _mend(failures: list[tuple[str, _Failed]]) -> Message:
    """By the first place that gave no answer; where all have answered, by the first."""
    if not failures:
        return NOTHING
    url, failed = next(((u, f) for u, f in failures if f.trouble.of_the_place), failures[0])
    proxy = verbatim(Redactor().text(_proxy(url)))
    match failed.trouble:
        case Trouble.PROXY:
            return _("the proxy is {proxy}: correct HTTPS_PROXY and HTTP_PROXY, or NO_PROXY", proxy=proxy)
        case Trouble.TLS:
            return _(
                "export SSL_CERT_FILE=/path/of/your/authorities.pem, or XC_MIRROR=http://... of a mirror: digests are pinned"
            )
        case Trouble.DIGEST:
            return _(
                "something between here and the mirror changes files: export XC_MIRROR=<URL of another Debian mirror>"
            )
    return _(
        "export XC_MIRROR=<URL of a Debian mirror that can be reached>, or HTTPS_PROXY; "
        "without a network: xc provision --from ARCHIVE"
    )

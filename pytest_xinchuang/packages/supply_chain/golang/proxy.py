"""Where published modules come from: a directory, the module cache, and GOPROXY (Go modules reference, GOPROXY protocol)."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_xinchuang.messages import Message, _, joined, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.modzip import path_fault
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.gomod import ModuleVersion
from pytest_xinchuang.tools.process import Runner

TIMEOUT_S = 60
LARGEST = 500 << 20
"""The go command refuses module zips of more than 500 MiB (golang.org/x/mod/zip, MaxZipFile)."""


def escape(text: str) -> str:
    """As proxies write paths and versions: a capital is ``!`` and the small letter."""
    return re.sub(r"[A-Z]", lambda m: "!" + m[0].lower(), text)


def unescape(text: str) -> str:
    """What :func:`escape` wrote."""
    return re.sub(r"!([a-z])", lambda m: m[1].upper(), text)


def nameable(module: ModuleVersion) -> bool:
    """Whether a module can be asked for by a path: a line of go.sum may say anything, e.g. lead out of a directory."""
    return path_fault(module.path) is None and path_fault(module.version) is None and "/" not in module.version


def covered(patterns: str, path: str) -> bool:
    """Whether one of the patterns of GOPRIVATE and its like covers a module (golang.org/x/mod/module, MatchPrefixPatterns)."""
    words = path.split("/")
    for pattern in filter(None, (p.strip().rstrip("/") for p in patterns.split(","))):
        asked = pattern.split("/")
        if len(asked) <= len(words) and all(map(fnmatchcase, words, asked)):
            return True
    return False


def on_loopback(url: str) -> bool:
    """Whether a URL leads to this host itself."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return host.startswith("127.") or host in ("localhost", "::1")


@dataclass(frozen=True)
class Gone:
    """A file that could not be fetched.

    Attributes:
        certain: every place was asked and said that the file does not exist.
        refused: a proxy said so, and another place may still have it.
        partial: the places are those that were given, which need not have what nothing is built from.
    """

    why: Message
    certain: bool
    refused: bool = False
    partial: bool = False


class Proxies:
    """Fetches module files.

    Args:
        places: directories or URLs in the layout of a proxy; empty: the module cache, then GOPROXY.
        offline: nothing but directories, the module cache, and what of ``places`` is on loopback.

    Raises:
        ToolchainFault: there is no Go, which says where modules come from.
    """

    def __init__(
        self, cache: Cache, places: Sequence[str] = (), *, offline: bool = False, runner: Runner | None = None
    ) -> None:
        self.cache, self.offline = cache, offline
        self.go = GoCommand(runner or Runner(), offline)
        settings = self.go.settings
        self._own = tuple(places)
        self._downloads = Path(settings["GOMODCACHE"]) / "cache" / "download"
        self._urls = [] if places else self._listed(settings["GOPROXY"])
        self._carriers = [] if offline else self._listed(settings["GOPROXY"])
        # With "direct" a module that no proxy has may still be in a repository of its own.
        self._direct = "direct" in re.split(r"[,|]", settings["GOPROXY"])
        self._private = settings["GONOPROXY"]
        self._silent: set[str] = set()

    @staticmethod
    def _listed(text: str) -> list[str]:
        return [p for p in re.split(r"[,|]", text) if p not in ("direct", "off", "")]

    @property
    def places(self) -> list[str]:
        """The directories and URLs that are asked, but for the module cache; offline, those alone that were given."""
        return list(self._own or ([] if self.offline else self._urls))

    @property
    def carriers(self) -> list[str]:
        """Who may pass on what proves itself: the places, and the proxies of GOPROXY."""
        return list(dict.fromkeys([*self.places, *self._carriers]))

    def may_ask(self, url: str) -> bool:
        """Whether a URL that was given may be opened."""
        return not self.offline or on_loopback(url)

    def fetch(self, module: ModuleVersion, kind: str) -> Path | Gone:
        """The ``mod`` or ``zip`` file of a module version."""
        if not nameable(module):
            return Gone(_("{module} cannot be the name of a module", module=verbatim(ascii(str(module)))), True)
        relative = f"{escape(module.path)}/@v/{escape(module.version)}.{kind}"
        unknown: list[Message] = []
        for place in self._own:
            if "://" not in place:
                path = Path(place) / relative
                if path.is_file():
                    return path
                if not Path(place).is_dir():
                    unknown.append(_("{place}: no such directory", place=place))
            else:
                got = self._get(place, relative)
                if isinstance(got, Path):
                    return got
                if not got.certain:
                    unknown.append(got.why)
        if unknown:
            return Gone(joined(unknown), False)
        if self._own:
            why = _("{module} is not at {places}", module=module, places=joined(self._own, _(", ")))
            return Gone(why, True, partial=True)
        path = self._downloads / relative
        if path.is_file():
            return path
        if self.offline:
            return Gone(_("{module} is not in the module cache, and nothing may be fetched", module=module), False)
        if covered(self._private, module.path):
            return Gone(_("{module} is private (GOPRIVATE) and not in the module cache", module=module), False)
        last = Gone(_("{module}: GOPROXY names no proxy", module=module), False)
        for url in self._urls:
            got = self._get(url, relative)
            if isinstance(got, Path):
                return got
            certain = got.certain and len(self._urls) == 1 and not self._direct
            last = Gone(_("{module}: {why}", module=module, why=got.why), certain, got.certain)
        return last

    def newest(self, path: str) -> ModuleVersion | None:
        """The newest version of a module that the places know of, whose go.mod says what is retracted; None: nobody knows one.

        A release goes before a pre-release, as for ``@latest`` (Go modules reference, Version queries).
        """
        known: set[str] = set()
        relative = f"{escape(path)}/@v"
        for directory in [Path(p) for p in self._own if "://" not in p] or ([] if self._own else [self._downloads]):
            known |= {file.stem for file in (directory / relative).glob("*.mod")}
        for url in [p for p in self.places if "://" in p and (self._own or not covered(self._private, path))]:
            if url in self._silent:
                continue  # nothing depends on it that is worth a second wait
            got = self._get(url, f"{relative}/list", fresh=True)
            if isinstance(got, Path):
                known |= set(got.read_text(encoding="utf-8", errors="replace").split())
                break
        found = [m for m in (ModuleVersion(path, unescape(v)) for v in known) if m.semantic and not m.pseudo]
        return max(
            found, key=lambda m: (not m.prerelease, not m.version.endswith("+incompatible"), m.key), default=None
        )

    def _get(self, base: str, relative: str, *, fresh: bool = False) -> Path | Gone:
        url = base.rstrip("/") + "/" + urllib.parse.quote(relative, safe="/@!.+~-_")
        host = urllib.parse.urlsplit(base)
        # Another proxy may serve something else under the same name.
        kept = self.cache.root / "goproxy" / re.sub(r"[^A-Za-z0-9.]", "_", host.netloc + host.path) / relative
        loopback = on_loopback(base)
        if kept.is_file() and not loopback and (self.offline or not fresh):
            return kept
        if self.offline and not loopback:
            return Gone(_("{url} was not asked: nothing may be fetched", url=url), False)
        try:
            with urllib.request.urlopen(url, timeout=self.go.runner.seconds(TIMEOUT_S)) as answer:
                data = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            error.close()
            return Gone(_("{url} answers {code}", url=url, code=error.code), error.code in (404, 410))
        except (OSError, ValueError) as error:
            self._silent.add(base)
            return Gone(_("{url}: {why}", url=url, why=told(error)), False)
        if len(data) > LARGEST:
            return Gone(_("{url} has more than {most} MiB", url=url, most=LARGEST >> 20), False)
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"{kept.name}.{os.getpid()}.{id(data)}.part")
        part.write_bytes(data)
        part.rename(kept)
        return kept

"""Who vouches for published modules: a checksum database, or a list that was signed. No cache does, and no proxy by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.supply_chain.golang.hashes import digests_of_zip, h1, h1_of_go_mod
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone, Proxies, covered, escape
from pytest_xinchuang.packages.supply_chain.golang.sumdb import (
    DirectoryPlace,
    NotProven,
    Place,
    SumDatabase,
    UrlPlace,
    Verifier,
    setting,
)
from pytest_xinchuang.packages.supply_chain.mirror import signed_manifest
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.tools.gomod import ModuleVersion


@dataclass(frozen=True)
class Said:
    """What is vouched for of one module version.

    Attributes:
        hashes: whether it is of go.mod alone -> h1.
        by: who says so.
        why: why nobody does, or not of all.
        unproven: there is a record that no signed tree is shown to have.
    """

    hashes: dict[bool, str] = field(default_factory=dict)
    by: str = ""
    why: Message | None = None
    unproven: bool = False


class SignedList:
    """The files of a mirror, as its manifest says that a trusted key signed."""

    def __init__(self, place: str, trusted: Sequence[Point], proxies: Proxies) -> None:
        self.place, self._trusted, self._proxies = place, list(trusted), proxies

    @cached_property
    def _listed(self) -> dict[str, str] | Message:
        try:
            found = signed_manifest(self.place, self._trusted, self._proxies.go.runner)
        except XcError as error:
            return error.what
        return {f.path: f.sha256 for f in found.files} if not isinstance(found, Message) else found

    def of(self, module: ModuleVersion) -> Said:
        """The hashes of the files that are listed, computed from files that are as the list says."""
        listed = self._listed
        if isinstance(listed, Message):
            return Said(why=listed)
        hashes: dict[bool, str] = {}
        why: Message | None = None
        for kind in ("zip", "mod"):
            name = f"{escape(module.path)}/@v/{escape(module.version)}.{kind}"
            if name not in listed:
                why = why or _("the signed list of {place} does not have {name}", place=self.place, name=verbatim(name))
                continue
            path = self._proxies.fetch(module, kind)
            if isinstance(path, Gone):
                why = why or path.why
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() != listed[name]:
                why = _("{name} is not as the signed list of {place} says", place=self.place, name=verbatim(name))
                continue
            try:
                hashes[kind == "mod"] = (
                    h1_of_go_mod(path.read_bytes()) if kind == "mod" else h1(digests_of_zip(path).items())
                )
            except XcError as error:
                why = error.what
        return Said(hashes, self.place, why)


class Vouching:
    """All who vouch.

    Args:
        private: patterns of modules that no database is asked about (GONOSUMDB).
    """

    def __init__(
        self,
        database: SumDatabase | None,
        lists: Sequence[SignedList] = (),
        *,
        private: str = "",
        why: Message | None = None,
    ) -> None:
        self.database, self.lists, self._private = database, lists, private
        self._why = why or _("no checksum database and no signed list is given")

    def of(self, module: ModuleVersion) -> Said:
        """What is said of a module version; the first who says something of its files goes before the others."""
        best = Said(why=None)
        for one in self.lists:
            said = one.of(module)
            if len(said.hashes) == 2:
                return said
            best = _better(best, said)
        if self.database is None:
            return _better(best, Said(why=self._why))
        if covered(self._private, module.path):
            return _better(best, Said(why=_("it is private (GONOSUMDB), and no database is asked about it")))
        try:
            hashes = self.database.hashes(module)
        except NotProven as error:
            return _better(best, Said(why=error.what, unproven=True))
        except XcError as error:
            return _better(best, Said(why=error.what))
        return _better(Said(hashes, self.database.verifier.name), best)


def _better(one: Said, other: Said) -> Said:
    if len(other.hashes) > len(one.hashes) or (not one.hashes and one.why is None):
        return other
    return one


def vouching(
    proxies: Proxies,
    *,
    places: Sequence[str] = (),
    key: str = "",
    mirrors: Sequence[str] = (),
    trusted: Sequence[Point] = (),
) -> Vouching:
    """Who vouches, by what the person who checks has given.

    Args:
        places: of the checksum database, directories or URLs; none: what the module cache and the proxies have of it, and,
            unless nothing may be fetched, the database itself.
        key: of the database, as GOSUMDB has it; "": the go command's own setting.
        mirrors: places whose signed manifests count.
        trusted: the keys that may have signed them.

    Raises:
        XcError: the key is none.
    """
    lists = [
        SignedList(place, trusted, Proxies(proxies.cache, [place], offline=proxies.offline, runner=proxies.go.runner))
        for place in dict.fromkeys(mirrors)
        if trusted and ("://" not in place or proxies.may_ask(place))
    ]
    settings = proxies.go.settings
    try:
        told = setting(key or settings.get("GOSUMDB", ""), proxies.go)
    except HostFault as fault:
        if key:
            raise
        return Vouching(None, lists, why=fault.what)
    if told is None and key:
        told = Verifier.parse(key), ""
    if told is None:
        return Vouching(None, lists, why=_("the checksum database is switched off (GOSUMDB=off)"))
    verifier, url = told
    found = [*_given(places, verifier, proxies)] if places else [*_usual(verifier, url, proxies)]
    # Which modules are private is the setting of who checks; a database that is given is theirs, too.
    private = "" if places or key else settings.get("GONOSUMDB", "")
    return Vouching(SumDatabase(verifier, found), lists, private=private)


def _kept(verifier: Verifier, proxies: Proxies) -> DirectoryPlace:
    name = f"{verifier.name.replace('/', '_')}+{verifier.number:08x}"
    return DirectoryPlace(proxies.cache.root / "sumdb" / name)


def _layouts(root: Path, verifier: Verifier) -> list[Place]:
    """A directory as it is, as the module cache has it, as a proxy has it, and GOPATH/pkg with a module cache in it."""
    cache = root / "mod" / "cache" / "download" / "sumdb" / verifier.name
    inner = (root, root / verifier.name, root / "sumdb" / verifier.name, cache)
    latest = root / "sumdb" / verifier.name / "latest"
    return [DirectoryPlace(place, latest) for place in inner if (place / "lookup").is_dir()]


def _given(places: Sequence[str], verifier: Verifier, proxies: Proxies) -> list[Place]:
    found: list[Place] = []
    for place in places:
        if "://" not in place:
            if not (inner := _layouts(Path(place), verifier)):
                raise XcError(
                    _("{place}: no checksum database is there: it has no directory lookup", place=verbatim(place)),
                    mend=_("name a directory with lookup/ and tile/, e.g. GOMODCACHE/cache/download"),
                )
            found += inner
        elif proxies.may_ask(place):
            found.append(UrlPlace(place, _kept(verifier, proxies)))
    return found


def _usual(verifier: Verifier, url: str, proxies: Proxies) -> list[Place]:
    settings = proxies.go.settings
    latest = Path(settings["GOPATH"].split(":")[0] or "/", "pkg", "sumdb", verifier.name, "latest")
    found: list[Place] = [
        DirectoryPlace(Path(settings["GOMODCACHE"], "cache", "download", "sumdb", verifier.name), latest)
    ]
    kept = _kept(verifier, proxies)
    for place in proxies.carriers:
        if "://" not in place:
            found += _layouts(Path(place), verifier)
        elif proxies.may_ask(place):
            found.append(UrlPlace(f"{place.rstrip('/')}/sumdb/{verifier.name}", kept))
    if url and not proxies.offline:
        found.append(UrlPlace(url, kept))
    return [*found, kept]

"""pnpm-lock.yaml in its versions 5, 6 and 9."""

from __future__ import annotations

import re
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.locks import NPM, Manifest, fits, missing, told_url
from pytest_xinchuang.packages.supply_chain.locked import Lines, Locked, LockedFile, Origin, Reading, integrity
from pytest_xinchuang.packages.supply_chain.textfiles import table, words, yaml_of


def read_pnpm(reading: Reading, lines: Lines, manifest: Manifest | None) -> None:
    """The packages of pnpm-lock.yaml."""
    data = yaml_of(reading, lines)
    if data is None:
        return
    reading.locks.append(lines.name)
    version = str(data.get("lockfileVersion", ""))
    major = version.partition(".")[0]
    if major not in ("5", "6", "9"):
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known="5, 6, 9")
        return
    found: dict[tuple[str, str], Locked] = {}
    for key, said in table(data.get("packages")).items():
        one = table(said)
        entry = _entry(reading, lines.of(f"{key}:", f"'{key}':", f'"{key}"'), key, one, major)
        found[entry.name, entry.version] = entry
    reading.entries += found.values()
    if manifest is not None:
        _covers(reading, lines, manifest, data, found)


def name_of(key: str, major: str) -> tuple[str, str]:
    """Name and version of a key: ``/a/1.0.0_peer`` (5), ``/a@1.0.0(peer)`` (6), ``a@1.0.0`` (9)."""
    plain = key.partition("(")[0].removeprefix("/")
    if major == "5":
        name, _slash, version = plain.rpartition("/")
        return name, version.partition("_")[0]
    at = plain.find("@", 1)
    return (plain[:at], plain[at + 1 :]) if at > 0 else (plain, "")


def _entry(reading: Reading, where: str, key: str, one: dict[str, Any], major: str) -> Locked:
    name, version = name_of(key, major)
    name, version = words(one.get("name")) or name, str(one.get("version") or version)
    resolution = table(one.get("resolution"))
    url = words(resolution.get("tarball"))
    scripts = one.get("requiresBuild") is True or None
    if resolution.get("type") == "git" or "commit" in resolution:
        source = f"{resolution.get('repo', '')}#{resolution.get('commit', '')}"
        return Locked(NPM, name, version, where, (), Origin.GIT, source)
    if resolution.get("type") == "directory" or "directory" in resolution:
        return Locked(NPM, name, version, where, (), Origin.PATH, words(resolution.get("directory")))
    if url.startswith("file:"):
        return Locked(NPM, name, version, where, (), Origin.PATH, url.removeprefix("file:"))
    if re.match(r"https?:", version):
        return Locked(NPM, name, "", where, (), Origin.URL, url or version)
    digests = integrity(words(resolution.get("integrity")))
    if digests is None:
        reading.add(
            "XC-SUP-101", where, detail=_("{text} is no integrity of SRI", text=words(resolution.get("integrity")))
        )
        digests = ()
    if url:
        told_url(reading, where, name, version, url)
    return Locked(
        NPM, name, version, where, (LockedFile(digests, "", url),), scripts=scripts, dev=one.get("dev") is True
    )


def _covers(
    reading: Reading,
    lines: Lines,
    manifest: Manifest,
    data: dict[str, Any],
    found: dict[tuple[str, str], Locked],
) -> None:
    root = table(table(data.get("importers")).get(".")) or data
    specifiers = {n: words(s) for n, s in table(root.get("specifiers")).items()}
    direct: dict[str, tuple[str, str]] = {}
    for kind in ("dependencies", "devDependencies", "optionalDependencies"):
        for name, said in table(root.get(kind)).items():
            if isinstance(said, dict):
                direct[name] = words(said.get("specifier")), str(said.get("version", ""))
            else:
                direct[name] = specifiers.get(name, ""), str(said)
    for name, spec in manifest.asked.items():
        where, what = manifest.lines.of(f'"{name}"'), f"{name}@{spec}"
        if name not in direct:
            if name not in manifest.optional:
                missing(reading, where, lines.name, what)
            continue
        asked, version = direct[name]
        if asked != spec:
            detail = _("the lock was made for {found}", found=repr(asked))
            reading.add("XC-SUP-103", where, lock=lines.name, module=what, detail=detail)
            continue
        plain = version.partition("(")[0].partition("_")[0]
        key = (name, plain) if "@" not in plain[1:] else name_of(plain, "9")
        if plain.startswith("/"):
            key = name_of(plain, "5" if "@" not in plain[2:] else "6")
        entry = found.get(key)
        if entry is not None:
            if key[0] != name:
                reading.add("XC-SUP-114", where, Certainty.NOTE, alias=name, module=key[0])
            fits(reading, where, lines.name, (name, spec), entry, manifest)
        elif not plain.startswith(("link:", "file:", "http", "git", "github.com")):
            missing(reading, where, lines.name, what)

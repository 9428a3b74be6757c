"""yarn.lock: of yarn 1, in a form of its own, and of the later ones, in YAML."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.locks import (
    NPM,
    Manifest,
    fits,
    missing,
    of_source,
    sha1_of_url,
    told_url,
)
from pytest_xinchuang.packages.supply_chain.locked import Digest, Lines, Locked, LockedFile, Origin, Reading, integrity
from pytest_xinchuang.packages.supply_chain.textfiles import table, words, yaml_of

OWN_ARCHIVE = "yarn-zip"
"""A digest over the zip that yarn itself makes of an archive (yarn, "Lockfile", checksum): no registry publishes it."""

KNOWN = range(4, 9)
"""Versions of the lock of yarn 2 to 4."""


def read_yarn(reading: Reading, lines: Lines, manifest: Manifest | None) -> None:
    """The packages of yarn.lock."""
    if re.search(r"^# yarn lockfile v1\s*$", lines.text, re.M):
        found = list(_classic(reading, lines))
    elif re.search(r"^__metadata:\s*$", lines.text, re.M):
        found = list(_berry(reading, lines))
    else:
        reading.locks.append(lines.name)
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version="?", known="1, 4-8")
        return
    reading.locks.append(lines.name)
    by_key = {key: entry for keys, entry in found for key in keys}
    reading.entries += [entry for _keys, entry in found]
    for name, spec in manifest.asked.items() if manifest else ():
        assert manifest is not None
        entry = by_key.get(f"{name}@{spec}") or by_key.get(f"{name}@npm:{spec}")
        where, what = manifest.lines.of(f'"{name}"'), f"{name}@{spec}"
        if entry is not None:
            fits(reading, where, lines.name, (name, spec), entry, manifest)
        elif name not in manifest.optional and not spec.startswith(("file:", "link:", "workspace:", "portal:")):
            missing(reading, where, lines.name, what)


def _name(key: str) -> tuple[str, str]:
    """``@scope/name@range`` as name and range."""
    at = key.find("@", 1)
    return (key[:at], key[at + 1 :]) if at > 0 else (key, "")


def _classic(reading: Reading, lines: Lines) -> Iterator[tuple[list[str], Locked]]:
    keys: list[str] = []
    fields: dict[str, str] = {}
    start = 0
    for number, line in enumerate([*lines.text.splitlines(), "end:"], 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            if keys:
                yield keys, _classic_entry(reading, f"{lines.name}:{start}", keys, fields)
            if not line.rstrip().endswith(":"):
                reading.add(
                    "XC-SUP-101",
                    f"{lines.name}:{number}",
                    detail=_("not a key: {line}", line=verbatim(repr(line[:80]))),
                )
                keys = []
                continue
            keys = [k.strip().strip('"') for k in line.rstrip().removesuffix(":").split(", ")]
            fields, start = {}, number
        elif (field := re.fullmatch(r'  "?([A-Za-z]+)"? "?([^"]*)"?', line.rstrip())) is not None:
            if field[1] in fields:
                reading.add(
                    "XC-SUP-101", f"{lines.name}:{number}", detail=_("the key {key} is given twice", key=repr(field[1]))
                )
            fields[field[1]] = field[2]


def _classic_entry(reading: Reading, where: str, keys: list[str], fields: dict[str, str]) -> Locked:
    name, spec = _name(keys[0])
    if spec.startswith("npm:"):
        alias, name = name, _name(spec.removeprefix("npm:"))[0]
        reading.add("XC-SUP-114", where, Certainty.NOTE, alias=alias, module=name)
    for other in keys[1:]:
        theirs, its = _name(other)
        if theirs != name and _name(its.removeprefix("npm:"))[0] != name:
            reading.add("XC-SUP-115", where, module=other, url=keys[0])
    version, resolved = fields.get("version", ""), fields.get("resolved", "")
    origin, source = of_source(resolved.partition("#")[0] if resolved.startswith("http") else resolved or spec, name)
    if origin is Origin.REGISTRY and source:
        told_url(reading, where, name, version, source)
    digests = integrity(fields.get("integrity", ""))
    if digests is None:
        reading.add("XC-SUP-101", where, detail=_("{text} is no integrity of SRI", text=fields["integrity"]))
        digests = ()
    digests = digests or sha1_of_url(resolved)
    files = (LockedFile(digests, "", source),) if origin is Origin.REGISTRY else ()
    return Locked(NPM, name, version, where, files, origin, source)


def _berry(reading: Reading, lines: Lines) -> Iterator[tuple[list[str], Locked]]:
    data = yaml_of(reading, lines)
    if data is None:
        return
    version = table(data.get("__metadata")).get("version")
    if not str(version).isdigit() or int(str(version)) not in KNOWN:
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known="4-8")
        return
    for key, said in data.items():
        if key == "__metadata" or not isinstance(key, str):
            continue
        one = table(said)
        where = lines.of(f'"{key}"', key)
        name, reference = _name(words(one.get("resolution")))
        kind, _colon, rest = reference.partition(":")
        at = str(one.get("version", ""))
        origin, source = Origin.REGISTRY, ""
        if kind in ("workspace", "link", "portal", "file"):
            origin, source = (Origin.OWN if kind == "workspace" else Origin.PATH), rest.partition("::")[0]
        elif kind in ("patch",):
            reading.add("XC-SUP-113", where, module=f"{name}@{at}", source=reference[:200])
        elif kind != "npm":
            origin, source = of_source(reference, name)
        elif rest.partition("::")[0] != at:
            reading.add("XC-SUP-115", where, module=f"{name}@{at}", url=reference[:200])
        url = urllib.parse.unquote(rest.partition("__archiveUrl=")[2])
        checksum = words(one.get("checksum"))
        digest = re.fullmatch(r"(?:[0-9a-z]+/)?([0-9a-f]{128})", checksum)
        if checksum and digest is None:
            reading.add("XC-SUP-101", where, detail=_("{text} is no checksum of yarn", text=checksum))
        files = (LockedFile((Digest(OWN_ARCHIVE, digest[1]),) if digest else (), "", url),)
        keys = [k.strip() for k in key.split(",")]
        for other in keys:
            theirs, its = _name(other)
            if theirs != name and not its.startswith(f"npm:{name}@"):
                reading.add("XC-SUP-115", where, module=other, url=f"{name}@{reference}"[:200])
        yield keys, Locked(NPM, name, at, where, files if origin is Origin.REGISTRY else (), origin, source)

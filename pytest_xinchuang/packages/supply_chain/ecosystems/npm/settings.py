"""What else decides what npm, pnpm and yarn install: their settings, patches of packages, and a workspace above."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.locks import Manifest
from pytest_xinchuang.packages.supply_chain.locked import Lines, Reading
from pytest_xinchuang.packages.supply_chain.textfiles import (
    above,
    has_member,
    json_of,
    listed,
    table,
    text_of,
    words,
    yaml_of,
)

_OFF = re.compile(r"false|no|0", re.IGNORECASE)


def read_settings(reading: Reading, directory: Path, manifest: Manifest | None) -> None:
    """Tell what takes packages from elsewhere, or changes them, whatever the lock says."""
    _npmrc(reading, directory)
    _yarnrc(reading, directory)
    _yarnrc_yml(reading, directory)
    _patches(reading, directory, manifest)
    if (directory / ".pnpmfile.cjs").is_file() or (directory / ".pnpmfile.mjs").is_file():
        detail = _("a program of the product may change what packages depend on")
        reading.add("XC-SUP-160", ".pnpmfile.cjs", Certainty.UNDECIDED, module="-", detail=detail)
    for name, read, key in (("package.json", json_of, "workspaces"), ("pnpm-workspace.yaml", yaml_of, "packages")):
        for path, data in above(directory, name, read):
            patterns = data.get(key)
            inner = patterns.get("packages") if isinstance(patterns, dict) else patterns
            if has_member(path.parent, listed(inner), directory):
                reading.above("package.json", path)


def _turned_off(reading: Reading, where: str, setting: str, why: Message) -> None:
    detail = _("{setting}: {why}", setting=verbatim(setting), why=why)
    reading.add("XC-SUP-145", where, detail=detail, host="-")


def _npmrc(reading: Reading, directory: Path) -> None:
    """.npmrc, in the form of npm's ini: names and values may stand in quotes."""
    lines = text_of(reading, directory, ".npmrc")
    for number, line in enumerate(lines.text.splitlines() if lines else (), 1):
        if not line.strip() or line.strip()[0] in "#;":
            continue
        name, _equals, said = line.partition("=")
        key, value = _plain(name.strip()).removesuffix("[]"), _plain(said.strip()) or "true"
        where, setting = f".npmrc:{number}", f"{key}={value}"
        if re.fullmatch(r"(@[^:]+:)?registry", key):
            reading.takes_from(where, value, setting)
        elif key == "strict-ssl" and _OFF.fullmatch(value):
            _turned_off(reading, where, setting, _("no certificate is checked"))
        elif key in ("package-lock", "shrinkwrap", "lockfile") and _OFF.fullmatch(value):
            _turned_off(reading, where, setting, _("the lock is not looked at"))
        elif key in ("ca", "cafile"):
            _turned_off(reading, where, setting, _("another authority vouches for certificates"))


def _plain(text: str) -> str:
    text = re.split(r"(?<!\\)\s[;#]", text)[0].strip() if text[:1] not in "\"'" else text
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _yarnrc(reading: Reading, directory: Path) -> None:
    """.yarnrc of yarn 1: a name, and a value behind it."""
    lines = text_of(reading, directory, ".yarnrc")
    for number, line in enumerate(lines.text.splitlines() if lines else (), 1):
        name, _space, said = line.strip().partition(" ")
        key, value = name.rstrip(":").strip("\"'"), said.strip().strip("\"'")
        where, setting = f".yarnrc:{number}", f"{key} {value}"
        if re.fullmatch(r"(@[^:]+:)?registry", key):
            reading.takes_from(where, value, setting)
        elif key == "strict-ssl" and _OFF.fullmatch(value):
            _turned_off(reading, where, setting, _("no certificate is checked"))
        elif re.fullmatch(
            r"--(install\.)?(no-lockfile|pure-lockfile|skip-integrity-check)", key
        ) and not _OFF.fullmatch(value):
            _turned_off(reading, where, setting, _("the lock is not looked at"))


def _yarnrc_yml(reading: Reading, directory: Path) -> None:
    """.yarnrc.yml of yarn 2 to 4 (yarn, "Settings")."""
    lines = text_of(reading, directory, ".yarnrc.yml")
    data = yaml_of(reading, lines) if lines is not None else None
    if lines is None or data is None:
        return
    for name, said in (("", data), *((f"npmScopes.{n}.", table(s)) for n, s in table(data.get("npmScopes")).items())):
        if url := words(said.get("npmRegistryServer")):
            reading.takes_from(lines.of("npmRegistryServer"), url, f"{name}npmRegistryServer: {url}")
    if data.get("enableStrictSsl") is False:
        _turned_off(reading, lines.of("enableStrictSsl"), "enableStrictSsl: false", _("no certificate is checked"))
    if words(data.get("checksumBehavior")) in ("ignore", "update", "reset"):
        setting = f"checksumBehavior: {data['checksumBehavior']}"
        _turned_off(reading, lines.of("checksumBehavior"), setting, _("the lock is not looked at"))
    if listed(data.get("unsafeHttpWhitelist")):
        _turned_off(reading, lines.of("unsafeHttpWhitelist"), "unsafeHttpWhitelist", _("no certificate is checked"))


def _patches(reading: Reading, directory: Path, manifest: Manifest | None) -> None:
    """Patches that are put on packages once they are installed: what is built from is not what was published."""
    found = {(where, module, source) for where, module, source in _patched(reading, directory, manifest)}
    for where, module, source in sorted(found):
        reading.add("XC-SUP-113", where, module=module, source=source)


def _patched(reading: Reading, directory: Path, manifest: Manifest | None) -> Iterator[tuple[str, str, str]]:
    texts: list[tuple[Lines, dict[str, Any]]] = []
    for name in ("pnpm-workspace.yaml", "pnpm-lock.yaml"):
        probe = Reading(reading.ecosystem)
        lines = text_of(probe, directory, name)
        data = yaml_of(probe, lines) if lines is not None else None
        if lines is not None and data is not None:
            texts.append((lines, data))
    if manifest is not None:
        texts.append((manifest.lines, table(manifest.data.get("pnpm"))))
    for lines, data in texts:
        for module, said in table(data.get("patchedDependencies")).items():
            source = words(said) or words(table(said).get("path")) or "-"
            yield lines.of("patchedDependencies:", '"patchedDependencies"'), str(module), source
    if manifest is not None and "patch-package" in json.dumps(manifest.data.get("scripts")):
        for path in sorted((directory / "patches").rglob("*.patch")):
            name, _plus, _version = path.stem.rpartition("+")
            source = path.relative_to(directory).as_posix()
            yield manifest.lines.of('"scripts"'), name.replace("+", "/") or path.stem, source

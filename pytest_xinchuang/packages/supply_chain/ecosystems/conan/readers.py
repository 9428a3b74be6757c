"""Conan's conan.lock, conanfile and conandata.yml; vcpkg's manifest, configuration and ports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.supply_chain.locked import (
    Digest,
    Lines,
    Locked,
    LockedFile,
    Origin,
    Reading,
    digest,
)
from pytest_xinchuang.packages.supply_chain.textfiles import json_of, listed, table, tables, text_of, words, yaml_of

CONAN, VCPKG = "conan", "vcpkg"

REVISION = "conan-revision"
"""A recipe's revision, the MD5 of its manifest or a commit (Conan, "Recipe revision"): no digest of a registry."""

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9_+.-]+)/(?P<version>[^@#%\s]+)(?:@(?P<user>[^#%\s]+))?(?:#(?P<rev>[^%:\s]+))?"
)
_PORT_CALLS = re.compile(
    r"\b(vcpkg_from_(?:github|gitlab|bitbucket|sourceforge)|vcpkg_download_distfile|vcpkg_from_git)\s*\((.*?)\)", re.S
)


def read_conan(directory: Path) -> Reading:
    """What Conan's files say."""
    reading = Reading(CONAN)
    asked = list(_asked(reading, directory))
    lines = text_of(reading, directory, "conan.lock")
    if lines is not None:
        _conan_lock(reading, lines)
        found = {e.name for e in reading.entries}
        for where, text in asked:
            name = text.partition("/")[0]
            if name not in found:
                reading.add("XC-SUP-103", where, lock="conan.lock", module=text, detail=_("the lock does not have it"))
    elif asked:
        reading.add("XC-SUP-100", asked[0][0].partition(":")[0], locks="conan.lock")
        for where, text in asked:
            if "[" in text:
                reading.add("XC-SUP-119", where, module=text)
    _conandata(reading, directory)
    return reading


def _asked(reading: Reading, directory: Path) -> Iterator[tuple[str, str]]:
    lines = text_of(reading, directory, "conanfile.txt")
    section = ""
    for number, line in enumerate(lines.text.splitlines() if lines else (), 1):
        plain = line.partition("#")[0].strip()
        if plain.startswith("["):
            section = plain
        elif plain and section in ("[requires]", "[tool_requires]", "[build_requires]", "[test_requires]"):
            yield f"conanfile.txt:{number}", plain
    recipe = text_of(reading, directory, "conanfile.py")
    if recipe is None:
        return
    try:
        tree = ast.parse(recipe.text)
    except (SyntaxError, ValueError, RecursionError) as error:
        reading.add("XC-SUP-101", recipe.name, detail=told(error))
        return
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("requires", "tool_requires", "build_requires", "test_requires"):
                values = node.args[:1]
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id in ("requires", "tool_requires", "build_requires", "test_requires")
            for t in node.targets
        ):
            values = list(node.value.elts) if isinstance(node.value, ast.Tuple | ast.List) else [node.value]
        for value in values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield f"conanfile.py:{value.lineno}", value.value
            else:
                detail = _("a requirement is computed when the recipe runs")
                reading.add(
                    "XC-SUP-160", f"conanfile.py:{value.lineno}", Certainty.UNDECIDED, module="-", detail=detail
                )


def _conan_lock(reading: Reading, lines: Lines) -> None:
    data = json_of(reading, lines)
    if data is None:
        return
    reading.locks.append(lines.name)
    version = words(data.get("version"))
    if version == "0.5":
        references = [r for key in ("requires", "build_requires", "python_requires") for r in listed(data.get(key))]
    elif version == "0.4":
        nodes = table(table(data.get("graph_lock")).get("nodes"))
        references = [words(table(n).get("ref")) for n in nodes.values()]
    else:
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known="0.4, 0.5")
        return
    for text in filter(None, (words(r) for r in references)):
        where = lines.of(f'"{text}"', f'"{text}",')
        match = _REFERENCE.match(text)
        if match is None:
            reading.add("XC-SUP-101", where, detail=_("{text} is no reference of Conan", text=verbatim(repr(text))))
            continue
        revision = match["rev"] or ""
        digests = (Digest(REVISION, revision),) if revision and revision != "0" else ()
        reading.entries.append(Locked(CONAN, match["name"], match["version"], where, (LockedFile(digests),)))


def _conandata(reading: Reading, directory: Path) -> None:
    """Sources of a recipe that lies here: each with the digest that Conan checks it by."""
    lines = text_of(reading, directory, "conandata.yml")
    data = yaml_of(reading, lines) if lines is not None else None
    if lines is None or data is None:
        return
    reading.locks.append(lines.name)
    for version, said in table({str(k): v for k, v in table_of(data.get("sources")).items()}).items():
        for one in tables(said if isinstance(said, list) else [said]):
            urls = one.get("url")
            url = words(urls[0] if isinstance(urls, list) and urls else urls)
            where = lines.of(f'"{version}"', f"{version}:", f"'{version}':")
            digests = tuple(
                made for name in ("sha256", "sha1", "md5") if (made := digest(name, words(one.get(name)))) is not None
            )
            leaf = url.rpartition("/")[2]
            _source(reading, CONAN, where, leaf or version, url, digests)


def table_of(value: object) -> dict[object, object]:
    """A mapping of YAML, whose keys may be numbers."""
    return value if isinstance(value, dict) else {}


def _source(reading: Reading, ecosystem: str, where: str, name: str, url: str, digests: tuple[Digest, ...]) -> None:
    """A source that a recipe fetches: its digest has to be there, and to be strong."""
    if not digests:
        reading.add("XC-SUP-104", where, module=name)
    elif all(d.algorithm in ("md5", "sha1") for d in digests):
        reading.add("XC-SUP-105", where, module=name, algorithm=digests[0].algorithm)
    if url.startswith("http://"):
        reading.add("XC-SUP-145", where, Certainty.NOTE, detail=verbatim(url), host=ecosystem)


def read_vcpkg(directory: Path) -> Reading:
    """What vcpkg's files say (vcpkg, manifest and configuration reference)."""
    reading = Reading(VCPKG)
    lines = text_of(reading, directory, "vcpkg.json")
    data = json_of(reading, lines) if lines is not None else None
    configured = text_of(reading, directory, "vcpkg-configuration.json")
    settings = json_of(reading, configured) if configured is not None else None
    if lines is not None and data is not None:
        reading.locks.append(lines.name)
        settings = settings or table(data.get("vcpkg-configuration") or data.get("configuration"))
        registry = table(settings.get("default-registry"))
        baseline = words(data.get("builtin-baseline")) or words(registry.get("baseline"))
        fixed = {words(o.get("name")): str(o.get("version", "")) for o in tables(data.get("overrides"))}
        for said in listed(data.get("dependencies")):
            name = words(said) or words(table(said).get("name"))
            where = lines.of(f'"{name}"', f'"{name}",')
            pinned = bool(re.fullmatch(r"[0-9a-f]{40}", baseline)) or name in fixed
            if not pinned:
                reading.add("XC-SUP-119", where, module=name)
            version = fixed.get(name, "")  # which one a baseline stands for its repository alone can tell
            digests = (Digest("git-commit", baseline),) if pinned and baseline else ()
            entry = Locked(VCPKG, name, version, where, (LockedFile(digests),) if pinned else (), Origin.REGISTRY)
            if pinned:
                reading.entries.append(entry)
    for one in [table((settings or {}).get("default-registry")), *tables((settings or {}).get("registries"))]:
        repository = words(one.get("repository"))
        if repository and not re.match(r"https://github\.com/microsoft/vcpkg(\.git)?/?$", repository):
            name = configured.name if configured is not None else "vcpkg.json"
            reading.add("XC-SUP-145", name, detail=verbatim(repository), host=repository)
    for path in sorted({*directory.glob("ports/*/portfile.cmake"), *directory.glob("*/ports/*/portfile.cmake")}):
        _port(reading, directory, path)
    return reading


def _port(reading: Reading, directory: Path, path: Path) -> None:
    name = path.relative_to(directory).as_posix()
    lines = text_of(reading, directory, name)
    text = re.sub(r"#[^\n]*", "", lines.text) if lines is not None else ""
    for call in _PORT_CALLS.finditer(text):
        where = f"{name}:{text.count(chr(10), 0, call.start()) + 1}"
        if call[1] == "vcpkg_from_git":
            if not re.search(r"\bREF\s+\"?[0-9a-f]{40}\b", call[2]):
                reading.add("XC-SUP-104", where, module=f"{path.parent.name}: {call[1]}")
            continue
        found = re.search(r"\bSHA512\s+\"?([0-9A-Fa-f]+)", call[2])
        made = digest("sha512", found[1]) if found else None
        _source(reading, VCPKG, where, f"{path.parent.name}: {call[1]}", "", (made,) if made else ())

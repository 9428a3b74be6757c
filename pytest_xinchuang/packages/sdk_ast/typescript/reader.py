"""Writes the snapshot of an npm package: each entry of it is a package, as ``import`` and as ``require`` see it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.problems import SYNTAX_ERROR, UNPARSED, problem_record
from pytest_xinchuang.packages.sdk_ast.typescript.tool import Compiler, installed
from pytest_xinchuang.packages.sdk_ast.writer import Variant, write_snapshot

TARGET = "node"
REQUIRE = " [require]"
"""Behind the path of an entry: the declarations that ``require`` finds, which may be others."""
MANIFEST, GLOBAL = "package.json", "(augments)"
"""Names of the packages that hold what package.json promises, and what is added to other modules and the global scope."""

_FORMS = {"function": "func", "class": "class", "const": "const", "let": "var", "enum": "type", "const enum": "type"}


def extract_typescript(place: Path, output: Path, compiler: Compiler, *, version: str = "") -> None:
    """Write the snapshot of a package's directory, or of the archive that ``npm pack`` makes.

    Raises:
        XcError: it is no package, or delivers no declarations.
        HostFault: the reader broke.
    """
    with installed(place) as (home, name, directory):
        done = compiler.run("reader.cjs", [str(compiler.place), str(home), name])
        records = [json.loads(line) for line in done.text.split("\n") if line]
        if (fault := next((r for r in records if "fault" in r), None)) is not None:
            raise XcError(_("{place}: package.json cannot be read: {why}", place=place, why=verbatim(fault["why"])))
        first = records[0]
        entries: Mapping[str, dict[str, Any]] = {_path(e): {} for e in first["entries"]}
        if not entries:
            raise XcError(
                _(
                    "{place}: nothing of the package can be imported: it delivers neither declarations nor JavaScript",
                    place=place,
                ),
                mend=_("build it first (npm run build), so that what package.json names is there"),
            )
        for record in records[1:]:
            if "entry" in record:
                entries[_path({"path": record["entry"], "mode": record["mode"]})][record["name"]] = _symbol(
                    record["symbol"]
                )
        added = {f"{r['augments']}.{r['name']}": _symbol(r["symbol"]) for r in records if "augments" in r}
        problems = [_problem(r) for r in records if r.get("problem") == "syntax"]
        missing = sorted(
            {match[1] for r in records if r.get("problem") == "missing" if (match := re.search(r"'([^']+)'", r["why"]))}
        )
        language = next((r["language"] for r in records if "language" in r), "")
        promises = {"manifest": {"kind": "module", "facts": _promises(first["manifest"], directory, language)}}
        packages: list[tuple[str, str, str, list[Variant]]] = []
        for path, symbols in [*entries.items(), (f"{name}/{GLOBAL}", added), (f"{name}/{MANIFEST}", promises)]:
            packages.append((path, path.removesuffix(REQUIRE), _digest(symbols), [(TARGET, symbols, problems)]))
        header = {
            "language": "typescript",
            "name": name,
            "version": version or str(first["manifest"].get("version", "")),
            "toolchain": compiler.told,
            "targets": [TARGET],
            "requires": dict.fromkeys(missing, ""),
        }
        write_snapshot(output, header, packages)


def _path(entry: Mapping[str, str]) -> str:
    return entry["path"] + (REQUIRE if entry["mode"] == "require" else "")


def _digest(symbols: Mapping[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(symbols, sort_keys=True).encode()).hexdigest()


def _problem(record: Mapping[str, Any]) -> dict[str, Any]:
    return problem_record(
        record["file"], record["line"], SYNTAX_ERROR if record["why"] else UNPARSED, why=verbatim(record["why"])
    )


def _symbol(described: dict[str, Any]) -> dict[str, Any]:
    value, declared = described.get("value") or {}, described.get("type")
    kind = _FORMS.get(value.get("form", ""), "module" if described.get("namespace") else "type" if declared else "var")
    at = described.pop("at", "")
    return {
        "kind": kind,
        "facts": described,
        "at": at,
        **({"deprecated": True} if "deprecated" in described["tags"] else {}),
        **({"unknown": ["type"]} if '"k":"e"' in json.dumps(described, separators=(",", ":")) else {}),
    }


def _promises(manifest: Mapping[str, Any], directory: Path, language: str) -> dict[str, Any]:
    engines, peers = manifest.get("engines"), manifest.get("peerDependencies")
    optional = manifest.get("peerDependenciesMeta") or {}
    bins = manifest.get("bin")
    return {
        "type": manifest.get("type") if manifest.get("type") == "module" else "commonjs",
        "engines": dict(_texts(engines)),
        "peers": dict(_texts(peers)),
        "optional": sorted(k for k, v in optional.items() if isinstance(v, dict) and v.get("optional"))
        if isinstance(optional, dict)
        else [],
        "bin": sorted(bins) if isinstance(bins, dict) else [package_bin(manifest)] if isinstance(bins, str) else [],
        "language": language,
        "closed": manifest.get("exports") is not None,
        "files": [] if manifest.get("exports") is not None else sorted(_files(directory)),
    }


def package_bin(manifest: Mapping[str, Any]) -> str:
    """The command that a package with a single ``bin`` installs: its name without the scope (npm, package.json, bin)."""
    return str(manifest.get("name", "")).rpartition("/")[2]


def _texts(found: Any) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        yield from ((str(key), str(value)) for key, value in sorted(found.items()))


def _files(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        relative = path.relative_to(directory).as_posix()
        if re.search(r"\.(d\.[cm]?ts|[cm]?js)$", relative) and "node_modules/" not in relative and path.is_file():
            yield relative

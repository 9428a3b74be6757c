"""Writes snapshots of languages that are read here, in the records of :mod:`pytest_xinchuang.packages.sdk_ast.snapshot`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

Symbols = Mapping[str, Mapping[str, Any]]
Variant = tuple[str, Symbols, Sequence[Mapping[str, Any]]]
"""A target, what it sees by name, and what could not be read for it."""


def write_snapshot(
    output: Path,
    header: Mapping[str, Any],
    packages: Sequence[tuple[str, str, str, Sequence[Variant]]],
    *,
    grade: str = "typed",
    internal: Set[str] = frozenset(),
) -> None:
    """Write the records in order.

    Args:
        grade: what is known of packages that could be read whole.
        internal: paths of packages that are not offered to others.
        packages: path, name, source digest and variants; targets that see the same are written once.
    """
    part = output.with_name(output.name + ".part")
    total = 0
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_line("snapshot", {"schema": "xc-api/1", **header}))
        for path, name, source, variants in packages:
            merged: dict[str, tuple[list[str], list[str], list[Mapping[str, Any]]]] = {}
            for target, symbols, problems in variants:
                lines = [_symbol(path, key, symbols[key]) for key in sorted(symbols)]
                bare = [
                    _symbol(path, key, {k: v for k, v in symbols[key].items() if k != "at"}) for key in sorted(symbols)
                ]
                digest = "sha256:" + hashlib.sha256("".join(bare).encode()).hexdigest()
                entry = merged.setdefault(digest, ([], lines, []))
                entry[0].append(target)
                entry[2].extend(p for p in problems if p not in entry[2])
            for digest, (targets, lines, problems) in merged.items():
                record: dict[str, Any] = {
                    "path": path,
                    "name": name,
                    "targets": targets,
                    "grade": "stubbed" if problems and grade == "typed" else grade,
                    "hash": digest,
                    "source": source,
                    "symbols": len(lines),
                }
                if path in internal:
                    record["internal"] = True
                if problems:
                    record |= {"partial": True, "problems": problems}
                file.write(_line("package", record))
                file.writelines(lines)
                total += len(lines)
        file.write(_line("end", {"packages": len(packages), "symbols": total}))
    part.rename(output)


def _line(kind: str, record: Mapping[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f'{{"record":"{kind}",{text[1:]}\n'


def _symbol(path: str, name: str, symbol: Mapping[str, Any]) -> str:
    return _line("symbol", {"id": f"{path}.{name}", **symbol})

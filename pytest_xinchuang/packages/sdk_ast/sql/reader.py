"""Reads schemas of SQL into snapshots: what the statements make, and the texts of those that are not understood."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.sql.dialects import DIALECTS, GUESSED, Dialect, named, said
from pytest_xinchuang.packages.sdk_ast.sql.statements import schema_files, statements
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

TARGET = "sql"
PACKAGE = "schema"


def extract_sql(place: Path, output: Path, *, version: str = "", dialect: str = "") -> None:
    """Write the snapshot of the schema that a file, or a directory of migrations, makes.

    Args:
        dialect: of SQL, or a product that speaks it; empty: as `said`, else the first under which everything is understood.

    Raises:
        XcError: there is no such file or dialect.
        DataFileError: a file cannot be read.
        MissingDependency: there is no sqlglot.
    """
    with optional("sdk_ast"):
        import sqlglot  # noqa: F401
    from importlib.metadata import version as release

    from pytest_xinchuang.packages.sdk_ast.sql.folding import Catalog

    files = schema_files(place)
    root = place if place.is_dir() else place.parent
    known = named(dialect) if dialect else said(place, files)
    catalog: Catalog | None = None
    for one in [known] if known else [DIALECTS[name] for name in GUESSED]:
        made = Catalog(one)
        for statement in statements(files, root, one):
            made.apply(statement)
        if catalog is None or len(made.opaque) < len(catalog.opaque):
            catalog = made
        if not made.opaque:
            break
    assert catalog is not None
    if not catalog.objects and not catalog.opaque:
        raise XcError(
            _("{place}: its files create nothing", place=place),
            mend=_("name the files that create the tables, not those with their data"),
        )
    symbols = _symbols(catalog, assumed=known is None)
    text = json.dumps(symbols, sort_keys=True)
    source = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    header = {
        "language": "sql",
        "name": PACKAGE,
        "version": version,
        "toolchain": f"{catalog.dialect.title} (sqlglot {release('sqlglot')})",
        "targets": [TARGET],
    }
    write_snapshot(output, header, [(PACKAGE, PACKAGE, source, [(TARGET, symbols, [])])])


def _symbols(catalog: Any, *, assumed: bool) -> dict[str, dict[str, Any]]:
    dialect: Dialect = catalog.dialect
    found: dict[str, dict[str, Any]] = {
        "dialect": {"kind": "const", "facts": {"of": "dialect", "name": dialect.name, "assumed": assumed}}
    }
    for name, facts in catalog.objects.items():
        kind = "func" if facts["of"] == "function" else "type"
        found[name] = {"kind": kind, "facts": facts}
    for text, at in catalog.opaque.items():
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        found[f"statement {digest}"] = {"kind": "macro", "facts": {"of": "opaque", "text": text}, "at": at}
    return found

"""The frame of SARIF 2.1.0 documents, for code scanning services."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pytest_xinchuang import __version__
from pytest_xinchuang.core.digits import number_in


def sarif_document(tool: str, rules: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> str:
    """One run of one tool as a document."""
    run = {
        "tool": {"driver": {"name": tool, "version": __version__, "rules": list(rules)}},
        "columnKind": "unicodeCodePoints",
        "results": list(results),
    }
    data = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def place_of(text: str, default: str = "") -> dict[str, Any]:
    """``FILE:LINE`` as a physical location."""
    file, _, digits = text.rpartition(":")
    line = number_in(digits)
    if line is not None and file:
        region = {"region": {"startLine": line}} if line else {}  # lines count from 1
        return {"artifactLocation": {"uri": file}, **region}
    return {"artifactLocation": {"uri": text or default}}

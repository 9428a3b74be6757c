"""Marks on notes: what rides on a test's report was put there by this plugin, and nobody has changed it on its way."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

NOTE, MARK = "xc", "xc_mark"
"""The attributes of a report that have the note, and its mark."""


class Marks:
    """Marks notes, and tells its own marks from others'.

    Args:
        key: in hexadecimal; that of the controller, in a worker of it.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key or secrets.token_hex(32)

    def put(self, report: pytest.TestReport, packed: Mapping[str, Any]) -> None:
        """Lay a note on a report."""
        setattr(report, NOTE, packed)
        setattr(report, MARK, self._of(report.nodeid, str(report.when), packed))

    def is_ours(self, report: pytest.TestReport) -> bool:
        """Whether the note of a report is as it was put there, on this very report."""
        packed, mark = getattr(report, NOTE, None), str(getattr(report, MARK, ""))
        return hmac.compare_digest(mark, self._of(report.nodeid, str(report.when), packed))

    def _of(self, node: str, phase: str, packed: object) -> str:
        text = json.dumps([node, phase, packed], sort_keys=True, default=str)
        return hmac.new(bytes.fromhex(self.key), text.encode(errors="backslashreplace"), hashlib.sha256).hexdigest()

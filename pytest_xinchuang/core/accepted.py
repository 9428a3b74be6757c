"""What somebody has accepted of what was found: a baseline of findings that are known, and suppressions with a reason.

Neither changes what was found or how a tree stands: they say what a run of `xc` complains of.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from pytest_xinchuang.core.data import FrozenData, GlobPattern
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.finding import Finding, FindingCode
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, system_error, told, verbatim

SUPPRESSIONS = "xc-suppressions.yaml"
"""Where suppressions of a tree stand, if nobody names another file."""

LARGEST_BASELINE = 256 << 20
"""Bytes of a baseline that is read: the advice on the largest tree seen had 2 MB."""

_LINES = re.compile(r":\d+(?::\d+)?\b")
"""Lines and columns: what stands above a finding moves it."""


class Suppression(FrozenData):
    """One kind of finding at one place that somebody takes upon himself."""

    code: FindingCode
    path: GlobPattern = Field(description="the files that it is for, as a pattern from the tree's root")
    platform: GlobPattern = Field(default="*", description="the platforms that it is for, as a pattern of ids")
    reason: str = Field(min_length=1, description="why it may be so")
    expires: datetime.date = Field(description="the last day on which it holds")


class SuppressionsFile(FrozenData):
    """The file of suppressions."""

    format: Literal["xc-suppressions/1"] = Field(alias="schema")
    suppressions: tuple[Suppression, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """What is accepted, and what of it had no effect.

    Attributes:
        why: a finding's fingerprint -> why it is accepted.
        notes: suppressions that have expired or that are for nothing.
    """

    why: Mapping[str, Message]
    notes: tuple[Message, ...] = ()

    def of(self, finding: Finding) -> Message | None:
        """Why a finding is accepted; None: it is not."""
        return self.why.get(fingerprint(finding))


NOTHING_ACCEPTED = Accepted({})


def file_of(finding: Finding) -> str:
    """The file of a finding whose object is ``FILE:LINE`` or ``FILE``."""
    return _LINES.sub("", finding.object)


def fingerprint(finding: Finding) -> str:
    """What a finding is known by when lines have moved: SHA-256 of its code, platform, file and texts, in hexadecimal.

    ``units``, which counts who is stopped by it, is no part of it.
    """
    params = {name: _LINES.sub("", text) for name, text in finding.params.items() if name != "units"}
    parts = [finding.code, finding.platform, file_of(finding), params]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode(errors="backslashreplace")).hexdigest()


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints of an earlier report (``--format json``).

    Raises:
        DataFileError: it cannot be read, or is no such report.
    """
    try:
        if path.stat().st_size > LARGEST_BASELINE:
            raise DataFileError(_("{path}: larger than any report", path=verbatim(str(path))))
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(
            _("{path}: cannot be read: {why}", path=verbatim(str(path)), why=system_error(error))
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataFileError(_("{path}: no JSON: {why}", path=verbatim(str(path)), why=told(error))) from error
    try:
        if data["schema"] != "xc-advice/1":
            raise KeyError("schema")
        known = [f["fingerprint"] for platform in data["platforms"] for f in platform["findings"]]
    except (KeyError, TypeError) as error:
        raise DataFileError(
            _("{path}: no report of advice (xc-advice/1)", path=verbatim(str(path))),
            mend=verbatim("xc advise DIRECTORY --format json --output baseline.json"),
        ) from error
    return frozenset(name for name in known if isinstance(name, str))


def read_suppressions(path: Path) -> tuple[Suppression, ...]:
    """The suppressions of a file.

    Raises:
        DataFileError: it is malformed.
    """
    return YamlFile(path).parse(SuppressionsFile).suppressions


def accept(
    findings: Iterable[Finding], baseline: frozenset[str], suppressions: Iterable[Suppression], day: datetime.date
) -> Accepted:
    """What of some findings is accepted on a day."""
    found = list(findings)
    why: dict[str, Message] = {}
    notes = []
    for each in suppressions:
        matching = [f for f in found if _is_for(each, f)]
        parts = {"code": each.code, "path": verbatim(each.path)}
        if each.expires < day:
            if matching:
                date = each.expires.isoformat()
                notes.append(_("the suppression of {code} in {path} expired on {date}", **parts, date=date))
            continue
        if not matching:
            notes.append(_("the suppression of {code} in {path} is for nothing that was found", **parts))
        for finding in matching:
            until = each.expires.isoformat()
            why[fingerprint(finding)] = _("suppressed until {date}: {reason}", date=until, reason=verbatim(each.reason))
    known = _("known from the baseline")
    why |= {name: known for f in found if (name := fingerprint(f)) in baseline and name not in why}
    return Accepted(why, tuple(notes))


def _is_for(suppression: Suppression, finding: Finding) -> bool:
    return (
        suppression.code == finding.code
        and fnmatchcase(file_of(finding), suppression.path)
        and fnmatchcase(finding.platform, suppression.platform)
    )

"""Journals that no run has written: from a list of events as they stand in tests to the lines of a file."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.chain import Chain, bare, with_checksum
from pytest_xinchuang.core.clock import parse_time
from pytest_xinchuang.core.events import Event
from pytest_xinchuang.core.reading import evidence_id
from pytest_xinchuang.core.verdict import Fidelity

Events = list[dict[str, Any]]


def line_of(event: Event) -> bytes:
    """An event as a line of a journal of an earlier release."""
    return with_checksum(bare(event))


def raw(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def complete(events: Sequence[dict[str, Any]]) -> Events:
    """The events as a run has them: digests as evidence ids, attempts counted, each check ended, each with a time.

    Where the sandboxes of a platform are less than a decision about it says, one is opened that is as much.
    """
    ids = {e["id"]: evidence_id(e["data"]) for e in events if e["kind"] == "evidence"}
    ended = {e["check"] for e in events if e["kind"] == "check"}
    attempts: dict[tuple[str, str, str], int] = {}
    opened: dict[str, Events] = {}
    found: Events = []
    for event in map(dict, events):
        if event["kind"] == "evidence":
            event["id"] = ids[event["id"]]
        if event["kind"] == "decision":
            key = (event["requirement"], event["platform"], event["check"])
            attempts[key] = attempts.get(key, 0) + 1
            event = {"attempt": attempts[key], **event, "evidence": [ids.get(e, e) for e in event["evidence"]]}
            sandboxes = opened.get(event["platform"], [])
            if sandboxes and Fidelity.parse(event["fidelity"]) > max(Fidelity.parse(s["fidelity"]) for s in sandboxes):
                sandboxes.append(
                    {**sandboxes[0], "fidelity": event["fidelity"], "emulated": event["fidelity"] != "native"}
                )
                found.append(sandboxes[-1])
        elif event["kind"] == "sandbox":
            opened.setdefault(event["platform"], []).append(event)
        found.append(event)
        if event["kind"] == "decision" and event["check"] not in ended:
            outcome = "failed" if event["verdict"] in ("fail", "inconclusive") else "passed"
            end = {"kind": "check", "check": event["check"], "platform": event["platform"]}
            found.append({**end, "phase": "call", "outcome": outcome})
    start = parse_time(str(found[0].get("t"))) or datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    for number, event in enumerate(found):
        event.setdefault("t", _text(start + datetime.timedelta(milliseconds=number)))
    return found


def chained(events: Sequence[dict[str, Any] | bytes], run_id: str = "r") -> list[bytes]:
    """The lines of complete events, each with its seal."""
    chain = Chain(run_id)
    start = next((t for e in events if isinstance(e, dict) and (t := parse_time(str(e.get("t"))))), None)
    lines, before = [], 0.0
    for event in events:
        if isinstance(event, bytes):
            lines.append(chain.sealed(event, before))
            continue
        if event["kind"] == "run_finished":
            event = {**event, "events": chain.count, "head": chain.head}
        t = parse_time(str(event.get("t")))
        if t is not None and start is not None:
            before = max((t - start).total_seconds(), before)
        lines.append(chain.sealed(raw(event), before))
    return lines


def write_journal(path: Path, events: Sequence[dict[str, Any]], odd: str = "") -> bytes:
    """Write events as a run would have; returns the bytes.

    Args:
        odd: a line that is put before the last, sealed as if it were an event.
    """
    whole: list[dict[str, Any] | bytes] = [*complete(events)]
    if odd:
        whole.insert(-1, odd.encode())
    content = b"".join(chained(whole))
    path.write_bytes(content)
    return content


def write_bare(path: Path, events: Sequence[dict[str, Any]], *, checksums: bool = False) -> None:
    """Write events as earlier releases did: without a chain, and the oldest without checksums."""
    path.write_bytes(b"".join(with_checksum(raw(e)) if checksums else raw(e) + b"\n" for e in events))


def _text(t: datetime.datetime) -> str:
    return t.isoformat(timespec="milliseconds").replace("+00:00", "Z")

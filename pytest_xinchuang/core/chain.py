"""The hash chain of a journal: each line carries a digest of all that stands before it.

A line is an event as JSON with a seal at its end::

    {"kind": "fault", ..., "run_id": "5f3c...", "seq": 7, "elapsed_s": 1.204, "chain": "<64 hex>", "crc32": "<8 hex>"}

``chain`` is the SHA-256 over the ``chain`` of the line before (64 zeros for the first) and the bytes of this line up to it.
``crc32`` is as in journals without a chain, over the line without ``crc32``: older readers check it.

What the chain shows: a line that was changed, left out, doubled, moved, put in, or taken from another run. What it does not
show: that it was this suite which wrote it. Whoever writes every line anew also writes a good chain; a signature alone tells.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass

from pytest_xinchuang.core.events import Event

GENESIS = "0" * 64
"""What stands for the line before the first."""

CHECKSUM = re.compile(rb', "crc32": "([0-9a-f]{8})"\}\n\Z')
"""The end of a line: CRC-32 of the line without this field and without its newline; it finds every byte that has changed."""

_SEAL = re.compile(
    rb', "run_id": ("(?:[^"\\\x00-\x1f]|\\.)*"), "seq": ([0-9]{1,15}), "elapsed_s": ([0-9]{1,12}\.[0-9]{3})'
    rb', "chain": "([0-9a-f]{64})"\Z'
)
_LONGEST_SEAL = 1000
"""A seal is looked for in so many bytes at the end of a line; a run's id has 16 characters."""


@dataclass(frozen=True)
class Seal:
    """What a line says of its place.

    Attributes:
        elapsed_s: seconds since the run was started, by a clock that nobody sets.
        body: the bytes that ``chain`` covers, besides the chain of the line before.
    """

    run_id: str
    seq: int
    elapsed_s: float
    chain: str
    body: bytes

    def follows(self, before: str) -> bool:
        """Whether the line is as it was written, right after the one with this chain."""
        return self.chain == link(before, self.body)


def link(before: str, body: bytes) -> str:
    """The chain of a line: SHA-256, in hexadecimal."""
    return hashlib.sha256(before.encode() + body).hexdigest()


def bare(event: Event) -> bytes:
    """An event as JSON in bytes."""
    data = event.model_dump(by_alias=True)
    return json.dumps(data, ensure_ascii=False, default=str).encode(errors="backslashreplace")


class Chain:
    """Makes the lines of one journal, in order.

    Attributes:
        count: lines so far. head: the chain of the last.
    """

    def __init__(self, run_id: str = "") -> None:
        self.run_id = run_id
        self.count = 0
        self.head = GENESIS

    def line(self, event: Event, elapsed_s: float) -> bytes:
        """The next line, with its newline; ``elapsed_s``: seconds since the run was started."""
        return self.sealed(bare(event), elapsed_s)

    def sealed(self, raw: bytes, elapsed_s: float) -> bytes:
        """The next line, of an event that is JSON already."""
        run_id = json.dumps(self.run_id).encode()
        body = b'%s, "run_id": %s, "seq": %d, "elapsed_s": %.3f' % (raw[:-1], run_id, self.count, elapsed_s)
        self.head = link(self.head, body)
        self.count += 1
        return with_checksum(b'%s, "chain": "%s"}' % (body, self.head.encode()))


def with_checksum(line: bytes) -> bytes:
    """A JSON object in bytes as a line, with the CRC-32 of what stood there."""
    return line[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(line)


def seal_of(line: bytes) -> Seal | None:
    """The seal of a line that has neither its checksum nor its closing brace any more; None: it has none."""
    found = _SEAL.search(line, max(len(line) - _LONGEST_SEAL, 0))
    if found is None:
        return None
    try:
        run_id = json.loads(found[1])
    except ValueError:
        return None
    body = line[: found.start(4) - len(b', "chain": "')]
    return Seal(run_id, int(found[2]), float(found[3]), found[4].decode(), body)

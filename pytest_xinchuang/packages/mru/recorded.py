"""x86-64 runs that were recorded on another machine, for one on which they cannot be made: a board without an emulator.

They are what a file says. Whoever compares with them compares with that file: its digest goes into the evidence of each
comparison, and a record of another subject, suite or root filesystem is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform as host
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pytest_xinchuang import __version__
from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.messages import Message, _, system_error, told, verbatim
from pytest_xinchuang.sandbox.protocol import Ended, Outcome

SCHEMA = "xc-reference/1"
MOST_BYTES = 256 << 20
"""The largest record that is read, and the most that the output of one run may be when it is unpacked."""


class RecordedRun(FrozenData):
    """One run: how it ended, and all that it wrote to its standard output."""

    argv: tuple[str, ...]
    code: int
    stdout: str = Field(description="base64 of what zlib made of it")
    stderr: str = ""
    wall_ms: float = 0.0

    def outcome(self) -> Outcome:
        """The run as one that was made here.

        Raises:
            ValueError: its output is damaged, or larger than any.
        """
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(base64.b64decode(self.stdout, validate=True), MOST_BYTES)
        except zlib.error as error:
            raise ValueError(told(error)) from error
        if not unpacker.eof:
            raise ValueError(_("it is cut off, or holds too much"))
        stderr = self.stderr.encode()
        return Outcome(self.argv, Ended.EXITED, self.code, None, data, stderr, self.wall_ms, 0.0)


class RecordFile(FrozenData):
    """The file; ``digest`` is over all of it but itself."""

    format: Literal["xc-reference/1"] = Field(alias="schema")
    suite: str
    subject: str
    rootfs: str
    host: str
    emulated: bool
    runs: dict[str, RecordedRun]
    digest: str


@dataclass(frozen=True)
class Recorded:
    """What was recorded.

    Attributes:
        digest: of the file's content, SHA-256.
        host: the machine and kernel on which it was recorded, in its own words.
        emulated: whether an emulator made the runs.
        runs: by the keys of ``Bench.reference``.
    """

    digest: str
    host: str
    emulated: bool
    runs: Mapping[str, Outcome]

    @property
    def evidence(self) -> dict[str, str]:
        """What the evidence of a comparison says of it."""
        return {"recorded": self.digest, "recorded_on": self.host}


def _digest(data: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in data.items() if name != "digest"}
    return "sha256:" + hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def record(subject: Subject, rootfs_digest: str, emulated: bool, runs: Mapping[str, Outcome]) -> dict[str, Any]:
    """The content of a file of these runs; one that did not end by itself is no reference, and is left out."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "suite": __version__,
        "subject": subject.digest,
        "rootfs": rootfs_digest,
        "host": f"{host.machine()} Linux {host.release()}",
        "emulated": emulated,
        "runs": {
            key: {
                "argv": list(run.argv),
                "code": run.code,
                "stdout": base64.b64encode(zlib.compress(run.stdout)).decode(),
                "stderr": run.stderr[-1000:].decode(errors="backslashreplace"),
                "wall_ms": run.wall_ms,
            }
            for key, run in sorted(runs.items())
            if run.ended is Ended.EXITED and not run.truncated
        },
    }
    return {**data, "digest": _digest(data)}


def read_record(path: Path, subject: Subject, rootfs_digest: str) -> Recorded:
    """Read a file of ``xc reference``.

    Args:
        rootfs_digest: of the x86-64 root filesystem that this suite pins; "": it is not known.

    Raises:
        DataFileError: it is none, is damaged, or is of another subject, suite or root filesystem.
    """
    again = _("record it again: {command}", command=verbatim("xc reference --subject DIR --platform ID --output FILE"))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataFileError(_("{file}: larger than {n} MiB", file=verbatim(str(path)), n=MOST_BYTES >> 20))
        raw = json.loads(path.read_text(encoding="utf-8"))
        file = RecordFile.model_validate(raw)
        runs = {key: run.outcome() for key, run in file.runs.items()}
    except OSError as error:
        raise DataFileError(_("{file}: {why}", file=verbatim(str(path)), why=system_error(error))) from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise DataFileError(
            _("{file}: no record of x86-64 runs ({schema})", file=verbatim(str(path)), schema=verbatim(SCHEMA)),
            mend=again,
        ) from error
    if _digest(raw) != file.digest:
        raise DataFileError(_("{file}: it was changed after it was recorded", file=verbatim(str(path))), mend=again)
    facts: tuple[tuple[Message, str, str], ...] = (
        (_("subject"), file.subject, subject.digest),
        (_("suite"), file.suite, __version__),
        (_("x86-64 root filesystem"), file.rootfs, rootfs_digest),
    )
    for what, there, here in facts:
        if here and there != here:
            raise DataFileError(
                _(
                    "{file}: recorded with another {what}: {there}, and here is {here}",
                    file=verbatim(str(path)),
                    what=what,
                    there=verbatim(there),
                    here=verbatim(here),
                ),
                mend=again,
            )
    return Recorded(file.digest, file.host, file.emulated, runs)

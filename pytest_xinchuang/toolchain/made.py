"""What a build was made of, kept beside it: it is used again while all of that is as it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.toolchain.compilers import Tool
from pytest_xinchuang.toolchain.digests import Digests
from pytest_xinchuang.toolchain.jail import Isolation

FORMAT = "xc-build/1"
OUTPUT, RECORD = "out", "made.json"


@dataclass(frozen=True)
class Made:
    """A build.

    Attributes:
        key: the digest of all that goes into it, and the name of its directory.
        tools: what built it.
        argv: the command; ``{here}`` is the directory of the build.
        environment: the whole environment of the compiler.
        given: the subject's files, by their names in its directory -> SHA-256.
        read: every other file that the compiler says it read -> SHA-256.
        stamps: what the kernel said of these (``digests.stamp_of``): while it is the same, they are not read again.
        refused: the better ways to isolate the compiler that this host bars -> why.
        sha256: of the output.
    """

    key: str
    tools: tuple[Tool, ...]
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    given: Mapping[str, str]
    read: Mapping[str, str]
    stamps: Mapping[str, tuple[int, ...]]
    isolation: Isolation
    refused: Mapping[str, str]
    sha256: str

    def told(self) -> dict[str, Any]:
        """Itself as evidence: the files are told by their number, and a digest over their names and digests."""
        return {
            "key": self.key,
            "tools": [tool.told() for tool in self.tools],
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "isolation": self.isolation.value,
            **({"refused": dict(self.refused)} if self.refused else {}),
            "given": {"files": len(self.given), "sha256": _over(dict(self.given))},
            "read": {"files": len(self.read), "sha256": _over(dict(self.read))},
            "output": self.sha256,
        }

    def store(self, place: Path, data: bytes) -> None:
        """Write the build and its record into a directory.

        Raises:
            OSError: there is no room.
        """
        (place / OUTPUT).write_bytes(data)
        record = {"format": FORMAT, **asdict(self)}
        text = json.dumps({"sha256": _over(record), "made": record}, indent=1, ensure_ascii=True)
        (place / RECORD).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, place: Path, digests: Digests) -> tuple[bytes, Made] | None:
        """The build, when it and its record are what was stored, and all that it was made of is as it was; else None."""
        try:
            kept = json.loads((place / RECORD).read_text(encoding="utf-8"))
            record = kept["made"]
            data = (place / OUTPUT).read_bytes()
            if kept["sha256"] != _over(record) or record.pop("format") != FORMAT:
                return None
            made = cls(
                **{
                    **record,
                    "tools": tuple(Tool(**tool) for tool in record["tools"]),
                    "argv": tuple(record["argv"]),
                    "isolation": Isolation(record["isolation"]),
                }
            )
            if made.key != place.name or hashlib.sha256(data).hexdigest() != made.sha256:
                return None
            if not all(digests.is_still(path, digest, made.stamps[path]) for path, digest in made.read.items()):
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return data, made


def _over(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def named_in(rules: str) -> list[str]:
    """The files that a compiler's rule for make depends on (-MD), without the target.

    Blanks in names are escaped by a backslash, and dollars are doubled (GCC, mkdeps.cc, munge).
    """
    joined = rules.replace("\\\n", " ")
    _target, _colon, after = joined.partition(": ")
    found, name = [], ""
    marks = iter(after)
    for mark in marks:
        if mark == "\\":
            follows = next(marks, "")
            name += follows if follows in (" ", "#", "\\", ":") else mark + follows
        elif mark.isspace():
            found += [name] if name else []
            name = ""
        else:
            name += mark
    return [os.path.normpath(one.replace("$$", "$")) for one in [*found, name] if one]

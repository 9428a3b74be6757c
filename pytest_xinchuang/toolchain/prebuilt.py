"""Programs of ours that come built, for who has no tool chain: with the digest of their source and of each program.

What is not of the source that it comes with is not used, and what is damaged is told.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import Message, _, told, verbatim


class Prebuilt:
    """The programs in one directory.

    Args:
        place: where they are, compressed by xz, with the record beside them: ``source`` (digest), ``by`` (the version of
            what has built them), and the digest of each program.
        sources: the files that they are built of.
        record: the name of the record.
        what: what they are, for people.
    """

    def __init__(self, place: Path, sources: Sequence[Path], record: str, what: Message) -> None:
        self.place, self.sources, self.what = place, sorted(sources), what
        self.record = place / record

    def source_digest(self) -> str:
        """SHA-256 over the names and contents of the sources, line ends as git keeps them."""
        digest = hashlib.sha256()
        for path in self.sources:
            data = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{path.name} {len(data)}\n".encode() + data)
        return "sha256:" + digest.hexdigest()

    def shipped(self, name: str) -> bytes | None:
        """A program; None where there is none of this source.

        Raises:
            HostFault: it is damaged.
        """
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            if record["source"] != self.source_digest() or name not in record["programs"]:
                return None
            data = lzma.decompress((self.place / f"{name}.xz").read_bytes())
            good = hashlib.sha256(data).hexdigest() == record["programs"][name]
            why = _("its digest is another")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
            good, why = False, told(error)
        if not good:
            raise HostFault(
                _(
                    "{what} {name} in {place} is damaged: {why}",
                    what=self.what,
                    name=verbatim(name),
                    place=verbatim(str(self.place)),
                    why=why,
                ),
                mend=verbatim("pip install --force-reinstall pytest-xinchuang"),
            )
        return data

    def built_by(self) -> str:
        """What has built them, as it told its version."""
        return str(json.loads(self.record.read_text(encoding="utf-8"))["by"])

    def pack(self, programs: Mapping[str, bytes], by: str) -> None:
        """Write the programs and their record."""
        self.place.mkdir(exist_ok=True)
        for name, data in programs.items():
            (self.place / f"{name}.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(programs.items())}
        record = {"source": self.source_digest(), "by": by, "programs": digests}
        self.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

"""The agent as a program for each architecture: the one that comes with the package, else one that is built of its source.

It is the first process of containers and machines, and takes calls down natively. Who has no tool chain needs it too, so it
comes built, with the digest of its source and that of the program. ``scripts/agents check`` builds it again, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch, Architecture
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.agent_client import AGENT_SOURCE
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.process import Runner

BUILT = Path(__file__).with_name("prebuilt")
RECORD = "agents.json"
"""The record beside the programs: ``source`` (digest), ``go`` (version), and the digest of each program."""


def source_digest() -> str:
    """SHA-256 over the names and contents of the agent's source."""
    digest = hashlib.sha256()
    for path in sorted(AGENT_SOURCE.iterdir()):
        if path.suffix == ".go" or path.name == "go.mod":
            data = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{path.name} {len(data)}\n".encode() + data)
    return "sha256:" + digest.hexdigest()


def agent(cache: Cache, runner: Runner, arch: Arch, architecture: Architecture) -> bytes:
    """The agent for an architecture.

    Raises:
        HostFault: the one that comes with the package is damaged; or its source was changed, and does not build here.
    """
    found = shipped(arch)
    return found if found is not None else built(Builder(cache, runner=runner), arch, architecture)


def built(builder: Builder, arch: Arch, architecture: Architecture) -> bytes:
    """The agent, built of its source."""
    return builder.go(Target(arch, architecture, architecture.libc_base), AGENT_SOURCE)


def shipped(arch: Arch) -> bytes | None:
    """The agent that comes with the package; None where there is none of this source.

    Raises:
        HostFault: it is damaged.
    """
    try:
        record = json.loads((BUILT / RECORD).read_text(encoding="utf-8"))
        if record["source"] != source_digest() or arch.value not in record["programs"]:
            return None
        data = lzma.decompress((BUILT / f"{arch.value}.xz").read_bytes())
        good = hashlib.sha256(data).hexdigest() == record["programs"][arch.value]
        why = _("its digest is another")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        good, why = False, told(error)
    if not good:
        raise HostFault(
            _(
                "the agent for {arch} in {place} is damaged: {why}",
                arch=arch.value,
                place=verbatim(str(BUILT)),
                why=why,
            ),
            mend=verbatim("pip install --force-reinstall pytest-xinchuang"),
        )
    return data


def pack(programs: dict[Arch, bytes], go: str, place: Path = BUILT) -> None:
    """Write the programs and their record."""
    place.mkdir(exist_ok=True)
    for arch, data in programs.items():
        (place / f"{arch.value}.xz").write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    digests = {arch.value: hashlib.sha256(data).hexdigest() for arch, data in sorted(programs.items())}
    record = {"source": source_digest(), "go": go, "programs": digests}
    (place / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

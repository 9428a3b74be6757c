"""What a real machine tells of itself before the first unit runs on it, beside what is written of its platform.

That the machine is the platform by name is decided before (``machine.py``). A name is not all: a container has another kernel
than its system, a system can have another libc or other pages than its first release.
"""

from __future__ import annotations

import mmap
import os
import platform as host
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Confidence, Cpu, Platform
from pytest_xinchuang.core.probe import FORMAT, Agreement, Compared, Probe, beside, doubts, read_probe
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.machine import CPUINFO, OS_RELEASE, Reader, first_processor
from pytest_xinchuang.tools.process import UNSCALED

PROBE_S = 1.0
"""How long the probe may take, whatever the scale of time-outs is: it is made before every native run."""

_DECIDING = ("features", "kernel", "libc_version", "glibcxx_max", "page_size")
"""Facts that verdicts rest on; the others of a probe are packages and what is installed by default."""

_FIRM = (Confidence.MEASURED, Confidence.SOURCED)


@dataclass(frozen=True)
class Probed:
    """A machine beside the facts of its platform.

    Attributes:
        differs: every fact that the machine tells otherwise, and why it may not be what it tells.
        contradicts: those of them that are no guess of ours and that a good run does not outlive: the machine has more than
            the platform is said to have, or pages of another size.
        own_kernel: its kernel is none that the platform's system calls are fewer than.
        data: for the journal.
    """

    differs: tuple[Message, ...]
    contradicts: tuple[Message, ...]
    own_kernel: bool
    data: dict[str, Any]


def probed(platform: Platform, cpus: Iterable[Cpu], reader: Reader) -> Probed:
    """Ask this machine, in at most a second, and compare.

    Args:
        cpus: all that are known: features that none of them has are no news.
    """
    probe, failed = _asked(reader)
    facts = [each for each in beside(probe, platform, cpus) if _of(each) in _DECIDING]
    other = [each for each in facts if each.agreement is Agreement.DIFFERS]
    firm = [each for each in other if each.stronger and each.confidence in _FIRM]
    container = [doubt for doubt in doubts(probe) if probe.first("container")][:1]
    return Probed(
        differs=(*map(_told, other), *container, *((failed,) if failed else ())),
        contradicts=tuple(map(_told, firm)),
        own_kernel=not any(each.stronger for each in other if _of(each) == "kernel"),
        data={
            "digest": probe.digest,
            "whole": not failed,
            "facts": [
                {"fact": each.fact, "ours": each.ours, "confidence": each.confidence.value, "seen": each.seen[:1000]}
                | {"agreement": each.agreement.value}
                for each in facts
            ],
        },
    )


def _of(each: Compared) -> str:
    """Which fact it is: the field of a CPU or a system."""
    return each.fact.split(".")[2]


def _told(each: Compared) -> Message:
    if _of(each) == "features":
        marked = " ".join(word for word in each.seen.split() if word[0] in "+-")
        return _(
            "{fact} ({confidence}): this machine has `{words}` against platforms.yaml",
            fact=verbatim(each.fact),
            confidence=each.confidence.word,
            words=verbatim(marked),
        )
    return _(
        "{fact} is {ours} by platforms.yaml ({confidence}), and {seen} on this machine",
        fact=verbatim(each.fact),
        ours=verbatim(each.ours),
        confidence=each.confidence.word,
        seen=verbatim(each.seen),
    )


def _asked(reader: Reader) -> tuple[Probe, Message]:
    """What the probe tells; where it does not end well, what this process knows itself, and why."""
    script = resources.probe_script()
    finished = UNSCALED.run(["/bin/sh", str(script), "brief"], timeout_s=PROBE_S)
    why = NOTHING if finished.ok else finished.told
    if finished.ok:
        try:
            return read_probe(finished.stdout), NOTHING
        except XcError as error:
            why = error.what
    return _own(reader), _("the probe of this machine told little: {why}", why=why)


def _own(reader: Reader) -> Probe:
    """The most important lines of a probe, without any other program."""
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    lines = {
        "format": (FORMAT,),
        "kernel.release": (host.release(),),
        "machine": (host.machine(),),
        "os_release": tuple((reader.file(OS_RELEASE) or "").splitlines()),
        "cpuinfo": tuple(first_processor(reader.file(CPUINFO) or "").splitlines()),
        "page_size": (str(mmap.PAGESIZE),),
        **({"libc.version": (libc,)} if libc else {}),
    }
    return Probe(lines, "")

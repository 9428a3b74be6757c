"""What loading showed, as findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.kept import Kept
from pytest_xinchuang.loading.engine import End, Loader, Loads, Opened, in_words
from pytest_xinchuang.loading.python import summary
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.sandbox.pool import Pool


def loaded(
    pool: Pool, platform: Platform, architectures: Mapping[Any, Architecture], kept: Kept, inspection: Inspection
) -> list[Finding]:
    """Open what a platform takes of an inspection, and say what that showed; undecided where there is no sandbox here."""
    place = inspection.root.place
    try:
        return findings_of(Loader(pool, platform, architectures, kept).load(inspection), platform, place)
    except HostFault as fault:
        return [Finding("XC-LOD-003", Certainty.UNDECIDED, place, platform.id, {"why": fault.what})]


def findings_of(loads: Loads, platform: Platform, place: str) -> list[Finding]:
    """One for each object that was refused, died or stayed open, and a note of how many were opened where."""
    found = [finding for each in loads.opened if (finding := _finding(each, platform, loads)) is not None]
    counts = in_words(loads.opened)
    if counts:
        params = {"loaded": str(counts.get(End.LOADED, 0)), "all": str(len(loads.opened)), **_where(loads)}
        found.append(Finding("XC-LOD-004", Certainty.NOTE, place, platform.id, params, {"ends": counts}))
    if loads.stood_in:
        count = {"count": str(len(loads.stood_in))}
        plugins: dict[str, object] = {"plug-ins": [record.place for record in loads.stood_in[:50]]}
        found.append(Finding("XC-LOD-028", Certainty.NOTE, loads.stood_in[0].place, platform.id, count, plugins))
    for wheel, what in summary(loads.imported):
        found.append(Finding("XC-LOD-026", Certainty.NOTE, wheel.place, platform.id, what))
    for required in loads.required:
        whole = len(required.done) == len(required.modules)
        why = required.why or (_("all were loaded") if whole else _("the others did not come to their end"))
        by = required.by or _("a stand-in for Node.js")
        what = {"done": len(required.done), "all": len(required.modules), "by": by, "why": why}
        found.append(Finding("XC-LOD-026", Certainty.NOTE, required.modules[0].place, platform.id, what))
    for each in loads.imported:
        for name, text in each.raised:
            said = {"module": name, "why": verbatim(text[:300]), "by": each.by}
            found.append(Finding("XC-LOD-027", Certainty.UNDECIDED, each.wheel.place, platform.id, said))
    return found


def _where(loads: Loads) -> dict[str, str]:
    return {"backend": str(loads.sandbox.get("backend", "")), "cpu": str(loads.sandbox.get("cpu", ""))}


def _finding(opened: Opened, platform: Platform, loads: Loads) -> Finding | None:
    record = opened.record
    if opened.end is End.LOADED:
        return None
    params = {"why": opened.why, **_where(loads)}
    if opened.end is End.REFUSED:
        return Finding("XC-LOD-002", Certainty.CERTAIN, record.place, platform.id, params)
    if opened.end is End.LATE:
        return Finding("XC-LOD-005", Certainty.GUARDED, record.place, platform.id, params)
    if opened.end is End.OPEN:
        return Finding("XC-LOD-003", Certainty.UNDECIDED, record.place, platform.id, params)
    culprit = opened.culprit
    params |= {
        "signal": _name(opened.signal),
        "culprit": culprit.place if culprit is not None else "?",
        "function": opened.function or "?",
        "instruction": opened.instruction or "?",
    }
    # An instruction that the CPU lacks is the object's own doing, where the emulated CPU has no less than the real one; and one
    # that says to be another model misleads who chooses by models. Any other signal may be for want of what is not here.
    exact = platform.cpu.emulation is not None and platform.cpu.emulation.exact
    alone = record.elf.program and record.elf.interpreter is None
    certain = exact and opened.signal == LinuxSignal.SIGILL and (culprit is not None or alone)
    certainty = Certainty.CERTAIN if certain else Certainty.UNDECIDED
    evidence = {"signal": opened.signal, "function": opened.function, "instruction": opened.instruction}
    return Finding("XC-LOD-001", certainty, record.place, platform.id, params, evidence)


def _name(number: int) -> str:
    try:
        return LinuxSignal(number).name
    except ValueError:
        return str(number)

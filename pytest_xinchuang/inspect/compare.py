"""Compares the same tool from several sources: a package, an archive, `go install` (what was built how, and for what)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.kinds import relro_word
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.messages import Message, _, verbatim


def _traits(elf: ElfObject) -> dict[Message, str]:
    versions = [n.version for n in elf.needed if n.family == "GLIBC" and n.number]
    newest = max(versions, key=lambda v: tuple(int(p) for p in v.partition("_")[2].split(".")), default=_("none"))
    traits = {
        _("machine"): elf.machine,
        _("loader"): elf.interpreter or _("none (static)"),
        _("libraries"): ", ".join(sorted(elf.libraries)) or _("none"),
        _("newest glibc symbol"): newest,
        verbatim("PIE"): _("yes") if elf.pie else _("no"),
        verbatim("RELRO"): relro_word(elf.relro),
        _("page alignment"): f"{min(elf.load_alignments):#x}" if elf.load_alignments else _("none"),
        _("compiler"): "; ".join(elf.compilers[:2]) or _("unknown"),
    }
    if elf.go is not None:
        traits[verbatim("Go")] = elf.go.version
        traits[_("Go settings")] = " ".join(
            f"{k}={v}" for k, v in elf.go.settings if k.startswith(("GO", "CGO_ENABLED", "-tags"))
        )
        traits[_("Go module")] = next((f"{m.path} {m.version}" for m in elf.go.modules), _("unknown"))
    return traits


def compare(platform: str, sources: Mapping[str, Sequence[ElfRecord]]) -> list[Finding]:
    """How objects with the same file name differ between ``sources`` (label -> objects)."""
    by_name: dict[str, list[tuple[str, ElfRecord]]] = {}
    for records in sources.values():
        for record in records:
            by_name.setdefault(record.file_name, []).append((record.place, record))
    found = []
    for name, several in sorted(by_name.items()):
        first_place, first = several[0]
        for place, other in several[1:]:
            if other.sha256 == first.sha256:
                continue
            ours, theirs = _traits(first.elf), _traits(other.elf)
            for trait in ours | theirs:
                if ours.get(trait) != theirs.get(trait):
                    params = {
                        "what": trait,
                        "first": ours.get(trait, _("none")),
                        "second": theirs.get(trait, _("none")),
                        "first_place": first_place,
                        "second_place": place,
                    }
                    found.append(Finding("XC-CMP-001", Certainty.NOTE, name, platform, params))
    return found

"""The table of porting failures as a document, in either language."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_xinchuang.core.finding import FindingCatalogue
from pytest_xinchuang.core.porting import PortingRow
from pytest_xinchuang.messages import NOTHING, _, joined, verbatim

_WAYS = {
    "S": _("static"),
    "E": _("emulated run"),
    "H": _("table of facts"),
    "D": _("difference from x86-64"),
    "F": _("system's identity"),
    "R": _("board"),
}

_ENDED = {
    "right": _("that was right"),
    "mended": _("the suite was mended"),
    "native": _("only a board decides"),
}

_HEAD = _(
    """# Porting failures, and how each is found

Made from `conformance/porting.yaml` and each `findings.yaml` below `conformance/` by `xc explain --porting`; do not edit it by
hand.

These are failures that people have reported on Kunpeng, Phytium, Hygon, Zhaoxin and Loongson machines. Each is found by a
finding of `xc inspect` or of a run (`xc explain CODE` tells more), or by a requirement of the grade. **needs native** marks
what only a board or a kernel of the platform decides, and says what to run there. `tests/mutants/porting/` plants each failure
that can be found without a board, and its twin that is right. **tried** marks reports that were searched out to try the suite
on what it was not made for, and tells what it said before anything was mended.
"""
)


def as_markdown(rows: Sequence[PortingRow], findings: FindingCatalogue, language: str) -> str:
    """A section for each failure."""
    parts = [_HEAD.render(language)]
    for row in rows:
        ways = joined([_WAYS[way] for way in row.ways], _(", "))
        lines = [
            verbatim(f"## {row.number}. {getattr(row.title, language)}"),
            NOTHING,
            _("- found by: {ways}", ways=ways),
        ]
        lines += [
            _("- finding `{code}`: {title}", code=code, title=getattr(findings.get(code).title, language))
            for code in row.codes
        ]
        if row.requirements:
            lines.append(_("- requirement: {ids}", ids=joined([verbatim(f"`{r}`") for r in row.requirements], _(", "))))
        lines.append(_("- mend: {mend}", mend=getattr(row.mend, language)))
        if row.native is not None:
            lines.append(_("- **needs native**: {native}", native=getattr(row.native, language)))
        lines.append(_("- reported in: {references}", references=joined(map(verbatim, row.references), _(", "))))
        if row.tried is not None:
            lines.append(
                _(
                    "- **tried** ({when}) on {what}: {seen}; {ended}",
                    when=verbatim(row.tried.when.isoformat()),
                    what=getattr(row.tried.what, language),
                    seen=getattr(row.tried.seen, language),
                    ended=_ENDED[row.tried.ended],
                )
            )
        parts.append("\n".join(line.render(language) for line in lines) + "\n")
    return "\n".join(parts)

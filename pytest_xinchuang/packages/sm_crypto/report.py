"""The results of vectors for people, in English or Chinese."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
from pytest_xinchuang.packages.sm_crypto.causes import Causes, weight
from pytest_xinchuang.packages.sm_crypto.defects import Defect, DefectBank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.runner import VectorOutcome, VectorRun
from pytest_xinchuang.packages.sm_crypto.vectors import Loaded, Vector, told_vector


def _meaning(bank: DefectBank, flag: str) -> Message:
    """The meaning of a flag; for a defect with its code and where it was met."""
    found = bank.flag(flag)
    if not isinstance(found, Defect):
        return NOTHING if found is None else found.message()
    origins = joined(found.origins)
    return _("{code} {meaning} ({origins})", code=found.code, meaning=found.message(), origins=origins)


def counts(seen: Sequence[VectorOutcome]) -> Message:
    """The number of vectors with each result."""
    number = Counter(s.result for s in seen)
    return joined([_("{n} {result}", n=number[r], result=r.word) for r in VectorResult if number[r]], _(", "))


def as_text(
    result: VectorRun, bank: DefectBank, reproduce: str, where: str = "", lang: str = "en", most: int = 5
) -> str:
    """A line for each file; then for each flag with failures a line, and its first ``most`` failures.

    Args:
        reproduce, where: the command that runs one vector again, before and behind its ``--tc ID``.
    """
    files: dict[str, list[VectorOutcome]] = {}
    for one in result.seen:
        files.setdefault(one.vector.file, []).append(one)
    width = max((len(name) for name in files), default=0)
    lines = [f"{name:<{width}}  {counts(seen).render(lang)}" for name, seen in files.items()]
    lacking = Counter(s.detail for s in result.seen if s.result is VectorResult.UNSUPPORTED)
    if lacking:
        parts = joined([_("{what} ({n})", what=what, n=n) for what, n in lacking.most_common(8)], _(", "))
        lines.append(_("the harness does not offer: {parts}", parts=parts).render(lang))
    lines += _failures(result, bank, reproduce, where, lang, most)
    faults = [*(crash.what for crash in result.crashes), *(violation.what for violation in result.violations)]
    lines += [f"! {fault.render(lang)}" for fault in faults]
    lines.append(counts(result.seen).render(lang))
    return "\n".join(lines) + "\n"


def _failures(result: VectorRun, bank: DefectBank, reproduce: str, where: str, lang: str, most: int) -> list[str]:
    """The failures by file and flag, the worst first, with what they are right for."""
    causes = Causes(result.asked)
    groups: dict[tuple[str, str], list[VectorOutcome]] = {}
    for one in result.seen:
        if one.result in (VectorResult.FAILED, VectorResult.UNDECIDED):
            flag = one.vector.test.flags[0] if one.vector.test.flags else "-"
            groups.setdefault((one.vector.file, flag), []).append(one)
    lines = []
    for (name, flag), mine in sorted(groups.items(), key=lambda item: min(weight(s, bank) for s in item[1])):
        told = {"file": name, "flag": flag, "counts": counts(mine), "meaning": _meaning(bank, flag)}
        lines.append("")
        lines.append(
            _("{file} {flag}: {counts}: {meaning}", **told).render(lang)
            if not all(map(causes.replaces_flag, mine))
            else _("{file} {flag}: {counts}", **told).render(lang)  # it is something else than the flag's defect
        )
        for one in mine[:most]:
            vector, operation = told_vector(one.vector), one.operation
            failure = _("{vector} {operation}: {detail}", vector=vector, operation=operation, detail=one.detail)
            lines.append(f"  {failure.render(lang)}")
            if cause := causes.of(one):
                lines.append("    " + _("cause: {cause}", cause=cause).render(lang))
            command = f"{reproduce} --tc {one.vector.id} {where}".rstrip()
            lines.append("    " + _("reproduce: {command}", command=verbatim(command)).render(lang))
        if len(mine) > most:
            lines.append("  " + _("and {n} more", n=len(mine) - most).render(lang))
    return lines


def as_dict(result: VectorRun, hello: Mapping[str, Any]) -> dict[str, Any]:
    """The whole result as plain data."""
    causes = Causes(result.asked)
    flags: dict[str, Counter[str]] = {}
    for one in result.seen:
        for flag in one.vector.test.flags:
            flags.setdefault(f"{one.vector.algorithm} {flag}", Counter())[one.result.value] += 1
    return {
        "schema": "xc-sm-run/1",
        "harness": dict(hello),
        "results": dict(Counter(s.result.value for s in result.seen)),
        "flags": {name: dict(number) for name, number in sorted(flags.items())},
        "failures": [
            {
                "vector": s.vector.id,
                "comment": s.vector.test.comment,
                "flags": list(s.vector.test.flags),
                "requirement": s.vector.requirement,
                "operation": s.operation,
                "result": s.result.value,
                "what": s.detail,
                "cause": causes.of(s),
            }
            for s in result.seen
            if s.result in (VectorResult.FAILED, VectorResult.UNDECIDED)
        ],
        "crashes": [str(crash) for crash in result.crashes],
        "violations": [str(violation) for violation in result.violations],
        "restarts": result.restarts,
    }


_KINDS: Mapping[str, Message] = {"valid": _("valid"), "acceptable": _("acceptable"), "invalid": _("invalid")}
"""The result that a vector asks for."""


def list_files(loaded: Sequence[Loaded], lang: str = "en") -> str:
    """The vector files, a line each."""
    lines = []
    for one in loaded:
        results = Counter[str](v.test.result for v in one.vectors())
        kinds = joined(
            [_("{n} {result}", n=results[r], result=word) for r, word in _KINDS.items() if results[r]], _(", ")
        )
        told = _("({parts})", parts=kinds).render(lang)
        lines.append(f"{one.name:<22} {one.data.algorithm:<16} {one.data.number_of_tests:>4}  {told}")
    vectors = sum(one.data.number_of_tests for one in loaded)
    files = n_("{n} file", "{n} files", len(loaded))
    lines.append(n_("{n} vector in {files}", "{n} vectors in {files}", vectors, files=files).render(lang))
    return "\n".join(lines) + "\n"


def explain(vector: Vector, bank: DefectBank, lang: str) -> str:
    """One vector, and the meaning of its flags."""
    group = {k: v for k, v in vector.group.model_dump(by_alias=True).items() if k != "tests"}
    lines = [f"{vector.id}  {vector.algorithm}  {vector.requirement}", json.dumps(group, ensure_ascii=False)]
    lines.append(json.dumps(vector.test.model_dump(by_alias=True), indent=1, ensure_ascii=False))
    lines += [
        _("{flag}: {meaning}", flag=flag, meaning=_meaning(bank, flag)).render(lang) for flag in vector.test.flags
    ]
    return "\n".join(lines) + "\n"


_ELSEWHERE: Mapping[str, str] = {
    "LengthOverflow": "`sm3_long/1` (slow; no known-bad subject)",
    "TlsTranscript": "`xc sm tls`, tried on a server with this fault",
    "TlsUnknownExtension": "`xc sm tls`, tried on a server with this fault",
    "TlsLengthField": "`xc sm tls`, tried on a server with this fault",
    "TlsTagSource": "not found by this suite",
    "TlsClientPair": "not found by this suite: the probe has no client certificates",
}
"""Flags of the defects that no known-bad subject has -> what catches them."""


def defect_table(bank: DefectBank, caught_by: Mapping[int, Mapping[str, Any]]) -> str:
    """The text of docs/sm-defects.md: the bank, and what catches each defect."""
    lines = [
        "# The bank of SM defects",
        "",
        "Each was met in the field, or is of a class that implementations are known for. `caught by` is a vector",
        "(`xc sm vectors ID` explains it) or a check that a known-bad subject with this defect alone fails, in",
        "`tests/mutants/sm`; *also* lists what else the same subject fails.",
        "Made from `conformance/sm_crypto/defects.yaml` and `tests/mutants/sm/caught_by.yaml`.",
        "",
        "| | defect | 缺陷 | seen at | requirement | caught by | also |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for defect in bank.defects:
        found = caught_by.get(defect.id, {})
        by = ", ".join(f"`{v}`" for v in found.get("vectors", ())) or _ELSEWHERE[defect.flag]
        also = ", ".join(found.get("also", ()))
        seen = "; ".join(defect.origins)
        lines.append(f"| {defect.code} | {defect.en} | {defect.zh} | {seen} | {defect.requirement} | {by} | {also} |")
    return "\n".join(lines) + "\n"

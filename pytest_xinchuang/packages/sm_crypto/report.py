"""What vectors said of a harness, for people: in English or Chinese."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.messages import Message, _, joined
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.defects import Defect, DefectBank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.runner import VectorOutcome, VectorRun
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint
from pytest_xinchuang.packages.sm_crypto.vectors import Loaded, Vector

_WORDS: Mapping[VectorResult, Message] = {
    VectorResult.PASSED: _("passed"),
    VectorResult.FAILED: _("failed"),
    VectorResult.ACCEPTABLE: _("acceptable"),
    VectorResult.UNSUPPORTED: _("unsupported"),
    VectorResult.UNDECIDED: _("undecided"),
}


def _text(bank: DefectBank, flag: str, lang: str) -> str:
    found = bank.flag(flag)
    if found is None:
        return ""
    code = f"{found.code} " if isinstance(found, Defect) else ""
    seen = f" ({'; '.join(dict.fromkeys((found.clause, *found.seen)))})" if isinstance(found, Defect) else ""
    return f"{code}{found.zh if lang == 'zh' else found.en}{seen}"


def counts(seen: Sequence[VectorOutcome], lang: str) -> str:
    """The results of some vectors, in a few words."""
    number = Counter(s.result for s in seen)
    return ", ".join(f"{number[r]} {_WORDS[r].render(lang)}" for r in VectorResult if number[r])


def as_text(
    result: VectorRun, bank: DefectBank, reproduce: str, where: str = "", lang: str = "en", most: int = 5
) -> str:
    """A line for each file and, where something failed, for each flag; then the first ``most`` failures of each flag.

    Args:
        reproduce, where: the command that asks one vector again, before and behind its ``--tc ID``.
    """
    files: dict[str, list[VectorOutcome]] = {}
    for one in result.seen:
        files.setdefault(one.vector.file, []).append(one)
    width = max((len(name) for name in files), default=0)
    lines = [f"{name:<{width}}  {counts(seen, lang)}" for name, seen in files.items()]
    lacking = Counter(s.detail for s in result.seen if s.result is VectorResult.UNSUPPORTED)
    if lacking:
        parts = joined([_("{what} ({n})", what=what, n=n) for what, n in lacking.most_common(8)], _(", "))
        lines.append(_("not done by this harness: {parts}", parts=parts).render(lang))
    for name, seen in files.items():
        failed = [s for s in seen if s.result in (VectorResult.FAILED, VectorResult.UNDECIDED)]
        by_flag: dict[str, list[VectorOutcome]] = {}
        for one in failed:
            by_flag.setdefault(one.vector.test.flags[0] if one.vector.test.flags else "-", []).append(one)
        for flag, mine in by_flag.items():
            lines.append(f"\n{name} {flag}: {counts(mine, lang)}: {_text(bank, flag, lang)}")
            for one in mine[:most]:
                lines.append(
                    f"  {one.vector.id} ({one.vector.test.comment}) {one.operation}: {one.detail.render(lang)}"
                )
                command = f"{reproduce} --tc {one.vector.id} {where}".rstrip()
                lines.append("    " + _("reproduce: {command}", command=command).render(lang))
            if len(mine) > most:
                lines.append(f"  ... {len(mine) - most}")
    lines += [f"! {text}" for text in (*result.crashes, *result.violations)]
    lines.append(counts(result.seen, lang))
    return "\n".join(lines) + "\n"


def as_dict(result: VectorRun, hello: Mapping[str, Any]) -> dict[str, Any]:
    """The whole result as plain data."""
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
            }
            for s in result.seen
            if s.result in (VectorResult.FAILED, VectorResult.UNDECIDED)
        ],
        "crashes": [str(crash) for crash in result.crashes],
        "violations": [str(violation) for violation in result.violations],
        "restarts": result.restarts,
    }


def list_files(loaded: Sequence[Loaded]) -> str:
    """The vector files, a line each."""
    lines = []
    for one in loaded:
        results = Counter(v.test.result for v in one.vectors())
        told = ", ".join(f"{results[r]} {r}" for r in ("valid", "acceptable", "invalid") if results[r])
        lines.append(f"{one.name:<22} {one.data.algorithm:<16} {one.data.number_of_tests:>4}  ({told})")
    lines.append(f"{sum(one.data.number_of_tests for one in loaded)} vectors in {len(loaded)} files")
    return "\n".join(lines) + "\n"


def explain(vector: Vector, bank: DefectBank, lang: str) -> str:
    """One vector, and what its flags mean."""
    group = {k: v for k, v in vector.group.model_dump(by_alias=True).items() if k != "tests"}
    lines = [f"{vector.id}  {vector.algorithm}  {vector.requirement}", json.dumps(group, ensure_ascii=False)]
    lines.append(json.dumps(vector.test.model_dump(by_alias=True), indent=1, ensure_ascii=False))
    lines += [f"{flag}: {_text(bank, flag, lang)}" for flag in vector.test.flags]
    return "\n".join(lines) + "\n"


def endpoint_as_dict(endpoint: Endpoint) -> dict[str, Any]:
    """What a TLS endpoint speaks, as plain data."""
    return {
        "schema": "xc-sm-tls/1",
        "address": endpoint.address,
        "spoken": [
            {
                "protocol": s.protocol,
                "suite": s.suite,
                "group": s.group,
                "signature": s.signature,
                "certificates": [_described(c) for c in s.certificates],
                "problems": s.all_problems,
                "notes": s.notes,
            }
            for s in endpoint.spoken
        ],
        "refused": endpoint.refused,
    }


def _described(der: bytes) -> dict[str, str]:
    digest = hashlib.sha256(der).hexdigest()
    try:
        found = parse(der)
        validity = found.asn1["tbs_certificate"]["validity"].native
        ends = validity["not_after"].date().isoformat()
        return {"subject": found.subject, "issuer": found.issuer, "not_after": ends, "sha256": digest}
    except ValueError as error:
        return {"subject": f"unreadable: {error}", "sha256": digest}


def endpoint_as_text(endpoint: Endpoint) -> str:
    """The same for people."""
    lines = [endpoint.address]
    for s in endpoint.spoken:
        what = ", ".join(x for x in (s.suite, s.group, s.signature) if x)
        lines.append(f"  {s.protocol}: {what}")
        for der in s.certificates:
            d = _described(der)
            lines.append(
                f"    {d['subject']}" + (f" (until {d['not_after']}, by {d['issuer']})" if "issuer" in d else "")
            )
        lines += [f"    ! {p}" for p in s.all_problems] + [f"    - {n}" for n in s.notes]
    lines += [f"  {name}: no ({why})" for name, why in endpoint.refused.items()]
    return "\n".join(lines) + "\n"


_ELSEWHERE: Mapping[str, str] = {
    "LengthOverflow": "`sm3_long/1` (slow; no known-bad subject)",
    "TlsTranscript": "`xc sm tls`, tried on a server with this fault",
    "TlsUnknownExtension": "`xc sm tls`, tried on a server with this fault",
    "TlsLengthField": "`xc sm tls`, tried on a server with this fault",
    "TlsTagSource": "not found by this suite",
    "TlsClientPair": "not found by this suite: the probe has no client certificates",
}
"""What catches those that no known-bad subject has, by their flags."""


def defect_table(bank: DefectBank, caught_by: Mapping[int, Mapping[str, Any]]) -> str:
    """docs/sm-defects.md: the bank, and what catches each defect."""
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
        seen = "; ".join(dict.fromkeys((*defect.seen, defect.clause)))
        lines.append(f"| {defect.code} | {defect.en} | {defect.zh} | {seen} | {defect.requirement} | {by} | {also} |")
    return "\n".join(lines) + "\n"

"""``report.json``, and the model that its JSON Schema is made from."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_xinchuang.core.grade import RunResult
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict

SCHEMA = "xc-report/1"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SuiteInfo(_Data):
    name: str
    version: str
    digest: str


class SubjectInfo(_Data):
    name: str
    version: str
    digest: str
    units: list[str] = Field(default_factory=list, description="all that was graded of the subject")


class RunInfo(_Data):
    id: str
    started: str
    finished: str | None
    host: dict[str, str]
    argv: list[str]
    problems: list[str] = Field(description="why this run has no grade; empty when it has one")
    faults: list[str] = Field(description="faults of our machinery that were met")


class GradeInfo(_Data):
    platform: str
    profile: str
    packages: list[str]
    level: Literal["L0", "L1", "L2", "L3", "L4"] | None
    required_level: Level | None
    with_waivers: list[str]
    capped_by: str
    fidelity: Fidelity
    rootfs: Literal["vendor", "stand-in", "none"]
    facts: Literal["shipped", "overridden"] = Field(description="whose facts about the platform were believed")
    differs: list[str] = Field(description="how the stand-in differs from the platform's own root filesystem")
    blocking: list[str]


class WaiverInfo(_Data):
    owner: str
    reason: str
    clause: str
    expires: str


class RequirementInfo(_Data):
    id: str
    package: str
    level: Level
    mandatory: bool
    title: dict[str, str]
    platform: str
    verdict: Verdict
    cause: Cause
    reason: str
    mend: str
    flaky: bool
    waiver: WaiverInfo | None
    checks: list[str]
    evidence: list[int] = Field(description="byte offsets of evidence events in journal.ndjson")
    attempts: int


class Report(_Data):
    """The graded report of one run."""

    format: Literal["xc-report/1"] = Field(alias="schema", serialization_alias="schema")
    suite: SuiteInfo
    subject: SubjectInfo
    run: RunInfo
    grades: list[GradeInfo]
    requirements: list[RequirementInfo]
    waiver_notes: list[str]


def build_report(result: RunResult) -> Report:
    """The report of a graded run."""
    started, finished = result.journal.started, result.journal.finished
    return Report.model_validate(
        {
            "schema": SCHEMA,
            "suite": started["suite"],
            "subject": started["subject"],
            "run": {
                "id": started["run"]["id"],
                "started": started["t"],
                "finished": finished["t"] if finished else None,
                "host": started["run"]["host"],
                "argv": started["run"]["argv"],
                "problems": result.journal.problems,
                "faults": [str(f.get("what", "")) for f in result.journal.faults],
            },
            "grades": [
                {
                    "platform": g.platform,
                    "profile": g.profile,
                    "packages": list(g.packages),
                    "level": g.level,
                    "required_level": g.required_level,
                    "with_waivers": list(g.with_waivers),
                    "capped_by": g.capped_by,
                    "fidelity": g.fidelity,
                    "rootfs": g.rootfs,
                    "facts": g.facts,
                    "differs": list(g.differs),
                    "blocking": list(g.blocking),
                }
                for g in result.grades
            ],
            "requirements": [
                {
                    "id": r.id,
                    "package": r.package,
                    "level": r.level,
                    "mandatory": r.mandatory,
                    "title": r.title,
                    "platform": r.platform,
                    "verdict": r.effective,
                    "cause": r.cause,
                    "reason": r.reason,
                    "mend": r.mend,
                    "flaky": r.flaky,
                    "waiver": vars(r.waived) if r.waived else None,
                    "checks": list(r.checks),
                    "evidence": list(r.evidence),
                    "attempts": r.attempts,
                }
                for r in result.requirements
            ],
            "waiver_notes": result.waiver_notes,
        }
    )


def report_text(result: RunResult) -> str:
    """``report.json`` as text, the same for the same journal."""
    data = build_report(result).model_dump(mode="json", by_alias=True)
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def report_schema() -> dict[str, Any]:
    """The JSON Schema of ``report.json``."""
    return Report.model_json_schema(by_alias=True, mode="serialization")

"""``report.json``, and the model that its JSON Schema is made from."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_xinchuang.core.grade import Grade, RunResult
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.sealed import foreign, is_sealed, standing
from pytest_xinchuang.core.surroundings import AssessorSeen
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.messages import LANGUAGES
from pytest_xinchuang.report import parts

SCHEMA: Literal["xc-report/1"] = "xc-report/1"


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
    sealed: bool = Field(
        default=False, description="the checks ran in a process of their own, with nothing of anybody else in it"
    )
    standing: str = Field(default="", description="sealed and on what files, or not sealed and why, in a sentence")
    foreign: list[str] = Field(default_factory=list, description="what could have bent the result of a run")
    assessor: AssessorSeen | None = Field(
        default=None, description="the sealed process that decided the checks of the suite; null: this run decided them"
    )
    in_process: str = Field(default="", description="why this run decided them, where such a process could have")
    notes: list[str] = Field(
        default_factory=list,
        description="what a reader has to know: requirements and facts that are not the suite's, a clock that was set",
    )


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
    differs: list[str] = Field(
        description="how the stand-in differs from the platform's own root filesystem, or a real machine from its facts"
    )
    passed_over: list[str] = Field(
        default=[], description="better ways to open a sandbox, each with the reason why the host does not allow it"
    )
    blocking: list[str]
    details: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="what conformance packages add, by package; left out where none does"
    )


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


def build_report(result: RunResult, language: str = LANGUAGES[0]) -> Report:
    """The report of a graded run; its texts are in ``language``, names and enumerations are the same in each."""
    journal = result.journal
    started, finished, seen = journal.started, journal.finished, journal.surroundings
    return Report(
        schema=SCHEMA,
        suite=SuiteInfo(name=started.suite.name, version=started.suite.version, digest=started.suite.digest),
        subject=SubjectInfo(
            name=started.subject.name,
            version=started.subject.version,
            digest=started.subject.digest,
            units=list(started.subject.units),
        ),
        run=RunInfo(
            id=started.run.id,
            started=started.t,
            finished=finished.t if finished else None,
            host=started.run.host,
            argv=list(started.run.argv),
            problems=[p.render(language) for p in journal.problems],
            faults=[f.said("what").render(language) for f in journal.faults],
            sealed=is_sealed(journal),
            standing=standing(journal).render(language),
            foreign=[text.render(language) for text in foreign(journal)],
            assessor=seen.assessor if seen else None,
            in_process=seen.said("in_process").render(language) if seen else "",
            notes=[note.render(language) for note in journal.notes],
        ),
        grades=[_grade(result, grade, language) for grade in result.grades],
        requirements=[_requirement(requirement, language) for requirement in result.requirements],
        waiver_notes=[note.render(language) for note in result.waiver_notes],
    )


def _grade(result: RunResult, grade: Grade, language: str) -> GradeInfo:
    return GradeInfo.model_validate(
        {
            "platform": grade.platform,
            "profile": grade.profile,
            "packages": list(grade.packages),
            "level": grade.level,
            "required_level": grade.required_level,
            "with_waivers": list(grade.with_waivers),
            "capped_by": grade.capped_by.render(language),
            "fidelity": grade.fidelity,
            "rootfs": grade.rootfs,
            "facts": grade.facts,
            "differs": [text.render(language) for text in grade.differs],
            "passed_over": [text.render(language) for text in grade.passed_over],
            "blocking": list(grade.blocking),
            "details": parts.details(result, grade),
        }
    )


def _requirement(requirement: RequirementResult, language: str) -> RequirementInfo:
    return RequirementInfo(
        id=requirement.id,
        package=requirement.package,
        level=requirement.level,
        mandatory=requirement.mandatory,
        title=requirement.title,
        platform=requirement.platform,
        verdict=requirement.effective,
        cause=requirement.cause,
        reason=requirement.reason.render(language),
        mend=requirement.mend.render(language),
        flaky=requirement.flaky,
        waiver=WaiverInfo(**vars(requirement.waived)) if requirement.waived else None,
        checks=list(requirement.checks),
        evidence=list(requirement.evidence),
        attempts=requirement.attempts,
    )


def report_text(result: RunResult, language: str = LANGUAGES[0]) -> str:
    """``report.json`` as text, the same for the same journal and language."""
    data = build_report(result, language).model_dump(mode="json", by_alias=True)
    for grade in data["grades"]:
        if not grade["details"]:
            del grade["details"]
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def report_schema() -> dict[str, Any]:
    """The JSON Schema of ``report.json``."""
    return Report.model_json_schema(by_alias=True, mode="serialization")

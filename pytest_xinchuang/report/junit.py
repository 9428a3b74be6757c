"""The graded ``junit.xml``: a suite for each package and platform, a case for each requirement."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from junit_xml import TestCase, TestSuite

from pytest_xinchuang.core.grade import Grade, RunResult
from pytest_xinchuang.core.journal import Journal
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.sealed import is_sealed, standing
from pytest_xinchuang.core.verdict import Verdict
from pytest_xinchuang.messages import LANGUAGES, Message, _, both, joined, verbatim
from pytest_xinchuang.report import parts

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_text(result: RunResult, language: str = LANGUAGES[0]) -> str:
    """``junit.xml`` as text, the same for the same journal and language.

    What is inconclusive or was not tested is an ``<error>``: a skipped case counts as harmless nearly everywhere. What is
    beyond the level that the profile requires is harmless, and skipped with its reason.
    Properties stand at the suites: common JUnit schemas allow none inside a case.
    """
    root = ElementTree.Element("testsuites")
    journal = result.journal
    for grade in result.grades:
        for package in grade.packages:
            cases = [r for r in result.of(grade.platform) if r.package == package]
            suite = TestSuite(
                f"{package}.{grade.platform}",
                [_case(journal, r, grade, language) for r in cases],
                hostname=journal.started.run.host.get("name", "unknown"),
                timestamp=journal.started.t.rstrip("Z").split(".")[0],
                properties=_properties(result, grade, package, cases, language),
            )
            root.append(strict_suite(suite.build_xml_doc(), package, len(root)))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def strict_suite(suite: ElementTree.Element, package: str, number: int) -> ElementTree.Element:
    """What the two schemas in use (Jenkins' junit-10.xsd, Windy Road's JUnit.xsd) both accept, and the latter demands."""
    suite.attrib.pop("disabled", None)
    suite.attrib |= {"id": str(number), "package": package, "time": f"{float(suite.get('time', 0)):.3f}"}
    for case in suite.iter("testcase"):
        case.set("time", f"{float(case.get('time', 0)):.3f}")
    for skipped in suite.iter("skipped"):
        skipped.attrib.pop("type", None)
    for name in ("system-out", "system-err"):
        ElementTree.SubElement(suite, name)
    return suite


def _seconds(journal: Journal, result: RequirementResult) -> float:
    events = (e for check in result.checks for e in journal.checks.get(check, []) if e.platform == result.platform)
    return sum(e.duration_s for e in events)


def _case(journal: Journal, result: RequirementResult, grade: Grade, language: str) -> TestCase:
    case = TestCase(result.id, f"{result.package}.{result.platform}", round(_seconds(journal, result), 3))

    def told(message: Message) -> str:
        return clean(message.render(language))

    lines = [result.reason, *([_("mend: {mend}", mend=result.mend)] if result.mend else [])]
    text = told(joined(lines, verbatim("\n")))
    if grade.does_not_demand(result) and not result.clears:
        why = _(
            "beyond the profile {profile} ({level}): {reason}",
            profile=grade.profile,
            level=grade.required_level or "",
            reason=_("{verdict}: {reason}", verdict=result.effective.word, reason=result.reason),
        )
        case.add_skipped_info(told(why), text)
        return case
    match result.effective:
        case Verdict.PASS:
            if result.flaky:
                case.stdout = told(_("flaky: passed in the last of {n} attempts", n=result.attempts))
        case Verdict.FAIL:
            case.add_failure_info(told(result.reason), text, "fail")
        case Verdict.WAIVED:
            waiver = result.waived
            assert waiver is not None
            why = _(
                "waived by {owner} until {date}: {reason}",
                owner=waiver.owner,
                date=waiver.expires,
                reason=waiver.reason,
            )
            case.add_skipped_info(told(why), text)
        case Verdict.NOT_APPLICABLE:
            case.add_skipped_info(told(_("not applicable: {reason}", reason=result.reason)))
        case Verdict.INCONCLUSIVE | Verdict.NOT_TESTED:
            what = _("{verdict}: {reason}", verdict=result.effective.word, reason=result.reason)
            case.add_error_info(told(what), text, result.effective.value)
    return case


def _properties(
    result: RunResult, grade: Grade, package: str, cases: list[RequirementResult], language: str
) -> dict[str, str]:
    started = result.journal.started
    properties = {
        "schema": "xc-junit/1",
        "suite.version": started.suite.version,
        "suite.digest": started.suite.digest,
        "subject": f"{started.subject.name} {started.subject.version}",
        "subject.digest": started.subject.digest,
        "platform": grade.platform,
        "profile": grade.profile,
        "grade": grade.level or "none",
        "grade.with_waivers": ",".join(grade.with_waivers),
        "grade.capped_by": grade.capped_by.render(language),
        "fidelity": grade.fidelity,
        "rootfs": grade.rootfs,
        "run.id": started.run.id,
        "sealed": "true" if is_sealed(result.journal) else standing(result.journal).render(language),
    }
    properties |= parts.properties(result, grade, package)
    for case in cases:
        properties[f"title.{case.id}"] = both(case.title).render(language)
        properties[f"requirement.{case.id}"] = f"{case.level} {case.effective}{' flaky' if case.flaky else ''}"
    return {name: clean(value) for name, value in properties.items()}


def clean(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("�", text)

"""How an engine that reads and builds, and starts nothing in a sandbox, turns what it found into decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_xinchuang.core.errors import HostFault, Lacking, XcError
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict

Checks = Mapping[str, Callable[[], Found]]


def decide(catalogue: Catalogue, requirement_id: str, checks: Checks, *, subject: str, lacks: str) -> Decision:
    """The decision about one requirement, after those that it needs; a host's fault is never the subject's failure.

    Args:
        lacks: the section that the manifest does not have, so that nothing here applies; "" when it has it.
    """
    requirement = catalogue.get(requirement_id)
    if requirement is None or requirement_id not in checks:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, f"{requirement_id} is not in the catalogue")
    if lacks:
        evidence = ({"kind": "manifest", lacks: None, "subject": subject},)
        return Decision(Verdict.NOT_APPLICABLE, reason=f"the manifest has no {lacks} section", evidence=evidence)
    for need in requirement.needs:
        before = decide(catalogue, need, checks, subject=subject, lacks=lacks)
        if before.verdict is Verdict.FAIL:
            return Decision(Verdict.INCONCLUSIVE, Cause.BLOCKED, f"{need}: {before.reason}", before.mend)
    try:
        return checks[requirement_id]().decision(Fidelity.STATIC, requirement.mend.en)
    except HostFault as fault:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, fault.what, fault.mend)
    except XcError as error:
        return Decision(Verdict.INCONCLUSIVE, Cause.SUBJECT, error.what, error.mend)


def cause_of(fault: HostFault) -> Cause:
    """A platform that nothing stands in for is a matter of fidelity, not of the host."""
    return Cause.FIDELITY if fault.lacking is Lacking.STAND_IN else Cause.HOST

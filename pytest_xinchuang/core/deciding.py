"""How an engine that reads and builds, and starts nothing in a sandbox, turns what it found into decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_xinchuang.core.errors import HostFault, Lacking, XcError
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import _

Checks = Mapping[str, Callable[[], Found]]


def decide(catalogue: Catalogue, requirement_id: str, checks: Checks, *, subject: str, lacks: str) -> Decision:
    """The decision about one requirement; a host's fault is never the subject's failure.

    Args:
        lacks: the section that the manifest does not have, so that nothing here applies; "" when it has it.
    """
    requirement = catalogue.get(requirement_id)
    if requirement is None or requirement_id not in checks:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, _("{id} is not in the catalogue", id=requirement_id))
    if lacks:
        evidence = ({"kind": "manifest", lacks: None, "subject": subject},)
        reason = _("the manifest has no {section} section", section=lacks)
        return Decision(Verdict.NOT_APPLICABLE, reason=reason, evidence=evidence)
    try:
        return checks[requirement_id]().decision(Fidelity.STATIC, requirement.mend.message())
    except HostFault as fault:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, fault.what, fault.mend)
    except XcError as error:
        return Decision(Verdict.INCONCLUSIVE, Cause.SUBJECT, error.what, error.mend)


def cause_of(fault: HostFault) -> Cause:
    """A platform that nothing stands in for is a matter of fidelity, not of the host."""
    return Cause.FIDELITY if fault.lacking is Lacking.STAND_IN else Cause.HOST

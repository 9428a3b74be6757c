"""Rules about what is not known of a CPU: code that uses a feature neither passes nor fails by what was inferred."""

from __future__ import annotations

from collections.abc import Collection

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.isa import Use
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import _, joined, verbatim


def check_unsure(judge: Judge, record: ElfRecord, uses: Collection[Use], asks: str = "") -> frozenset[str]:
    """Features whose presence is only inferred, and those that the emulated CPU has and the real one has not.

    Args:
        uses: what the object's code uses, of any feature.
        asks: what may guard all of it.

    Returns:
        the features that no other rule may decide.
    """
    cpu = judge.platform.cpu
    unsure = [use for use in uses if cpu.has(use.feature) is None and use.certain and not asks]
    excess = [use for use in uses if use.feature in cpu.emulation.excess and (use.guarded or asks)]
    for code, found in (("XC-CPU-001", unsure), ("XC-CPU-002", excess)):
        if not found:
            continue
        sites = [site for use in found for site in (*use.sites, *use.guarded_sites)]
        judge.find(
            code,
            Certainty.UNDECIDED,
            record.place,
            {use.feature: use.certain + use.guarded for use in found},
            feature=joined((use.feature for use in found), _(", ")),
            count=sum(use.certain + use.guarded for use in found),
            sites=joined(site.shown for site in sites[:3]),
            cpu=cpu.title.message(),
            source=verbatim((cpu.unsure if cpu.unsure and cpu.unsure.value else cpu.features).source),
        )
    # A certain use of an excess feature fails by the list; what stands behind a check was told above.
    return frozenset(use.feature for use in (*unsure, *(u for u in excess if not u.certain or asks)))

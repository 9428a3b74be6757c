"""What was found about one line of flags, and how what a compiler may use is held against what the CPU has."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Confidence, Platform
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.toolchain.flags.features import BY_HAND

DROP = _("drop it")

LACKS_FACT = "lacks_fact"
"""Evidence of findings that are open for a fact of the platform that is not known well enough."""


class Found:
    """Collects findings about one line.

    Args:
        baseline: gives the flags that the platform's CPU runs, for mends; it may have to ask compilers.
    """

    def __init__(self, platform: Platform | None, libc: str, baseline: Callable[[], Message] = lambda: NOTHING) -> None:
        self.platform, self.libc = platform, libc
        self._baseline = baseline
        self.findings: list[Finding] = []

    @property
    def cpu(self) -> Message:
        assert self.platform is not None
        return self.platform.cpu.title.message()

    def add(
        self, code: str, certainty: Certainty, flag: str, reason: Message, advice: Message, *, lacks_fact: bool = False
    ) -> None:
        """A finding; ``reason`` and ``advice`` fill in the texts of its code.

        Args:
            lacks_fact: it is open for a fact of the platform that is not known well enough.
        """
        place = self.platform.id if self.platform else self.libc
        params = {"flag": flag, "reason": reason, "advice": advice, "advice_zh": advice}
        evidence = {LACKS_FACT: True} if lacks_fact else {}
        finding = Finding(code, certainty, flag, place, params, evidence)
        if finding not in self.findings:
            self.findings.append(finding)

    def open(self, flag: str, reason: Message, advice: Message = NOTHING, *, lacks_fact: bool = False) -> None:
        """Nothing can be said of a flag."""
        mend = advice or _("build with it, and give what comes out to `xc inspect`")
        self.add("XC-FLAG-006", Certainty.UNDECIDED, flag, reason, mend, lacks_fact=lacks_fact)

    def foreign(self, flag: str, reason: Message, certainty: Certainty = Certainty.CERTAIN) -> None:
        """A flag makes what is not for this platform's system and libraries."""
        self.add("XC-FLAG-004", certainty, flag, reason, DROP)

    def unknown(self, flag: str, names: Iterable[str]) -> None:
        """A compiler names extensions that Linux has no name for."""
        if listed := sorted(names):
            self.open(flag, _("the facts of {cpu} say nothing of {features}", cpu=self.cpu, features=_all(listed)))

    def uses(
        self,
        flag: str,
        features: frozenset[str],
        named: frozenset[str],
        doubt: Message = NOTHING,
        advice: Message = NOTHING,
    ) -> None:
        """A flag lets a compiler use extensions.

        Args:
            named: those of them that the flag itself names, and not by a CPU or a level that has them.
            doubt: why it may not be so after all.
            advice: what to do instead; by default, to name the baseline to a C compiler.
        """
        assert self.platform is not None
        fact = self.platform.cpu.features
        if fact.value is None:
            if features:
                advice = _(
                    "add cpus.{cpu_name}.features to a platforms file of your own", cpu_name=self.platform.cpu_name
                )
                self.open(
                    flag, _("platforms.yaml does not know the features of {en}", en=self.cpu), advice, lacks_fact=True
                )
            return
        lacking = features - set(fact.value)
        inferred = fact.confidence is Confidence.INFERRED
        by_hand = lacking & BY_HAND - named
        if certain := lacking - by_hand:
            reason = _(
                "it lets the compiler use {features}, and {cpu} lacks that",
                features=_all(sorted(certain)),
                cpu=self.cpu,
            )
            self._lacks(flag, reason, doubt or (self._inferred() if inferred else NOTHING), advice)
        elif by_hand:
            reason = _("it allows {features}, and {cpu} lacks that", features=_all(sorted(by_hand)), cpu=self.cpu)
            self._lacks(flag, reason, doubt or _("code that asks the compiler for it would use it"), advice)
        elif inferred and features:
            self.open(
                flag,
                self._inferred(),
                _("`xc platforms show {id}` says where the facts come from", id=self.platform.id),
                lacks_fact=True,
            )

    def _inferred(self) -> Message:
        return _("the features of {cpu} are inferred", cpu=self.cpu)

    def _lacks(self, flag: str, reason: Message, doubt: Message, advice: Message) -> None:
        if doubt:
            reason = joined([reason, doubt])
        self.add(
            "XC-FLAG-003",
            Certainty.GUARDED if doubt else Certainty.CERTAIN,
            flag,
            reason,
            advice or self._baseline() or DROP,
        )


def _all(names: Iterable[str]) -> Message:
    return joined(map(verbatim, names), _(", "))

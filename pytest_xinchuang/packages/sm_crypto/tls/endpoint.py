"""The results of probing an endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.messages import NOTHING, Message

INTOLERANT, UNFINISHED = "XC-TLS-006", "XC-TLS-010"
HANDSHAKE = (INTOLERANT, "XC-TLS-007", "XC-TLS-008", UNFINISHED)
"""Codes that are about the handshake itself, and not about certificates and signatures."""
SIGNATURES = ("XC-TLS-009", "XC-TLS-011", "XC-TLS-012", "XC-TLS-013", "XC-TLS-014")
"""Codes that are about what the server signs and authenticates; those of certificates are 040 to 059."""
OF_NAMES = ("XC-TLS-044", "XC-TLS-053")
"""Codes that are about whose a certificate is."""


@cache
def catalogue() -> FindingCatalogue:
    """The findings of TLS."""
    return FindingCatalogue(resources.conformance_dir() / "sm_crypto" / "findings.yaml")


def of_certificates(code: str) -> bool:
    """Whether a code is about certificates and signatures."""
    return code in SIGNATURES or "XC-TLS-040" <= code < "XC-TLS-060"


@dataclass
class Found:
    """Anything that findings gather at."""

    findings: list[Finding] = field(default_factory=list, kw_only=True)

    @property
    def about(self) -> str:
        """What its findings are of: a protocol's name, or nothing for the whole endpoint."""
        return ""

    def find(
        self, code: str, *, certainty: Certainty = Certainty.CERTAIN, evidence: str = "", **params: str | int
    ) -> None:
        """Add a finding, once."""
        told = {name: value if isinstance(value, str) else str(value) for name, value in params.items()}
        found = Finding(code, certainty, self.about, "", told, {"seen": evidence} if evidence else {})
        if found not in self.findings:
            self.findings.append(found)

    def texts(self, findings: Iterable[Finding]) -> list[Message]:
        return [catalogue().text(f) for f in findings]

    @property
    def failing(self) -> list[Finding]:
        return [f for f in self.findings if catalogue().fails(f)]


@dataclass
class Spoken(Found):
    """One protocol that an endpoint speaks.

    Attributes:
        certificates: DER, in the order in which they were sent.
        whole: the handshake was gone through to its end; else up to where a key of ours would be needed.
        suites, groups, schemes: names, in the order of the server's choice where it has one.
        own_order: whether the server chooses by an order of its own; None: it was not tried or cannot be seen.
        resumption: how sessions are offered to be resumed -> whether that worked; None: it was not tried.
        client_types: what is asked of a client's certificate; None: none is asked for.
        client_authorities: the issuers that a client's certificate may have.
    """

    protocol: str
    suite: str
    group: str = ""
    signature: str = ""
    certificates: list[bytes] = field(default_factory=list)
    whole: bool = False
    suites: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    schemes: list[str] = field(default_factory=list)
    own_order: bool | None = None
    resumption: dict[str, bool | None] = field(default_factory=dict)
    client_types: list[str] | None = None
    client_authorities: list[str] = field(default_factory=list)

    @property
    def about(self) -> str:
        return self.protocol

    @property
    def intolerances(self) -> list[Message]:
        """Parts of a client's good hello that it does not tolerate."""
        return self.texts(f for f in self.failing if f.code == INTOLERANT)

    @property
    def problems(self) -> list[Message]:
        """All else that has to be mended."""
        return self.texts(f for f in self.failing if f.code != INTOLERANT)

    @property
    def notes(self) -> list[Message]:
        """What is worth knowing, or could not be decided."""
        return self.texts(f for f in self.findings if not catalogue().fails(f))

    @property
    def all_problems(self) -> list[Message]:
        return [*self.intolerances, *self.problems]


@dataclass
class Endpoint(Found):
    """The protocols that an endpoint speaks.

    Attributes:
        refused: protocol -> how the endpoint refused it.
        unknown: protocol, or a part of the work -> why nothing is known of it.
        unreachable: why no connection could be made; NOTHING when one could.
    """

    address: str
    spoken: list[Spoken] = field(default_factory=list)
    refused: dict[str, Message] = field(default_factory=dict)
    unknown: dict[str, Message] = field(default_factory=dict)
    unreachable: Message = NOTHING

    def get(self, protocol: str) -> Spoken | None:
        return next((s for s in self.spoken if s.protocol == protocol), None)

    @property
    def all_findings(self) -> list[Finding]:
        return [*self.findings, *(f for s in self.spoken for f in s.findings)]

    @property
    def fails(self) -> bool:
        return any(catalogue().fails(f) for f in self.all_findings)

    @property
    def incomplete(self) -> bool:
        """Something could not be looked at or not be decided, so that clean cannot be said."""
        return bool(self.unknown) or any(f.certainty is Certainty.UNDECIDED for f in self.all_findings)

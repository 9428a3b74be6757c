"""What was found out about an endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Spoken:
    """One protocol that an endpoint speaks.

    Attributes:
        certificates: DER, as they were sent.
        intolerances: what of a client's good hello it does not bear.
        problems: what else it does against the standard, by its certificates and signatures.
        notes: what is worth knowing besides.
    """

    protocol: str
    suite: str
    group: str = ""
    signature: str = ""
    certificates: list[bytes] = field(default_factory=list)
    intolerances: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def all_problems(self) -> list[str]:
        return [*self.intolerances, *self.problems]


@dataclass
class Endpoint:
    """Everything that an endpoint speaks; ``refused`` says of the rest how it was refused.

    Attributes:
        unreachable: why it could not even be connected to.
    """

    address: str
    spoken: list[Spoken] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unreachable: str = ""

    def get(self, protocol: str) -> Spoken | None:
        return next((s for s in self.spoken if s.protocol == protocol), None)

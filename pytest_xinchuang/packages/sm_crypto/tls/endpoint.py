"""The results of probing an endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_xinchuang.messages import NOTHING, Message


@dataclass
class Spoken:
    """One protocol that an endpoint speaks.

    Attributes:
        certificates: DER, in the order in which they were sent.
        intolerances: parts of a client's good hello that it does not tolerate.
        problems: its other breaches of the standard, in certificates and signatures.
        notes: other facts worth knowing.
    """

    protocol: str
    suite: str
    group: str = ""
    signature: str = ""
    certificates: list[bytes] = field(default_factory=list)
    intolerances: list[Message] = field(default_factory=list)
    problems: list[Message] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)

    @property
    def all_problems(self) -> list[Message]:
        return [*self.intolerances, *self.problems]


@dataclass
class Endpoint:
    """The protocols that an endpoint speaks.

    Attributes:
        refused: protocol -> how the endpoint refused it.
        unreachable: why no connection could be made; NOTHING when one could.
    """

    address: str
    spoken: list[Spoken] = field(default_factory=list)
    refused: dict[str, Message] = field(default_factory=dict)
    unreachable: Message = NOTHING

    def get(self, protocol: str) -> Spoken | None:
        return next((s for s in self.spoken if s.protocol == protocol), None)

"""The section ``sm_crypto`` of the manifest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.subject import Section, Unit

TlsName = Literal["tlcp", "rfc8998", "tls1.3", "tls1.2"]


class TlsServer(FrozenData):
    """A TLS server of the subject. It is started in the sandbox, where only the probe reaches it.

    Attributes:
        port: the port on 127.0.0.1 that it listens on.
        expect: the protocols that it must speak.
        roots: a file with the root certificates of its SM2 chains (PEM or DER); without one the chains are not verified.
    """

    server: Unit
    port: int = Field(ge=1, le=65535)
    expect: tuple[TlsName, ...] = Field(min_length=1)
    roots: str = ""


class SmCrypto(FrozenData):
    """The parts of the subject that the SM requirements are tested on.

    Attributes:
        harness: a program that speaks the harness protocol (docs/harness.md); built and started like any unit.
        floors: operation -> least MiB/s on the target's real hardware, transfer to and from the harness included.
    """

    harness: Unit
    floors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    tls: TlsServer | None = None


def _programs(section: SmCrypto) -> tuple[Unit, ...]:
    return (section.harness, *([section.tls.server] if section.tls else []))


def _files(section: SmCrypto) -> tuple[str, ...]:
    return (section.tls.roots,) if section.tls and section.tls.roots else ()


SM_CRYPTO = Section("sm_crypto", SmCrypto, "the harness of the subject's SM2, SM3 and SM4", _programs, _files)

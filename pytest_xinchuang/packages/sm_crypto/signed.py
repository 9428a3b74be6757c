"""What is signed in X.509: three parts, of which the last is the signature (RFC 5280, 4.1 and 5.1), read with asn1crypto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.sm import der
from pytest_xinchuang.sm.sm2 import Refused


def _whole(signed: Any) -> bytes:
    """The encoding of what is signed, of its algorithm and of its signature, as it has to be.

    asn1crypto reads over further parts and over unused bits of a signature.
    """
    bits = signed[2].contents
    return der.sequence(signed[0].dump(), signed[1].dump(), der.tlv(3, b"\0" + bits[1:]))


def read_signed(data: bytes, kind: Any, refusal: Callable[[Message], Message]) -> Any:
    """What is signed, of one of asn1crypto's kinds, that ``data`` is the DER of.

    Args:
        refusal: what is said of something else, by why it is.

    Raises:
        Refused: it is something else, or more.
    """
    try:
        found = kind.load(data, strict=True)
        found.native  # noqa: B018 - asn1crypto parses when it is asked
        if _whole(found) != data:
            raise ValueError(_("it is not a sequence of three parts, the last of whole bytes"))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(refusal(verbatim(str(error)[:180]))) from None
    return found

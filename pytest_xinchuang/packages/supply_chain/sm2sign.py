"""SM2 signatures over files (GB/T 32918.2-2016), with keys in PEM."""

from __future__ import annotations

import base64
import hashlib
import re

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.sm import der
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.sm.sm2 import OID_EC, OID_SM2, Refused, Sm2, encode_spki, number32
from pytest_xinchuang.sm.sm3 import sm3 as reference_sm3

DEFAULT_ID = b"1234567812345678"
"""The signer's id where there is no other (GB/T 35276-2017, clause 10)."""

_SM2 = Sm2()


def sm3(data: bytes) -> bytes:
    """SM3 by OpenSSL where Python's has it, else by the reference, which takes seconds for a megabyte."""
    try:
        return hashlib.new("sm3", data).digest()
    except ValueError:
        return reference_sm3(data)


def _pem(label: str, body: bytes) -> str:
    text = base64.encodebytes(body).decode().replace("\n", "")
    lines = [text[n : n + 64] for n in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _unpem(text: str) -> tuple[str, bytes]:
    match = re.search(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", text, re.S)
    if match is None:
        raise XcError(_("the key is not PEM"), mend=verbatim("xc supply-chain keygen FILE"))
    try:
        return match[1], base64.b64decode("".join(match[2].split()), validate=True)
    except ValueError as error:
        raise XcError(_("the key's PEM is not base64")) from error


def new_key() -> tuple[str, str]:
    """A private key (PKCS #8) and its public key (SubjectPublicKeyInfo), in PEM."""
    d = _SM2.generate()
    algorithm = der.sequence(der.tlv(6, OID_EC), der.tlv(6, OID_SM2))
    inner = der.sequence(der.integer(1), der.tlv(4, number32(d)))
    private = der.sequence(der.integer(0), algorithm, der.tlv(4, inner))
    return _pem("PRIVATE KEY", private), public_pem(_SM2.public_of(d))


def public_pem(point: Point) -> str:
    return _pem("PUBLIC KEY", encode_spki(_SM2.encode_point(point)))


def private_key(text: str) -> int:
    """
    Raises:
        XcError: it is no private key on the curve of SM2.
    """
    label, data = _unpem(text)
    try:
        if label == "PRIVATE KEY":
            outer = der.read_sequence(data)
            outer.integer()
            algorithm = outer.take(0x30)
            if algorithm != der.tlv(6, OID_EC) + der.tlv(6, OID_SM2):
                raise XcError(_("the private key is not on the curve of SM2"))
            data = outer.take(4)
        elif label != "EC PRIVATE KEY":
            raise XcError(
                _("a {label} is no private key that can be used", label=label),
                mend=verbatim("openssl pkcs8 -topk8 -nocrypt"),
            )
        inner = der.read_sequence(data)
        inner.integer()
        return _SM2.check_private(inner.take(4))
    except (Refused, ValueError) as error:
        raise XcError(_("the private key cannot be read: {why}", why=error)) from error


def public_key(text: str) -> Point:
    """
    Raises:
        XcError: it is no public key on the curve of SM2.
    """
    label, data = _unpem(text)
    if label != "PUBLIC KEY":
        raise XcError(_("a {label} is no public key", label=label), mend=verbatim("openssl pkey -pubout"))
    try:
        return _SM2.decode_spki(data)
    except (Refused, ValueError) as error:
        raise XcError(_("the public key cannot be read: {why}", why=error)) from error


def _digest(message: bytes, point: Point) -> bytes:
    return sm3(_SM2.z(DEFAULT_ID, point) + message)


def sign(message: bytes, d: int) -> bytes:
    """The signature in DER."""
    point = _SM2.public_of(d)
    r, s = _SM2.sign_digest(d, _digest(message, point))
    return _SM2.encode_signature(r, s, "der")


def verifies(message: bytes, signature: bytes, point: Point) -> bool:
    """Whether the key signed the message; anything malformed did not."""
    try:
        r, s = _SM2.decode_signature(signature, "der")
        return _SM2.verify_digest(point, _digest(message, point), r, s)
    except (Refused, ValueError):
        return False

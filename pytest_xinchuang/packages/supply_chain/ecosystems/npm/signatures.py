"""Signatures of the npm registry over name, version and integrity (npm, "ECDSA registry signatures")."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.supply_chain.registries import Signed
from pytest_xinchuang.packages.supply_chain.textfiles import tables, words

KEYS = {
    "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3"
    "Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==",
    "SHA256:DhQ8wR5APBvFHLF/+Tc+AYvPOdTpcIDqOhxsBHRwC7U": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEY6Ya7W++7aUPzvMTrezH6Yc"
    "x3c+HOKYCcNGybJZSCJq/fd7Qa8uuAKtdIkUQtQiEKERhAmE5lMMJhP8OkDOa2g==",
}
"""Key id -> SubjectPublicKeyInfo: the registry's keys of 2022 and 2025, as it lists them at /-/npm/v1/keys."""


def signed(message: str, signatures: Any) -> tuple[Signed, Message]:
    """Whether one of the signatures is by a known key over a message."""
    mine = [s for s in tables(signatures) if words(s.get("keyid")) in KEYS]
    if not mine:
        return Signed.UNKNOWN, _("it is signed by keys that are not known here")
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_der_public_key
    except ImportError:
        return Signed.UNKNOWN, _("the signature was not verified: pip install cryptography")
    for one in mine:
        key = load_der_public_key(base64.b64decode(KEYS[words(one.get("keyid"))]))
        assert isinstance(key, EllipticCurvePublicKey)
        try:
            key.verify(base64.b64decode(words(one.get("sig")), validate=True), message.encode(), ECDSA(SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            return Signed.BAD, _("the registry's signature does not fit {message}", message=verbatim(message))
    return Signed.GOOD, NOTHING

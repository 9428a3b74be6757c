"""Signatures of certificates and handshakes by any algorithm: SM2 by the reference, the rest by ``cryptography``."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.sm_crypto.certificates import Certificate
from pytest_xinchuang.sm.sm2 import Refused, Sm2

HASHES = {0x01: "MD5", 0x02: "SHA1", 0x03: "SHA224", 0x04: "SHA256", 0x05: "SHA384", 0x06: "SHA512"}
"""HashAlgorithm of TLS 1.2 (RFC 5246 section 7.4.1.4.1)."""
PSS = {0x0804: "SHA256", 0x0805: "SHA384", 0x0806: "SHA512", 0x0809: "SHA256", 0x080A: "SHA384", 0x080B: "SHA512"}
SM2_SCHEME = 0x0708
CERTIFICATE_HASHES = {"md2": "", "md5": "MD5", "sha1": "SHA1", "sha224": "SHA224", "sha256": "SHA256"} | {
    "sha384": "SHA384",
    "sha512": "SHA512",
}


class Unchecked(Exception):
    """A signature that nothing at hand can check; the message says why."""

    def __init__(self, why: Message) -> None:
        super().__init__(why)


def _libraries() -> tuple[Any, Any, Any]:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    except ImportError:
        raise Unchecked(_("the Python module {module} is not installed", module=verbatim("cryptography"))) from None
    return hashes, serialization, (ec, padding, rsa)


def _key(spki: bytes) -> Any:
    _hashes, serialization, _kinds = _libraries()
    try:
        return serialization.load_der_public_key(spki)
    except Exception as error:  # a library of another language raises what it likes
        raise Unchecked(_("the key cannot be loaded: {why}", why=told(error))) from None


def _verify(key: Any, signature: bytes, content: bytes, name: str, *, pss: bool, salt: int | None = None) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    hashes, _serialization, (ec, padding, rsa) = _libraries()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if not name:
                return bool(key.recover_data_from_signature(signature, padding.PKCS1v15(), None) == content)
            chosen = getattr(hashes, name)()
            how = padding.PSS(padding.MGF1(chosen), salt or padding.PSS.DIGEST_LENGTH) if pss else padding.PKCS1v15()
            key.verify(signature, content, how, chosen)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(getattr(hashes, name)()))
        elif type(key).__name__.startswith(("Ed25519", "Ed448", "_Ed25519", "_Ed448")):
            key.verify(signature, content)
        elif "DSA" in type(key).__name__:
            key.verify(signature, content, getattr(hashes, name)())
        else:
            raise Unchecked(_("the key is of a kind that is not known: {kind}", kind=verbatim(type(key).__name__)))
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, AttributeError, TypeError) as error:
        raise Unchecked(_("it cannot be checked: {why}", why=told(error))) from None
    return True


def handshake_verifies(certificate: Certificate, scheme: int, content: bytes, signature: bytes) -> bool:
    """Whether a signature of TLS is the certificate's.

    Args:
        scheme: of TLS 1.2 and later; 0: MD5 and SHA-1 with RSA, SHA-1 with others (RFC 4346 section 7.4.3).

    Raises:
        Unchecked: that cannot be said.
    """
    if scheme == SM2_SCHEME:
        return sm2_verifies(certificate, content, signature)
    import hashlib

    key = _key(certificate.spki)
    if scheme in PSS:
        return _verify(key, signature, content, PSS[scheme], pss=True)
    if scheme:
        return _verify(key, signature, content, HASHES.get(scheme >> 8, "SHA256"), pss=False)
    if "RSA" in type(key).__name__:
        digest = hashlib.md5(content, usedforsecurity=False).digest()
        return _verify(key, signature, digest + hashlib.sha1(content, usedforsecurity=False).digest(), "", pss=False)
    return _verify(key, signature, content, "SHA1", pss=False)


def sm2_verifies(certificate: Certificate, content: bytes, signature: bytes, user: bytes | None = None) -> bool:
    """Whether an SM2 signature with SM3 is the certificate's; it is not, where key or signature is malformed."""
    sm2 = Sm2()
    try:
        key = certificate.public_key(sm2)
        r, s = sm2.decode_signature(signature, "der")
    except Refused:
        return False
    return sm2.verify_digest(key, sm2.digest(user, key, content), r, s)


def certificate_verifies(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether a certificate that is not signed by SM2 is signed by its issuer. Raises Unchecked: that cannot be said."""
    algorithm = certificate.asn1["signature_algorithm"]
    try:
        kind, name = algorithm.signature_algo, ""
        if kind not in ("ed25519", "ed448"):
            name = CERTIFICATE_HASHES.get(algorithm.hash_algo, "")
            if not name:
                raise Unchecked(_("{algorithm} is not known", algorithm=verbatim(algorithm.hash_algo)))
        salt = algorithm["parameters"]["salt_length"].native if kind == "rsassa_pss" else None
    except ValueError:
        raise Unchecked(_("{algorithm} is not known", algorithm=verbatim(algorithm["algorithm"].dotted))) from None
    return _verify(_key(issuer.spki), certificate.signature, certificate.tbs, name, pss=kind == "rsassa_pss", salt=salt)

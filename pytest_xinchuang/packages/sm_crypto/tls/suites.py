"""The suites, groups and signature schemes that endpoints may speak, with what is weak in them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import cached_property


class Weakness(Enum):
    """What is wrong with a suite.

    ``BROKEN`` hides nothing or authenticates nobody; ``WEAK`` can be broken with effort; the rest is worth knowing.
    """

    BROKEN = "broken"
    WEAK = "weak"
    OLD_MAC = "old"
    STATIC = "static"


_RFC_SUITES = """
0000 NULL_WITH_NULL_NULL
0001 RSA_WITH_NULL_MD5 0002 RSA_WITH_NULL_SHA 003B RSA_WITH_NULL_SHA256
0003 RSA_EXPORT_WITH_RC4_40_MD5 0004 RSA_WITH_RC4_128_MD5 0005 RSA_WITH_RC4_128_SHA
0006 RSA_EXPORT_WITH_RC2_CBC_40_MD5 0007 RSA_WITH_IDEA_CBC_SHA 0008 RSA_EXPORT_WITH_DES40_CBC_SHA
0009 RSA_WITH_DES_CBC_SHA 000A RSA_WITH_3DES_EDE_CBC_SHA
000B DH_DSS_EXPORT_WITH_DES40_CBC_SHA 000C DH_DSS_WITH_DES_CBC_SHA 000D DH_DSS_WITH_3DES_EDE_CBC_SHA
000E DH_RSA_EXPORT_WITH_DES40_CBC_SHA 000F DH_RSA_WITH_DES_CBC_SHA 0010 DH_RSA_WITH_3DES_EDE_CBC_SHA
0011 DHE_DSS_EXPORT_WITH_DES40_CBC_SHA 0012 DHE_DSS_WITH_DES_CBC_SHA 0013 DHE_DSS_WITH_3DES_EDE_CBC_SHA
0014 DHE_RSA_EXPORT_WITH_DES40_CBC_SHA 0015 DHE_RSA_WITH_DES_CBC_SHA 0016 DHE_RSA_WITH_3DES_EDE_CBC_SHA
0017 DH_anon_EXPORT_WITH_RC4_40_MD5 0018 DH_anon_WITH_RC4_128_MD5 0019 DH_anon_EXPORT_WITH_DES40_CBC_SHA
001A DH_anon_WITH_DES_CBC_SHA 001B DH_anon_WITH_3DES_EDE_CBC_SHA
002F RSA_WITH_AES_128_CBC_SHA 0030 DH_DSS_WITH_AES_128_CBC_SHA 0031 DH_RSA_WITH_AES_128_CBC_SHA
0032 DHE_DSS_WITH_AES_128_CBC_SHA 0033 DHE_RSA_WITH_AES_128_CBC_SHA 0034 DH_anon_WITH_AES_128_CBC_SHA
0035 RSA_WITH_AES_256_CBC_SHA 0036 DH_DSS_WITH_AES_256_CBC_SHA 0037 DH_RSA_WITH_AES_256_CBC_SHA
0038 DHE_DSS_WITH_AES_256_CBC_SHA 0039 DHE_RSA_WITH_AES_256_CBC_SHA 003A DH_anon_WITH_AES_256_CBC_SHA
003C RSA_WITH_AES_128_CBC_SHA256 003D RSA_WITH_AES_256_CBC_SHA256 0040 DHE_DSS_WITH_AES_128_CBC_SHA256
0041 RSA_WITH_CAMELLIA_128_CBC_SHA 0044 DHE_DSS_WITH_CAMELLIA_128_CBC_SHA 0045 DHE_RSA_WITH_CAMELLIA_128_CBC_SHA
0046 DH_anon_WITH_CAMELLIA_128_CBC_SHA 0067 DHE_RSA_WITH_AES_128_CBC_SHA256 006A DHE_DSS_WITH_AES_256_CBC_SHA256
006B DHE_RSA_WITH_AES_256_CBC_SHA256 006C DH_anon_WITH_AES_128_CBC_SHA256 006D DH_anon_WITH_AES_256_CBC_SHA256
0084 RSA_WITH_CAMELLIA_256_CBC_SHA 0087 DHE_DSS_WITH_CAMELLIA_256_CBC_SHA 0088 DHE_RSA_WITH_CAMELLIA_256_CBC_SHA
0089 DH_anon_WITH_CAMELLIA_256_CBC_SHA 0096 RSA_WITH_SEED_CBC_SHA 0099 DHE_DSS_WITH_SEED_CBC_SHA
009A DHE_RSA_WITH_SEED_CBC_SHA 009B DH_anon_WITH_SEED_CBC_SHA
009C RSA_WITH_AES_128_GCM_SHA256 009D RSA_WITH_AES_256_GCM_SHA384 009E DHE_RSA_WITH_AES_128_GCM_SHA256
009F DHE_RSA_WITH_AES_256_GCM_SHA384 00A2 DHE_DSS_WITH_AES_128_GCM_SHA256 00A3 DHE_DSS_WITH_AES_256_GCM_SHA384
00A6 DH_anon_WITH_AES_128_GCM_SHA256 00A7 DH_anon_WITH_AES_256_GCM_SHA384
00BA RSA_WITH_CAMELLIA_128_CBC_SHA256 00BD DHE_DSS_WITH_CAMELLIA_128_CBC_SHA256
00BE DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256 00C0 RSA_WITH_CAMELLIA_256_CBC_SHA256
00C3 DHE_DSS_WITH_CAMELLIA_256_CBC_SHA256 00C4 DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256
C001 ECDH_ECDSA_WITH_NULL_SHA C002 ECDH_ECDSA_WITH_RC4_128_SHA C003 ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA
C004 ECDH_ECDSA_WITH_AES_128_CBC_SHA C005 ECDH_ECDSA_WITH_AES_256_CBC_SHA
C006 ECDHE_ECDSA_WITH_NULL_SHA C007 ECDHE_ECDSA_WITH_RC4_128_SHA C008 ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA
C009 ECDHE_ECDSA_WITH_AES_128_CBC_SHA C00A ECDHE_ECDSA_WITH_AES_256_CBC_SHA
C00B ECDH_RSA_WITH_NULL_SHA C00C ECDH_RSA_WITH_RC4_128_SHA C00D ECDH_RSA_WITH_3DES_EDE_CBC_SHA
C00E ECDH_RSA_WITH_AES_128_CBC_SHA C00F ECDH_RSA_WITH_AES_256_CBC_SHA
C010 ECDHE_RSA_WITH_NULL_SHA C011 ECDHE_RSA_WITH_RC4_128_SHA C012 ECDHE_RSA_WITH_3DES_EDE_CBC_SHA
C013 ECDHE_RSA_WITH_AES_128_CBC_SHA C014 ECDHE_RSA_WITH_AES_256_CBC_SHA
C015 ECDH_anon_WITH_NULL_SHA C016 ECDH_anon_WITH_RC4_128_SHA C017 ECDH_anon_WITH_3DES_EDE_CBC_SHA
C018 ECDH_anon_WITH_AES_128_CBC_SHA C019 ECDH_anon_WITH_AES_256_CBC_SHA
C023 ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 C024 ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
C027 ECDHE_RSA_WITH_AES_128_CBC_SHA256 C028 ECDHE_RSA_WITH_AES_256_CBC_SHA384
C02B ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 C02C ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
C02F ECDHE_RSA_WITH_AES_128_GCM_SHA256 C030 ECDHE_RSA_WITH_AES_256_GCM_SHA384
C050 RSA_WITH_ARIA_128_GCM_SHA256 C051 RSA_WITH_ARIA_256_GCM_SHA384 C052 DHE_RSA_WITH_ARIA_128_GCM_SHA256
C053 DHE_RSA_WITH_ARIA_256_GCM_SHA384 C05C ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256
C05D ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384 C060 ECDHE_RSA_WITH_ARIA_128_GCM_SHA256 C061 ECDHE_RSA_WITH_ARIA_256_GCM_SHA384
C072 ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256 C073 ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384
C076 ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256 C077 ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384
C09C RSA_WITH_AES_128_CCM C09D RSA_WITH_AES_256_CCM C09E DHE_RSA_WITH_AES_128_CCM C09F DHE_RSA_WITH_AES_256_CCM
C0A0 RSA_WITH_AES_128_CCM_8 C0A1 RSA_WITH_AES_256_CCM_8 C0A2 DHE_RSA_WITH_AES_128_CCM_8 C0A3 DHE_RSA_WITH_AES_256_CCM_8
C0AC ECDHE_ECDSA_WITH_AES_128_CCM C0AD ECDHE_ECDSA_WITH_AES_256_CCM C0AE ECDHE_ECDSA_WITH_AES_128_CCM_8
C0AF ECDHE_ECDSA_WITH_AES_256_CCM_8
CCA8 ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 CCA9 ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
CCAA DHE_RSA_WITH_CHACHA20_POLY1305_SHA256
"""
"""The suites of SSL 3.0 to TLS 1.2 that need no key shared before (IANA's registry; RFC 6101, 5246, 4492, 5288, 5289, ...)."""

_TLCP_SUITES = """
E001 ECDHE_SM1_SM3 E003 ECC_SM1_SM3 E005 IBSDH_SM1_SM3 E007 IBC_SM1_SM3 E009 RSA_SM1_SM3 E00A RSA_SM1_SHA1
E011 ECDHE_SM4_CBC_SM3 E013 ECC_SM4_CBC_SM3 E015 IBSDH_SM4_CBC_SM3 E017 IBC_SM4_CBC_SM3 E019 RSA_SM4_CBC_SM3
E01A RSA_SM4_SHA1 E01C RSA_SM4_CBC_SHA256
E051 ECDHE_SM4_GCM_SM3 E053 ECC_SM4_GCM_SM3 E055 IBSDH_SM4_GCM_SM3 E057 IBC_SM4_GCM_SM3 E059 RSA_SM4_GCM_SM3
E05A RSA_SM4_GCM_SHA256
"""
"""GB/T 38636-2020 clause 6.4.5.2.1, and the ones with SM1 and SHA-1 of GM/T 0024-2014."""

TLS13_SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
    0x00C6: "TLS_SM4_GCM_SM3",
    0x00C7: "TLS_SM4_CCM_SM3",
}
"""RFC 8446 B.4 and RFC 8998 section 2."""


def _read(text: str, prefix: str) -> dict[int, str]:
    words = text.split()
    return {int(number, 16): prefix + name for number, name in zip(words[::2], words[1::2], strict=True)}


TLCP_SUITES = _read(_TLCP_SUITES, "")
RFC_SUITES = _read(_RFC_SUITES, "TLS_")
SUITES = {**RFC_SUITES, **TLS13_SUITES, **TLCP_SUITES}
"""Number of a suite -> its name."""

SCSV = {0x00FF, 0x5600}
"""Numbers among the suites that are signals (RFC 5746 section 3.3, RFC 7507)."""


class Suite:
    """A suite by number, with what its name says of it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = SUITES.get(number, f"{number:#06x}")

    @cached_property
    def exchange(self) -> str:
        """How keys are agreed on: ECDHE, RSA, ECC and the like; empty in TLS 1.3."""
        first, found, _rest = self.name.removeprefix("TLS_").partition("_WITH_")
        if found:
            return first
        return first.partition("_")[0] if self.number in TLCP_SUITES else ""

    @property
    def ephemeral(self) -> bool:
        """Whether each connection has keys of its own, which a stolen long-term key does not give away."""
        return not self.exchange or self.exchange.startswith(("ECDHE", "DHE", "IBSDH"))

    @cached_property
    def weaknesses(self) -> tuple[Weakness, ...]:
        """What is weak in it (RFC 7465: RC4; RFC 9325 section 4.1: NULL, EXPORT, DES, 64-bit blocks, static RSA)."""
        name, found = self.name, []
        # RC4, DES, RC2 and IDEA were given up with the others that a name of today has no more.
        if any(part in name for part in ("NULL", "EXPORT", "RC4", "RC2", "anon", "WITH_DES_", "DES40", "_MD5")):
            found.append(Weakness.BROKEN)
        elif any(part in name for part in ("3DES", "IDEA")):
            found.append(Weakness.WEAK)
        elif ("_CBC_SHA" in name and not name.endswith(("SHA256", "SHA384"))) or name.endswith("_SHA1"):
            found.append(Weakness.OLD_MAC)
        if not self.ephemeral and not found:
            found.append(Weakness.STATIC)
        return tuple(found)


GROUPS = {
    29: "x25519",
    23: "secp256r1",
    24: "secp384r1",
    25: "secp521r1",
    30: "x448",
    41: "curveSM2",
    26: "brainpoolP256r1",
    27: "brainpoolP384r1",
    28: "brainpoolP512r1",
    31: "brainpoolP256r1tls13",
    32: "brainpoolP384r1tls13",
    33: "brainpoolP512r1tls13",
    4588: "X25519MLKEM768",
    4587: "SecP256r1MLKEM768",
    4589: "SecP384r1MLKEM1024",
    4590: "curveSM2MLKEM768",
    256: "ffdhe2048",
    257: "ffdhe3072",
    258: "ffdhe4096",
    259: "ffdhe6144",
    260: "ffdhe8192",
    22: "secp256k1",
    20: "secp224k1",
    21: "secp224r1",
    19: "secp192r1",
    18: "secp192k1",
    17: "secp160r2",
    16: "secp160r1",
    15: "secp160k1",
    9: "sect283k1",
    10: "sect283r1",
    11: "sect409k1",
    12: "sect409r1",
    13: "sect571k1",
    14: "sect571r1",
    6: "sect233k1",
    7: "sect233r1",
    8: "sect239k1",
    3: "sect163r2",
    1: "sect163k1",
    2: "sect163r1",
    4: "sect193r1",
    5: "sect193r2",
}
"""IANA, TLS Supported Groups."""
WEAK_GROUPS = {1, 2, 3, 4, 5, 15, 16, 17, 18, 19}
"""Curves of less than 224 bits (SP 800-52 revision 2 and SP 800-57: less than 112 bits of strength)."""
TLS13_GROUPS = tuple(g for g in GROUPS if g in (29, 23, 24, 25, 30, 31, 32, 33, 41) or g >= 256)
CURVES = tuple(g for g in GROUPS if g < 256)
"""What an ECDHE suite of TLS 1.2 may have."""

SCHEMES = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0708: "sm2sig_sm3",
    0x0303: "ecdsa_sha224",
    0x0301: "rsa_pkcs1_sha224",
    0x0402: "dsa_sha256",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0101: "rsa_pkcs1_md5",
}
"""RFC 8446 section 4.2.3, RFC 8998 section 3.2.1; the old ones are pairs of a hash and a signature (RFC 5246 7.4.1.4.1)."""
WEAK_SCHEMES = {0x0203, 0x0201, 0x0202, 0x0101}
"""SHA-1 and MD5 (RFC 9155)."""


def named(numbers: Iterable[int], names: dict[int, str]) -> list[str]:
    """Names of numbers; one that has none is told as it is."""
    return [names.get(n, f"{n:#06x}") for n in numbers]


def is_grease(number: int) -> bool:
    """A value that clients send to be ignored (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF

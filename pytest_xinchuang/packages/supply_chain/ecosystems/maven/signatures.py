"""Detached OpenPGP signatures of publishers, which Maven repositories keep beside each file (RFC 9580, 10.4); gpgv decides."""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, verbatim
from pytest_xinchuang.packages.supply_chain.registries import Signed
from pytest_xinchuang.tools.process import Runner, last_line

TIMEOUT_S = 120
_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+\r?\n)*[ \t]*\r?\n(?P<body>.*?)"
    rb"(?:^=[A-Za-z0-9+/]{4}[ \t]*\r?\n)?^-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL | re.MULTILINE,
)
"""ASCII armour (RFC 9580, 6.2): a line, headers, an empty line, base64, a checksum that may be left out, a line."""
_PUBLIC_KEY = 6
"""The tag of a public key's packet (RFC 9580, 5)."""
_BINARY_DOCUMENT = "00"
"""The type of a signature over a file as it is (RFC 9580, 5.2.1)."""


def key_bytes(path: Path) -> bytes:
    """Public keys as packets, out of their armour if they are in it.

    Raises:
        XcError: the file cannot be read, or has no public key.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise XcError(_("{path} cannot be read: {why}", path=path, why=system_error(error))) from error
    if b"-----BEGIN PGP" in data:
        try:
            data = b"".join(
                base64.b64decode(b"".join(m["body"].split()), validate=True) for m in _ARMOUR.finditer(data)
            )
        except binascii.Error:
            data = b""
    if not data or _tag(data[0]) != _PUBLIC_KEY:
        raise XcError(_("{path} has no OpenPGP public key", path=path), mend=verbatim("gpg --export KEY > keys.gpg"))
    return data


def _tag(first: int) -> int:
    """The tag of a packet, of its first byte in the old or the new format (RFC 9580, 4.2)."""
    if not first & 0x80:
        return -1
    return first & 0x3F if first & 0x40 else first >> 2 & 0x0F


def signed(path: Path, signature: bytes, keys: Sequence[bytes], runner: Runner | None = None) -> tuple[Signed, Message]:
    """Whether a file is what one of the keys signed, which are given as `key_bytes` reads them."""
    gpgv = shutil.which("gpgv")
    if gpgv is None:
        return Signed.UNKNOWN, _("gpgv is not installed")
    with tempfile.TemporaryDirectory(prefix="xc-signature-") as name:
        place = Path(name)
        (place / "ring.gpg").write_bytes(b"".join(keys))
        (place / "signature.asc").write_bytes(signature)
        words = [gpgv, "--homedir", name, "--status-fd", "1", "--keyring", str(place / "ring.gpg")]
        run = (runner or Runner()).run([*words, "--", str(place / "signature.asc"), str(path)], timeout_s=TIMEOUT_S)
    said = [line.split()[1:] for line in run.text.splitlines() if line.startswith("[GNUPG:] ")]
    words_of = {line[0]: line[1:] for line in said if line}
    if "BADSIG" in words_of:
        return Signed.BAD, _(
            "the signature of {key} does not fit {path}", key=verbatim(words_of["BADSIG"][0]), path=path
        )
    valid = words_of.get("VALIDSIG", [])
    # VALIDSIG: fingerprint, date, time, expiry, version, reserved, public key's and hash's algorithm, type (GnuPG, DETAILS).
    if run.ok and "GOODSIG" in words_of and len(valid) > 8 and valid[8] == _BINARY_DOCUMENT:
        return Signed.GOOD, NOTHING
    for word, why in (
        (
            "NO_PUBKEY",
            _(
                "it is signed by {key}, which is none of the given keys",
                key=verbatim(" ".join(words_of.get("NO_PUBKEY", []))),
            ),
        ),
        ("REVKEYSIG", _("the key was revoked")),
        ("EXPKEYSIG", _("the key has expired")),
        ("EXPSIG", _("the signature has expired")),
    ):
        if word in words_of:
            return Signed.UNKNOWN, why
    return Signed.UNKNOWN, _("gpgv says {said}", said=verbatim(last_line(run.errors)))

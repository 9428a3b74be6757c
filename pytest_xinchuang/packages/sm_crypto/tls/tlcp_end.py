"""The end of a TLCP handshake with an ECC suite: keys, and both Finished (GB/T 38636-2020 6.4.5.7 to 6.4.5.9 and 6.5)."""

from __future__ import annotations

import os

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sm_crypto.certificates import parse
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.exchange import Flight
from pytest_xinchuang.packages.sm_crypto.tls.hello import TLCP
from pytest_xinchuang.packages.sm_crypto.tls.wire import Channel, HandshakeReader, TlsError, vector
from pytest_xinchuang.sm import sm4
from pytest_xinchuang.sm.sm2 import Sm2
from pytest_xinchuang.sm.sm3 import hmac_sm3, sm3

SUITES = (0xE013, 0xE053)
"""ECC: the client encrypts a secret with the key of the encryption certificate."""
CLIENT_KEY_EXCHANGE = 16
FINISHED_SIZE = 12
VERSION = TLCP.to_bytes(2)
UNREADABLE = ("bad_record_mac", "decryption_failed", "decrypt_error")
"""What a server says that has other keys than we: it could not decrypt with the key of its encryption certificate."""


def prf(secret: bytes, label: str, seed: bytes, size: int) -> bytes:
    """The pseudorandom function with SM3 (GB/T 38636-2020 5.2.5; RFC 5246 section 5)."""
    seed = label.encode() + seed
    a, found = seed, b""
    while len(found) < size:
        a = hmac_sm3(secret, a)
        found += hmac_sm3(secret, a + seed)
    return found[:size]


class Side:
    """One direction of a connection under its keys; seals and opens records."""

    def __init__(self, gcm: bool, mac_key: bytes, key: bytes, iv: bytes) -> None:
        self._gcm, self._mac_key, self._iv = gcm, mac_key, iv
        self._cipher = sm4.Sm4(key)
        self._number = 0

    def _about(self, kind: int, size: int) -> bytes:
        about = self._number.to_bytes(8) + bytes([kind]) + VERSION + size.to_bytes(2)
        self._number += 1
        return about

    def seal(self, kind: int, content: bytes) -> bytes:
        """A whole record."""
        about = self._about(kind, len(content))
        if self._gcm:
            explicit = about[:8]
            sealed, tag = sm4.gcm(self._cipher, self._iv + explicit, about, content, encrypt=True)
            body = explicit + sealed + tag
        else:
            text = content + hmac_sm3(self._mac_key, about + content)
            pad = 15 - len(text) % 16
            iv = os.urandom(16)
            body = iv + sm4.cbc(self._cipher, iv, text + bytes([pad]) * (pad + 1), encrypt=True)
        return bytes([kind]) + VERSION + vector(body, 2)

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes]:
        """The content of a record. Raises TlsError: it is not under these keys."""
        broken = TlsError(_("sent a record whose tag is wrong under the agreed key"), breach=True)
        if self._gcm:
            if len(body) < 24:
                raise broken
            about = self._about(header[0], len(body) - 24)
            text, tag = sm4.gcm(self._cipher, self._iv + body[:8], about, body[8:-16], encrypt=False)
            if tag != body[-16:]:
                raise broken
            return header[0], text
        if len(body) < 64 or len(body) % 16:
            raise broken
        text = sm4.cbc(self._cipher, body[:16], body[16:], encrypt=False)
        size = len(text) - 32 - 1 - text[-1]
        if size < 0:
            raise broken
        content, mac = text[:size], text[size : size + 32]
        if mac != hmac_sm3(self._mac_key, self._about(header[0], size) + content):
            raise broken
        return header[0], content


def finish(flight: Flight, reader: HandshakeReader, channel: Channel) -> bool:
    """Send our part of the handshake behind ServerHelloDone, and read the server's Finished.

    Returns:
        whether the server's Finished is right.

    Raises:
        TlsError: it answers otherwise. ValueError: its encryption certificate has no SM2 key.
    """
    sm2 = Sm2()
    key = parse(flight.certificates[1]).public_key(sm2)
    secret = VERSION + os.urandom(46)
    encrypted = sm2.encode_ciphertext(*sm2.encrypt(key, secret), "der", "c1c3c2")
    flight_of_ours = b"\x0b\0\0\x03\0\0\0" if flight.request is not None else b""
    body = vector(encrypted, 2)
    flight_of_ours += bytes([CLIENT_KEY_EXCHANGE]) + vector(body, 3)
    transcript = flight.transcript + flight_of_ours
    ours, theirs = flight.asked.random, flight.hello.random
    master = prf(secret, "master secret", ours + theirs, 48)
    client, server = sides("GCM" in flight.suite.name, prf(master, "key expansion", theirs + ours, 128))
    verify = prf(master, "client finished", sm3(transcript), FINISHED_SIZE)
    finished = bytes([wire.FINISHED]) + vector(verify, 3)
    sent = bytes([wire.HANDSHAKE]) + VERSION + vector(flight_of_ours, 2)
    sent += bytes([wire.CHANGE_CIPHER_SPEC]) + VERSION + b"\0\x01\x01" + client.seal(wire.HANDSHAKE, finished)
    reader.behind_change = server.open
    channel.send(sent)
    wanted = prf(master, "server finished", sm3(transcript + finished), FINISHED_SIZE)
    return reader.message().body == wanted


def sides(gcm: bool, block: bytes) -> tuple[Side, Side]:
    """The client's and the server's keys, out of the key block."""
    if gcm:
        return Side(True, b"", block[:16], block[32:36]), Side(True, b"", block[16:32], block[36:40])
    client = Side(False, block[:32], block[64:80], b"")
    return client, Side(False, block[32:64], block[80:96], b"")

"""Small servers that answer one flight of TLCP or RFC 8998, right or with one fault. They are made with the reference."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fixtures.generate.certificates import CA_USAGE, Maker, Template
from pytest_xinchuang.packages.sm_crypto.tls import rfc8998, tlcp_end
from pytest_xinchuang.packages.sm_crypto.tls.hello import RETRY, ClientHello, read_client_hello
from pytest_xinchuang.packages.sm_crypto.tls.wire import Parser, vector
from pytest_xinchuang.sm import curve, sm4
from pytest_xinchuang.sm.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.sm.sm3 import hmac_sm3, sm3

SM2 = Sm2()


class Pki:
    """A root, and leaves of it that sign and encrypt."""

    def __init__(self) -> None:
        self.maker = Maker()
        self.root_key, self.sign_key, self.enc_key = (self.maker.key() for _ in range(3))
        self.root = self.maker.issue(Template("Root", ca=True, usage=CA_USAGE), self.root_key, "Root", self.root_key)
        self.sign = self.leaf()
        self.enc = self.leaf(usage={"key_encipherment", "data_encipherment"}, key=self.enc_key)

    def leaf(self, subject: str = "Server", *, key: int = 0, signer: int = 0, **changes: Any) -> bytes:
        template = Template(subject, **changes)
        return self.maker.issue(template, key or self.sign_key, "Root", signer or self.root_key)

    def signature(self, content: bytes, user: bytes = DEFAULT_ID, key: int = 0) -> bytes:
        key = key or self.sign_key
        r, s = SM2.sign_digest(key, SM2.digest(user, curve.multiply_base(key), content))
        return SM2.encode_signature(r, s, "der")


def read_hello(connection: socket.socket) -> bytes:
    """The ClientHello, with its handshake header."""
    data = b""
    while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5]):
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        data += chunk
    return data[5:]


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(body, 3)


def record(kind: int, body: bytes, version: int = 0x0101) -> bytes:
    return bytes([kind]) + version.to_bytes(2) + vector(body, 2)


REFUSAL = b"\x15\x03\x01\x00\x02\x02\x28"
"""A fatal handshake_failure."""


def offer_of(hello: bytes) -> ClientHello:
    """What a client offers."""
    return read_client_hello(hello[4:])[0]


def tlcp(pki: Pki, fault: str = "", suite: int = 0xE013) -> Callable[[socket.socket], None]:
    """A TLCP server's first flight. It has one suite, and refuses hellos without it."""

    def serve(connection: socket.socket) -> None:
        hello = read_hello(connection)
        offered = offer_of(hello)
        if offered.version != 0x0101 or (suite not in offered.suites and fault != "a suite of its own"):
            connection.sendall(REFUSAL)
            return
        if fault == "fails on ECDHE" and {0xE011, 0xE051} & set(offered.suites):
            return
        random = hello[6:38]
        own = os.urandom(32)
        version = 0x0303 if fault == "version" else 0x0101
        server_hello = version.to_bytes(2) + own + vector(b"", 1) + suite.to_bytes(2) + b"\0"
        listed = [pki.sign, pki.enc]
        if fault == "one certificate":
            listed = [pki.sign]
        elif fault == "swapped":
            listed = [pki.enc, pki.sign]
        elif fault == "two subjects":
            listed[1] = pki.leaf("Another", usage={"key_encipherment"}, key=pki.enc_key)
        elif fault == "one key":
            listed[1] = pki.leaf(usage={"key_encipherment"})
        elif fault == "expired encryption certificate":
            listed[1] = pki.leaf(usage={"key_encipherment"}, key=pki.enc_key, end=Template("x").start)
        elif fault == "malformed certificate":
            listed[1] = b"\x30\x03\x02\x01"
        elif fault == "forged encryption certificate":
            listed[1] = pki.leaf(usage={"key_encipherment"}, key=pki.enc_key, signer=pki.enc_key)
        certificates = vector(b"".join(vector(c, 3) for c in listed), 3)
        if suite == 0xE011:
            point = SM2.encode_point(curve.multiply_base(pki.maker.key()))
            params = b"\x03" + (41).to_bytes(2) + vector(point, 1)
        else:
            params = vector(listed[-1], 3)
        signed = random + own + params
        if fault == "signature of another":
            signed = os.urandom(64) + params
        signature = pki.signature(signed)
        body = signature if fault == "no length" else vector(signature, 2)
        key_exchange = (params if suite == 0xE011 else b"") + body
        flight = message(2, server_hello) + message(11, certificates)
        if fault != "no key exchange":
            flight += message(12, key_exchange)
        flight += message(14, b"")
        # In two records, cut in the middle of a message.
        connection.sendall(record(22, flight[:100]) + record(22, flight[100:]))
        if suite == 0xE013 and fault != "ends with its flight":
            key = pki.sign_key if fault == "one key" else pki.enc_key + (fault == "another key")
            _end(connection, key, hello, own, flight, fault)

    return serve


def _end(connection: socket.socket, key: int, hello: bytes, own: bytes, flight: bytes, fault: str) -> None:
    """The rest of a handshake with ECC_SM4_CBC_SM3: the client's keys and Finished, and ours."""
    read = connection.makefile("rb").read

    def next_record() -> tuple[bytes, bytes]:
        header = read(5)
        if len(header) < 5:
            raise OSError("the client has seen enough")
        return header, read(int.from_bytes(header[3:5]))

    exchanged = next_record()[1]
    ciphertext = Parser(exchanged[4:]).vector(2)
    try:
        secret = SM2.decrypt(key, *SM2.decode_ciphertext(ciphertext, "der", "c1c3c2"))
    except ValueError:
        connection.sendall(b"\x15\x01\x01\x00\x02\x02\x33")  # decrypt_error
        return
    master = tlcp_end.prf(secret, "master secret", hello[6:38] + own, 48)
    client, server = tlcp_end.sides(False, tlcp_end.prf(master, "key expansion", own + hello[6:38], 128))
    next_record()  # ChangeCipherSpec
    finished = client.open(*next_record())[1]
    transcript = hello + flight + exchanged
    assert finished[4:] == tlcp_end.prf(master, "client finished", sm3(transcript), 12)
    verify = tlcp_end.prf(master, "server finished", sm3(transcript + finished), 12)
    made = server.seal(22, message(20, bytes(12) if fault == "finished" else verify))
    connection.sendall(record(20, b"\x01") + (bytes([*made[:-1], made[-1] ^ 1]) if fault == "tag" else made))


def tls13(pki: Pki, fault: str = "") -> Callable[[socket.socket], None]:
    """An RFC 8998 server's flight."""

    def serve(connection: socket.socket) -> None:
        hello = read_hello(connection)
        if not {0x00C6, 0x00C7} & set(offer_of(hello).suites):
            connection.sendall(REFUSAL)
            return
        if fault == "silent at unknown" and b"\x7a\x7a\x00\x02xc" in hello:
            return
        if b"\x00\x29\x00\x41" not in hello:  # no key share: it is asked for
            wanted = (43).to_bytes(2) + vector(b"\x03\x04", 2) + (51).to_bytes(2) + vector(b"\x00\x29", 2)
            body = b"\x03\x03" + RETRY + vector(offer_of(hello).session, 1) + b"\x00\xc6\x00" + vector(wanted, 2)
            connection.sendall(record(22, message(2, body), 0x0303) if 0x00C6 in offer_of(hello).suites else REFUSAL)
            return
        share = hello[hello.index(b"\x00\x29\x00\x41") + 4 :][:65]
        own = pki.maker.key()
        shared = curve.multiply(own, SM2.decode_point(share))
        assert shared is not None
        group = 23 if fault == "another group" else 41
        point = SM2.encode_point(curve.multiply_base(own))
        extensions = (43).to_bytes(2) + vector(b"\x03\x04", 2)
        extensions += (51).to_bytes(2) + vector(group.to_bytes(2) + vector(point, 2), 2)
        parts = Parser(hello[4:])
        parts.take(34)
        session = parts.vector(1)
        body = b"\x03\x03" + os.urandom(32) + vector(session, 1) + b"\x00\xc6\x00" + vector(extensions, 2)
        server_hello = message(2, body)
        transcript = hello + server_hello
        keys = rfc8998._Keys(shared[0].to_bytes(32), transcript, ccm=False)
        flight = message(8, vector(b"", 2))
        leaf = pki.leaf(end=Template("x").start) if fault == "expired" else pki.sign
        flight += message(11, b"\0" + vector(vector(leaf, 3) + vector(b"", 2), 3))
        transcript += flight
        content = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + sm3(transcript)
        user = rfc8998.ID
        if fault == "raw transcript":
            content = transcript
        elif fault == "default id":
            user = DEFAULT_ID
        elif fault == "empty id":
            user = b""
        elif fault == "wrong signature":
            content = b"another"
        scheme = 0x0403 if fault == "scheme" else 0x0708
        verify = message(15, scheme.to_bytes(2) + vector(pki.signature(content, user), 2))
        if fault == "no CertificateVerify":
            verify = b""
        transcript += verify
        finished = hmac_sm3(rfc8998.expand_label(keys.secret, "finished", b"", 32), sm3(transcript))
        flight += verify + message(20, bytes(32) if fault == "finished" else finished)
        connection.sendall(record(22, server_hello, 0x0303) + record(20, b"\x01", 0x0303))
        for number, part in enumerate((flight[:200], flight[200:])):
            text = part + b"\x16" + bytes(3)
            header = b"\x17\x03\x03" + (len(text) + 16).to_bytes(2)
            nonce = sm4.xor(keys._iv, bytes(4) + number.to_bytes(8))
            ct, tag = sm4.gcm(keys._cipher, nonce, header, text, encrypt=True)
            if fault == "tag":
                tag = bytes(16)
            connection.sendall(header + ct + tag)

    return serve


GIVE_UP_S = 120.0
"""Seconds after which a server gives up a client that neither asks nor closes. No test waits for it: a client that is slow
on a busy machine must not be taken for one that is silent."""


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answers each connection with ``serve``, on a port of 127.0.0.1 that is given."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # it was shut down
            with connection:
                connection.settimeout(GIVE_UP_S)
                with suppress(OSError, ValueError):
                    serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # it wakes accept()
        thread.join()
        listener.close()

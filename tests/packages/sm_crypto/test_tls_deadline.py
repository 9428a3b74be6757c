"""Servers that drip, flood, reset or say nothing, in each phase: the probe ends in time, and says what it does not know."""

from __future__ import annotations

import itertools
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sm_crypto.tls import probe as probing
from pytest_xinchuang.packages.sm_crypto.tls import wire
from pytest_xinchuang.packages.sm_crypto.tls.hello import RETRY
from pytest_xinchuang.packages.sm_crypto.tls.probe import EVERY, probe
from pytest_xinchuang.packages.sm_crypto.tls.report import endpoint_as_text
from pytest_xinchuang.packages.sm_crypto.tls.wire import Deadline, vector
from tests.messages.english import english_in
from tests.packages.sm_crypto.tls_legacy import HOST, THEN, YEAR, Flight, issue
from tests.packages.sm_crypto.tls_servers import Pki, message, offer_of, read_hello, record, serving, tlcp

Serve = Callable[[socket.socket], None]
HELLO = record(22, message(2, b"\x03\x03" + bytes(32) + b"\x00\xc0\x2f\x00\x00\x00"), 0x0303)
"""A record with a ServerHello."""
ENDLESS = b"\x16\x03\x03\x40\x00"
PATIENCE_S = 8.0
"""Far more than the probe's second, for a busy machine; a hang would be endless."""


def repeating(beginning: bytes, again: bytes, pause_s: float = 0.0) -> Serve:
    """Sends ``again`` for ever."""

    def serve(connection: socket.socket) -> None:
        read_hello(connection)
        connection.sendall(beginning)
        while again:
            connection.sendall(again)
            time.sleep(pause_s)
        while connection.recv(1 << 16):
            pass

    return serve


def dripping(data: bytes, pause_s: float = 0.02) -> Serve:
    """Sends a byte now and then, and then one that says nothing."""

    def serve(connection: socket.socket) -> None:
        read_hello(connection)
        for byte in itertools.chain(data, itertools.repeat(0)):
            connection.sendall(bytes([byte]))
            time.sleep(pause_s)

    return serve


SLOW: dict[str, Serve] = {
    "says nothing": repeating(b"", b""),
    "stops in the header of a record": repeating(b"\x16\x03", b""),
    "stops in a record": repeating(HELLO[:20], b""),
    "stops behind a ServerHello": repeating(HELLO, b""),
    "drips a record": dripping(b"\x16\x03\x03\x40\x00"),
    "drips a message": dripping(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff"),
    "drips empty records": repeating(b"", b"\x16\x03\x03\x00\x00", 0.05),
    "drips warnings": repeating(b"", b"\x15\x03\x03\x00\x02\x01\x70", 0.05),
}


@pytest.mark.parametrize("how", SLOW)
def test_what_is_not_said_in_time_is_not_known(how: str) -> None:
    started = time.monotonic()
    with serving(SLOW[how]) as address:
        endpoint = probe(address, only=["TLS 1.2"], timeout_s=0.4, total_s=1.0, survey=True)
        assert time.monotonic() - started < PATIENCE_S
    assert not endpoint.spoken and not endpoint.fails and endpoint.incomplete
    assert set(endpoint.unknown) == {"TLS 1.2"} and not endpoint.refused
    assert not english_in(endpoint_as_text(endpoint, "zh"))


FLOODS: dict[str, Serve] = {
    "empty records": repeating(b"", b"\x16\x03\x03\x00\x00" * 100),
    "warnings": repeating(b"", b"\x15\x03\x03\x00\x02\x01\x70" * 100),
    "ChangeCipherSpec": repeating(b"", b"\x14\x03\x03\x00\x01\x01" * 100),
    "one endless message": repeating(
        b"\x16\x03\x03\x40\x00\x02\x0f\xff\xff" + bytes(0x3FFC), b"\x16\x03\x03\x40\x00" + bytes(0x4000)
    ),
    "a message of 16 MiB": repeating(b"\x16\x03\x03\x00\x04\x02\xff\xff\xff", b""),
    "a record of 64 KiB": repeating(b"\x16\x03\x03\xff\xff", b""),
    "application data": repeating(b"\x17\x03\x03\x00\x10" + bytes(16), b""),
    "a certificate for a hello": repeating(b"\x16\x03\x03\x00\x07\x0b\x00\x00\x03\x00\x00\x00", b""),
    "a hello that is cut off": repeating(b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03", b""),
}


@pytest.mark.parametrize("what", FLOODS)
def test_what_no_client_bears_is_a_finding(what: str) -> None:
    with serving(FLOODS[what]) as address:
        endpoint = probe(address, only=["TLS 1.2"], timeout_s=30)
    assert set(endpoint.refused) == {"TLS 1.2"} and {f.code for f in endpoint.failing} == {"XC-TLS-004"}
    assert not english_in(endpoint_as_text(endpoint, "zh"))


OTHERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SMTP, FTP": b"220 mail.example ESMTP\r\n",
    "SSL 2.0": b"\x80\x2e\x04\x00\x01\x00\x02" + bytes(40),
    "not TLS": b"\x00\x01\x02\x03\x04\x05\x06",
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_protocol_is_named(name: str) -> None:
    with serving(repeating(OTHERS[name], b"")) as address:
        endpoint = probe(address, only=["TLS 1.2"], timeout_s=30)
    assert name in endpoint.refused["TLS 1.2"] and not endpoint.spoken


def test_who_asks_for_another_share_for_ever_is_left() -> None:
    """A HelloRetryRequest to every hello, for the group that a share was sent of."""

    def serve(connection: socket.socket) -> None:
        while hello := read_hello(connection):
            offered = offer_of(hello)
            wanted = b"\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x00" + bytes([41 if 0x00C6 in offered.suites else 29])
            suite = b"\x00\xc6" if 0x00C6 in offered.suites else b"\x13\x01"
            body = b"\x03\x03" + RETRY + vector(offered.session, 1) + suite + b"\0" + vector(wanted, 2)
            connection.sendall(record(22, message(2, body), 0x0303))

    with serving(serve) as address:
        endpoint = probe(address, only=["RFC 8998", "TLS 1.3"], timeout_s=30)
    assert set(endpoint.refused) == {"RFC 8998", "TLS 1.3"} and not endpoint.spoken


def test_a_huge_chain_is_no_hang(good: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    long = good.but(chain=[good.identity.der] * 1500, cut=16_000)
    started = time.monotonic()
    assert spoken_by(long.serve, monkeypatch) == ["TLS 1.2"]
    assert time.monotonic() - started < PATIENCE_S
    assert spoken_by(good.but(chain=[bytes(70_000)] * 20, cut=16_000).serve, monkeypatch) == []


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    good: Flight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """192.0.2.1 is nobody's (RFC 5737): here it is refused or swallowed, and the second address answers."""
    resolved = socket.getaddrinfo

    def two(host: str, port: int, **more: object) -> list[object]:
        return [*resolved("192.0.2.1", port, type=socket.SOCK_STREAM), *resolved(host, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(probing, "_finish", lambda *_arguments: None)
    with serving(good.serve) as address:
        monkeypatch.setattr(socket, "getaddrinfo", two)
        endpoint = probe(address, only=["TLS 1.2"], timeout_s=1.5)
    assert [s.protocol for s in endpoint.spoken] == ["TLS 1.2"]


def resetting(beginning: bytes, reads: bool) -> Serve:
    def serve(connection: socket.socket) -> None:
        if reads:
            read_hello(connection)
        connection.sendall(beginning)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return serve


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("beginning", [b"", b"\x16", HELLO[:20], HELLO])
def test_resets_are_refusals(beginning: bytes, reads: bool) -> None:
    with serving(resetting(beginning, reads)) as address:
        endpoint = probe(address, only=["TLS 1.2", "TLS 1.3", "RFC 8998"], timeout_s=30)
    assert set(endpoint.refused) == {"TLS 1.2", "TLS 1.3", "RFC 8998"} and not endpoint.spoken
    assert not english_in(endpoint_as_text(endpoint, "zh"))


@pytest.fixture(scope="module")
def good() -> Flight:
    root = issue(None, "Root", names=(), ca=True, start=THEN - YEAR, end=THEN + 9 * YEAR)
    return Flight(issue(root, start=THEN - YEAR, end=THEN + 9 * YEAR))


def spoken_by(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(probing, "_finish", lambda *_arguments: None)
    with serving(serve) as address:
        return [s.protocol for s in probe(address, only=["TLS 1.2"], timeout_s=30, name=HOST).spoken]


def test_a_good_flight_is_read_however_it_is_cut(good: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken_by(good.but(cut=1).serve, monkeypatch) == ["TLS 1.2"]
    warning, half = b"\x15\x03\x03\x00\x02\x01\x70", (b"\x15\x03\x03\x00\x01\x01", b"\x15\x03\x03\x00\x01\x70")
    for warns in (
        warning,
        warning * 5,
        b"\x15\x03\x03\x00\x04\x01\x70\x01\x70",
        b"".join(half),
        b"\x16\x03\x03\x00\x00" * 3,
    ):
        assert spoken_by(good.but(warns=warns).serve, monkeypatch) == ["TLS 1.2"]
    for warns in (
        b"\x15\x03\x03\x00\x02\x02\x70",
        b"\x15\x03\x03\x00\x04\x01\x70\x02\x28",
        b"\x15\x03\x03\x00\x02\x01\x00",
    ):
        assert spoken_by(good.but(warns=warns).serve, monkeypatch) == []


def test_a_flight_that_drips_is_read_where_the_time_allows(good: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(connection: socket.socket) -> None:
        hello = read_hello(connection)
        data = record(22, good.flight(offer_of(hello), 0xC02B), 0x0303)
        for i in range(0, len(data), 100):
            connection.sendall(data[i : i + 100])
            time.sleep(0.005)

    assert spoken_by(serve, monkeypatch) == ["TLS 1.2"]


def test_the_whole_ends_with_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLCP is spoken, and then the server says nothing more: the one is told, the rest is not known."""
    pki, first = Pki(), iter([True])
    good, silent = tlcp(pki), SLOW["says nothing"]
    with serving(lambda connection: (good if next(first, False) else silent)(connection)) as address:
        started = time.monotonic()
        endpoint = probe(address, only=EVERY, timeout_s=0.5, total_s=1.5, survey=True)
        assert time.monotonic() - started < PATIENCE_S
    assert [s.protocol for s in endpoint.spoken] == ["TLCP 1.1"] and endpoint.incomplete
    assert set(EVERY) - {"TLCP 1.1"} <= set(endpoint.unknown)
    assert "--timeout" in endpoint_as_text(endpoint)


def test_a_server_that_is_gone_after_its_first_connection() -> None:
    pki = Pki()
    with serving(tlcp(pki)) as address:
        host, port = address.split(":")
    with socket.create_server((host, int(port))) as listener:

        def connections() -> Iterator[wire.Channel]:
            yield wire.SocketChannel([(socket.AF_INET, (host, int(port)))], Deadline(30))
            listener.close()
            while True:
                yield wire.SocketChannel([(socket.AF_INET, (host, int(port)))], Deadline(30))

        made = connections()
        import threading

        def serve() -> None:
            connection, _peer = listener.accept()
            with connection:
                tlcp(pki)(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        wish = probing.Wish([pki.root], ["TLCP 1.1", "RFC 8998"])
        endpoint = probing.ask(address, host, lambda: next(made), wish=wish)
        thread.join()
    assert [s.protocol for s in endpoint.spoken] == ["TLCP 1.1"]
    assert "RFC 8998" in endpoint.unknown and endpoint.incomplete


def test_names_that_are_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_words: object, **_more: object) -> list[object]:
        time.sleep(1.0)
        return []

    for words in ("a..b:443", "x" * 300 + ".cn:443"):
        with pytest.raises(XcError, match="cannot be reached"):
            probe(words, timeout_s=5)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    with pytest.raises(XcError, match="no answer within the time-out"):
        probe("slow.example:443", timeout_s=0.2)
    assert time.monotonic() - started < 0.9


def test_ipv6(good: Flight, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("needs IPv6 on the loopback")
    import threading

    def serve() -> None:
        connection, _peer = listener.accept()
        with connection:
            good.serve(connection)

    monkeypatch.setattr(probing, "_finish", lambda *_arguments: None)
    with listener:
        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = probe(f"[::1]:{listener.getsockname()[1]}", only=["TLS 1.2"], timeout_s=30)
        thread.join()
    assert [s.protocol for s in endpoint.spoken] == ["TLS 1.2"]


def test_the_command_says_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--timeout", "1", "--connection-timeout", "0.3"]
    with serving(SLOW["drips a record"]) as address:
        assert main(["sm", "tls", address, "--only", "tls1.2", *limits]) == 3
        assert "not known" in capsys.readouterr().out
        assert main(["sm", "tls", address, "--only", "tls1.2", "--expect", "tls1.2", *limits, "--format", "json"]) == 3
        data = json.loads(capsys.readouterr().out)
        assert data["undecided"] and data["findings"][0]["certainty"] == "undecided"
        assert main(["sm", "tls", address, "--timeout", "0"]) == 2
        assert main(["sm", "tls", address, "--timeout", "nan"]) == 2
    with serving(FLOODS["a record of 64 KiB"]) as address:
        assert main(["sm", "tls", address, "--only", "tls1.2", "--format", "sarif"]) == 1
        assert json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["ruleId"] == "XC-TLS-004"

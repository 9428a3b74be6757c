"""What `xc sm client-hello` says of clients: Python's own, ones of TLCP and of old times, ones that send something else."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sm_crypto.tls import hello as h
from pytest_xinchuang.packages.sm_crypto.tls import rfc8998, tlcp
from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello
from pytest_xinchuang.packages.sm_crypto.tls.offer import Offer, hear, listen
from pytest_xinchuang.packages.sm_crypto.tls.report import offer_as_dict, offer_as_text
from pytest_xinchuang.packages.sm_crypto.tls.wire import vector
from tests.messages.english import english_in

Client = Callable[[int], None]


def heard(*clients: Client, timeout_s: float = 30.0) -> Offer:
    """What is heard of clients that connect one after the other."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]

        def go() -> None:
            for client in clients:
                with suppress(OSError):
                    client(port)

        thread = threading.Thread(target=go)
        thread.start()
        try:
            return hear(listener, timeout_s)
        finally:
            thread.join()


def sends(data: bytes, *, waits: bool = True) -> Client:
    def client(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(data)
            if waits:
                connection.recv(100)

    return client


def stock(port: int) -> None:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        context.wrap_socket(connection, server_hostname="client.example")


def codes(offer: Offer) -> set[str]:
    return {f.code for f in offer.findings}


def test_a_client_of_today() -> None:
    offer = heard(stock)
    assert offer.versions == ["TLS 1.3", "TLS 1.2"] and offer.server_name == "client.example"
    assert offer.alpn == ["h2", "http/1.1"] and "TLS_AES_256_GCM_SHA384" in offer.suites and "x25519" in offer.groups
    assert not offer.fails and "XC-TLS-003" in codes(offer)
    text = offer_as_text(offer, "zh")
    assert "请求的名称：client.example" in text and not english_in(text)
    assert offer_as_dict(offer)["schema"] == "xc-sm-client-hello/1"


@pytest.mark.parametrize("hello", [tlcp.client_hello(tlcp.SUITES), rfc8998.client_hello(b"", "a.example")])
def test_clients_with_sm_suites(hello: ClientHello) -> None:
    offer = heard(sends(hello.record))
    assert not offer.fails and "XC-TLS-003" not in codes(offer)


def test_clients_with_faults() -> None:
    def faults(hello: ClientHello) -> set[str]:
        return {f.code for f in heard(sends(hello.record)).failing}

    assert faults(ClientHello(h.TLS12, (0xC02B,))) == set()
    assert faults(ClientHello(h.SSL3, (0xC02B,))) == {"XC-TLS-001"}
    assert faults(ClientHello(h.TLS10, (0xC02B,))) == {"XC-TLS-002"}
    listed = ((h.VERSIONS_EXT, vector(b"\x03\x04\x03\x03\x03\x01\x7a\x7a", 1)),)
    assert faults(ClientHello(h.TLS12, (0x1301,), listed)) == {"XC-TLS-002"}
    assert faults(ClientHello(h.TLS12, (0xC02B, 0x0005))) == {"XC-TLS-020"}
    assert faults(ClientHello(h.TLS12, (0x0A0A, 0xC02B, 0x000A, 0x00FF))) == {"XC-TLS-021"}
    assert faults(ClientHello(h.TLS12, (0xC02B,), h.numbers(h.GROUPS_EXT, [29, 19]))) == {"XC-TLS-025"}
    assert faults(ClientHello(h.TLS12, (0xC02B,), h.numbers(h.SCHEMES_EXT, [0x0403, 0x0201]))) == {"XC-TLS-026"}
    assert faults(ClientHello(h.TLS12, (0xC02B,), ((35, b""), (35, b"")))) == {"XC-TLS-008"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x80\x2e\x01\x00\x02" + bytes(44),
        ClientHello(h.TLS12, (0xC02B,)).record[:-2],
        ClientHello(h.TLS12, (0xC02B,)).record[:-8] + b"\x00\x03\xc0\x2b\x00\x01\x00",
    ],
)
def test_who_sends_no_hello_is_passed_over(data: bytes) -> None:
    offer = heard(sends(data, waits=False), sends(ClientHello(h.TLS12, (0xC02B,)).record))
    assert offer.versions == ["TLS 1.2"]
    with pytest.raises(XcError, match="no ClientHello has come") as error:
        heard(sends(data, waits=False), timeout_s=0.5)
    assert not english_in(error.value.what.render("zh").replace("HTTP", ""))


def test_a_hello_that_drips_does_not_hang() -> None:
    def client(port: int) -> None:
        import time

        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            for _turn in range(200):
                connection.sendall(b"\x16")
                time.sleep(0.01)

    with pytest.raises(XcError, match="no ClientHello has come"):
        heard(client, timeout_s=0.3)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["sm", "client-hello", port]) == 2
    assert "cannot be listened on" in capsys.readouterr().err
    assert main(["sm", "client-hello", "x"]) == 2
    assert main(["sm", "client-hello", f"127.0.0.1:{port}", "--timeout", "0.2"]) == 2
    assert "no client connected" in capsys.readouterr().err

    def ask(hello: ClientHello, *words: str) -> int:
        def client() -> None:
            for _turn in range(300):
                try:
                    sends(hello.record)(int(port))
                    return
                except ConnectionRefusedError:
                    threading.Event().wait(0.05)

        thread = threading.Thread(target=client)
        thread.start()
        try:
            return main(["sm", "client-hello", port, "--timeout", "30", *words])
        finally:
            thread.join()

    assert ask(tlcp.client_hello(tlcp.SUITES)) == 0
    assert "versions: TLCP 1.1" in capsys.readouterr().out
    assert ask(ClientHello(h.TLS10, (0x0005,)), "--format", "sarif") == 1
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"]

"""Who dials out: a socket that listens, answers nothing useful, and remembers that it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_xinchuang.tools.go import find_go


class Listener:
    """Where a proxy is said to be.

    Attributes:
        asked: what each connection began with.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.asked.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    self.asked.append(b"")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def _checksum_database() -> str:
    """The database that the go command asks unless it is told otherwise: whoever installed Go says so in its go.env."""
    settings = (Path(find_go()).resolve().parent.parent / "go.env").read_text().splitlines()
    return next(value for name, _, value in (line.partition("=") for line in settings) if name == "GOSUMDB")


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Everything that could lead out leads to the listener, and the go command is free to fetch tool chains."""
    listener = Listener()
    for name in ("GOFLAGS", "GONOSUMDB", "GOENV", "GOPRIVATE", "GONOPROXY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOPROXY", listener.url)
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    monkeypatch.setenv("GOSUMDB", _checksum_database())
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, listener.url)
        monkeypatch.setenv(name.lower(), listener.url)
    # urllib keeps the proxies that it has once read.
    monkeypatch.setattr("urllib.request._opener", None)
    try:
        yield listener
    finally:
        listener.close()

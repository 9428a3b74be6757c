"""An archive of Debian packages of a test's own, served on loopback."""

from __future__ import annotations

import hashlib
import http.server
import io
import lzma
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.provision.debian import Package

F, D, S, H = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
Member = tuple[str, bytes, str]


def tar(*members: Member, mode: int = 0o755) -> bytes:
    """(name, type, content or target of a link)"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            if kind == F:
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                archive.addfile(info)
    return out.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) & 1)
    return out


def deb(*members: Member, ending: str = ".xz", content: bytes | None = None) -> bytes:
    """A package that installs these members."""
    data = lzma.compress(tar(*members)) if content is None else content
    return ar(("debian-binary", b"2.0\n"), ("control.tar.xz", lzma.compress(tar())), (f"data.tar{ending}", data))


def package(name: str, data: bytes) -> Package:
    return Package(name, f"pool/main/x/{name}_1_amd64.deb", len(data), hashlib.sha256(data).hexdigest())


@dataclass
class Mirror:
    """A server of files, with what it was asked for.

    Attributes:
        answers: path -> content; an integer is a status.
        breaks: the first so many answers end in the middle.
    """

    answers: dict[str, bytes | int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    breaks: int = 0
    ranges: bool = True
    url: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        wanted = self.headers.get("Range", "")
        mirror.asked.append((self.path, wanted))
        answer = mirror.answers.get(self.path, 404)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and mirror.ranges else 0
        if begin and begin >= len(answer):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(answer) - 1}/{len(answer)}")
        rest = answer[begin:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if mirror.breaks:
            mirror.breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def served(answers: dict[str, bytes | int]) -> Iterator[Mirror]:
    """A mirror on loopback."""
    mirror = Mirror(answers)
    handler = type("Handler", (_Handler,), {"mirror": mirror})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()


def stanza(name: str, data: bytes = b"x", **fields: str) -> str:
    """A package's paragraph of an index."""
    one = package(name, data)
    lines = {"Package": name, "Version": "1", "Filename": one.path, "Size": str(one.size), "SHA256": one.sha256}
    lines |= {key.replace("_", "-"): value for key, value in fields.items()}
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def index(*stanzas: str) -> str:
    return "\n".join(stanzas)


def written(directory: Path, packages: Sequence[tuple[str, bytes]]) -> list[tuple[Package, Path]]:
    """Packages as files."""
    found = []
    for name, data in packages:
        (directory / f"{name}.deb").write_bytes(data)
        found.append((package(name, data), directory / f"{name}.deb"))
    return found

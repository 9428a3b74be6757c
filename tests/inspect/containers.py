"""Containers of every kind, made by hand, that hold one object."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def linked_tar(files: dict[str, bytes], links: dict[str, str]) -> bytes:
    """A tar archive with symbolic links: path -> target."""
    buffer = io.BytesIO(tar(files))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def saved_image(layers: list[bytes], arch: str, **settings: object) -> bytes:
    """What ``docker save`` writes: layers as tar archives, the lowest first. They stand in the archive the other way round.

    ``settings`` are those of ``config``: Entrypoint, Cmd, Env, WorkingDir.
    """
    names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    config = json.dumps({"architecture": arch, "os": "linux", "config": settings}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "Layers": names}]).encode()
    files = dict(reversed(list(zip(names, layers, strict=True))))
    return tar({**files, name: config, "manifest.json": manifest})


def oci_layout(images: list[tuple[str, list[bytes]]]) -> bytes:
    """An OCI layout of several images, (architecture, layers as compressed tar archives); layers may be shared."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes) -> dict[str, str]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}"}

    manifests = []
    for arch, layers in images:
        config = blob(json.dumps({"architecture": arch, "os": "linux"}).encode())
        manifest = json.dumps({"config": config, "layers": [blob(layer) for layer in layers]}).encode()
        manifests.append({**blob(manifest), "platform": {"architecture": arch, "os": "linux"}})
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return tar({"oci-layout": b"{}", "index.json": index, **blobs})


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def ar(files: dict[str, bytes]) -> bytes:
    out = b"!<arch>\n"
    for name, data in files.items():
        out += (
            f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) & 1)
        )
    return out


def deb(files: dict[str, bytes], control: str, scripts: Mapping[str, str | bytes] | None = None) -> bytes:
    told = {"control": control, **(scripts or {})}
    own = {f"./{name}": text.encode() if isinstance(text, str) else text for name, text in told.items()}
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": tar(own, "w:gz"),
        "data.tar.xz": tar({f"./{n}": d for n, d in files.items()}, "w:xz"),
    }
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) & 1)
    return out


def cpio(files: dict[str, bytes]) -> bytes:
    out = b""
    for name, data in {**files, "TRAILER!!!": b""}.items():
        raw = name.encode() + b"\0"
        mode = 0o100644 if name != "TRAILER!!!" else 0
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out += b"070701" + b"".join(f"{f:08X}".encode() for f in fields) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def rpm(
    files: dict[str, bytes], name: str, arch: str, compressor: str = "gzip", more: dict[int, str] | None = None
) -> bytes:
    """A lead, an empty signature, a header with name, version and architecture, and a compressed cpio archive."""

    def header(tags: dict[int, str]) -> bytes:
        store, index = b"", b""
        for tag, text in tags.items():
            index += struct.pack(">IIII", tag, 6, len(store), 1)
            store += text.encode() + b"\0"
        return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", len(tags), len(store)) + index + store

    lead = b"\xed\xab\xee\xdb\x03\x00" + bytes(90)
    signature = header({})
    signature += bytes(-(len(lead) + len(signature)) % 8)
    return (
        lead
        + signature
        + header({1000: name, 1001: "1.0", 1022: arch, 1125: compressor, **(more or {})})
        + gzip.compress(cpio(files))
    )


def compressed(data: bytes) -> dict[str, bytes]:
    import zstandard

    return {
        "gz": gzip.compress(data),
        "xz": lzma.compress(data),
        "bz2": bz2.compress(data),
        "zst": zstandard.ZstdCompressor().compress(data),
    }


def asar(files: dict[str, bytes], extra: dict[str, object] | None = None) -> bytes:
    """Electron's archive, with directories as its header nests them."""
    tree: dict[str, object] = {"files": {}}
    body = b""
    for name, data in files.items():
        at: dict[str, object] = tree
        *directories, last = name.split("/")
        for directory in directories:
            at = at["files"].setdefault(directory, {"files": {}})  # type: ignore[attr-defined]
        at["files"][last] = {"size": len(data), "offset": str(len(body))}  # type: ignore[index]
        body += data
    tree["files"] |= extra or {}  # type: ignore[operator]
    text = json.dumps(tree).encode()
    padded = text + bytes(-len(text) % 4)
    return struct.pack("<IIII", 4, len(padded) + 8, len(padded) + 4, len(text)) + padded + body


def pyinstaller(files: dict[str, bytes]) -> bytes:
    """PyInstaller's archive, as it stands behind its program."""
    body, table = b"", b""
    for name, data in files.items():
        packed = zlib.compress(data)
        raw = name.encode() + b"\0"
        raw += bytes(-(18 + len(raw)) % 16)
        table += struct.pack(">IIIIBc", 18 + len(raw), len(body), len(packed), len(data), 1, b"b") + raw
        body += packed
    cookie = struct.pack(
        ">8sIIII64s", b"MEI\x0c\x0b\x0a\x0b\x0e", len(body) + len(table) + 88, len(body), len(table), 311, b""
    )
    return body + table + cookie


def layout(images: dict[str, list[bytes]], prefix: str = "") -> dict[str, bytes]:
    """The files of an OCI layout: architecture -> its layers."""
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    manifests = []
    for arch, layers in images.items():
        platform = {"architecture": arch, "os": "linux"}
        text = {"config": blob(json.dumps(platform).encode()), "layers": [blob(layer) for layer in layers]}
        manifests.append(blob(json.dumps(text).encode()) | {"platform": platform})
    files["index.json"] = json.dumps({"manifests": manifests}).encode()
    return {f"{prefix}{name}": data for name, data in files.items()}


def database(*values: object, journal: str = "delete", page: int = 4096) -> bytes:
    """A database of SQLite with these values in a table whose names have to be quoted."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA page_size={page}")
    connection.execute('CREATE TABLE "a ""b" (id INTEGER PRIMARY KEY, "the data", twice AS (id * 2))')
    connection.execute('CREATE VIEW v AS SELECT randomblob(1000000000) FROM "a ""b"')
    connection.executemany('INSERT INTO "a ""b" ("the data") VALUES (?)', [(value,) for value in values])
    connection.commit()
    raw = bytearray(connection.serialize())
    connection.close()
    if journal == "wal":
        raw[18:20] = b"\2\2"
    return bytes(raw)

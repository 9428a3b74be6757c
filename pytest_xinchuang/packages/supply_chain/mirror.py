"""Mirrors of modules: a manifest of every file with SHA-256 and SM3, signed with SM2, checked in place or over HTTP."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import Message, _, joined, system_error, told, verbatim
from pytest_xinchuang.packages.supply_chain.golang.modzip import zip_faults
from pytest_xinchuang.packages.supply_chain.golang.proxy import unescape
from pytest_xinchuang.packages.supply_chain.sm2sign import public_key, public_pem, sign, sm3, verifies
from pytest_xinchuang.sm.curve import Point
from pytest_xinchuang.tools.gomod import ModuleVersion
from pytest_xinchuang.tools.process import Runner

MANIFEST, SIGNATURE = "xc-mirror.json", "xc-mirror.json.sig"
TIMEOUT_S = 60


def _relative(path: str) -> str:
    parts = path.split("/")
    if "\0" in path or len(path) > 4095 or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts):
        raise ValueError(_("no path below a directory"))
    return path


class MirrorFile(FrozenData):
    """One file of a mirror; ``path`` is relative to its root."""

    path: Annotated[str, AfterValidator(_relative)]
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sm3: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(FrozenData):
    """All files of a mirror, in order of path."""

    format: Literal["xc-mirror/1"] = Field(alias="schema", default="xc-mirror/1")
    files: tuple[MirrorFile, ...]


class Signature(FrozenData):
    """A signature over the manifest. The key in it says who claims to have signed; only a key trusted beforehand counts."""

    format: Literal["xc-mirror-signature/1"] = Field(alias="schema", default="xc-mirror-signature/1")
    algorithm: Literal["SM2-SM3"] = "SM2-SM3"
    public_key: str
    signature: str


def _json(model: BaseModel) -> bytes:
    text = json.dumps(model.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    return (text + "\n").encode()


def _describe(path: str, data: bytes) -> MirrorFile:
    return MirrorFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), sm3=sm3(data).hex())


def files_of(root: Path) -> Iterator[str]:
    """What a mirror serves: all regular files but the manifest and its signature."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not path.is_symlink() and name not in (MANIFEST, SIGNATURE):
            yield name


def links_of(root: Path) -> Iterator[str]:
    """Symbolic links: where they lead to is not signed, and whoever serves the directory may follow them."""
    yield from (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_symlink())


def _module_of(name: str) -> ModuleVersion | None:
    """The module whose zip a file of a mirror is; None: it is another file."""
    path, found, file = name.rpartition("/@v/")
    return (
        ModuleVersion(unescape(path), unescape(file.removesuffix(".zip"))) if found and file.endswith(".zip") else None
    )


def _zip_fault(name: str, path: Path) -> Message | None:
    """The first rule that a module zip of a mirror breaks."""
    module = _module_of(name)
    try:
        first = next(zip_faults(module, path), None) if module else None
    except (OSError, zipfile.BadZipFile) as error:
        return _("not a module zip: {why}", why=told(error))
    return _("{entry}: {why}", entry=verbatim(ascii(first[0])), why=first[1]) if first else None


def write_manifest(root: Path, d: int | None = None) -> Manifest:
    """Describe a mirror, and sign the description where a private key is given.

    Raises:
        XcError: there is nothing in it, or something that the go command refuses, or a link.
    """
    if link := next(links_of(root), None):
        raise XcError(
            _("{file} is a symbolic link, and what it leads to is not signed", file=verbatim(str(root / link))),
            mend=_("put the file itself there, and sign again"),
        )
    for name in files_of(root):
        if fault := _zip_fault(name, root / name):
            raise XcError(
                _("{file}: the go command refuses it: {why}", file=verbatim(str(root / name)), why=fault),
                mend=_("get the zip again from where it is published, and sign again"),
            )
    manifest = Manifest(files=tuple(_describe(name, (root / name).read_bytes()) for name in files_of(root)))
    if not manifest.files:
        raise XcError(
            _("{root}: there is no file to describe", root=root),
            mend=_("GOMODCACHE=DIR go mod download; then DIR/cache/download"),
        )
    data = _json(manifest)
    (root / MANIFEST).write_bytes(data)
    (root / SIGNATURE).unlink(missing_ok=True)
    if d is not None:
        from pytest_xinchuang.sm.sm2 import Sm2

        signed = Signature(
            public_key=public_pem(Sm2().public_of(d)), signature=base64.b64encode(sign(data, d)).decode("ascii")
        )
        (root / SIGNATURE).write_bytes(_json(signed))
    return manifest


class _Place:
    """A mirror in a directory or behind HTTP."""

    def __init__(self, place: str, runner: Runner) -> None:
        self.place, self.timeout_s = place, runner.seconds(TIMEOUT_S)
        self.url = place.rstrip("/") + "/" if "://" in place else ""

    def read(self, name: str) -> bytes | None:
        """The file's content; None when there is none.

        Raises:
            HostFault: the mirror does not answer.
        """
        if not self.url:
            path = Path(self.place) / name
            return path.read_bytes() if path.is_file() and not path.is_symlink() else None
        url = self.url + urllib.parse.quote(name, safe="/@!+~")
        try:
            with urllib.request.urlopen(url, timeout=self.timeout_s) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return None
            raise HostFault(_("{url} answers {code}", url=self.url + name, code=error.code)) from error
        except OSError as error:
            raise HostFault(_("{url}: {why}", url=self.url + name, why=told(error))) from error

    def zip_fault(self, name: str, content: bytes) -> Message | None:
        """The first rule of module zips that a file breaks."""
        if not self.url:
            return _zip_fault(name, Path(self.place) / name)
        if _module_of(name) is None:
            return None
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            file.write(content)
            file.flush()
            return _zip_fault(name, Path(file.name))

    def links(self) -> Iterator[str]:
        """Its symbolic links, where it is a directory."""
        return iter(()) if self.url else links_of(Path(self.place))

    def names(self) -> set[str] | None:
        """All files; None where they cannot be listed."""
        return None if self.url else set(files_of(Path(self.place)))


def _manifest(data: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise XcError(
            _(
                "{file}: {where}: {why}",
                file=MANIFEST,
                where=".".join(map(str, first["loc"])),
                why=mistake(first),
            )
        ) from None


def signed_manifest(place: str, trusted: list[Point], runner: Runner | None = None) -> Manifest | Message:
    """The manifest of a mirror that a trusted key signed, or why there is none.

    Raises:
        HostFault: the mirror does not answer.
        XcError: the manifest is malformed.
    """
    mirror = _Place(place, runner or Runner())
    data = mirror.read(MANIFEST)
    if data is None:
        return _("{place} has no signed list ({file})", place=verbatim(place), file=MANIFEST)
    if fault := _signature_fault(mirror.read(SIGNATURE), data, trusted):
        return _("the list of {place}: {why}", place=verbatim(place), why=fault[1])
    return _manifest(data)


def check_mirror(
    place: str, trusted: list[Point], manifest_from: Path | None = None, *, runner: Runner | None = None
) -> tuple[list[Finding], int]:
    """Compare every file of a mirror with its signed manifest; returns the findings and how many files were right.

    Args:
        place: a directory or URL.
        trusted: the keys that may have signed.
        manifest_from: a directory with the manifest and its signature, where they do not come from the mirror itself.
        runner: scales how long the mirror is waited for.

    Raises:
        HostFault: the mirror does not answer.
        XcError: the manifest is malformed.
    """
    findings: list[Finding] = []

    def add(code: str, where: str, **params: str) -> None:
        findings.append(Finding(code, Certainty.CERTAIN, where, "go", params))

    runner = runner or Runner()
    mirror = _Place(place, runner)
    source = _Place(str(manifest_from), runner) if manifest_from else mirror
    data = source.read(MANIFEST)
    if data is None:
        add("XC-SUP-050", MANIFEST, detail=_("there is no manifest"))
        return findings, 0
    if why := _signature_fault(source.read(SIGNATURE), data, trusted):
        add(why[0], SIGNATURE, detail=why[1])
    manifest = _manifest(data)
    good = 0
    for file in manifest.files:
        content = mirror.read(file.path)
        if content is None:
            add("XC-SUP-054", file.path)
            continue
        seen = _describe(file.path, content)
        wrong = [name for name in ("sha256", "sm3") if getattr(seen, name) != getattr(file, name)]
        if wrong or seen.size != file.size:
            add("XC-SUP-053", file.path, found=seen.sha256, wanted=file.sha256, which=_differs(wrong))
        elif fault := mirror.zip_fault(file.path, content):
            add("XC-SUP-070", file.path, detail=fault)
        else:
            good += 1
    for name in mirror.links():
        add("XC-SUP-087", name)
    known = {file.path for file in manifest.files}
    for name in sorted((mirror.names() or set()) - known):
        add("XC-SUP-055", name)
    return findings, good


def _differs(hashes: list[str]) -> Message:
    return joined(hashes, _(", ")) if hashes else _("size")


def _signature_fault(data: bytes | None, manifest: bytes, trusted: list[Point]) -> tuple[str, Message] | None:
    """The finding's code and detail; None for a good signature of a trusted key."""
    if data is None:
        return "XC-SUP-050", _("there is no signature")
    try:
        signed = Signature.model_validate_json(data)
        signature = base64.b64decode(signed.signature, validate=True)
        claimed = public_key(signed.public_key)
    except ValidationError:
        return "XC-SUP-051", _("the file is not of the form {schema}", schema="xc-mirror-signature/1")
    except XcError as error:
        return "XC-SUP-051", _("the signature cannot be read: {why}", why=error.what)
    except ValueError as error:
        return "XC-SUP-051", _("the signature cannot be read: {why}", why=told(error))
    if any(verifies(manifest, signature, point) for point in trusted):
        return None
    if verifies(manifest, signature, claimed):
        return "XC-SUP-052", _("the signature is good, and its key is not trusted")
    return "XC-SUP-051", _("no trusted key signed this manifest")


class _Handler(BaseHTTPRequestHandler):
    """Serves files of one directory, and writes each request down."""

    protocol_version = "HTTP/1.1"
    root: Path
    audit: Callable[[dict[str, Any]], None]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        data = self._content(name)
        status = 404 if data is None else 200
        body = b"not found\n" if data is None else data
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if with_body:
            self.wfile.write(body)
        self.audit(
            {
                "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
                "client": self.client_address[0],
                "method": self.command,
                "path": "/" + name,
                "status": status,
                "bytes": len(body) if with_body else 0,
                **({"sha256": hashlib.sha256(body).hexdigest()} if data is not None else {}),
            }
        )

    def _content(self, name: str) -> bytes | None:
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            return None
        if path.is_file():
            return path.read_bytes()
        if path.name == "list" and path.parent.is_dir():
            versions = sorted(p.stem for p in path.parent.glob("*.info"))
            return ("\n".join(versions) + "\n").encode()
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """The audit log tells of each request; standard error stays free."""


@contextmanager
def serve(root: Path, audit: Callable[[dict[str, Any]], None], port: int = 0) -> Iterator[str]:
    """A GOPROXY on loopback; yields its URL.

    Raises:
        HostFault: the port is not free.
    """
    lock = threading.Lock()

    def locked(entry: dict[str, Any]) -> None:
        with lock:
            audit(entry)

    handler = type("Handler", (_Handler,), {"root": root, "audit": staticmethod(locked)})
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise HostFault(
            _("port {port} of 127.0.0.1 is not free: {why}", port=port, why=system_error(error)),
            mend=_("--port 0 takes a free one"),
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

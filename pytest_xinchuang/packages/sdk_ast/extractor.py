"""Runs the Go extractor: built once with the Go of the machine, then kept in the cache."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import find_go, version_of

SOURCE = Path(__file__).with_name("goapi")
LEAST_GO = (1, 23)
"""go/types knows the parameters of generic aliases since Go 1.23."""

TIMEOUT_S = 1200


def go_environment(go: str) -> Mapping[str, str]:
    """GOROOT, GOMODCACHE and the like, as the go command has them.

    Raises:
        ToolchainFault: it does not say.
    """
    places = ("HOME", "XDG_CONFIG_HOME")
    told = {k: v for k, v in os.environ.items() if k in places or k.startswith("GO")}
    return _go_environment(go, frozenset(told.items()))


@functools.cache
def _go_environment(go: str, _told: frozenset[tuple[str, str]]) -> Mapping[str, str]:
    """What the go command says under an environment: another HOME has another module cache."""
    names = ("GOROOT", "GOMODCACHE", "GOVERSION", "GOPROXY", "GOFLAGS")
    try:
        done = subprocess.run(
            [go, "env", "-json", *names],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=tempfile.gettempdir(),
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolchainFault(f"{go} does not say its environment: {error}") from error
    return found


def _least(version: str) -> bool:
    parts = version.removeprefix("go").split(".")
    try:
        return (int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()) or 0)) >= LEAST_GO
    except (ValueError, IndexError):
        return True  # a development version


def extractor(cache: Cache) -> Path:
    """The program, built if need be.

    Raises:
        ToolchainFault: there is no Go, it is too old, or the program does not build.
    """
    go = find_go()
    version = go_environment(go)["GOVERSION"]
    if not _least(version):
        raise ToolchainFault(
            f"Go {version.removeprefix('go')} is too old to read APIs with: 1.23 or later is needed",
            mend="pip install 'pytest-xinchuang[toolchains]'",
        )
    digest = hashlib.sha256(version_of(go, "version").encode())
    for source in sorted(SOURCE.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    place = cache.root / "builds" / f"goapi-{digest.hexdigest()[:32]}"
    if place.is_file():
        return place
    with cache.lock("goapi"):
        if not place.is_file():
            part = place.with_suffix(".part")
            environment = {
                "GOFLAGS": "-mod=mod",
                "GOWORK": "off",
                "GOPROXY": "off",
                "GOTOOLCHAIN": "local",
                "GOCACHE": str(cache.root / "gocache"),
                "CGO_ENABLED": "0",
                "GOOS": "",
                "GOARCH": "",
            }
            try:
                done = subprocess.run(
                    [go, "build", "-trimpath", "-buildvcs=false", "-o", str(part), "."],
                    cwd=SOURCE,
                    env={**os.environ, **environment},
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=TIMEOUT_S,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ToolchainFault(f"the API reader could not be built: {error}") from error
            if done.returncode:
                raise ToolchainFault(f"the API reader does not build with {version}: {done.stderr.strip()[-300:]}")
            part.rename(place)
    return place


@dataclass(frozen=True)
class GoRequest:
    """What to read of a module.

    Attributes:
        below: read only what is below this directory of the module.
        path: the module's path where it has no go.mod.
        targets: GOOS/GOARCH each.
    """

    directory: Path
    below: str = ""
    version: str = ""
    path: str = ""
    targets: Sequence[str] = ("linux/amd64",)
    tags: Sequence[str] = ()
    cgo: bool = True


def extract(cache: Cache, request: GoRequest, output: Path, known: Iterable[tuple[str, str]] = ()) -> None:
    """Write the snapshot of a Go module to ``output``.

    Args:
        known: packages with their source digests that need no new description.

    Raises:
        ToolchainFault: there is no Go that can do it.
        XcError: the directory cannot be read as a module.
        HostFault: the reader broke.
    """
    program = extractor(cache)
    found = go_environment(find_go())
    argv = [
        str(program),
        f"-dir={request.directory}",
        f"-below={request.below}",
        f"-goroot={found['GOROOT']}",
        f"-modcache={found['GOMODCACHE']}",
        f"-version={request.version}",
        f"-path={request.path}",
        f"-targets={','.join(request.targets)}",
        f"-tags={','.join(request.tags)}",
        f"-cgo={'true' if request.cgo else 'false'}",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".known", encoding="utf-8") as listed:
        listed.writelines(f"{path} {digest}\n" for path, digest in known)
        listed.flush()
        argv.append(f"-known={listed.name}")
        part = output.with_name(output.name + ".part")
        try:
            with part.open("wb") as file:
                done = subprocess.run(
                    argv, stdout=file, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, timeout=TIMEOUT_S
                )
        except subprocess.TimeoutExpired as error:
            raise HostFault(f"reading {request.directory} took longer than {TIMEOUT_S} s") from error
        except OSError as error:
            raise HostFault(f"{output} cannot be written: {error.strerror}") from error
        finally:
            if not part.exists() or part.stat().st_size == 0:
                part.unlink(missing_ok=True)
    if done.returncode:
        part.unlink(missing_ok=True)
        text = done.stderr.decode(errors="replace").strip()
        if done.returncode == 2 and "goroutine" not in text:
            raise XcError(text or f"{request.directory} cannot be read")
        raise HostFault(f"the API reader broke on {request.directory} ({done.returncode}): {text[-400:]}")
    part.rename(output)


def snapshot_of(cache: Cache, request: GoRequest, output: Path, label: str, known: Snapshot | None = None) -> Snapshot:
    """Read a module, taking unchanged packages from ``known``."""
    usable = known is not None and known.header.targets == tuple(request.targets)
    extract(cache, request, output, known.sources() if known is not None and usable else ())
    return Snapshot(output, label, known if usable else None)

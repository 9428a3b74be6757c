"""Reads a Go module's API into a snapshot, by our reader of Go APIs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.messages import _, system_error, verbatim
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goproblems import failure_told
from pytest_xinchuang.toolchain.goprograms import GOAPI, go_program
from pytest_xinchuang.tools.go import GoCommand
from pytest_xinchuang.tools.process import End, Runner

TIMEOUT_S = 1200
"""Seconds for the largest module, on a loaded machine."""
CANNOT_READ = 2
"""The reader's exit code when it gives up and tells why; also Go's own for a panic, which tells no problem."""


@dataclass(frozen=True)
class GoRequest:
    """What to read of a module.

    Attributes:
        below: read only what is below this directory of the module.
        path: the module's path where it has no go.mod.
        targets: GOOS/GOARCH each; with a plus behind it a build tag, or ``!cgo``.
    """

    directory: Path
    below: str = ""
    version: str = ""
    path: str = ""
    targets: Sequence[str] = ("linux/amd64",)
    tags: Sequence[str] = ()
    cgo: bool = True


def extract(
    cache: Cache,
    request: GoRequest,
    output: Path,
    known: Iterable[tuple[str, str]] = (),
    runner: Runner | None = None,
) -> None:
    """Write the snapshot of a Go module to ``output``.

    Args:
        known: packages with their source digests that need no new description.

    Raises:
        ToolchainFault: there is no Go that can do it.
        XcError: the directory cannot be read as a module.
        HostFault: the reader broke.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".known", encoding="utf-8") as listed:
        listed.writelines(f"{path} {digest}\n" for path, digest in known)
        listed.flush()
        _read(cache, request, output, runner, f"-known={listed.name}")


def _read(cache: Cache, request: GoRequest, output: Path, runner: Runner | None, *more: str) -> None:
    """Run the reader on a module; what it says is ``output``."""
    runner = runner or Runner()
    program = go_program(cache, GOAPI, runner)
    found = GoCommand(runner).settings
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
        *more,
    ]
    part = output.with_name(output.name + ".part")
    try:
        with part.open("wb") as file:
            done = runner.run(argv, timeout_s=TIMEOUT_S, stdout=file)
        if done.ok:
            part.rename(output)
    except OSError as error:
        raise HostFault(_("{path} cannot be written: {why}", path=output, why=system_error(error))) from error
    finally:
        part.unlink(missing_ok=True)
    if done.end is End.EXITED and not done.ok:
        if done.code == CANNOT_READ and (why := failure_told(done.errors)) is not None:
            raise XcError(_("{directory} cannot be read: {why}", directory=request.directory, why=why))
        raise HostFault(
            _(
                "the API reader broke on {directory} ({code}): {said}",
                directory=request.directory,
                code=done.code,
                said=verbatim(done.errors.strip()[-400:]),
            )
        )
    done.exited(doing=_("{directory} could not be read", directory=request.directory))


def classes(cache: Cache, request: GoRequest, output: Path, runner: Runner | None = None) -> dict[str, str]:
    """Every target that Go builds for, the usual ones first -> a digest over the files that the module has for it.

    Build tags of the module's own and the lack of cgo are targets, too: GOOS/GOARCH, a plus, and the tag or ``!cgo``.

    Raises: as :func:`extract`.
    """
    _read(cache, request, output, runner, "-classes")
    return {one["target"]: one["files"] for one in _records(output)}


def clients(
    cache: Cache, request: GoRequest, asked: Mapping[str, Any], output: Path, runner: Runner | None = None
) -> list[dict[str, Any]]:
    """Clients that are written of a module, or tried with it, each with its results.

    Args:
        asked: ``questions`` (package, name, label, added), or ``clients`` that are there already with ``moved`` paths.

    Raises: as :func:`extract`.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(asked, file)
        file.flush()
        _read(cache, request, output, runner, f"-clients={file.name}")
    return [one for one in _records(output) if one["record"] == "client"]


def _records(output: Path) -> Iterator[dict[str, Any]]:
    with output.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def snapshot_of(
    cache: Cache,
    request: GoRequest,
    output: Path,
    label: str,
    known: Snapshot | None = None,
    runner: Runner | None = None,
) -> Snapshot:
    """Read a module, taking unchanged packages from ``known``."""
    usable = known is not None and known.header.targets == tuple(request.targets)
    extract(cache, request, output, known.sources() if known is not None and usable else (), runner)
    return Snapshot(output, label, known if usable else None, ours=True)

"""Images for container sandboxes: a platform's root filesystem with our agent and emulator in one more layer."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import Message, _, system_cause, system_error, verbatim
from pytest_xinchuang.provision.archive import pack
from pytest_xinchuang.provision.refs import EmulatorRef, RootfsRef
from pytest_xinchuang.sandbox.agents import agent
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH, identity_of


@dataclass(frozen=True)
class Prepared:
    """An image that is ready to be started."""

    image: str
    rootfs: RootfsRef
    identity: frozenset[str]
    """Files that tell that the system is the platform's own, where the root filesystem is a stand-in."""


def prepare(client: Any, run: Opening, platform: Platform, emulator: EmulatorRef) -> Prepared:
    """The image of a platform, built when the engine has it not: no program of it is run to build it.

    An image that was named must be there or be pulled. The platform's own image is used when the engine has it; else the
    stand-in root filesystem is.

    Raises:
        SandboxFault: the image cannot be had, or is of another architecture.
    """
    agent = _agent(run)
    base = _base_image(client, run, platform)
    stand_in = base is None or bool(base.labels.get("xc.stand-in"))
    identity = {path: text for path, text in identity_of(platform, stand_in).items() if not path.startswith("/proc/")}
    tools = hashlib.sha256(agent + emulator.digest.encode() + json.dumps(identity).encode()).hexdigest()[:12]
    if base is not None:
        rootfs = RootfsRef(
            name=base.tags[0] if base.tags else base.id,
            path=Path("/"),
            digest=base.id,
            libc_version="",
            stand_in=stand_in,
            differs=(),
        )
        key, lines = base.id.partition(":")[2][:12], [f"FROM {base.id}"]
    else:
        rootfs = run.store.rootfs_for(platform)
        key, lines = rootfs.digest.partition(":")[2][:12], ["FROM scratch", "ADD rootfs.tar /"]
    tag = f"xc-sandbox/{platform.arch}:{key}-{tools}"
    with run.store.cache.lock(f"image-{platform.arch}-{key}"):
        if not client.images.list(name=tag):
            lines += ["COPY xc /.xc", *(["COPY identity /"] if identity else [])]
            files = {
                "xc/agent": (agent, 0o711),
                "xc/emulator": (emulator.path.read_bytes(), 0o755),
                **{f"identity{path}": (text.encode(), 0o644) for path, text in identity.items()},
            }
            _build(client, tag, lines, rootfs if base is None else None, files, platform)
    return Prepared(tag, rootfs, frozenset(identity))


def _base_image(client: Any, run: Opening, platform: Platform) -> Any | None:
    """The image to start from, or None for the stand-in."""
    from docker.errors import APIError, ImageNotFound

    wanted = run.image or platform.system.image.value
    if wanted is None:
        return None
    try:
        image = client.images.get(wanted)
    except ImageNotFound:
        if run.image is None:
            return None
        try:
            image = client.images.pull(wanted, platform=f"linux/{platform.arch}")
        except (APIError, ImageNotFound) as error:
            raise SandboxFault(
                _(
                    "the image {wanted} is not on the engine and cannot be pulled: {explanation}",
                    wanted=wanted,
                    explanation=verbatim(str(error.explanation)),
                ),
                mend=_(
                    "docker login, or docker load, or docker pull --platform linux/{arch} {wanted}",
                    arch=platform.arch,
                    wanted=wanted,
                ),
            ) from error
    found = image.attrs.get("Architecture")
    if found != platform.arch:
        if run.image is None:
            return None
        raise SandboxFault(
            _(
                "the image {wanted} is for {found}; {id} needs {arch}",
                wanted=wanted,
                found=found,
                id=platform.id,
                arch=platform.arch,
            ),
            mend=verbatim(f"docker pull --platform linux/{platform.arch} {wanted}"),
        )
    return image


def _agent(run: Opening) -> bytes:
    """The agent for the host, which is taken to have the engine's architecture."""
    assert HOST_ARCH is not None
    return agent(run.store.cache, run.runner, HOST_ARCH, run.store.platforms.file.architectures[HOST_ARCH])


def _build(
    client: Any,
    tag: str,
    lines: list[str],
    rootfs: RootfsRef | None,
    files: Mapping[str, tuple[bytes, int]],
    platform: Platform,
) -> None:
    from docker.errors import APIError, BuildError

    labels = f"LABEL xc.image=1{' xc.stand-in=1' if rootfs is not None and rootfs.stand_in else ''}"
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as tar:
            _add(tar, "Dockerfile", "\n".join([*lines, labels]).encode() + b"\n", 0o644)
            for name, (data, mode) in files.items():
                _add(tar, name, data, mode)
            if rootfs is not None:
                with tempfile.NamedTemporaryFile() as inner:
                    pack(rootfs.path, Path(inner.name))
                    tar.add(inner.name, arcname="rootfs.tar")
        context.seek(0)
        try:
            client.images.build(
                fileobj=context, custom_context=True, tag=tag, platform=f"linux/{platform.arch}", rm=True, forcerm=True
            )
        except (BuildError, APIError) as error:
            raise SandboxFault(
                _(
                    "the image of {id} could not be built: {problem}",
                    id=platform.id,
                    problem=said(error),
                )
            ) from error


def said(error: BaseException) -> Message:
    """What docker-py or its transport says: the system's words where a call of it failed, else the first line of its own."""
    cause = system_cause(error)
    if cause is not None:
        return system_error(cause)
    return verbatim((str(error).splitlines() or [type(error).__name__])[0])


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))

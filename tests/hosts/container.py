"""A host that is a Docker container."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.tools.process import Runner
from tests.hosts.declared import Host
from tests.hosts.machine import Ended
from tests.hosts.product import PLACE
from tests.hosts.userland import VENDOR_UID

REPOSITORY = "xc-hosts"
IMPORT_TIMEOUT_S, ANSWER_TIMEOUT_S = 600, 60


def image(userland: Path, name: str, digest: str, provisioned: Path, host: Host, runner: Runner) -> str:
    """The name of an image of the userland with the cache that its user has provisioned; made once, for the older one."""
    owner = VENDOR_UID if host.user == "vendor" else 0
    repository = f"{REPOSITORY}/{name}-{owner}"
    name = f"{repository}:{digest[:24]}"
    known = runner.run(
        ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", repository], timeout_s=ANSWER_TIMEOUT_S
    )
    if name in known.text.split():
        return name
    if old := known.text.split():
        runner.run(["docker", "image", "rm", "--force", *old], timeout_s=ANSWER_TIMEOUT_S)
    with subprocess.Popen(["docker", "import", "-", name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        with tarfile.open(fileobj=process.stdin, mode="w|") as tar:
            tar.add(userland, arcname=".", filter=lambda info: None if info.name == "./cache" else info)
            tar.add(provisioned, arcname="cache", filter=lambda info: _owned(info, owner))
    if process.returncode:
        raise HostFault(verbatim(f"docker import ended with exit code {process.returncode}"))
    return name


def _owned(info: tarfile.TarInfo, owner: int) -> tarfile.TarInfo:
    """Root's cache holds what belongs to the sandboxes' user; another's is all their own."""
    if owner:
        info.uid = info.gid = owner
        info.uname = info.gname = ""
    return info


def run(host: Host, image: str, payload: Path, arguments: list[str], place: Path, runner: Runner) -> Ended:
    """Run the grade in a container, and take its results."""
    out = place / "out"
    out.mkdir(parents=True)
    out.chmod(0o777)
    user = {"root": "0", "vendor": str(VENDOR_UID)}.get(host.user, host.user)
    environment = {"XC_CACHE": "/cache", "LANG": "C.UTF-8", **host.environment}
    words = [
        "docker",
        "run",
        "--rm",
        "--init",
        "--network=none",
        f"--user={user}",
        f"--volume={payload}:{PLACE}:ro",
        f"--volume={out}:/out",
    ]
    words += [f"--env={name}={value}" for name, value in environment.items()]
    done = runner.run([*words, *host.options, image, f"{PLACE}/grade", "/out", *arguments], timeout_s=host.timeout_s)
    if done.ok:
        return Ended(out)
    return Ended(out, f"{done.told()}: {done.errors.strip()[-300:]}")

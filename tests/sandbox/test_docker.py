"""Container sandboxes on a real engine."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Verdict
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends import docker_images
from pytest_xinchuang.sandbox.backends.docker import LABEL, DockerSandbox, connect, export_image, reap
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Limits
from pytest_xinchuang.toolchain.builder import Builder

pytestmark = [pytest.mark.docker, pytest.mark.sandbox]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    try:
        found = connect()
    except SandboxFault as fault:
        pytest.skip(fault.what)
    yield found
    found.close()


@pytest.fixture
def docker_pool(client: Any, store: Store) -> Iterator[Pool]:
    opened = Pool(store, "docker", run_id=f"test{os.getpid()}")
    yield opened
    opened.close()


@pytest.fixture(params=["phytium", "zhaoxin", "loongson"])
def sandbox(request: pytest.FixtureRequest, docker_pool: Pool, platforms: Platforms) -> DockerSandbox:
    found = docker_pool.sandbox(platforms.get(request.param))
    assert isinstance(found, DockerSandbox)
    return found


def test_it_says_what_it_is(sandbox: DockerSandbox, platforms: Platforms) -> None:
    platform = platforms.get(sandbox.fingerprint.platform)
    assert sandbox.fingerprint.observed["uname_m"] == platform.architecture.uname
    assert sandbox.fingerprint.extra["children"] == "tracer" and not sandbox.fingerprint.degraded
    assert all(sandbox.fingerprint.isolation[name] for name in ("children_emulated", "cpu_pinned", "host_refused"))


def test_it_keeps_the_protocol(sandbox: DockerSandbox) -> None:
    outcome = sandbox.run(["sh", "-c", "read x; echo got $x; echo err >&2; exit 3"], stdin=b"in\n")
    assert (outcome.stdout, outcome.stderr, outcome.code) == (b"got in\n", b"err\n", 3)
    data = os.urandom(1 << 20)
    assert sandbox.run(["cat"], stdin=data).stdout == data
    assert sandbox.run(["sh", "-c", "kill -SEGV $$"]).signal == signal.SIGSEGV
    assert sandbox.run(["none"]).code == 127
    assert sandbox.run(["/etc/passwd"]).code == 126
    assert sandbox.run(["sleep", "100"], limits=Limits(wall_s=0.05)).ended is Ended.TIMED_OUT
    process = sandbox.start(["cat"])
    process.stdin.write(b"line\n")
    assert process.stdout.readline() == b"line\n"
    process.stdin.close()
    ended = process.wait(10)
    assert ended is not None
    assert ended.ok
    sandbox.put("/xc/a/b", data)
    assert sandbox.get("/xc/a/b") == data
    with pytest.raises(FileNotFoundError):
        sandbox.get("/xc/none")
    sandbox.put("/tmp/t", b"")
    assert sandbox.changes() == ("/tmp/t",)
    sandbox.reset()
    assert sandbox.changes() == ()
    assert not sandbox.start(["sleep", "100"]).kill().ok


def test_it_has_no_rights(sandbox: DockerSandbox, client: Any) -> None:
    container = client.containers.get(sandbox.name)
    settings = container.attrs["HostConfig"]
    assert settings["CapDrop"] == ["ALL"]
    assert settings["NetworkMode"] == "none"
    assert settings["ReadonlyRootfs"]
    assert "no-new-privileges" in settings["SecurityOpt"]
    # The agent is the container's root, without the rights that make one, and commands are not the agent's user.
    assert not {"SYS_ADMIN", "DAC_OVERRIDE", "SYS_PTRACE"} & {
        right.removeprefix("CAP_") for right in settings["CapAdd"]
    }
    said = sandbox.run(
        ["sh", "-c", "while read a b; do case $a in Uid:|Cap*) echo $a $b;; esac; done </proc/self/status"]
    )
    assert b"Uid: 1000" in said.stdout and b"CapEff: 0000000000000000" in said.stdout


def test_closing_removes_the_container(docker_pool: Pool, platforms: Platforms, client: Any) -> None:
    sandbox = docker_pool.sandbox(platforms.get("phytium"))
    assert isinstance(sandbox, DockerSandbox)
    docker_pool.close()
    assert sandbox.name not in [c.name for c in client.containers.list(all=True, ignore_removed=True)]
    with pytest.raises(SandboxFault, match="closed"):
        sandbox.run(["true"])


def test_a_container_that_is_killed_from_outside_is_a_fault(sandbox: DockerSandbox, client: Any) -> None:
    process = sandbox.start(["sleep", "100"])
    client.containers.get(sandbox.name).kill()
    outcome = process.wait(20)
    assert outcome is not None
    assert outcome.ended is Ended.HOST_FAULT
    assert not sandbox.alive()


def _names(client: Any) -> list[str]:
    return [c.name for c in client.containers.list(all=True, ignore_removed=True, filters={"label": LABEL})]


def _hold(platform: str, names: Any) -> None:
    platforms = Platforms([resources.platforms_file()])
    pool = Pool(Store(platforms), "docker", run_id="held")
    names.put(pool.sandbox(platforms.get(platform)).fingerprint.extra["container"])
    time.sleep(1000)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_reaper_removes_what_a_killed_run_left_and_nothing_of_a_run_that_is_alive(
    client: Any, sandbox: DockerSandbox
) -> None:
    context = multiprocessing.get_context("spawn")
    names = context.Queue()
    process = context.Process(target=_hold, args=("phytium", names))
    process.start()
    left = names.get(timeout=120)
    assert left not in reap(client)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    process.close()
    names.close()
    # Another run of the suite, beside this one, may have been the first to remove it.
    reap(client)
    deadline = time.monotonic() + 60
    while left in (there := _names(client)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left not in there
    assert sandbox.name in there


def test_an_image_that_is_not_there_is_a_fault_that_names_the_mend(
    store: Store, platforms: Platforms, client: Any
) -> None:
    pool = Pool(store, "docker", image="registry.invalid/none:1")
    with pytest.raises(SandboxFault, match=r"cannot be pulled(.|\n)*docker load"):
        pool.sandbox(platforms.get("phytium"))


def test_an_image_of_another_architecture_is_a_fault(
    store: Store, platforms: Platforms, client: Any, docker_pool: Pool
) -> None:
    sandbox = docker_pool.sandbox(platforms.get("loongson"))
    assert isinstance(sandbox, DockerSandbox)
    image = client.containers.get(sandbox.name).image.tags[0]
    pool = Pool(store, "docker", image=image)
    with pytest.raises(SandboxFault, match="is for loong64; phytium_d2000-kylin_v10_sp1 needs arm64"):
        pool.sandbox(platforms.get("phytium"))


def test_an_image_that_was_named_is_used(store: Store, platforms: Platforms, client: Any, docker_pool: Pool) -> None:
    first = docker_pool.sandbox(platforms.get("phytium"))
    assert isinstance(first, DockerSandbox)
    image = client.containers.get(first.name).image.tags[0]
    pool = Pool(store, "docker", image=image)
    try:
        assert pool.sandbox(platforms.get("phytium")).fingerprint.rootfs == image
    finally:
        pool.close()


def test_an_image_can_be_exported_for_import(docker_pool: Pool, platforms: Platforms, client: Any) -> None:
    sandbox = docker_pool.sandbox(platforms.get("phytium"))
    assert isinstance(sandbox, DockerSandbox)
    with export_image(client.containers.get(sandbox.name).image.id) as path, tarfile.open(path) as tar:
        assert "etc/os-release" in tar.getnames()
    assert not Path(path).exists()


def test_an_image_can_be_imported_as_a_root_filesystem(
    docker_pool: Pool, platforms: Platforms, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_images, "identity_of", lambda _platform, _stand_in: {})  # it is Debian
    sandbox = docker_pool.sandbox(platforms.get("phytium"))
    assert isinstance(sandbox, DockerSandbox)
    image = client.containers.get(sandbox.name).image.tags[0]
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    own = ["--platforms-file", str(Path(__file__).parents[1] / "provision/data/debian.yaml")]
    assert main(["rootfs", "import", "kunpeng", image]) == Exit.ERROR
    assert main([*own, "rootfs", "import", "kunpeng920-debian_11", image]) == 0
    entry = Cache().peek("rootfs", "vendor-kunpeng920-debian_11")
    assert entry is not None
    assert (entry.stand_in, entry.facts["libc"]) == (False, "2.31")
    assert main(["rootfs", "import", "kunpeng", "registry.invalid/none:1"]) == Exit.ERROR


def test_no_engine_is_a_fault_that_names_the_mend(
    store: Store, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(SandboxFault, match=r"no Docker engine answers(.|\n)*xc doctor"):
        Pool(store, "docker").sandbox(platforms.get("phytium"))


def _seccomp_that_refuses_clone3() -> str:
    """As the default profile of Docker before 20.10.10: what it does not know answers EPERM."""
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    }
    return "seccomp=" + json.dumps(profile)


def test_an_engine_that_refuses_clone3_is_named(
    docker_pool: Pool, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 49 of the porting failures; every other test here is its twin."""
    monkeypatch.setattr(DockerSandbox, "SECURITY", ("no-new-privileges", _seccomp_that_refuses_clone3()))
    with contextlib.closing(Pool(docker_pool.store, "docker", run_id="mended")) as mended:
        sandbox = mended.sandbox(platforms.get("phytium"))
        assert sandbox.fingerprint.extra["clone3"] == "EPERM" and not sandbox.fingerprint.degraded, (
            "our filter mends it"
        )
    monkeypatch.setattr(DockerSandbox, "_pin", lambda _self, _programs: errno.EPERM)
    with pytest.raises(SandboxFault, match="XC-HOST-001") as caught:
        docker_pool.sandbox(platforms.get("phytium"))
    assert "20.10.10" in caught.value.mend


def test_clone3_is_tried_in_each_container(sandbox: DockerSandbox) -> None:
    assert sandbox.fingerprint.extra["clone3"] in ("EINVAL", "ENOSYS")


def test_threads_that_fail_for_clone3_are_not_the_subjects_failure(
    tmp_path: Path, docker_pool: Pool, platforms: Platforms, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DockerSandbox, "SECURITY", ("no-new-privileges", _seccomp_that_refuses_clone3()))
    monkeypatch.setattr(DockerSandbox, "_pin", lambda _self, _programs: errno.EPERM)
    (tmp_path / "xinchuang.yaml").write_text(
        'schema: xc-subject/1\nname: x\nversion: "1"\nunits:\n  - {name: u, kind: c, sources: [u.c], links: [pthread]}\n'
    )
    (tmp_path / "u.c").write_text(
        "#include <pthread.h>\nstatic void *w(void *a) { return a; }\n"
        "int main(void) { pthread_t t; return pthread_create(&t, 0, w, 0) ? 7 : pthread_join(t, 0); }\n"
    )
    engine = MruEngine(
        platforms.get("phytium"), load_subject(tmp_path), catalogue, docker_pool, Builder(docker_pool.store.cache)
    )
    decisions = [engine.decision(r.id) for r in catalogue.of(frozenset({"mru"}))]
    assert Verdict.FAIL not in {d.verdict for d in decisions}
    assert any("XC-HOST-001" in d.reason for d in decisions)


def test_what_the_engine_saves_can_be_inspected(
    tmp_path: Path, client: Any, docker_pool: Pool, platforms: Platforms
) -> None:
    from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
    from pytest_xinchuang.sandbox.backends.docker_images import prepare

    platform = platforms.get("phytium")
    prepared = prepare(client, docker_pool, platform, docker_pool.store.emulator(platform.architecture.qemu))
    path = tmp_path / "image.tar"
    with path.open("wb") as file:
        for chunk in client.images.get(prepared.image).save():
            file.write(chunk)
    found = Inspector(isa=False).read(path)
    assert found.root.kind == "image" and len(found.records) > 50
    architectures = platforms.file.architectures
    codes = {f.code for f in Verdicts(platforms.get("loongson"), architectures).of(found) if f.certainty == "certain"}
    assert codes == {"XC-IMG-001", "XC-OS-001"}, "another architecture, and another system"
    assert "XC-IMG-001" not in {f.code for f in Verdicts(platform, architectures).of(found)}


def test_a_failure_in_a_container_is_one(
    tmp_path: Path, docker_pool: Pool, platforms: Platforms, catalogue: Catalogue
) -> None:
    """Counterfactuals that a container cannot offer (another vendor's name) do not make it inconclusive."""
    (tmp_path / "xinchuang.yaml").write_text(
        'schema: xc-subject/1\nname: x\nversion: "1"\nunits:\n  - {name: u, kind: c, sources: [u.c]}\n'
    )
    (tmp_path / "u.c").write_text("int main(void) { return 3; }\n")
    builder = Builder(docker_pool.store.cache)
    engine = MruEngine(platforms.get("zhaoxin"), load_subject(tmp_path), catalogue, docker_pool, builder)
    assert engine.decision("XC-MRU-006").verdict is Verdict.FAIL

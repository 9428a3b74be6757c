"""The results of commands, on small things that are committed here."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import tests
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.packages.syscall_bridge import host
from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from pytest_xinchuang.tools.host import look
from tests.outputs.conftest import Said
from tests.packages.supply_chain.notary import NOTARY
from tests.packages.supply_chain.published import BASE, LIB, SUBJECT, publish
from tests.sandbox.hosts import HOSTS

CORPUS = Path(tests.__path__[0]) / "inspect" / "corpus"
RULES = resources.conformance_dir() / "sdk_ast" / "rules"
HARNESSES = resources.fixtures_dir() / "harness"


@pytest.mark.parametrize("codes", ["XC-ELF-010", "XC-ISA-007 XC-HOST-001", "XC-SUP-040", "XC-RUN-030"])
def test_explain(codes: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("explain", *codes.split()) == snapshot


def test_explain_lists_all(said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("explain") == snapshot


def test_platforms(said: Said, snapshot: SnapshotAssertion) -> None:
    told = said("platforms", "list")
    ends = ("old world)", "旧世界）", "new world)", "新世界）")
    lines = told.splitlines()
    assert "\n".join([*lines[:12], "...", *[line for line in lines if line.endswith(ends)][:6]]) == snapshot
    assert said("platforms", "validate") == snapshot(name="validate")


def test_platforms_that_are_wrong(tmp_path: Path, said: Said, snapshot: SnapshotAssertion) -> None:
    wrong = "schema: xc-platforms/1\nsystems:\n  acme_1: {inherits: kylin_v99, glibc: 2}\n"
    (tmp_path / "mine.yaml").write_text(wrong)
    assert said("platforms", "validate", "mine.yaml") == snapshot


@pytest.mark.parametrize("flags", ["-O2 -march=native", "-O2"])
def test_flags(flags: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("flags", "kunpeng", "--", *flags.split()) == snapshot


def test_inspect(tmp_path: Path, said: Said, snapshot: SnapshotAssertion) -> None:
    # What Python's own modules and squashfs-tools say of the others differs between their versions.
    names = sorted(
        p.name for p in CORPUS.iterdir() if re.match("elf-|deb-|image-index-c|rpm-|cpio-|tar-name|wheel-|empty", p.name)
    )
    for name in names:
        shutil.copy(CORPUS / name, tmp_path)
    assert said("inspect", *names, "--platform", "kunpeng,loongson", "--notes") == snapshot


def test_inspect_of_nothing(said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("inspect", "none", "--platform", "kunpeng") == snapshot


@pytest.mark.tools
@pytest.mark.parametrize(
    "rule",
    [
        "python/PY-PARAM-ADDED-REQUIRED",
        "python/PY-REMOVED",
        pytest.param("c/C-FIELD-MOVED", marks=pytest.mark.slow),  # needs zig's headers
        pytest.param("go/GO-FIELD-REMOVED", marks=pytest.mark.slow),  # needs Go
    ],
)
@pytest.mark.parametrize("format_", ["text", "markdown"])
def test_api_diff(rule: str, format_: str, tmp_path: Path, said: Said, snapshot: SnapshotAssertion) -> None:
    for side in ("old", "new"):
        shutil.copytree(RULES / rule / side, tmp_path / side)
        if rule.startswith("go/"):
            (tmp_path / side / "go.mod").write_text("module example.com/m\n\ngo 1.21\n")
    kind = ["--kind", "c"] if rule.startswith("c/") else []
    assert said("api", "diff", "old", "new", "--offline", "--format", format_, "--all", *kind) == snapshot


def test_api_rules(said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("api", "rules", "GO-FUNC-REMOVED") == snapshot


@pytest.mark.slow  # needs Go
def test_supply_chain_check(
    tmp_path: Path, said: Said, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSUMDB", NOTARY.key)
    publish(tmp_path / "proxy", "example.org/lib", "v1.2.0", LIB)
    publish(tmp_path / "proxy", "example.org/base", "v1.0.0", BASE)
    for name, text in SUBJECT.items():
        (tmp_path / "subject").mkdir(exist_ok=True)
        (tmp_path / "subject" / name).write_text(text)
    zeros = "h1:" + "A" * 43 + "="
    (tmp_path / "subject" / "go.sum").write_text(
        f"example.org/lib v1.2.0 {zeros}\nexample.org/lib v1.2.0/go.mod {zeros}\nexample.org/other v0.3.0 {zeros}\n"
    )
    (tmp_path / "allow.yaml").write_text(
        "schema: xc-allow-list/1\nmodules:\n  - {module: example.org/base, expires: 2020-01-01}\n"
    )
    words = ["--proxy", "proxy", "--offline", "--allow-list", "allow.yaml"]
    assert said("supply-chain", "check", "subject", *words) == snapshot


TABLES = {
    "old": {"read": 63, "openat": 56, "renameat": 38, "fstat": 80},
    "new": {"read": 63, "openat": 57, "renameat2": 276, "statx": 291},
}


@pytest.mark.parametrize("words", ["diff old.json new.json", "diff old.json old.json", "diff old.json none.json"])
def test_syscalls(words: str, tmp_path: Path, said: Said, snapshot: SnapshotAssertion) -> None:
    for name, calls in TABLES.items():
        table = {"schema": "xc-syscalls/1", "arch": "arm64", "kernel": name, "source": "a test", "calls": calls}
        (tmp_path / f"{name}.json").write_text(json.dumps(table))
    assert said("syscalls", *words.split()) == snapshot


@pytest.mark.slow  # needs zig's headers, and goes through them all
def test_syscalls_table(said: Said, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(said("syscalls", "table", "loong64").splitlines()[:8]) == snapshot
    assert said("syscalls", "table", "vax") == snapshot(name="no such architecture")
    assert said("syscalls", "diff", "loong64", "arm64") == snapshot(name="diff")
    assert said("syscalls", "layout", "show", "timespec") == snapshot(name="layout")


@pytest.mark.slow  # builds with zig
def test_inspect_of_a_new_libc(tmp_path: Path, platforms: Platforms, said: Said, snapshot: SnapshotAssertion) -> None:
    (tmp_path / "hello.c").write_text('#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n')
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.34")
    (tmp_path / "hello").write_bytes(Builder(Cache()).c(target, [tmp_path / "hello.c"]))
    assert said("inspect", "hello", "--platform", "kunpeng,loongson") == snapshot


def test_host_check(tmp_path: Path, said: Said, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {
        "proc/sys/kernel/osrelease": "4.19.90-23.ky10\n",
        "proc/sys/vm/max_map_count": "65530\n",
        "proc/sys/a/b": "odd",
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "1073741824\n",
        "sys/fs/cgroup/cpu.max": "100000 100000\n",
    }
    for name, text in facts.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    monkeypatch.setattr(host, "situation", lambda: look(HOSTS["Debian 12"].picture))
    real = host.check_host

    def faked(needs: HostNeeds) -> list[host.HostNeed]:
        return real(needs, tmp_path / "root", lambda number: "ENOSYS" if number == 441 else "EINVAL")

    monkeypatch.setattr(host, "check_host", faked)
    (tmp_path / "xinchuang.yaml").write_text(
        "schema: xc-subject/1\nname: acme\nversion: '1'\n"
        "units:\n  - {name: version, kind: rootfs, program: /usr/bin/openssl}\n"
        "host:\n  kernel: '5.10'\n  calls: [io_uring_setup, epoll_pwait2, no_such_call]\n"
        "  sysctls: {vm.max_map_count: 262144, a.b: 1, c.d: 2}\n  memory_mb: 2048\n  cpus: 1\n"
    )
    assert said("host", "check") == snapshot


@pytest.mark.tools
@pytest.mark.parametrize("vectors", ["sm3_standard", "sm4_cbc_pkcs7", "sm4_gcm", "sm9"])
def test_sm_run(
    vectors: str, tmp_path: Path, said: Said, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gmssl is known to accept any padding, and offers no GCM."""
    for name in ("wire.py", "harness_gmssl.py"):
        shutil.copy(HARNESSES / "python" / name, tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert said("sm", "run", "--tc", vectors, "--", sys.executable, "harness_gmssl.py") == snapshot


@pytest.mark.tools
@pytest.mark.parametrize(
    "program", ["exit(3)", "print('hello', flush=True)", 'print(\'{"hello": "xc-sm-harness/9"}\', flush=True)']
)
def test_sm_run_of_a_harness_that_does_not_speak(program: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("sm", "run", "--tc", "sm3_standard", "--", sys.executable, "-c", program) == snapshot


def test_sm_vectors(said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("sm", "vectors") == snapshot
    assert said("sm", "vectors", "sm2_verify/40") == snapshot(name="one")


@pytest.mark.parametrize("kind", ["c", "go"])
def test_templates(kind: str, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("sm", "init", "--kind", kind, "harness") == snapshot
    assert said("syscalls", "bridge", "init", "--kind", kind, "bridge") == snapshot(name="bridge")


def test_a_subject(tmp_path: Path, said: Said, snapshot: SnapshotAssertion) -> None:
    assert said("subject", "init", "new") == snapshot
    assert said("subject", "check", "new") == snapshot(name="checked")
    (tmp_path / "xinchuang.yaml").write_text("schema: xc-subject/1\nname: 3\nuints: []\n")
    assert said("subject", "check") == snapshot(name="wrong")
    assert said("subject", "check", "none") == snapshot(name="not there")

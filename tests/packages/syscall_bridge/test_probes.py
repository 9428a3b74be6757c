"""Probes as data, what they expect under which profile, and harnesses that misbehave."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.harness.protocol import ProtocolError
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient, ReplyFault
from pytest_xinchuang.packages.syscall_bridge.expect import agrees, evaluate
from pytest_xinchuang.packages.syscall_bridge.probes import Probes, load_probes, probes_file
from pytest_xinchuang.packages.syscall_bridge.reference import Column, divergences
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, run_bridge, run_kernel
from pytest_xinchuang.sandbox.emulators import known_difference, lacking_calls, load_emulators
from pytest_xinchuang.sandbox.local import local


def test_there_are_enough_assertions_and_each_has_its_rule() -> None:
    rules = list(load_probes().assertions())
    assert len(rules) >= 250 and len({name for name, _ in rules}) == len(rules)
    assert all(len(source) > 5 for _, source in rules)
    groups = {p.group for p in load_probes().kernel.values()}
    assert {"file", "process", "memory", "clock", "signal", "wait", "terminal", "socket", "seccomp"} <= groups


# -- expectations


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("page * 16", 262144),
        ("2**33 - 1", 2**33 - 1),
        ("SIGKILL", 9),
        ("EINVAL", 22),
        ("-3 // 2", -2),
        ("a % 5", 2),
    ],
)
def test_expressions(text: str, value: int) -> None:
    assert evaluate(text, {"page": 16384, "a": 7}) == value


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.b", "unknown", "1 if a else 2", "2**999", "[1]", "1 +", "str(1, 2)", "1 / 0", "1 // 0"],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(DataFileError, match="not an expression"):
        evaluate(text, {"a": 1})


@pytest.mark.parametrize(
    ("expected", "found", "verdict"),
    [
        (5, 5, True),
        (5, "5", False),
        (1, 2, False),
        (">= t + 5", 15, True),
        (">= t + 5", 14, False),
        ("> 0", 0, False),
        ("< 3", 2, True),
        ("exited", "exited", True),
        ("exited", "signaled", False),
        ("EPERM", 1, True),
        ("t", None, False),
    ],
)
def test_agreement(expected: int | str, found: object, verdict: bool) -> None:
    assert agrees(expected, found, {"t": 10}) is verdict


def test_profiles() -> None:
    probes = load_probes()
    sigset = probes.kernel["k.sigset"].values
    assert probes.expected("k.sigset", sigset["size_8"], "linux", 4096) == 0
    assert probes.expected("k.sigset", sigset["size_8"], "linux-old-world", 16384) == "EINVAL"
    assert probes.expected("k.sigset", sigset["size_16"], "linux-old-world", 16384) == 0
    # Documented for LiteOS-A: 30 signals; everything else is nobody's word.
    assert probes.expected("k.sigset", sigset["highest_can"], "liteos-a", 4096) == 0
    assert probes.expected("k.sigset", sigset["size_8"], "liteos-a", 4096) is None
    assert probes.expected("k.fork", 1, "liteos-a", 4096) is None
    assert probes.expected("k.seccomp", 0, "openharmony-standard", 4096) is None
    offset = probes.kernel["k.pages"].values["offset_4096"]
    assert probes.expected("k.pages", offset, "linux", 4096) == 0
    assert probes.expected("k.pages", offset, "linux", 65536) == "EINVAL"
    with pytest.raises(UnknownName, match="vxworks"):
        probes.lineage("vxworks")


def test_a_laboratory_adds_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "schema: xc-probes/1\n"
        "profiles: {ours: {title: {zh: 我们的, en: ours}}}\n"
        "bridge:\n"
        "  - id: own.one\n    requirement: XC-SYS-020\n    source: our own manual\n"
        "    steps: [{do: close, fd: 999, is: {ours: EIO}}]\n"
    )
    probes = Probes([probes_file(), own])
    assert "own.one" in probes.bridge and "k.fork" in probes.kernel
    assert probes.expected("own.one", {"ours": "EIO"}, "ours", 4096) == "EIO"
    assert probes.expected("own.one", {"ours": "EIO"}, "linux", 4096) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema: other/1\n", "schema"),
        ("schema: xc-probes/1\nbridge: [{id: x}]\n", "bridge"),
        ("schema: xc-probes/1\nprofiles: {a: {title: {zh: a, en: a}, inherits: b}}\n", "inherits"),
        ("schema: xc-probes/1\nkernel: [{id: k.a, group: g, source: source, values: {}}]\n", "values"),
        ("nothing", "mapping|expected"),
    ],
)
def test_probes_that_are_none(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(DataFileError, match=told):
        Probes([tmp_path / "p.yaml"])


# -- harnesses


HARNESS = """
import json, os, sys, time
def say(value): print(json.dumps(value), flush=True)
{hello}
for line in sys.stdin:
    r = json.loads(line)
    {body}
"""
HELLO = 'say({"hello": "xc-bridge/1", "name": "h", "version": "1", "operations": ["close", "openat"]})'


def client(tmp_path: Path, body: str, hello: str = HELLO, timeout_s: float = 5.0) -> BridgeClient:
    script = tmp_path / "harness.py"
    script.write_text(HARNESS.format(hello=hello, body=body))
    return BridgeClient(local([sys.executable, str(script)]), timeout_s=timeout_s)


@pytest.mark.tools
@pytest.mark.parametrize(
    ("body", "came", "told"),
    [
        ('say({"id": r["id"], "result": 3})', ReplyKind.REPLY, ""),
        ('say({"id": r["id"] - 1, "result": 9}); say({"id": r["id"], "result": 3})', ReplyKind.REPLY, ""),
        ('say({"id": r["id"], "unknown": "O_X"})', ReplyKind.REPLY, "does not know O_X"),
        ('say({"id": r["id"]})', ReplyKind.REPLY, "not a reply"),
        ('say({"id": r["id"], "result": "3"})', ReplyKind.REPLY, "not a reply"),
        ('say({"id": r["id"], "result": True})', ReplyKind.REPLY, "not a reply"),
        ('say({"id": r["id"], "result": 3, "data": "zz"})', ReplyKind.REPLY, "not a reply"),
        ('say({"id": r["id"], "result": 3, "values": []})', ReplyKind.REPLY, "not a reply"),
        ('say({"id": 77, "result": 3})', ReplyKind.REPLY, "id is not"),
        ("print('noise', flush=True)", ReplyKind.REPLY, "not a reply"),
        ("say([])", ReplyKind.REPLY, "not a reply"),
        ("os._exit(3)", ReplyKind.DIED, "exit code 3"),
        ("os.kill(os.getpid(), 11)", ReplyKind.DIED, "SIGSEGV"),
    ],
)
def test_replies(body: str, came: ReplyKind, told: str, tmp_path: Path) -> None:
    with client(tmp_path, body) as harness:
        reply = harness.ask("close", fd=1)
    assert reply.kind is came and told in reply.detail
    if not told:
        assert reply.result == 3


@pytest.mark.tools
@pytest.mark.parametrize(
    ("unknown", "fault"),
    [
        ('"operation"', ReplyFault.UNKNOWN_OPERATION),
        ('"close"', ReplyFault.UNKNOWN_OPERATION),
        ('"O_X"', ReplyFault.UNKNOWN_NAME),
        ('"operation, or so it is said: ENOSYS"', ReplyFault.UNKNOWN_NAME),
        ("[1]", ReplyFault.UNKNOWN_NAME),
        ("None", ReplyFault.UNKNOWN_NAME),
    ],
)
def test_what_is_not_known(unknown: str, fault: ReplyFault, tmp_path: Path) -> None:
    with client(tmp_path, f'say({{"id": r["id"], "unknown": {unknown}}})') as harness:
        reply = harness.ask("close", fd=1)
    assert reply.fault is fault and not reply.good and reply.error == 0


@pytest.mark.tools
def test_silence(tmp_path: Path) -> None:
    with client(tmp_path, "time.sleep(60)", timeout_s=0.5) as harness:
        assert harness.ask("close", fd=1).kind is ReplyKind.HUNG


@pytest.mark.tools
@pytest.mark.parametrize(
    "hello",
    [
        "pass",
        'say({"hello": "xc-bridge/0"})',
        "print('hi', flush=True)",
        "sys.exit(4)",
        'say({"hello": "xc-bridge/1", "name": "h", "version": "1", "operations": []})',
    ],
)
def test_no_hello(hello: str, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="hello"):
        client(tmp_path, "pass", hello, timeout_s=1.0)


@pytest.mark.tools
def test_a_probe_goes_no_further_than_it_can(tmp_path: Path) -> None:
    probes = load_probes()
    only = [
        p for p in probes.bridge.values() if p.id in ("descriptors.failing-leaves-none", "errno.open", "files.stat")
    ]
    with client(tmp_path, 'say({"id": r["id"], "result": -1, "errno": 2})') as harness:
        seen = run_bridge(harness, probes, only, "linux", 4096)
    results = {s.id.partition("#")[0]: s.result for s in seen}
    # Operations that it has not got are not asked, and nothing is failed for them.
    assert results["files.stat"] is ProbeResult.UNSUPPORTED and results["errno.open"] is ProbeResult.UNSUPPORTED
    with client(tmp_path, "os._exit(1)") as harness:
        probe = probes.bridge["descriptors.failing-leaves-none"].model_copy(
            update={"steps": probes.bridge["descriptors.failing-leaves-none"].steps[:2]}
        )
        seen = run_bridge(harness, probes, [probe], "linux", 4096)
    assert [s.result for s in seen] == [ProbeResult.FAILED]


STEPS = [
    {"do": "openat", "path": "p", "is": "fd", "as": "f"},
    {"do": "openat", "path": "q", "as": {"n": "note"}},
    {"do": "close", "fd": "=n", "is": ">= n + 1"},
]


@pytest.mark.tools
@pytest.mark.parametrize(
    ("second", "told"),
    [
        ('"values": {"note": 3}', ""),
        # What no expectation looks at, and the next step builds on.
        ('"values": {}', "own.lost#2 openat kept: 4, expected note"),
        ('"values": {"note": [1]}', "own.lost#2 openat kept"),
        ('"values": {"note": 1e400}', "own.lost#2 openat kept"),
        ('"values": {"note": true}', "own.lost#2 openat kept"),
        ('"values": {"note": null}', "own.lost#2 openat kept"),
        ('"errno": 5', "own.lost#2 openat kept"),
        ('"unknown": "O_X"', "own.lost#2 openat kept: it does not know O_X"),
        ('"values": {"note": "text"}', "own.lost#2 openat kept"),
    ],
)
def test_nothing_of_a_probe_is_lost(second: str, told: str, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    steps = json.dumps(STEPS)
    own.write_text(
        "schema: xc-probes/1\n"
        f"bridge: [{{id: own.lost, requirement: XC-SYS-020, source: our own manual, steps: {steps}}}]\n"
    )
    probes = Probes([probes_file(), own])
    body = f"""print('{{"id": %d, "result": 4%s}}' % (r["id"], {{2: ', {second}'}}.get(r["id"], "")), flush=True)"""
    with client(tmp_path, body) as harness:
        seen = run_bridge(harness, probes, [probes.bridge["own.lost"]], "linux", 4096)
    failed = [s.text() for s in seen if s.result in (ProbeResult.FAILED, ProbeResult.NOT_REACHED)]
    assert bool(failed) is bool(told) and all(told in text for text in failed), seen


@pytest.mark.tools
def test_a_kernel_probe_that_dies_is_not_a_pass(tmp_path: Path) -> None:
    hello = HELLO.replace('"openat"', '"k.fork"')
    with client(tmp_path, 'say({"id": r["id"], "result": 0, "values": {"died": 11}})', hello) as harness:
        seen = run_kernel(harness, load_probes(), "linux", 4096)
    assert seen and {s.result for s in seen} == {ProbeResult.FAILED} and "killed by signal 11" in seen[0].found


# -- differences


def seen(name: str, found: str, result: ProbeResult) -> ProbeOutcome:
    return ProbeOutcome(name, verbatim("a rule"), verbatim("1"), verbatim(found), result)


def column(name: str, emulator: str, *rows: ProbeOutcome) -> Column:
    return Column(name, "arm64", "emulated-user", 4096, "6.1", emulator, rows)


def test_a_difference_is_explained_or_it_is_not() -> None:
    good = column(
        "system",
        "qemu-system",
        seen("k.vfork.memory_is_shared", "1", ProbeResult.PASSED),
        seen("k.fork.x", "1", ProbeResult.PASSED),
    )
    user = column(
        "user",
        "qemu-user",
        seen("k.vfork.memory_is_shared", "0", ProbeResult.FAILED),
        seen("k.fork.x", "0", ProbeResult.FAILED),
    )
    known, unknown = divergences([user, good])
    assert known.id == "k.vfork.memory_is_shared" and "fork" in known.reason and known.believe == "emulated-system"
    assert unknown.id == "k.fork.x" and not unknown.reason
    assert divergences([good]) == []
    # What is known of an emulator explains nothing of a kernel.
    kernel = column("system", "qemu-system", seen("k.vfork.memory_is_shared", "0", ProbeResult.FAILED))
    assert not divergences([kernel])[0].reason


def test_known_differences_name_probes_that_are_there() -> None:
    names = {name for name, _ in load_probes().assertions()}
    for name, emulator in load_emulators().emulators.items():
        for difference in emulator.probes:
            for pattern in difference.probes:
                covered = [n for n in names if known_difference(n, "arm64", name) is difference]
                assert covered, pattern
    assert "clone3" in lacking_calls() and known_difference("k.fork.status", "arm64", "qemu-user") is None

"""Those who speak to us: harnesses, agents, TLS servers, and whatever target code prints."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import verbatim
from tests.fuzz import seeds
from tests.fuzz.common import say
from tests.fuzz.drive import Case
from tests.fuzz.measures import SM_HELLO

if TYPE_CHECKING:
    from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Spoken


class _Said:
    """A process that has said it all, and ended."""

    def __init__(self, data: bytes) -> None:
        self.stdout: IO[bytes] = io.BufferedReader(io.BytesIO(data))
        self.stderr: IO[bytes] = io.BufferedReader(io.BytesIO(data[:64]))
        self.stdin: IO[bytes] = io.BytesIO()

    def wait(self, _timeout_s: float | None = None) -> Any:
        from pytest_xinchuang.sandbox.protocol import Ended, Outcome

        return Outcome(("x",), Ended.EXITED, 0, None, b"", b"", 1.0, 1.0)

    kill = wait


def hear_harness(case: Case, place: Path) -> None:
    if case.name.startswith("bridge"):
        _bridge(case.data)
        return
    from pytest_xinchuang.packages.sm_crypto.client import SmClient
    from pytest_xinchuang.packages.sm_crypto.runner import run_vectors

    with SmClient(lambda: _Said(case.data), timeout_s=2.0, start_timeout_s=2.0) as client:
        run = run_vectors(client, some_vectors())
        say(
            *(outcome.detail for outcome in run.seen), *(c.what for c in run.crashes), *(v.what for v in run.violations)
        )


def _bridge(data: bytes) -> None:
    from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient
    from pytest_xinchuang.packages.syscall_bridge.runner import run_bridge, run_kernel

    probes = shipped_probes()
    with BridgeClient(lambda: _Said(data), timeout_s=2.0) as client:
        outcomes = run_bridge(client, probes, list(probes.bridge.values())[:3], "linux", 4096)
        outcomes += run_kernel(client, probes, "linux", 4096)
        say(*(outcome.text() for outcome in outcomes[:16] + outcomes[-8:]))


@cache
def shipped_probes() -> Any:
    from pytest_xinchuang.packages.syscall_bridge.probes import load_probes

    return load_probes()


@cache
def some_vectors() -> Any:

    from pytest_xinchuang.packages.sm_crypto.vectors import load_directory

    with tempfile.TemporaryDirectory() as scratch:
        for case in seeds.vectors()[::5]:
            (Path(scratch) / case.name).write_bytes(case.data)
        return [vector for one in load_directory(Path(scratch)) for vector in one.vectors()][:7]


def harness_seeds() -> list[Case]:
    replies = [
        {"id": n, "digest": "00" * 32, "valid": True, "ct": "00", "msg": "00", "signature": "00", "mac": "00"}
        for n in range(1, 15)
    ]
    sm = [SM_HELLO, *map(json.dumps, replies)]
    operations = sorted({step.do for probe in shipped_probes().bridge.values() for step in probe.steps})
    hello = {
        "hello": "xc-bridge/1",
        "name": "x",
        "version": "1",
        "operations": [*operations, *shipped_probes().kernel],
    }
    said = [
        {
            "id": n,
            "result": 3 if n % 3 else -1,
            "errno": 0 if n % 3 else 2,
            "values": {"size": 4, "died": 0},
            "data": "00",
        }
        for n in range(1, 60)
    ]
    return [
        Case("sm.jsonl", "".join(f"{line}\n" for line in sm).encode()),
        Case("bridge.jsonl", "".join(f"{line}\n" for line in map(json.dumps, [hello, *said])).encode()),
    ]


def hear_agent(case: Case, place: Path) -> None:
    from pytest_xinchuang.sandbox.agent_client import AgentSandbox

    class Fed(AgentSandbox):
        """An agent whose every answer is the mutant."""

        fed = False

        def _transmit(self, data: bytes) -> None:
            if not self.fed:
                self.fed = True
                for start in range(0, len(case.data), 700):
                    self._take_bytes(case.data[start : start + 700])

        def _wait(self, stream: Any, deadline: float) -> bool:
            if stream.answer is None:
                self._die(verbatim("the end of the mutant"))
            return super()._wait(stream, deadline)

        def close(self) -> None: ...

    def sandbox() -> Fed:
        made = Fed("x", prefix=[], environment={}, cpu_model="", timeout_scale=1.0, emulated=True)
        made._ids = iter([1] * 99)  # type: ignore[assignment]
        return made

    calls: list[Callable[[Fed], Any]] = [
        lambda s: s.run(["./a"], stdin=b"x").describe_with_tail(),
        lambda s: s.get("/a"),
        lambda s: s.changes(),
        lambda s: s.put("/a", b""),
        lambda s: s.start(["./a"]).kill().describe(),
    ]
    for call in calls:
        with contextlib.suppress(XcError, OSError):
            print(call(sandbox()))


def agent_seeds() -> list[Case]:

    def frame(kind: int, payload: bytes) -> bytes:
        return struct.pack(">IBI", len(payload) + 5, kind, 1) + payload

    ended = {"status": 256, "wall_ns": 12, "cpu_ms": 3, "left": 0, "over": ""}
    return [
        Case(
            "run.bin",
            frame(101, b"out") + frame(102, b"err") + frame(106, b"trace") + frame(103, json.dumps(ended).encode()),
        ),
        Case("exec.bin", frame(103, b'{"exec_errno": 2}')),
        Case("broken.bin", frame(103, b'{"broken": {"id": "lost {x}", "params": {"x": 1}}}')),
        Case("file.bin", frame(105, b"data") + frame(104, b'{"errno": 0, "paths": ["/etc/a"]}')),
        Case("bad.bin", frame(104, b'{"errno": 13}')),
    ]


def hear_server(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sm_crypto.tls import hello, legacy, offer, rfc8998, tlcp
    from pytest_xinchuang.packages.sm_crypto.tls.judging import judge
    from pytest_xinchuang.packages.sm_crypto.tls.wire import TlsError

    if case.name == "leaf.der":
        _judge_chain(case.data)
        return

    class Channel:
        def __init__(self) -> None:
            self.parts: Iterator[bytes] = iter([case.data[i : i + 500] for i in range(0, len(case.data), 500)])

        def send(self, data: bytes) -> None: ...

        def receive(self) -> bytes:
            return next(self.parts, b"")

        def close(self) -> None: ...

    def old() -> Spoken:
        spoken, _flight = legacy.speak(Channel, "example.org", hello.TLS12)
        return spoken

    ways: list[Callable[[], Spoken]] = [lambda: tlcp.speak(Channel), lambda: rfc8998.speak(Channel, "example.org"), old]
    for way in ways:
        try:
            spoken = way()
            judge(spoken, [], "example.org")
            print(spoken, spoken.all_problems, spoken.notes)
        except TlsError as error:
            say(str(error.args[0]))
    try:
        print(offer.offer_of(*hello.read_client_hello(case.data[9:]), "peer"))
    except TlsError as error:
        say(str(error.args[0]))


def _judge_chain(leaf: bytes) -> None:
    """As the probe of a TLS endpoint does."""
    from pytest_xinchuang.packages.sm_crypto.certificates import ChainJudge, parse
    from pytest_xinchuang.sm.sm2 import Refused

    roots, time, _leaf = _chain()
    try:
        found = parse(leaf)
        say(f"{found.subject} {found.issuer} {found.usages} {found.is_ca} {found.path_length} {found.signature_oids}")
        ChainJudge().judge([leaf], roots, time, "sign")
    except Refused as refused:
        say(str(refused))


@cache
def _chain() -> tuple[list[bytes], int, bytes]:
    path = resources.fixtures_dir() / "vectors" / "sm2_certificate_test.json"
    group = json.loads(path.read_bytes())["testGroups"][0]
    return [bytes.fromhex(root) for root in group["roots"]], group["time"], bytes.fromhex(group["tests"][0]["chain"][0])


def tls_seeds() -> list[Case]:
    from pytest_xinchuang.packages.sm_crypto.tls.hello import ClientHello

    def record(kind: int, body: bytes, version: bytes = b"\x01\x01") -> bytes:
        return bytes([kind]) + version + len(body).to_bytes(2) + body

    def message(kind: int, body: bytes) -> bytes:
        return bytes([kind]) + len(body).to_bytes(3) + body

    hello = b"\x01\x01" + bytes(32) + b"\0" + b"\xe0\x13" + b"\0"
    der = _chain()[2]
    certificate = message(11, (3 + len(der)).to_bytes(3) + len(der).to_bytes(3) + der)
    share = b"\x00\x33\x00\x45\x00\x29\x00\x41" + b"\x04" + bytes(64)
    extensions = b"\x00\x2b\x00\x02\x03\x04" + share
    hello13 = b"\x03\x03" + bytes(32) + b"\0" + b"\x00\xc6" + b"\0" + len(extensions).to_bytes(2) + extensions
    return [
        Case(
            "tlcp.bin",
            record(22, message(2, hello) + certificate + message(12, b"\0\x04\x30\x02\x02\x00"))
            + record(22, message(14, b"")),
        ),
        Case(
            "tls13.bin",
            record(22, message(2, hello13), b"\x03\x03")
            + record(20, b"\1", b"\x03\x03")
            + record(23, bytes(40), b"\x03\x03"),
        ),
        Case(
            "tls12.bin",
            record(
                22,
                message(2, b"\x03\x03" + bytes(32) + b"\0\xc0\x2f\0\x00\x05\xff\x01\x00\x01\0") + certificate,
                b"\x03\x03",
            )
            + record(22, message(12, b"\3\0\x17\1\4\4\1\0\0") + message(13, bytes(5)) + message(14, b""), b"\x03\x03"),
        ),
        Case("client.bin", ClientHello(0x0303, (0xC02F, 0x0005), ((43, b"\2\3\4"), (0, b"\0\4\0\0\1a"))).record),
        Case("leaf.der", _chain()[2]),
        Case("alert.bin", record(21, b"\x02\x28")),
    ]


def read_output(case: Case, place: Path) -> None:
    """What target code and tools print, and we read: traces, test2json, cover profiles."""
    from pytest_xinchuang.gotest.result import coverage_of
    from pytest_xinchuang.sandbox.emulator_faults import classify, without_noise
    from pytest_xinchuang.sandbox.strace import read_calls

    coverage_of(case.data)
    without_noise(case.data)
    for status in (0, 256, 6, 11, 139 << 8):
        say(classify(status, case.data, True, None)[3])
    for call in read_calls(case.data.decode(errors="replace").splitlines()):
        print(call, call.errno, call.refused)


def output_seeds() -> list[Case]:
    trace = b'12 openat(AT_FDCWD,"/etc/x",O_RDONLY) = 3\n12 clone(0x11,0x0) = 13\n12 clone(0x11) = 0\n13 exit_group(0)\n12 Unknown syscall 999\n12 read(3,0x1,2) = -1 errno=38 (Function not implemented)\n'
    cover = b"mode: set\nexample.org/a.go:1.2,3.4 5 1\nexample.org/a.go:5.2,6.4 2 0\n"
    noise = b"qemu-aarch64: warning: x\nqemu: uncaught target signal 11 (Segmentation fault) - core dumped\n"
    return [Case("trace.txt", trace), Case("cover.txt", cover), Case("stderr.txt", noise)]

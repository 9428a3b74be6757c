"""What is fuzzed: every reader of what others wrote, with what is done with it afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import IO, Any

import yaml

from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import LANGUAGES, verbatim
from tests.fuzz import seeds
from tests.fuzz.drive import Case, Target

_CHECKSUM = re.compile(rb',\s*"crc32":\s*"[^"]*"\}$')


def _put(case: Case, place: Path) -> Path:
    path = place / case.name
    path.write_bytes(case.data)
    return path


def _language(case: Case) -> tuple[str, ...]:
    """One of the languages: both take twice as long, and find the same."""
    return (LANGUAGES[zlib.crc32(case.data) % len(LANGUAGES)],)


def _both(*texts: str) -> None:
    for language in LANGUAGES:
        for text in texts:
            speak(text, language)


# -- journals


def _report_prepared() -> None:
    _installed()
    os.fsync = lambda _fd: None  # type: ignore[assignment] # a disk need not keep what the next mutant throws away


def _report(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.grade import grade_run
    from pytest_xinchuang.core.journal import read_journal
    from pytest_xinchuang.report.files import write_reports
    from pytest_xinchuang.report.terminal import write_table

    result = grade_run(read_journal(_put(case, place)), _installed().parts)
    for language in _language(case):
        for path in write_reports(result, place, language):
            path.read_text(encoding="utf-8")
        write_table(result, lambda text, **_markup: speak(text, "zh"), language=language)


@cache
def _installed() -> Any:
    from pytest_xinchuang.packages.registry import installed

    return installed()


def _sealed(case: Case, _random: Random) -> bytes:
    """Each line with the checksum that it should have."""
    out = []
    for line in case.data.split(b"\n")[:-1]:
        body = _CHECKSUM.sub(b"}", line)
        out.append(body[:-1] + b', "crc32": "%08x"}' % zlib.crc32(body) if body.endswith(b"}") else line)
    return b"\n".join(out) + b"\n"


# -- data files


def _manifest(case: Case, place: Path) -> None:
    for name in ("unit.c", "a.c", "tool", "install.sh"):
        (place / name).write_text('#include "x.h"\n')
    subject = _installed().subject(_put(case, place).parent)
    print(subject.digest, subject.name, subject.version)


@cache
def _small_platforms() -> bytes:
    """A part of the shipped file that stands by itself."""
    whole = yaml.safe_load(resources.platforms_file().read_bytes())
    kept = {
        "architectures": ("arm64", "amd64"),
        "cpus": ("kunpeng920",),
        "systems": ("kylin_v10_sp3",),
        "shorts": (),
    }
    parts = {
        key: {k: v for k, v in value.items() if k in kept[key]} if key in kept else value
        for key, value in whole.items()
    }
    return yaml.safe_dump(parts, allow_unicode=True, sort_keys=False).encode()


@cache
def _shipped_platforms() -> Path:
    return resources.platforms_file()


def _platforms(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.platform import Platforms

    (place / "base.yaml").write_bytes(_small_platforms())
    found = Platforms([place / "base.yaml", _put(case, place)])
    for platform in found.select(["all"]):
        _both(platform.id, platform.cpu.title.message(), platform.system.title.message())
    print(found.ids)


def _lists(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.finding import FindingCatalogue
    from pytest_xinchuang.core.porting import load_porting
    from pytest_xinchuang.core.profile import load_profile, load_waivers
    from pytest_xinchuang.core.requirement import load_catalogue
    from pytest_xinchuang.packages.sdk_ast.policy import load_policy
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes

    path = _put(case, place)
    readers: dict[str, Callable[[Path], Any]] = {
        "waivers.yaml": load_waivers,
        "profiles.yaml": lambda p: load_profile(p, "connect"),
        "requirements.yaml": lambda p: load_catalogue(p).digest,
        "xc-api.yaml": load_policy,
        "porting.yaml": load_porting,
        "probes.yaml": lambda p: len(list(Probes([p]).assertions())),
        "findings.yaml": lambda p: list(FindingCatalogue(p).rules),
    }
    print(readers[case.name](path))


# -- vectors, layouts, snapshots


def _vectors(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sm_crypto.judge import TYPES, asks
    from pytest_xinchuang.packages.sm_crypto.vectors import load_directory, told_vector

    _put(case, place)
    hello = _sm_hello()
    for loaded in load_directory(place):
        for vector in loaded.vectors():
            _both(told_vector(vector))
            if vector.group.type not in TYPES:
                continue  # whoever runs them has looked before
            for ask in asks(vector, hello):
                hello.lacks(ask.request)
                json.dumps(ask.request)


@cache
def _sm_hello() -> Any:
    from pytest_xinchuang.packages.sm_crypto.protocol import SmHello

    return SmHello.model_validate_json(_SM_HELLO)


_OPERATIONS = (
    "sm3", "hmac_sm3", "hkdf_sm3", "pbkdf2_sm3", "x963kdf_sm3", "sm3_stream", "hmac_sm3_stream", "sm4_encrypt", "sm4_decrypt", "sm2_sign", "sm2_verify",
    "sm2_encrypt", "sm2_decrypt", "sm2_exchange", "sm2_public", "sm2_keygen", "sm2_certificate",
)  # fmt: skip
_SM_HELLO = json.dumps(
    {
        "hello": "xc-sm-harness/1", "name": "x", "version": "1", "language": "c", "default_id": "31323334", "parses_der": "library",
        "operations": {name: {"encoding": ["der", "raw"], "k": [True], "iv_bytes": [12, 16], "msg_bytes": [0, 100000]} for name in _OPERATIONS},
    }
)  # fmt: skip


def _layouts(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.syscall_bridge.generate import assertions
    from pytest_xinchuang.packages.syscall_bridge.layouts import compare_layouts, load_snapshot
    from pytest_xinchuang.packages.syscall_bridge.tables import compare, load_table

    path = _put(case, place)
    if case.name.endswith(".json"):
        table = load_table(path)
        print(table.text(), compare(table, _good_table(), ["read"]).as_dict())
        return
    layouts, good = load_snapshot(path), _good_layouts()
    print(layouts.dependent)
    for before, after in ((layouts, good), (good, layouts)):
        with contextlib.suppress(XcError):
            for shift in compare_layouts(before, after):
                _both(shift.text())
    for arch in layouts.archs[:2]:
        print(*assertions(layouts, arch, None).values(), *(layout.text() for layout in layouts.of(arch).values()))


@cache
def _good_layouts() -> Any:
    return _read_good("layouts.jsonl", "load_snapshot", "layouts")


@cache
def _good_table() -> Any:
    return _read_good("table.json", "load_table", "tables")


def _read_good(name: str, function: str, module: str) -> Any:
    import importlib
    import tempfile

    found = importlib.import_module(f"pytest_xinchuang.packages.syscall_bridge.{module}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        path.write_bytes(next(c.data for c in seeds.layouts() if c.name == name))
        return getattr(found, function)(path)


def _api(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sdk_ast import report
    from pytest_xinchuang.packages.sdk_ast.compare import compare, compare_across
    from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
    from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot

    read, good_place = Snapshot(_put(case, place)), place / "good.jsonl"
    good_place.write_bytes(_good_api(read.header.language))
    good, policy = Snapshot(good_place), ApiPolicy()
    comparisons = [compare(good, read, _rules(), policy), compare(read, good, _rules(), policy)]
    if len(read.header.targets) > 1:
        comparisons.append(compare_across(read, _rules(), policy))
    for comparison in comparisons:
        print(report.as_json(comparison))
        for language in _language(case):
            print(report.as_text(comparison, language, everything=True))
            for make in (report.as_sarif, report.as_junit, report.as_markdown):
                print(make(comparison, language))
    _both(*(problem.told for problem in read.problems))


@cache
def _good_api(language: str) -> bytes:
    if language == "go":
        return seeds.snapshots()[0].data
    return next(case.data for case in TARGETS["api"].corpus() if f'"language":"{language}"'.encode() in case.data[:300])


@cache
def _rules() -> Any:
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    return Rules()


# -- artifacts


def _inspect(case: Case, place: Path) -> None:
    from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, describe, problems_as_findings
    from pytest_xinchuang.report.inspection import InspectionResult, as_json, as_sarif, as_text

    path = _put(case, place)
    inspection = Inspector().read(path)
    chosen = _chosen_platforms()
    findings = []
    for platform, architectures in chosen:
        findings += Verdicts(platform, architectures).of(inspection)
        findings += problems_as_findings(inspection.problems, platform.id)
    for record in inspection.records:
        json.dumps(describe(record.elf))
    for language in _language(case):
        result = InspectionResult(
            tuple(p for p, _a in chosen), {case.name: inspection}, tuple(findings), _finding_rules(), language
        )
        print(as_text(result, notes=True), as_json(result), as_sarif(result))


@cache
def _finding_rules() -> Any:
    from pytest_xinchuang.core.finding import load_findings

    return load_findings()


@cache
def _chosen_platforms() -> list[Any]:
    from pytest_xinchuang.core.platform import Platforms

    found = Platforms([_shipped_platforms()])
    return [(found.get(name), found.file.architectures) for name in ("kunpeng", "loongson")]


# -- harnesses


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


def _harness(case: Case, place: Path) -> None:
    if case.name.startswith("bridge"):
        _bridge(case.data)
        return
    from pytest_xinchuang.packages.sm_crypto.client import SmClient
    from pytest_xinchuang.packages.sm_crypto.runner import run_vectors

    with SmClient(lambda: _Said(case.data), timeout_s=2.0, start_timeout_s=2.0) as client:
        run = run_vectors(client, _some_vectors())
        _both(
            *(outcome.detail for outcome in run.seen), *(c.what for c in run.crashes), *(v.what for v in run.violations)
        )


def _bridge(data: bytes) -> None:
    from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient
    from pytest_xinchuang.packages.syscall_bridge.runner import run_bridge, run_kernel

    probes = _shipped_probes()
    with BridgeClient(lambda: _Said(data), timeout_s=2.0) as client:
        outcomes = run_bridge(client, probes, list(probes.bridge.values())[:3], "linux", 4096)
        outcomes += run_kernel(client, probes, "linux", 4096)
        _both(*(outcome.text() for outcome in outcomes[:16] + outcomes[-8:]))


@cache
def _shipped_probes() -> Any:
    from pytest_xinchuang.packages.syscall_bridge.probes import load_probes

    return load_probes()


@cache
def _some_vectors() -> Any:
    import tempfile

    from pytest_xinchuang.packages.sm_crypto.vectors import load_directory

    with tempfile.TemporaryDirectory() as scratch:
        for case in seeds.vectors()[::5]:
            (Path(scratch) / case.name).write_bytes(case.data)
        return [vector for one in load_directory(Path(scratch)) for vector in one.vectors()][:7]


def _harness_seeds() -> list[Case]:
    replies = [
        {"id": n, "digest": "00" * 32, "valid": True, "ct": "00", "msg": "00", "signature": "00", "mac": "00"}
        for n in range(1, 15)
    ]
    sm = [_SM_HELLO, *map(json.dumps, replies)]
    operations = sorted({step.do for probe in _shipped_probes().bridge.values() for step in probe.steps})
    hello = {
        "hello": "xc-bridge/1",
        "name": "x",
        "version": "1",
        "operations": [*operations, *_shipped_probes().kernel],
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


def _agent(case: Case, place: Path) -> None:
    from pytest_xinchuang.sandbox.agent_client import AgentSandbox

    class Fed(AgentSandbox):
        """An agent whose every answer is the mutant."""

        def _transmit(self, data: bytes) -> None:
            if not self._dead:
                for start in range(0, len(case.data), 700):
                    self._take_bytes(case.data[start : start + 700])
                self._die(verbatim("the end of the mutant"))

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


def _agent_seeds() -> list[Case]:
    import struct

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


# -- supply chain


def _supply(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.supply_chain import lists, mirror, sm2sign
    from pytest_xinchuang.tools.gomod import ModuleVersion

    module = ModuleVersion("example.org/m", "v1.2.3")
    if case.name == "allow.yaml":
        for allowed in lists.load_allow_list(_put(case, place)).of(module.path):
            allowed.covers(module.version)
    elif case.name == "osv.json":
        print(lists.Advisories(_put(case, place)).of(module))
    elif case.name.startswith("xc-mirror"):
        (place / "a").write_bytes(b"a")
        for name, data in _good_mirror().items():
            (place / name).write_bytes(data)
        _put(case, place)
        findings, _good = mirror.check_mirror(str(place), [_good_key()])
        for finding in findings:
            _both(_finding_rules().text(finding), _finding_rules().mend(finding))
    elif case.name == "key.pem":
        sm2sign.public_key(_text(case))
    else:
        sm2sign.private_key(_text(case))


def _text(case: Case) -> str:
    try:
        return case.data.decode()
    except UnicodeDecodeError as error:
        raise XcError(verbatim("not UTF-8")) from error


@cache
def _good_keys() -> tuple[str, str]:
    from pytest_xinchuang.packages.supply_chain.sm2sign import new_key

    return new_key()


def _good_key() -> Any:
    from pytest_xinchuang.packages.supply_chain.sm2sign import public_key

    return public_key(_good_keys()[1])


@cache
def _good_mirror() -> dict[str, bytes]:
    import tempfile

    from pytest_xinchuang.packages.supply_chain.mirror import write_manifest
    from pytest_xinchuang.packages.supply_chain.sm2sign import private_key

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "a").write_bytes(b"a")
        write_manifest(place, private_key(_good_keys()[0]))
        return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "a"}


def _supply_seeds() -> list[Case]:
    osv = {
        "id": "GO-2026-1", "summary": "bad", "details": "d", "affected": [{
            "package": {"ecosystem": "Go", "name": "example.org/m"}, "versions": ["1.2.4"],
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.3.0-rc.1"}]}, {"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0"}, {"last_affected": "1.9.0"}]}],
        }],
    }  # fmt: skip
    allow = "schema: xc-allow-list/1\nmodules:\n- {module: example.org/*, versions: '>=v1.0.0, <v2.0.0', certificate: A-1, expires: 2030-01-01}\n- {module: golang.org/x/net}\n"
    private, public = _good_keys()
    mirror = [Case(name.replace("json.sig", "json.sig"), data) for name, data in _good_mirror().items()]
    return [
        Case("osv.json", json.dumps(osv).encode()),
        Case("allow.yaml", allow.encode()),
        Case("key.pem", public.encode()),
        Case("private.pem", private.encode()),
        *mirror,
    ]


def _go(case: Case, place: Path) -> None:
    """go.sum, modules.txt, what the go command says of a go.mod, and go.mod and sources as the manifest's reader sees them."""
    from pytest_xinchuang.core import inputs
    from pytest_xinchuang.packages.supply_chain.gofiles import read_go_sum, read_modules_txt
    from pytest_xinchuang.tools.gomod import ModuleVersion, go_key, read_go_mod

    path = _put(case, place)
    if case.name == "go.sum":
        lines, bad = read_go_sum(path)
        _both(*(why for _n, why in bad))
        modules = [line.module for line in lines]
    elif case.name == "modules.txt":
        modules = [one for vendored in read_modules_txt(path) for one in (vendored.module, vendored.real)]
    elif case.name == "edit.json":
        (place / "go.mod").write_text("module m\n")
        found = read_go_mod(place / "go.mod", _Answers(case.data))  # type: ignore[arg-type]
        go_key(found.go)
        modules = [require.module for require in found.requires]
        print([found.replacement(module) for module in modules], found.path)
    else:
        sources = [path] if case.name != "go.mod" else []
        print(inputs.included(sources, [place], place), inputs.go_directories(place), inputs.of_go(place, place))
        modules = []
    for module in modules:
        print(
            module,
            module.semantic,
            module.pseudo,
            module.prerelease,
            module.fits_its_path,
            module.key >= ModuleVersion("", "v1.2.3").key,
        )


class _Answers:
    """A go command that says what the mutant says."""

    code = 0

    def __init__(self, data: bytes) -> None:
        self.finished, self.text, self.errors = self, data.decode(errors="replace"), ""

    def run(self, *_words: Any, **_more: Any) -> _Answers:
        return self


def _go_seeds() -> list[Case]:
    digest = "h1:" + "A" * 43 + "="
    edit = {
        "Module": {"Path": "example.org/m"}, "Go": "1.22.3", "Require": [{"Path": "golang.org/x/net", "Version": "v0.1.0-pre.1+incompatible", "Indirect": True}],
        "Replace": [{"Old": {"Path": "golang.org/x/net"}, "New": {"Path": "../net"}}],
    }  # fmt: skip
    mod = 'module example.org/m\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/net v0.1.0 // indirect\n)\n\nreplace golang.org/x/net v0.1.0 => ./net\nreplace "a.b/c" => "../c"\n'
    code = 'package a\n\n// #cgo LDFLAGS: -L${SRCDIR}/../lib -lx\n// #include "x.h"\nimport "C"\n'
    plain = '#include <stdio.h>\n#include "x.h" \\\n\n# include_next <y.h>\n#embed "z.bin"\n__asm__(".incbin \\"blob.bin\\"");\n'
    return [
        Case(
            "go.sum",
            f"golang.org/x/net v0.1.0 {digest}\ngolang.org/x/net v0.1.0/go.mod {digest}\ngopkg.in/yaml.v3 v3.0.1 {digest}\n".encode(),
        ),
        Case(
            "modules.txt",
            b"# golang.org/x/net v0.1.0 => ./net\n## explicit; go 1.17\ngolang.org/x/net/html\n# a.b/c/v2 v2.0.0+incompatible\na.b/c/v2\n",
        ),
        Case("edit.json", json.dumps(edit).encode()),
        Case("go.mod", mod.encode()),
        Case("a.go", code.encode()),
        Case("a.c", plain.encode()),
    ]


# -- the rest


def _cache(case: Case, place: Path) -> None:
    from pytest_xinchuang.provision.cache import Cache, tree_digest

    cache = Cache(place)
    entry = place / "entries" / "rootfs" / "x"
    (entry / "tree").mkdir(parents=True)
    data = case.data.replace(b"DIGEST", tree_digest(entry / "tree").encode())
    (entry / "entry.json").write_bytes(data)
    for found in (*cache.entries(), cache.peek("rootfs", "x"), cache.verified("rootfs", "x", "r")):
        if found is not None:
            facts = " ".join(f"{name} {value}" for name, value in sorted(found.facts.items()))
            speak(
                f"{found.kind} {found.name} {found.source} {found.stand_in} {found.digest[:20]} {found.recipe[:8]} {facts}",
                "en",
            )


def _cache_seeds() -> list[Case]:
    entry = {
        "kind": "rootfs",
        "name": "x",
        "recipe": "r",
        "digest": "DIGEST",
        "source": "Debian",
        "stand_in": True,
        "facts": {"glibc": "2.31"},
    }
    return [Case("entry.json", json.dumps(entry).encode())]


def _tls(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sm_crypto.tls import rfc8998, tlcp
    from pytest_xinchuang.packages.sm_crypto.tls.wire import TlsError

    class Channel:
        def __init__(self) -> None:
            self.parts: Iterator[bytes] = iter([case.data[i : i + 500] for i in range(0, len(case.data), 500)])

        def send(self, data: bytes) -> None: ...

        def receive(self) -> bytes:
            return next(self.parts, b"")

        def close(self) -> None: ...

    ways: list[Callable[[], object]] = [lambda: tlcp.speak(Channel), lambda: rfc8998.speak(Channel, "example.org")]
    for way in ways:
        try:
            print(way())
        except TlsError as error:
            _both(str(error.args[0]))


def _tls_seeds() -> list[Case]:
    def record(kind: int, body: bytes, version: bytes = b"\x01\x01") -> bytes:
        return bytes([kind]) + version + len(body).to_bytes(2) + body

    def message(kind: int, body: bytes) -> bytes:
        return bytes([kind]) + len(body).to_bytes(3) + body

    hello = b"\x01\x01" + bytes(32) + b"\0" + b"\xe0\x13" + b"\0"
    certificate = message(11, (6).to_bytes(3) + (3).to_bytes(3) + b"\x30\x01\x00")
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
        Case("alert.bin", record(21, b"\x02\x28")),
    ]


def _output(case: Case, place: Path) -> None:
    """What target code and tools print, and we read: traces, test2json, cover profiles."""
    from pytest_xinchuang.gotest.result import coverage_of
    from pytest_xinchuang.sandbox.emulator_faults import classify, without_noise
    from pytest_xinchuang.sandbox.strace import read_calls

    coverage_of(case.data)
    without_noise(case.data)
    for status in (0, 256, 6, 11, 139 << 8):
        _both(classify(status, case.data, True, None)[3])
    for call in read_calls(case.data.decode(errors="replace").splitlines()):
        print(call, call.errno, call.refused)


def _output_seeds() -> list[Case]:
    trace = b'12 openat(AT_FDCWD,"/etc/x",O_RDONLY) = 3\n12 clone(0x11,0x0) = 13\n12 clone(0x11) = 0\n13 exit_group(0)\n12 Unknown syscall 999\n12 read(3,0x1,2) = -1 errno=38 (Function not implemented)\n'
    cover = b"mode: set\nexample.org/a.go:1.2,3.4 5 1\nexample.org/a.go:5.2,6.4 2 0\n"
    noise = b"qemu-aarch64: warning: x\nqemu: uncaught target signal 11 (Segmentation fault) - core dumped\n"
    return [Case("trace.txt", trace), Case("cover.txt", cover), Case("stderr.txt", noise)]


def _yaml_seeds() -> list[Case]:
    text = "{zh: 文, en: text}"
    requirement = (
        f"- {{id: ACME-001, package: acme, level: L1, title: {text}, clause: c, min_fidelity: static, mend: {text}}}\n"
    )
    second = requirement.replace("001", "002").rstrip("}\n") + "}, needs: [ACME-001]}\n"
    folder = resources.conformance_dir()

    def head(path: Path, size: int) -> Case:
        """The first entries of a shipped file."""
        whole = yaml.safe_load(path.read_bytes())
        some = {
            k: dict(list(v.items())[:size]) if isinstance(v, dict) else v[:size] if isinstance(v, list) else v
            for k, v in whole.items()
        }
        return Case(path.name, yaml.safe_dump(some, allow_unicode=True, sort_keys=False).encode())

    return [
        Case("waivers.yaml", b"schema: xc-waivers/1\nwaivers:\n- {requirement: XC-MRU-020, subject: s, version: '1', platform: p, owner: o, reason: a good reason, clause: '7', expires: 2030-01-01}\n"),
        Case("profiles.yaml", f"schema: xc-profiles/1\nprofiles:\n  connect:\n    title: {text}\n    required_level: L1\n  own: {{title: {text}, required_level: null}}\n".encode()),
        Case("requirements.yaml", f"schema: xc-requirements/1\nversion: '1'\nrequirements:\n{requirement}{second}".encode()),
        *(head(path, 4) for path in (folder / "findings.yaml", folder / "porting.yaml", folder / "syscall_bridge" / "probes.yaml")),
        Case("xc-api.yaml", b"schema: xc-api-policy/1\ninterfaces: users\nunkeyed_literals: ignore\npackage_map: {a: b}\nsuppress:\n- {rule: GO-*, symbol: ./a.*, reason: a good reason, expires: 2030-01-01}\n"),
    ]  # fmt: skip


def _manifest_seeds() -> list[Case]:
    template = (resources.fixtures_dir() / "template" / "xinchuang.yaml").read_bytes()
    bridge = (resources.fixtures_dir() / "bridge" / "xinchuang.yaml").read_bytes()
    rich = b"""schema: xc-subject/1
name: p
version: "1.0"
allowed_libraries: [libcrypto.so.*]
rootfs_packages: [python3-minimal]
build_flags: [-O2]
units:
- {name: hello, kind: c, sources: [unit.c], expect: {stdout: "hello\\n", source: text}, limit_s: 10, links: [pthread], behaviour: threads}
- {name: tool, kind: binary, files: {amd64: tool, arm64: tool}, args: [--version], c_flags: {arm64: [-Ix]}}
- {name: version, kind: artifact, artifact: server, program: usr/bin/server}
- {name: install, kind: installer, sources: [install.sh]}
artifacts:
- {name: server, files: {amd64: tool, kunpeng: tool}}
not_applicable:
- {requirement: XC-MRU-024, reason: the product opens no library at run time}
"""
    return [Case("xinchuang.yaml", data) for data in (template, bridge, rich)]


def _platform_seeds() -> list[Case]:
    text = b"""schema: xc-platforms/1
cpus:
  acme: {inherits: kunpeng920, title: {zh: x, en: x}}
shorts: {acme: kunpeng920-kylin_v10_sp3}
"""
    whole = yaml.safe_load(resources.platforms_file().read_bytes())
    parts = {key: dict(list(value.items())[:2]) if isinstance(value, dict) else value for key, value in whole.items()}
    return [
        Case("own.yaml", text),
        Case("own.yaml", yaml.safe_dump(parts, allow_unicode=True, sort_keys=False).encode()),
    ]


def _commands(case: Case, place: Path) -> None:
    """The whole command, as a user calls it: its exit code, and what it says where it cannot do its work."""
    from pytest_xinchuang.cli.entry import main

    os.environ["XC_CACHE"] = str(place / "cache")
    path = _put(case, place)
    words = next(line for name, line in _COMMANDS.items() if re.search(name, case.name)).split()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([*("--language", *_language(case)), *(word.format(file=path, place=place) for word in words)])
    told = said.getvalue()
    if (
        code not in range(5)
        or (code == 2 and "xc" not in told)
        or "Traceback" in told
        or list(place.glob("cache/errors/*"))
    ):
        raise ValueError(f"{' '.join(words)} ends with {code}: {told[-300:]}")


_COMMANDS = {
    r"journal\.ndjson": "report {file}",
    r"xinchuang\.yaml": "subject check {place}",
    r"own\.yaml": "platforms validate {file}",
    r"api\.jsonl": "api diff {file} {file} --offline --format json",
    r"layouts\.jsonl": "syscalls layout diff {file} {file}",
    r"xc-mirror": "supply-chain verify {place} --key {file}",
    r"": "inspect {file} --platform kunpeng --format sarif",
}
"""The beginning of a file's name -> the command that reads it."""


def _command_seeds() -> list[Case]:
    return [
        *seeds.journals(),
        *_manifest_seeds(),
        *_platform_seeds()[:1],
        *seeds.snapshots(),
        *seeds.layouts()[:1],
        *seeds.artifacts()[-6:],
    ]


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("journal", _report, seeds.journals, seal=_sealed, prepare=_report_prepared),
        Target("manifest", _manifest, _manifest_seeds, prepare=_installed),
        Target("platforms", _platforms, _platform_seeds),
        Target("lists", _lists, _yaml_seeds),
        Target("vectors", _vectors, seeds.vectors, prepare=_sm_hello),
        Target("api", _api, seeds.snapshots, prepare=_rules),
        Target("layouts", _layouts, seeds.layouts, prepare=lambda: (_good_layouts(), _good_table())),
        Target("harness", _harness, _harness_seeds, prepare=lambda: (_some_vectors(), _shipped_probes())),
        Target("agent", _agent, _agent_seeds),
        Target("supply", _supply, _supply_seeds, prepare=_good_mirror),
        Target("go", _go, _go_seeds),
        Target("inspect", _inspect, seeds.artifacts, prepare=lambda: (_chosen_platforms(), _finding_rules())),
        Target("cache", _cache, _cache_seeds),
        Target("tls", _tls, _tls_seeds),
        Target("output", _output, _output_seeds),
        Target("commands", _commands, _command_seeds, prepare=_installed),
    )
}

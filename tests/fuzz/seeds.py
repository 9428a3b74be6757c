"""Good inputs to begin with, made of what the checkout ships; small, for a mutant costs what its seed costs."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.chain import Chain
from pytest_xinchuang.core.events import KINDS, Event, EvidenceKept
from pytest_xinchuang.core.journal import evidence_id
from pytest_xinchuang.messages import _, verbatim
from tests.fuzz.drive import Case
from tests.fuzz.mutate import bomb
from tests.inspect import containers

TIME = "2026-11-29T10:00:00.000Z"


def journals() -> list[Case]:
    """A run of two requirements on two platforms, with every kind of event."""
    data: dict[str, Any] = {"kind": "run", "argv": ["./hello"], "ended": "exited", "code": 0}
    seen = evidence_id(data)
    text = {"en": "It runs", "zh": "能运行"}

    def required(identifier: str, level: str, *needs: str) -> dict[str, Any]:
        return {
            "id": identifier, "package": "mru", "level": level, "title": text, "clause": "ABI", "min_fidelity": "emulated-user",
            "mandatory": True, "may_not_apply": level == "L2", "mend": text, "needs": needs,
        }  # fmt: skip

    reason = _("{program} needs {library}", program=verbatim("hello"), library=verbatim("libx.so"))
    platforms = [
        {
            "id": name,
            "digest": "sha256:0",
            "arch": "arm64",
            "uname": "aarch64",
            "facts": "shipped",
            "cpu": text,
            "system": text,
        }
        for name in ("kunpeng-openeuler", "phytium-kylin")
    ]
    events: list[dict[str, Any]] = [
        {
            "kind": "run_started", "t": TIME, "schema": "xc-journal/1", "run": {"id": "r1", "host": {"os": "Linux"}, "argv": ["pytest"], "backend": "qemu"},
            "suite": {"name": "pytest-xinchuang", "version": "0.1", "digest": "sha256:1"},
            "subject": {"name": "hello", "version": "1", "digest": "sha256:2", "units": ["hello"]},
            "profile": {"id": "government", "title": text, "required_level": "L2"}, "packages": ["mru"], "platforms": platforms,
            "required": [required("XC-MRU-001", "L1"), required("XC-MRU-020", "L2", "XC-MRU-001")],
            "waivers": [{
                "requirement": "XC-MRU-020", "subject": "hello", "version": "1", "platform": "phytium-kylin", "owner": "A", "reason": "a good reason",
                "clause": "7", "expires": "2099-01-01",
            }],
        },
        {
            "kind": "sandbox", "t": TIME, "backend": "qemu", "platform": "kunpeng-openeuler", "fidelity": "emulated-user", "rootfs": "bullseye", "stand_in": True,
            "differs": ["another kernel"], "isolation": {"no_network": True}, "observed": {"uname_m": "aarch64", "page_size": "4096"}, "baseline_ms": 3.5,
            "messages": {"differs": [{"id": "{a} is {b}", "params": {"a": "x", "b": {"text": "y"}}}]},
        },
        {"kind": "evidence", "t": TIME, "id": seen, "data": data},
        {"kind": "check", "t": TIME, "check": "t.py::test_a", "platform": "kunpeng-openeuler", "phase": "call", "outcome": "passed", "duration_s": 1.5},
        {
            "kind": "decision", "t": TIME, "requirement": "XC-MRU-001", "verdict": "pass", "cause": "none", "fidelity": "emulated-user", "evidence": [seen],
            "platform": "kunpeng-openeuler", "check": "t.py::test_a",
        },
        {
            "kind": "decision", "t": TIME, "requirement": "XC-MRU-020", "verdict": "fail", "cause": "subject", "reason": str(reason), "mend": "link it",
            "fidelity": "emulated-user", "evidence": [seen], "platform": "phytium-kylin", "check": "t.py::test_b", "attempt": 1,
            "messages": {"reason": reason.as_data()},
        },
        {
            "kind": "planned", "t": TIME, "check": "t.py::test_a", "node": "t.py::test_a[kunpeng-openeuler]", "platform": "kunpeng-openeuler",
            "requirements": ["XC-MRU-001"], "state": "selected", "reason": "",
        },
        {"kind": "fault", "t": TIME, "what": "a worker was lost"},
        {"kind": "run_finished", "t": TIME, "exit_status": 1},
    ]  # fmt: skip
    models: list[Event] = [KINDS[event["kind"]].model_validate(event) for event in events]
    assert isinstance(models[2], EvidenceKept)
    chain = Chain("r1")
    lines = [chain.line(model, 0.5 * number) for number, model in enumerate(models[:-1])]
    end = models[-1].model_copy(update={"events": chain.count, "head": chain.head})
    return [Case("journal.ndjson", b"".join([*lines, chain.line(end, 10.0)]))]


def vectors() -> list[Case]:
    """The first vectors of each shipped file."""
    found = []
    for path in sorted((resources.fixtures_dir() / "vectors").glob("*_test.json")):
        data = json.loads(path.read_bytes())
        for group in data["testGroups"]:
            group["tests"] = group["tests"][:2]
        data["testGroups"] = [g for g in data["testGroups"] if len(json.dumps(g)) < 6_000][:2]
        data["numberOfTests"] = sum(len(g["tests"]) for g in data["testGroups"])
        if data["testGroups"]:
            found.append(Case(path.name, json.dumps(data).encode()))
    return found


def layouts() -> list[Case]:
    """The head of the shipped layouts, and a table of system calls."""
    lines = (resources.fixtures_dir() / "syscalls" / "layouts.jsonl").read_bytes().splitlines()
    some = lines[1:400:40]
    head = {**json.loads(lines[0]), "structs": len(some)}
    table = json.loads((resources.fixtures_dir() / "syscalls" / "tables.json").read_bytes())
    name, calls = next((n, c) for n, c in (table.get("tables", table)).items() if isinstance(c, dict) and len(c) > 50)
    made = {
        "schema": "xc-syscalls/1",
        "arch": name,
        "kernel": "6.1",
        "source": "x",
        "calls": dict(list(calls.items())[:30]),
    }
    return [
        Case("layouts.jsonl", b"\n".join([json.dumps(head).encode(), *some]) + b"\n"),
        Case("table.json", json.dumps(made).encode()),
    ]


def snapshots() -> list[Case]:
    """A Go API of two packages, plain and compressed; symbols of many shapes."""
    basic = {"kind": "basic", "name": "int"}
    named = {"kind": "named", "name": "Conn", "package": "example.org/sdk", "args": [basic]}
    shapes: list[dict[str, Any]] = [
        {"id": "sdk.Max", "kind": "const", "type": basic, "value": "9223372036854775808", "at": "a.go:1"},
        {"id": "sdk.Dial", "kind": "func", "type": {"kind": "func", "params": [basic, named], "results": [{"kind": "pointer", "elem": named}], "variadic": True}},
        {
            "id": "sdk.Conn", "kind": "type", "comparable": "strict", "lock": True, "typeparams": [{"name": "T", "constraint": basic}],
            "type": {"kind": "struct", "hidden": True, "fields": [{"name": "A", "type": basic, "tag": "json:\"a\"", "embedded": True}, {"name": "B", "type": {"kind": "map", "key": basic, "elem": named}}]},
            "methods": [{"name": "Close", "type": {"kind": "func", "results": [basic]}, "pointer": True}], "promoted": [{"name": "Read", "type": basic, "from": "A"}],
        },
        {"id": "sdk.Reader", "kind": "type", "type": {"kind": "interface", "methods": [{"name": "Read", "type": {"kind": "func"}}], "terms": [{"tilde": True, "type": basic}]}},
        {"id": "sdk.Alias", "kind": "type", "alias": True, "underlying": {"kind": "chan", "direction": "send", "elem": basic}, "type": named, "unknown": ["type"], "deprecated": True},
        {"id": "sdk.Table", "kind": "var", "type": {"kind": "array", "length": 3, "elem": {"kind": "typeparam", "of": "type", "index": 0}}},
    ]  # fmt: skip

    def text(language: str, change: int) -> bytes:
        symbols = [dict(s, id=f"example.org/{s['id']}") for i, s in enumerate(shapes) if i != change]
        head = {
            "record": "snapshot", "schema": "xc-api/1", "language": language, "name": "example.org/sdk", "version": f"v1.{change}.0", "minimum": "1.22",
            "targets": ["linux/amd64", "linux/arm64"], "requires": {"golang.org/x/net": "v0.1.0"}, "problems": [{"file": "b.go", "line": 2, "message": "bad", "code": "", "params": {}}],
        }  # fmt: skip
        package = {
            "record": "package", "path": "example.org/sdk", "name": "sdk", "directory": ".", "targets": ["linux/amd64", "linux/arm64"], "grade": "typed",
            "hash": f"{change}", "source": f"{change}", "symbols": len(symbols), "exposes": [], "stubs": {"x": "v1"},
        }  # fmt: skip
        records = [
            head,
            package,
            *({"record": "symbol", **s} for s in symbols),
            {"record": "end", "packages": 1, "symbols": len(symbols)},
        ]
        return b"".join(json.dumps(r, separators=(",", ":")).encode() + b"\n" for r in records)

    found = [Case("api.jsonl", text("go", n)) for n in (0, 2, 4)]
    return [*found, Case("api.jsonl.gz", gzip.compress(text("go", 1), mtime=0))]


def _head_of_a_tar(size: int) -> bytes:
    info = tarfile.TarInfo("usr/bin/tool")
    info.size = size
    return info.tobuf() + b"\x7fELF"


_SCRIPT = """#!/bin/sh
set -e
D=/usr/bin
f() { mv "$D/$1" /usr/lib/ || return 1; }
case "$1" in configure|abort-*) [ -e /etc/x ] || ln -s "$D/tool" /usr/bin/x;; *) exit 0;; esac
for i in $D/*; do rm -f "$i"; done
find /usr -name 'lib*' | xargs rm -f
if test -f /usr/bin/tool && ! grep -q a /etc/b; then f tool; else dpkg-divert --add --rename /usr/bin/tool; fi
update-alternatives --install /usr/bin/e e $D/tool 1
cat <<EOF >/usr/bin/tool
EOF
"""


def artifacts() -> list[Case]:
    """Small objects and containers of each kind."""
    folder = Path(__file__).parent.parent / "inspect" / "corpus"
    found = [Case(path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.stat().st_size < 70_000]
    found += [Case(path.name, path.read_bytes()) for path in sorted((folder.parent / "real").glob("*.[suix]*"))]
    elf = (folder / "elf-verneed-self").read_bytes()
    files = {"usr/bin/tool": elf, "usr/lib/os-release": b'ID=debian\nVERSION_ID="11"\n'}
    wheel = {
        "pkg/_x.cpython-311-aarch64-linux-gnu.so": elf,
        "pkg-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_aarch64\nRoot-Is-Purelib: false\n",
        "pkg-1.dist-info/METADATA": b"Name: pkg\nVersion: 1\nRequires-Python: >=3.11\n",
    }
    config = b'{"architecture":"arm64","os":"linux","config":{},"rootfs":{"type":"layers"}}'
    layer = containers.tar(files)
    image = {
        "manifest.json": json.dumps([{"Config": "a.json", "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]).encode(),
        "a.json": config,
        "l/layer.tar": layer,
    }
    oci = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": b'{"manifests":[{"digest":"sha256:00","platform":{"architecture":"arm64","os":"linux"}}]}',
        "blobs/sha256/00": json.dumps(
            {"config": {"digest": "sha256:01"}, "layers": [{"digest": "sha256:02"}]}
        ).encode(),
        "blobs/sha256/01": config,
        "blobs/sha256/02": containers.tar(files, "w:gz"),
    }
    jar = {
        "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n",
        "linux/aarch64/libx.so": elf,
        "pom.xml": b"<project><dependency><classifier>linux-x86_64</classifier></dependency></project>",
    }
    found += [
        Case("tool", elf),
        Case("app.asar", containers.asar({"node_modules/b.node": elf}, {"c": {"link": "d"}})),
        Case("frozen", elf + containers.pyinstaller({"lib/x.so": elf})),
        Case("initrd.img", containers.cpio({"a": b"b"}) + bytes(4) + gzip.compress(containers.cpio({"init": elf}))),
        Case("self.sh", b"#!/bin/sh\nbase64 -d <<E >app\n" + base64.encodebytes(elf) + b"E\n"),
        Case("tool.tar", layer),
        Case("tool.zip", containers.zipped(files)),
        Case(
            "tool.deb",
            containers.deb(files, "Package: tool\nVersion: 1\nArchitecture: arm64\nDepends: libc6 (>= 2.31)\n"),
        ),
        Case(
            "scripts.deb",
            containers.deb(files, "Package: tool\nVersion: 1\nArchitecture: arm64\n", {"postinst": _SCRIPT}),
        ),
        Case("tool.rpm", containers.rpm(files, "tool", "aarch64")),
        Case("tool.db", containers.database(elf, gzip.compress(elf, mtime=0), "text" * 100, page=512)),
        Case(
            "started.tar",
            containers.saved_image(
                [containers.tar({"bin/sh": elf, "entry": b"#!/usr/bin/env -S sh -e\n", "usr/bin/env": elf})],
                "arm64",
                Entrypoint=["/bin/sh", "-c", "exec /entry --now"],
            ),
        ),
        Case("tool.cpio", containers.cpio(files)),
        Case("libtool.a", containers.ar({"a.o": elf})),
        Case("pkg-1-cp311-cp311-manylinux_2_17_aarch64.whl", containers.zipped(wheel)),
        Case("tool.jar", containers.zipped(jar)),
        Case("image.tar", containers.tar(image)),
        Case("oci.tar", containers.tar(oci)),
        Case("bomb.gz", bomb(400)),
        Case("bomb.zip", containers.zipped({"inner.gz": bomb(400)})),
        Case("bomb.tar.gz", gzip.compress(_head_of_a_tar(400 << 20), mtime=0) + bomb(400)),
        Case("install.sh", b"#!/bin/sh\nexit\n" + containers.tar(files, "w:gz")),
        *(Case(f"tool.tar.{kind}", data) for kind, data in containers.compressed(layer).items()),
    ]
    return found

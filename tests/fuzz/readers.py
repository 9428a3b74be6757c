"""Readers of files: journals, manifests, the facts and lists that users may replace, artifacts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from pytest_xinchuang.commands.voice import speak
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.chain import Chain, with_checksum
from tests.fuzz.common import language_of, put, say
from tests.fuzz.drive import Case

_SEAL = re.compile(rb',\s*"run_id": "[^"]*",\s*"seq".*\}$|,\s*"crc32": "[^"]*"\}$')


def prepare_reports() -> None:
    _known()
    os.fsync = lambda _fd: None  # type: ignore[assignment] # a disk need not keep what the next mutant throws away


def read_report(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.grade import grade_run
    from pytest_xinchuang.core.journal import read_journal
    from pytest_xinchuang.core.proof import prove
    from pytest_xinchuang.report.files import write_reports
    from pytest_xinchuang.report.terminal import write_table

    journal = read_journal(put(case, place))
    prove(journal, _known())
    result = grade_run(journal, installed_packages().parts)
    for language in language_of(case):
        for path in write_reports(result, place, language):
            path.read_text(encoding="utf-8")
        write_table(result, lambda text, **_markup: speak(text, "zh"), language=language)


@cache
def _known() -> Any:
    from pytest_xinchuang.core.proof import Known

    return Known.installed(installed_packages().catalogue())


@cache
def installed_packages() -> Any:
    from pytest_xinchuang.packages.registry import installed

    return installed()


def sealed(case: Case, random: Random) -> bytes:
    """Each line with the place in the chain that it should have, or with its checksum alone, as older journals have it."""
    chain, chained, out = Chain("r1"), random.random() < 0.7, []
    for line in case.data.split(b"\n")[:-1]:
        body = _SEAL.sub(b"}", line)
        if not body.endswith(b"}") or len(body) < 3:
            out.append(line + b"\n")
        elif not chained:
            out.append(with_checksum(body))
        else:
            if b'"run_finished"' in body:
                body = re.sub(rb'"events": [0-9]+', b'"events": %d' % chain.count, body)
                body = re.sub(rb'"head": "[0-9a-f]{64}"', b'"head": "%s"' % chain.head.encode(), body)
            out.append(chain.sealed(body, chain.count / 2))
    return b"".join(out)


def read_manifest(case: Case, place: Path) -> None:
    for name in ("unit.c", "a.c", "tool", "install.sh"):
        (place / name).write_text('#include "x.h"\n')
    subject = installed_packages().subject(put(case, place).parent)
    print(subject.digest, subject.name, subject.version)


@cache
def small_platforms() -> bytes:
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
def shipped_platforms() -> Path:
    return resources.platforms_file()


def read_platforms(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.platform import Platforms

    (place / "base.yaml").write_bytes(small_platforms())
    found = Platforms([place / "base.yaml", put(case, place)])
    for platform in found.select(["all"]):
        say(platform.id, platform.cpu.title.message(), platform.system.title.message())
    print(found.ids)


def read_lists(case: Case, place: Path) -> None:
    from pytest_xinchuang.core.finding import FindingCatalogue
    from pytest_xinchuang.core.porting import load_porting
    from pytest_xinchuang.core.profile import load_profile, load_waivers
    from pytest_xinchuang.core.requirement import load_catalogue
    from pytest_xinchuang.packages.sdk_ast.policy import load_policy
    from pytest_xinchuang.packages.syscall_bridge.probes import Probes

    path = put(case, place)
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


def read_artifact(case: Case, place: Path) -> None:
    from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, describe, problems_as_findings
    from pytest_xinchuang.report.inspection import InspectionResult, as_json, as_sarif, as_text

    path = put(case, place)
    inspection = Inspector().read(path)
    chosen = chosen_platforms()
    findings = []
    for platform, architectures in chosen:
        findings += Verdicts(platform, architectures).of(inspection)
        findings += problems_as_findings(inspection.problems, platform.id)
    for record in inspection.records:
        json.dumps(describe(record.elf))
    for language in language_of(case):
        result = InspectionResult(
            tuple(p for p, _a in chosen), {case.name: inspection}, tuple(findings), finding_rules(), language
        )
        print(as_text(result, notes=True), as_json(result), as_sarif(result))


@cache
def finding_rules() -> Any:
    from pytest_xinchuang.core.finding import load_findings

    return load_findings()


@cache
def chosen_platforms() -> list[Any]:
    from pytest_xinchuang.core.platform import Platforms

    found = Platforms([shipped_platforms()])
    return [(found.get(name), found.file.architectures) for name in ("kunpeng", "loongson")]


def yaml_seeds() -> list[Case]:
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


def manifest_seeds() -> list[Case]:
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


def platform_seeds() -> list[Case]:
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

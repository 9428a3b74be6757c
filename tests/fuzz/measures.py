"""Readers of what is compared with: vectors, layouts, snapshots of APIs."""

from __future__ import annotations

import contextlib
import importlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from tests.fuzz import seeds
from tests.fuzz.common import language_of, put, say
from tests.fuzz.drive import Case, corpus_of


def read_vectors(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sm_crypto.judge import TYPES, asks
    from pytest_xinchuang.packages.sm_crypto.vectors import load_directory, told_vector

    put(case, place)
    hello = sm_hello()
    for loaded in load_directory(place):
        for vector in loaded.vectors():
            say(told_vector(vector))
            if vector.group.type not in TYPES:
                continue  # whoever runs them has looked before
            for ask in asks(vector, hello):
                hello.lacks(ask.request)
                json.dumps(ask.request)


@cache
def sm_hello() -> Any:
    from pytest_xinchuang.packages.sm_crypto.protocol import SmHello

    return SmHello.model_validate_json(SM_HELLO)


_OPERATIONS = (
    "sm3", "hmac_sm3", "hkdf_sm3", "pbkdf2_sm3", "x963kdf_sm3", "sm3_stream", "hmac_sm3_stream", "sm4_encrypt", "sm4_decrypt", "sm2_sign", "sm2_verify",
    "sm2_encrypt", "sm2_decrypt", "sm2_exchange", "sm2_public", "sm2_keygen", "sm2_certificate",
)  # fmt: skip
SM_HELLO = json.dumps(
    {
        "hello": "xc-sm-harness/1", "name": "x", "version": "1", "language": "c", "default_id": "31323334", "parses_der": "library",
        "operations": {name: {"encoding": ["der", "raw"], "k": [True], "iv_bytes": [12, 16], "msg_bytes": [0, 100000]} for name in _OPERATIONS},
    }
)  # fmt: skip


def read_layouts(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.syscall_bridge.generate import assertions
    from pytest_xinchuang.packages.syscall_bridge.layouts import compare_layouts, load_snapshot
    from pytest_xinchuang.packages.syscall_bridge.tables import compare, load_table

    path = put(case, place)
    if case.name.endswith(".json"):
        table = load_table(path)
        print(table.text(), compare(table, good_table(), ["read"]).as_dict())
        return
    layouts, good = load_snapshot(path), good_layouts()
    print(layouts.dependent)
    for before, after in ((layouts, good), (good, layouts)):
        with contextlib.suppress(XcError):
            for shift in compare_layouts(before, after):
                say(shift.text())
    for arch in layouts.archs[:2]:
        print(*assertions(layouts, arch, None).values(), *(layout.text() for layout in layouts.of(arch).values()))


@cache
def good_layouts() -> Any:
    return _read_good("layouts.jsonl", "load_snapshot", "layouts")


@cache
def good_table() -> Any:
    return _read_good("table.json", "load_table", "tables")


def _read_good(name: str, function: str, module: str) -> Any:

    found = importlib.import_module(f"pytest_xinchuang.packages.syscall_bridge.{module}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        path.write_bytes(next(c.data for c in seeds.layouts() if c.name == name))
        return getattr(found, function)(path)


def read_api(case: Case, place: Path) -> None:
    from pytest_xinchuang.packages.sdk_ast import report
    from pytest_xinchuang.packages.sdk_ast.compare import compare, compare_across
    from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
    from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot

    read, good_place = Snapshot(put(case, place)), place / "good.jsonl"
    good_place.write_bytes(_good_api(read.header.language))
    good, policy = Snapshot(good_place), ApiPolicy()
    comparisons = [compare(good, read, api_rules(), policy), compare(read, good, api_rules(), policy)]
    if len(read.header.targets) > 1:
        comparisons.append(compare_across(read, api_rules(), policy))
    for comparison in comparisons:
        print(report.as_json(comparison))
        for language in language_of(case):
            print(report.as_text(comparison, language, everything=True))
            for make in (report.as_sarif, report.as_junit, report.as_markdown):
                print(make(comparison, language))
    say(*(problem.told for problem in read.problems))


@cache
def _good_api(language: str) -> bytes:
    if language == "go":
        return seeds.snapshots()[0].data
    return next(case.data for case in corpus_of("api") if f'"language":"{language}"'.encode() in case.data[:300])


@cache
def api_rules() -> Any:
    from pytest_xinchuang.packages.sdk_ast.rules import Rules

    return Rules()

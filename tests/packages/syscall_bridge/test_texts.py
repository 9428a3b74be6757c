"""What system calls, bridges and hosts tell in Chinese."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, verbatim
from pytest_xinchuang.packages.syscall_bridge.bridge import _read_reply
from pytest_xinchuang.packages.syscall_bridge.clocks import SAMPLES, judge_clocks
from pytest_xinchuang.packages.syscall_bridge.expect import evaluate
from pytest_xinchuang.packages.syscall_bridge.gostructs import GoField, GoStruct, GoStructs, check_go
from pytest_xinchuang.packages.syscall_bridge.host import check_host
from pytest_xinchuang.packages.syscall_bridge.layouts import (
    FieldLayout,
    Layout,
    Layouts,
    compare_layouts,
    load_snapshot,
    shipped_layouts,
)
from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds
from pytest_xinchuang.packages.syscall_bridge.probes import Probes, load_probes
from pytest_xinchuang.packages.syscall_bridge.reference import Column, divergences
from pytest_xinchuang.packages.syscall_bridge.report import divergence_lines, probes_as_dict, table_lines
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeOutcome, ProbeResult, told
from pytest_xinchuang.packages.syscall_bridge.tables import load_table
from pytest_xinchuang.packages.syscall_bridge.usage import Usage, read_used
from pytest_xinchuang.sandbox.emulators import load_emulators
from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from tests.messages.english import english_in


def is_chinese(text: str) -> bool:
    """Whether a message has Chinese, and no English sentence in it."""
    assert isinstance(text, Message)
    said = text.render("zh")
    return any("\u4e00" <= letter <= "\u9fff" for letter in said) and not english_in(said)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"noise",
        b"\xff",
        b"[" * 100_000,
        b'{"id": 2, "result": 1}',
        b'{"id": 1}',
        b'{"id": 1, "result": "3"}',
        b'{"id": 1, "result": 3, "data": "zz"}',
        b'{"id": 1, "result": 3, "data": 55}',
        b'{"id": 1, "unknown": "O_X"}',
    ],
)
def test_a_reply_that_is_none(line: bytes) -> None:
    reply = _read_reply(line, 1, "close")
    assert reply is not None and reply.fault is not None and is_chinese(reply.detail)
    assert told(reply) == reply.detail


def test_every_rule_and_reason_of_the_data_has_its_chinese() -> None:
    rules = [source.render("zh") for _, source in load_probes().assertions()]
    assert not [found for rule in rules for found in english_in(rule)]
    for emulator in load_emulators().emulators.values():
        assert all(is_chinese(difference.reason.message()) for difference in emulator.probes)


@pytest.mark.parametrize("source", ["{en: only English}", "[1]", "abc"])
def test_a_rule_is_a_name_or_in_both_languages(source: str, tmp_path: Path) -> None:
    for place in (
        f"source: {source}, values: {{v: 1}}",
        f"source: fork(2), values: {{v: {{is: 1, source: {source}}}}}",
    ):
        (tmp_path / "p.yaml").write_text(f"schema: xc-probes/1\nkernel: [{{id: k.a, group: g, {place}}}]\n")
        if source == "abc" and "is: 1" in place:
            continue  # a value's own rule may be as short as it likes
        with pytest.raises(XcError):
            Probes([tmp_path / "p.yaml"])


@pytest.mark.parametrize("text", ["1 +", "unknown", "1 // 0", "2**999", "[1]"])
def test_an_expression_that_is_none(text: str) -> None:
    with pytest.raises(XcError) as caught:
        evaluate(text, {})
    assert is_chinese(caught.value.what)


@pytest.mark.parametrize("answer", ["ENOSYS", "EPERM", "SIGSYS", "?", "EINVAL"])
@pytest.mark.parametrize("limit", ["", "1048576"])
def test_needs_of_a_host(answer: str, limit: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    if limit:
        group = tmp_path / "sys/fs/cgroup"
        group.mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text("0::/\n")
        (group / "memory.max").write_text(limit)
        (group / "cpu.max").write_text("10000 100000")
    needs = HostNeeds(
        kernel="99", calls=("mseal", "read"), sysctls={"vm.max_map_count": 1}, memory_mb=1 << 30, cpus=4096
    )
    for need in check_host(needs, tmp_path, lambda _: answer):
        assert is_chinese(need.wanted) and not english_in(need.what.render("zh"))
        assert is_chinese(need.state.word) and not english_in(need.found.render("zh"))
        assert not need.mend or is_chinese(need.mend) or need.mend.startswith("sudo sysctl")
        assert json.dumps(need.found) == json.dumps(str(need.found))


BEFORE, AFTER = "16/8 a@0:8 b@8:4 gone@12:2 old@14:2", "24/4 a@8:8 b@16:8 new@14:2 more@4:4"


def test_changes_of_layouts() -> None:
    def layouts(text: str) -> Layouts:
        return Layouts("6", ("arm64",), {"struct s": {"arm64": Layout.read(text)}}, {"struct s": "s.h"})

    shifts = compare_layouts(layouts(BEFORE), layouts(AFTER))
    assert len({shift.what for shift in shifts}) >= 6 and all(is_chinese(shift.text()) for shift in shifts)
    with pytest.raises(XcError) as caught:
        compare_layouts(layouts(BEFORE), layouts(AFTER), ["arm"])
    assert is_chinese(caught.value.what)


@pytest.mark.parametrize("text", ["", "junk", '{"schema": "other"}', '{"schema": "xc-layouts/1"}', "cut off"])
def test_files_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if text == "cut off":
        lines = shipped_layouts().read_text().splitlines(keepends=True)
        text = lines[0] + lines[1].replace("/1 ", "?1 ")
    path.write_text(text)
    for read in (load_snapshot, load_table, read_used):
        with pytest.raises(XcError) as caught:
            read(path)
        assert is_chinese(caught.value.what) and not english_in(caught.value.mend)
    with pytest.raises(XcError) as caught:
        load_table(tmp_path)
    assert is_chinese(caught.value.what)


@pytest.mark.parametrize("calls", ['{"read": "x"}', "[]", '{"read": 1.5}', '{"read": null}', '{}, "more": 1'])
def test_tables_that_are_none(calls: str, tmp_path: Path) -> None:
    (tmp_path / "table").write_text(f'{{"schema": "xc-syscalls/1", "arch": "arm64", "calls": {calls}}}')
    with pytest.raises(XcError) as caught:
        load_table(tmp_path / "table")
    assert is_chinese(caught.value.what)


def test_mistakes_of_go_structures() -> None:
    c = Layout(16, 8, (FieldLayout("st_dev", 0, 64), FieldLayout("st_mode", 64, 32)))
    kernel = Layouts("6", ("arm64",), {"struct stat": {"arm64": c}})
    fields = [("Mode", 4, 4), ("Dev", 0, 16), ("Other", 6, 4)]
    go = GoStruct(size=20, align=8, fields=[GoField(name=n, offset=o, size=s) for n, o, s in fields])
    found = check_go(GoStructs(structs={"Stat_t": go}, open={}), kernel, "arm64", {"Stat_t": "struct stat"})
    assert len(found) == 4 and all(is_chinese(mistake.told) for mistake in found)
    assert str(found[0]) == "Stat_t is not struct stat: 20 bytes, the kernel's has 16"


@pytest.mark.parametrize(
    ("clock", "timer"),
    [
        (None, None),
        ({"samples": 1, "backwards": 2, "worst_ns": 1e9}, {"samples": 1, "early": 3, "worst_ns": 1e9}),
        # Its numbers are the bridge's word: fractions, and larger than any count.
        ({"samples": 0.5, "backwards": 0.5, "worst_ns": 0}, {"samples": 1e300, "early": 1e300, "worst_ns": 1e300}),
        ({"samples": "x", "backwards": 0}, {"samples": SAMPLES, "early": True, "worst_ns": -1}),
    ],
)
def test_clocks(clock: dict[str, Any] | None, timer: dict[str, Any] | None) -> None:
    found = judge_clocks(clock, timer, 0.5)
    assert found.wrong or found.lacking
    assert all(is_chinese(text) for text in [*found.wrong, *([found.lacking] if found.lacking else [])])


def outcome(ended: Ended = Ended.EXITED, cause: str = "") -> Outcome:
    return Outcome(("p",), ended, 0, None, b"", b"", 0.0, 0.0, cause=verbatim(cause))


@pytest.mark.parametrize("kernel", ["4.19", ""])
@pytest.mark.parametrize("lacking", [(), ("openat2",)])
@pytest.mark.parametrize("undecided", ["", "x"])
def test_the_usage_of_a_program(kernel: str, lacking: tuple[str, ...], undecided: str) -> None:
    usage = Usage(
        "kunpeng",
        kernel,
        "qemu",
        "emulated-user",
        ("./p", "a"),
        {"openat2": 1, "write": 2},
        lacking,
        ("io_setup",),
        outcome(),
        outcome(Ended.TIMED_OUT),
        verbatim(undecided),
    )
    assert all(is_chinese(line) for line in usage.lines())
    assert "openat2 1, write 2" in "\n".join(usage.lines())


def test_differences_between_kernels() -> None:
    def column(name: str, emulator: str, *rows: tuple[str, str, ProbeResult]) -> Column:
        seen = tuple(ProbeOutcome(i, verbatim("fork(2)"), verbatim("1"), verbatim(f), r) for i, f, r in rows)
        return Column(name, "arm64", "emulated-user", 4096, "6.1", emulator, seen)

    known, unknown = "k.vfork.memory_is_shared", "k.fork.child_is_another"
    found = [
        column("user", "qemu-user", (known, "0", ProbeResult.FAILED), (unknown, "0", ProbeResult.FAILED)),
        column("system", "qemu-system", (known, "1", ProbeResult.UNDOCUMENTED)),
    ]
    lines = [line.render("zh") for line in [*table_lines(found), *divergence_lines(found, divergences(found), "linux")]]
    assert not english_in("\n".join(lines))
    assert "断言 | user | system" in lines and "  原因不明" in lines and lines[-1] == "2 处差异，其中 1 处原因不明"
    assert any(line.startswith("  原因：linux-user 用 fork 实现 vfork") for line in lines)
    told_as_data = json.loads(json.dumps(probes_as_dict(found, divergences(found), "linux")))
    assert told_as_data["divergences"][0]["believe"] == "emulated-system"
    assert told_as_data["divergences"][0]["reason"].startswith("linux-user makes vfork of fork")


@pytest.mark.parametrize("result", ProbeResult)
def test_results_have_words(result: ProbeResult) -> None:
    assert is_chinese(result.word)


@pytest.mark.parametrize("kind", [ReplyKind.DIED, ReplyKind.HUNG, ReplyKind.FAULT])
def test_replies_that_did_not_come(kind: ReplyKind) -> None:
    from pytest_xinchuang.packages.syscall_bridge.bridge import Reply

    assert is_chinese(told(Reply(kind, detail=outcome().describe())))

"""What sandboxes tell in Chinese."""

from __future__ import annotations

import ast
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.messages import NOTHING, Message, _, system_error
from pytest_xinchuang.sandbox.answers import check_errno, outcome_of
from pytest_xinchuang.sandbox.backends import qemu
from pytest_xinchuang.sandbox.backends.direct import differences
from pytest_xinchuang.sandbox.circumstances import Circumstances, CpuVariant
from pytest_xinchuang.sandbox.emulator_faults import classify
from pytest_xinchuang.sandbox.protocol import Outcome
from tests.messages.english import english_in


def is_chinese(text: Message) -> bool:
    """Whether a message has Chinese, and no English sentence in it."""
    said = text.render("zh")
    return any("\u4e00" <= letter <= "\u9fff" for letter in said) and not english_in(said)


def ended(answer: dict[str, Any] | None, timed_out_after_s: float | None = None, stderr: bytes = b"") -> Outcome:
    return outcome_of(
        ["prog"],
        answer,
        b"",
        stderr,
        truncated=False,
        timed_out_after_s=timed_out_after_s,
        emulated=True,
        cpu="max",
        gone=NOTHING,
    )


DONE = {"status": 0, "wall_ns": 1, "cpu_ms": 1, "left": 0}
OVER = {"id": "memory: {used} MiB resident, limit {limit} MiB", "params": {"used": 9, "limit": 5}}
BROKEN = {
    "id": "{step}: {problem}",
    "params": {
        "step": {"id": "show /dev/{name} to the target", "params": {"name": "null"}},
        "problem": {"id": "Operation not permitted", "params": {}},
    },
}


@pytest.mark.parametrize(
    ("answer", "timed_out_after_s", "chinese"),
    [
        (None, None, "主机故障：沙箱没有应答"),
        (DONE, None, "退出码 0"),
        (DONE, 2.5, "超时：2.5 秒后仍在运行（本工具的时限）"),
        ({**DONE, "over": OVER}, None, "超出限制：内存：常驻 9 MiB，上限 5 MiB"),
        ({"broken": BROKEN}, None, "主机故障：向目标程序接入 /dev/null：不允许该操作"),
        ({"broken": "as the agent has it"}, None, "主机故障：as the agent has it"),
        ({**DONE, "status": 11}, None, "模拟器故障：模拟器因 SIGSEGV 终止，而该信号并非由程序引发"),
        ({**DONE, "status": 9}, None, "主机故障：被外部的 SIGKILL 终止（内存不足？）"),
    ],
)
def test_ends(answer: dict[str, Any] | None, timed_out_after_s: float | None, chinese: str) -> None:
    outcome = ended(answer, timed_out_after_s)
    assert outcome.describe().render("zh") == chinese
    assert json.loads(json.dumps(outcome.as_evidence()))["cause"] == str(outcome.cause)


def test_a_program_that_cannot_be_executed() -> None:
    outcome = ended({"exec_errno": errno.ENOEXEC})
    assert (outcome.code, outcome.cause) == (126, "cannot execute: Exec format error")
    assert outcome.cause.render("zh") == "无法执行：可执行文件格式错误"
    assert outcome.describe_with_tail().render("zh") == "退出码 126：prog: Exec format error"


def test_every_step_of_the_supervisor_has_its_chinese() -> None:
    """The supervisor imports nothing of ours: its templates are looked up on the host's side."""
    tree = ast.parse(Path(qemu.__file__).with_name("supervisor.py").read_text())
    templates = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "_"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert len(templates) > 20
    for template in templates:
        assert Message.of(template).render("zh") != template and not english_in(Message.of(template).render("zh"))


def test_a_file_of_the_sandbox_that_is_not_there() -> None:
    check_errno({"errno": 0}, _("read {path}", path="/xc/f"))
    with pytest.raises(FileNotFoundError) as caught:
        check_errno({"errno": errno.ENOENT}, _("read {path}", path="/xc/f"))
    assert caught.value.strerror == "in the sandbox, read /xc/f: No such file or directory"
    assert system_error(caught.value).render("zh") == "在沙箱中读取 /xc/f：没有该文件或目录"


def test_errors_of_the_system() -> None:
    assert system_error(errno.EACCES).render("zh") == "权限不够"
    assert system_error(OSError(errno.ENOSPC, "No space left on device")).render("zh") == "设备上没有剩余空间"
    # Not the system's own words: as they are.
    assert system_error(OSError(errno.ENOSPC, "{odd}")).render("zh") == "{odd}"
    assert system_error(OSError("only a text")).render("zh") == "only a text"
    assert system_error(99999) == "Unknown error 99999"


def test_circumstances() -> None:
    every = Circumstances(CpuVariant.POOREST, "GenuineIntel", floor=False, loopback=True)
    assert every.name == str(every.told) == "poorest,vendor=GenuineIntel,every system call,loopback"
    assert every.told.render("zh") == "poorest，vendor=GenuineIntel，全部系统调用，回环网络"


@pytest.mark.parametrize("name", ["kunpeng", "hygon"])
def test_why_a_host_is_not_the_platform(name: str, platforms: Platforms) -> None:
    found = differences(platforms.get(name), "vax", "", "")
    assert len(found) >= 3 and all(is_chinese(text) for text in found)


def test_an_emulator_that_refuses_is_quoted() -> None:
    refused = classify(1 << 8, b"qemu-aarch64: unable to find CPU model 'x'\n", emulated=True, again=lambda: b"")
    assert refused.cause == "qemu-aarch64: unable to find CPU model 'x'"

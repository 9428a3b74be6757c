"""The order of ways: the first whole one, what was passed over, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, verbatim
from pytest_xinchuang.sandbox import ways
from pytest_xinchuang.sandbox.backend import Hindrances
from pytest_xinchuang.sandbox.protocol import Fingerprint, Sandbox
from pytest_xinchuang.sandbox.situation import Hindrance
from pytest_xinchuang.sandbox.ways import Way, open_first_whole, refuses_namespaces
from tests.messages.english import english_in


class Opened:
    def __init__(self, name: str, degraded: Message) -> None:
        self.name, self.open = name, True
        self.fingerprint = Fingerprint(
            name, name, Fidelity.NATIVE, False, "", "", False, (), "", "", "", {}, {}, "", 0.0, degraded
        )

    def close(self) -> None:
        self.open = False


class Host:
    """Opens ways by name: whole, degraded for a reason, or refused by an error."""

    def __init__(self, **answers: str | HostFault) -> None:
        self.answers, self.asked, self.opened = answers, list[str](), list[Opened]()

    def way(
        self, name: str, hindered: Callable[[HostFault], bool] = lambda _fault: True, *, telling: bool = True
    ) -> Way:
        def start() -> Sandbox:
            self.asked.append(name)
            answer = self.answers[name]
            if isinstance(answer, HostFault):
                raise answer
            self.opened.append(Opened(name, verbatim(answer) if answer else NOTHING))
            return cast(Sandbox, self.opened[-1])

        return Way(verbatim(name), start, name, hindered, telling)

    @property
    def left_open(self) -> list[str]:
        return [sandbox.name for sandbox in self.opened if sandbox.open]


def refused(why: str = "no namespaces") -> SandboxFault:
    return SandboxFault(verbatim(why), mend=verbatim("xc doctor"), namespaces=True)


def told(sandbox: Sandbox) -> list[str]:
    return [str(text) for text in sandbox.fingerprint.passed_over]


def test_the_best_way_is_taken_where_it_is_whole_and_nothing_is_told() -> None:
    host = Host(a="", b="")
    sandbox = open_first_whole([host.way("a"), host.way("b")], {})
    assert (sandbox.fingerprint.backend, told(sandbox), host.asked) == ("a", [], ["a"])


def test_a_whole_way_is_taken_before_a_degraded_one_which_is_closed_and_told() -> None:
    host = Host(a="children are not emulated", b="")
    sandbox = open_first_whole([host.way("a"), host.way("b")], {})
    assert (sandbox.fingerprint.backend, told(sandbox)) == ("b", ["a: children are not emulated"])
    assert host.left_open == ["b"]


def test_a_way_that_the_host_refuses_is_passed_over() -> None:
    host = Host(a=refused(), b="")
    sandbox = open_first_whole([host.way("a", refuses_namespaces), host.way("b")], {})
    assert (sandbox.fingerprint.backend, told(sandbox)) == ("b", ["a: no namespaces"])


def test_what_lies_not_in_the_way_is_not_passed_over() -> None:
    host = Host(a=HostFault(verbatim("no root filesystem")), b="")
    with pytest.raises(HostFault, match="no root filesystem"):
        open_first_whole([host.way("a", refuses_namespaces), host.way("b")], {})
    assert host.asked == ["a"]


def test_a_degraded_sandbox_is_closed_when_a_later_way_fails_for_another_reason() -> None:
    host = Host(a="half", b=HostFault(verbatim("a broken cache")))
    with pytest.raises(HostFault, match="a broken cache"):
        open_first_whole([host.way("a"), host.way("b", refuses_namespaces)], {})
    assert host.left_open == []


def test_where_none_is_whole_the_first_that_opened_is_taken_and_the_others_are_told() -> None:
    host = Host(a=refused(), b="half", c="a third", d=refused("no memory"))
    sandbox = open_first_whole([host.way(name) for name in "abcd"], {})
    assert (sandbox.fingerprint.backend, str(sandbox.fingerprint.degraded)) == ("b", "half")
    assert told(sandbox) == ["a: no namespaces", "c: a third", "d: no memory"]
    assert host.left_open == ["b"]


def test_what_hinders_a_way_is_remembered_for_the_run() -> None:
    host, known = Host(a=refused(), b="", c="half"), cast(Hindrances, {})
    for _turn in range(2):
        sandbox = open_first_whole([host.way("a"), host.way("c"), host.way("b")], known)
        assert told(sandbox) == ["a: no namespaces", "c: half"]
    assert host.asked == ["a", "c", "b", "b"]
    assert set(known) == {"a", "c"}


def test_what_hinders_it_this_time_alone_is_tried_again() -> None:
    host, known = Host(a=refused(), b=""), cast(Hindrances, {})
    for _turn in range(2):
        open_first_whole([host.way("a", telling=False), host.way("b")], known)
    assert host.asked == ["a", "b", "a", "b"]
    assert known == {}


def test_the_last_resort_is_taken_where_nothing_opens() -> None:
    host = Host(a=refused(), b=refused("no kernel"))
    last = cast(Sandbox, Opened("last", verbatim("single programs")))
    sandbox = open_first_whole([host.way("a"), host.way("b")], {}, lambda: last)
    assert sandbox is last
    assert told(sandbox) == ["a: no namespaces", "b: no kernel"]


def test_without_a_last_resort_every_reason_is_told_and_the_mend_of_the_best_way() -> None:
    host = Host(a=refused(), b=refused("no kernel"))
    with pytest.raises(SandboxFault, match="a: no namespaces; b: no kernel") as caught:
        open_first_whole([host.way("a"), host.way("b")], {})
    assert str(caught.value.mend) == "xc doctor"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], "rootless qemu-user"),
        ([(Hindrance.NO_BINFMT, verbatim("no"))], "rootless qemu-user"),
        ([(Hindrance.NO_OVERLAY, verbatim("no")), (Hindrance.NO_BINFMT, verbatim("no"))], "rootless qemu-user"),
        (None, "it shows when the first sandbox opens"),
    ],
)
def test_the_way_is_foreseen(found: ways.Refused | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "refused", lambda: found)
    monkeypatch.setattr(ways, "hindrances", tuple)
    assert str(ways.foreseen()) == told


@pytest.mark.parametrize("hindrance", [Hindrance.FILTERED, Hindrance.NONE_LEFT, Hindrance.CONFINED, Hindrance.MASKED])
def test_what_hinders_the_quicker_way_is_foreseen_with_its_mend(
    hindrance: Hindrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "refused", lambda: [(Hindrance.NO_BINFMT, verbatim("no")), (hindrance, verbatim("no"))])
    monkeypatch.setattr(ways, "hindrances", tuple)
    told = ways.foreseen()
    start = f"a real kernel under qemu-system, since {hindrance.word}; quicker: "
    assert str(told).startswith(start) and len(told) > len(start)
    assert not english_in(told.render("zh"))

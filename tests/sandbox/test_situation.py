"""What hinders sandboxes on hosts as users have them, and the mend for each."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.sandbox import pool
from pytest_xinchuang.sandbox.situation import _STEPS as STEPS
from pytest_xinchuang.sandbox.situation import (
    WITHOUT_EFFECT,
    Hindrance,
    hindrance_of_rootless,
    hindrances,
    instead_of,
    mend_for,
    mend_for_rootless,
    why_refused,
)
from pytest_xinchuang.tools.host import Situation, look
from tests.messages.english import english_in
from tests.sandbox.hosts import HOSTS, TRIED, Host


def seen(name: str) -> Situation:
    return look(HOSTS[name].picture)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_what_hinders_a_host(host: Host) -> None:
    situation = look(host.picture)
    assert hindrances(situation) == host.hindered
    assert host.mend in mend_for_rootless(situation)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_every_hindrance_has_a_mend_everywhere(host: Host) -> None:
    situation = look(host.picture)
    for hindrance in Hindrance:
        mend = mend_for(hindrance, situation)
        assert mend and ("nothing has to be done" in mend) is (hindrance in WITHOUT_EFFECT)
        for text in (mend, hindrance.word):
            assert not english_in(text.render("zh")), text.render("zh")
        if situation.root:
            assert "sudo" not in mend or "machine that runs the container" in mend
        if situation.installer and situation.installer[0] != "apt-get":
            assert "apt-get" not in mend


def test_mends_that_were_tried_are_of_these_hosts() -> None:
    assert set(TRIED) <= set(HOSTS)


EVERY_STEP = set(
    re.findall(r'_\("([^"]+)"', Path(pool.__file__).with_name("backends").joinpath("supervisor.py").read_text())
)


@pytest.mark.parametrize("step", STEPS)
def test_the_steps_are_those_of_the_supervisor(step: str) -> None:
    assert step in EVERY_STEP


@pytest.mark.parametrize(
    ("step", "number", "host", "why"),
    [
        ("create a user namespace", errno.ENOSPC, "Debian 12", Hindrance.NONE_LEFT),
        ("create a user namespace", errno.EINVAL, "Debian 12", Hindrance.NO_NAMESPACES),
        ("create a user namespace", errno.EPERM, "Debian 12", Hindrance.UNKNOWN),
        ("create a user namespace", errno.EPERM, "default container, user", Hindrance.FILTERED),
        ("create a user namespace", errno.EPERM, "Debian 10, user namespaces for root", Hindrance.FORBIDDEN),
        ("make mounts private", errno.EACCES, "Ubuntu 24.04", Hindrance.CONFINED),
        ("make mounts private", errno.EACCES, "Debian 12", Hindrance.UNMOUNTABLE),
        ("mount /proc", errno.EPERM, "container with seccomp=unconfined", Hindrance.MASKED),
        ("mount a private binfmt_misc", errno.EPERM, "Debian 12", Hindrance.NO_BINFMT),
        ("mount the writable layer (overlay)", errno.EPERM, "Debian 11", Hindrance.NO_OVERLAY),
        ("a step that nobody knows", errno.EPERM, "default container, user", Hindrance.FILTERED),
        ("a step that nobody knows", errno.EPERM, "Debian 13", Hindrance.UNKNOWN),
    ],
)
def test_why_a_step_was_refused(step: str, number: int, host: str, why: Hindrance) -> None:
    assert why_refused(step, number, seen(host)) is why


@pytest.mark.parametrize(
    ("backend", "host", "mend"),
    [
        ("qemu", "Debian 13", "--xc-backend=system"),
        ("qemu", "Debian 12", "--xc-backend=system"),
        ("qemu -L", "user namespaces off", "user.max_user_namespaces=15000"),
        ("docker", "Debian 13", "--xc-backend=qemu"),
        ("docker", "Ubuntu 24.04", "--xc-backend=system"),
        ("native", "an arm64 board", "--xc-backend=qemu"),
        ("native", "a LoongArch board", "x86-64 or arm64 host"),
        ("system", "Debian 13", "--xc-backend=qemu"),
        ("system", "default container, user", "seccomp=unconfined"),
        ("of others", "Debian 13", "--xc-backend=qemu"),
    ],
)
def test_who_runs_one_way_is_told_another(backend: str, host: str, mend: str) -> None:
    told = instead_of(backend, seen(host))
    assert mend in told
    ways = re.findall("--xc-backend=(qemu|system)", told)
    assert backend.partition(" ")[0] not in ways, told


def test_what_the_sandbox_gets_around_is_not_blamed() -> None:
    assert hindrance_of_rootless(seen("Debian 12")) is Hindrance.UNKNOWN
    assert hindrance_of_rootless(seen("Debian 10, user namespaces for root")) is Hindrance.FORBIDDEN
    filtered = replace(seen("Debian 10, user namespaces for root"), unprivileged=1, user_namespaces=False)
    assert hindrance_of_rootless(filtered) is Hindrance.NO_NAMESPACES

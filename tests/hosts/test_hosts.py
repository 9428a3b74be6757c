"""The matrix of hosts: its declarations, its table, and the two hosts that most users have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hosts import matrix
from tests.hosts.declared import FILE, Host, Kind, read
from tests.hosts.machine import Ended, script
from tests.hosts.results import Row, read_row, table, wrong

KUNPENG = "kunpeng920-kylin_v10_sp3"


def test_what_is_declared_is_whole() -> None:
    declared = read()
    assert {host.kind for host in declared.hosts.values()} == {Kind.MACHINE, Kind.CONTAINER}
    assert {host.arch for host in declared.hosts.values()} == {"amd64", "arm64", "loong64"}
    profiles = {path.name for path in FILE.with_name("profiles").iterdir()}
    assert {host.profile for host in declared.hosts.values()} - {""} == profiles
    assert {host.kernel for host in declared.hosts.values()} - {""} == set(declared.kernels)
    assert {host.userland for host in declared.hosts.values()} == set(declared.userlands)


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        ("    kernel: \"6.1\"\n", "", "a machine has a kernel"),
        ("    kernel: \"6.1\"\n", "    kernel: \"2.6\"\n", "no kernel 2.6"),
        ("    userland: rpm\n", "    userland: slackware\n", "no userland slackware"),
        ("    kernel: \"6.1\"\n", "    kernel: \"6.1\"\n    options: [--privileged]\n", "no options of docker run"),
        ("    kind: machine\n", "    kind: board\n", "kind"),
        ("    kind: machine\n", "    kind: machine\n    sysctl: {a: b}\n", "sysctl"),
    ],
)  # fmt: skip
def test_a_malformed_declaration_is_refused(tmp_path: Path, given: str, instead: str, told: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert given in text
    (tmp_path / "hosts.yaml").write_text(text.replace(given, instead, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        read(tmp_path / "hosts.yaml")


def test_a_machine_does_what_is_declared() -> None:
    host = Host(stands_for="", kind=Kind.MACHINE, kernel="6.1", sysctls={"user.max_user_namespaces": "0"}, profile="p")
    told = script(host, ["--xc-platform=kunpeng"])
    assert "echo 0 >/proc/sys/user/max_user_namespaces" in told
    assert "setpriv --reuid=1001" in told and "aa-exec -p p --" in told
    assert "setpriv" not in script(host.model_copy(update={"user": "root"}), [])


def _row(host: str, level: str, **more: str) -> Row:
    return Row(host, {KUNPENG: level}, {KUNPENG: "qemu"}, why={KUNPENG: "because"}, status=0, seconds=7, **more)  # type: ignore[arg-type]


def test_a_grade_that_is_not_the_best_one_is_wrong() -> None:
    rows = [_row("best", "L3"), _row("worse", "L1"), _row("same", "L3"), Row("broken", problem="no report")]
    assert wrong(rows, "L3") == ["worse", "broken"]
    assert "not L3: because" in table(rows, "L3")


def test_hosts_that_are_all_poor_do_not_agree() -> None:
    assert wrong([_row("one", "L1"), _row("other", "L1")], "L3") == ["one", "other"]


def test_hardware_excuses_a_grade_and_is_told() -> None:
    rows = [_row("best", "L3"), _row("board", "L1", hardware="no x86-64 runs beside it")]
    assert wrong(rows, "L3") == []
    assert "not L3: no x86-64 runs beside it" in table(rows, "L3")


def test_a_row_is_read_from_what_a_host_left(tmp_path: Path) -> None:
    host = Host(stands_for="", kind=Kind.CONTAINER)
    reports = tmp_path / ".xc"
    reports.mkdir()
    grade = {"platform": KUNPENG, "level": "L3", "blocking": ["XC-MRU-040"], "capped_by": "L4: it is emulated"}
    (reports / "report.json").write_text(json.dumps({"grades": [grade]}))
    sandbox = {
        "kind": "sandbox",
        "platform": KUNPENG,
        "backend": "qemu",
        "degraded": "",
        "extra": {"children": "tracer"},
    }
    (reports / "journal.ndjson").write_text(json.dumps(sandbox) + "\n")
    (tmp_path / "status").write_text("0\n")
    (tmp_path / "seconds").write_text("12\n")
    row = read_row("a", host, Ended(tmp_path), 20.0)
    assert (row.grades, row.ways, row.seconds) == ({KUNPENG: "L3"}, {KUNPENG: "qemu (tracer)"}, 12)
    (reports / "report.json").write_text("{")
    (tmp_path / "said.txt").write_text("ImportError: no pydantic\n")
    assert "ImportError: no pydantic" in read_row("a", host, Ended(tmp_path), 20.0).problem


def test_the_hosts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert matrix.main(["--list"]) == 0
    assert "docker run without options" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        matrix.main(["no-such-host"])


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.docker
@pytest.mark.registry
def test_the_hosts_that_most_users_have() -> None:
    """Debian 12's kernel as an ordinary user, and a default container; all units and the other hosts are the nightly job's."""
    units = "hello,children,threads,tls,signal,dlopen"
    assert matrix.main(["container", "debian-12", "--platform", "kunpeng", "--units", units]) == 0

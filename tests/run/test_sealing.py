"""What runs beside the checks of a run, and what decides a requirement of the suite all the same."""

from __future__ import annotations

import os
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.events import SandboxOpened, Surrounded, messages_of
from pytest_xinchuang.core.surroundings import FixtureSeen, PluginSeen
from pytest_xinchuang.core.trust import believed, caution
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import _
from pytest_xinchuang.run import installed, sealing
from pytest_xinchuang.run.marks import Marks
from pytest_xinchuang.run.own_fixtures import OwnFixtures
from pytest_xinchuang.run.recording import ItemRecord
from tests.messages.english import english_in
from tests.others import SWITCHED_OFF


def test_this_process_is_not_sealed() -> None:
    assert not sealing.sealed_process()


def test_files_are_compared_with_the_record(tmp_path: Path) -> None:
    place = tmp_path / "acme-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: Acme\nVersion: 1.0\n")
    (tmp_path / "acme.py").write_text("x = 1\n")
    digest = "wEOxCeK6wyszFyxhOXfhuqqDPZgbPy2gPN8x1rGL8Kc"
    (place / "RECORD").write_text(
        f"acme.py,sha256={digest},6\ngone.py,sha256={digest},6\nacme-1.0.dist-info/RECORD,,\n"
    )
    seen = installed.look_at(PathDistribution(place))
    assert (seen.name, seen.version, seen.record) == ("acme", "1.0", True)
    assert "gone.py" in seen.changed
    real = installed.digest_of(tmp_path / "acme.py")
    text = __import__("base64").urlsafe_b64encode(bytes.fromhex(real)).decode().rstrip("=")
    (place / "RECORD").write_text(f"acme.py,sha256={text},6\n")
    before = installed.look_at(PathDistribution(place))
    assert before.changed == ()
    (tmp_path / "acme.py").write_text("x = 2\n")
    after = installed.look_at(PathDistribution(place))
    assert after.changed == ("acme.py",) and after.digest != before.digest


def test_the_suite_names_each_of_its_files() -> None:
    seen = installed.suite(installed.by_name())
    files = {path.name for path in installed.suite_files()}
    assert seen.files > 1000 and {"sealing.py", "platforms.yaml", "test_mru.py", "sealed.ini"} <= files
    assert not [name for name in files if name.endswith(".pyc")]


def test_a_decision_cannot_be_written_from_outside() -> None:
    record = ItemRecord()
    good = Decision(Verdict.PASS, fidelity=Fidelity.STATIC, evidence=({"kind": "seen"},))
    with pytest.raises(TypeError):
        record.decisions["XC-MRU-001"] = good  # type: ignore[index]
    record.settle("XC-MRU-001", Decision(Verdict.FAIL, Cause.SUBJECT, _("it was asked")))
    record.settle("XC-MRU-001", good)
    assert record.decisions["XC-MRU-001"].verdict is Verdict.FAIL


class _Report:
    def __init__(self, nodeid: str = "a::b", when: str = "call") -> None:
        self.nodeid, self.when = nodeid, when


def test_a_note_is_believed_on_its_own_report_and_unchanged_alone() -> None:
    marks: Any = Marks()
    report: Any = _Report()
    assert not marks.is_ours(report)
    marks.put(report, {"decisions": [{"verdict": "fail"}]})
    assert marks.is_ours(report)
    report.xc = {"decisions": [{"verdict": "pass"}]}
    assert not marks.is_ours(report)
    marks.put(report, {"decisions": []})
    other: Any = _Report("a::c")
    other.xc, other.xc_mark = report.xc, report.xc_mark
    assert not marks.is_ours(other)
    assert Marks(marks.key).is_ours(report) and not Marks().is_ours(report)


def test_the_names_of_the_suites_fixtures() -> None:
    assert {"xc_check", "xc_sandbox", "xc_platform", "xc_subject"} <= set(OwnFixtures.shipped())


def sandbox(**more: Any) -> SandboxOpened:
    return SandboxOpened.model_validate({"platform": "p", "fidelity": "native", "backend": "acme", **more})


def test_native_of_somebody_elses_backend_is_a_word() -> None:
    assert believed(sandbox(plugin="/v/conftest.py")) is Fidelity.EMULATED_USER
    assert believed(sandbox(plugin="/v/conftest.py", confirmed=True)) is Fidelity.NATIVE
    assert believed(sandbox()) is Fidelity.NATIVE
    assert believed(sandbox(fidelity="gold")) is Fidelity.STATIC
    assert believed(sandbox(fidelity="emulated-system", plugin="x")) is Fidelity.EMULATED_SYSTEM
    for one in (sandbox(plugin="x"), sandbox(plugin="x", confirmed=True)):
        said = caution(one)
        assert said is not None and not english_in(said.render("zh"))
    assert caution(sandbox()) is None


def test_two_processes_are_sealed_when_both_are() -> None:
    why = (_("the plugin {name}", name="x"),)
    one = Surrounded(sealed=True, plugins=(PluginSeen(name="a", standing="ours"),))
    other = Surrounded(
        foreign=("the plugin x",), messages=messages_of(foreign=why), fixtures=(FixtureSeen(name="xc_mru", file="f"),)
    )
    both = sealing.merged(one, other)
    assert not both.sealed and both.foreign == ("the plugin x",) and len(both.plugins) == 1 and len(both.fixtures) == 1
    assert sealing.merged(one, one).sealed


def test_what_is_told_is_told_in_chinese_too(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_runtest_makereport(item, call): pass\n")
    pytester.makepyfile(mine="def pytest_pyfunc_call(pyfuncitem): pass\n")
    pytester.syspathinsert()
    config = pytester.parseconfigure("-p", "mine", *SWITCHED_OFF)
    fixtures = [FixtureSeen(name="xc_mru", file="conftest.py")]
    seen = sealing.surroundings(config, fixtures, ["pytest_xinchuang.core.grade.grade_run"])
    told = "\n".join(text.render("zh") for text in seen.said_all("foreign"))
    assert not english_in(told)
    assert "mine.py" in told and "grade_run" in told and "xc_mru" in told
    assert not seen.sealed
    assert "pytest_pyfunc_call" in next(p for p in seen.plugins if p.name == "mine").hooks
    assert {p.standing for p in seen.plugins if p.name in ("python", "main", "terminal")} == {"pytest"}


def test_a_file_that_is_written_to_has_another_digest(tmp_path: Path) -> None:
    """Though its size and its time are as they were."""
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first, times = installed.digest_of(file), file.stat()
    assert installed.digest_of(file) == first
    file.write_bytes(b"two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert installed.digest_of(file) not in ("", first)
    file.unlink()
    assert installed.digest_of(file) == ""

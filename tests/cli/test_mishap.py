"""An error of ours ends a command with a sentence and a file, and never with a traceback that nobody asked for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pytest_xinchuang.cli import platforms
from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.core import mishap


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def broken(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_context: object) -> int:
        raise error

    monkeypatch.setattr(platforms, "_list", raises)


def reports(directory: Path) -> list[Path]:
    return sorted(directory.glob("errors/xc-error-*.txt"))


def test_it_is_a_sentence_and_a_file(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(KeyError("facts"), monkeypatch)
    assert main(["platforms", "list"]) == Exit.ERROR
    (report,) = reports(cache)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "xc: pytest-xinchuang itself broke: KeyError: there is no facts\n"
        f"  mend: send {report} to the maintainers: it has the traceback and the versions\n"
    )
    text = report.read_text()
    assert (
        "'xc' 'platforms' 'list'" in text and "Traceback" in text and "pydantic " in text and "test_mishap.py" in text
    )
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_in_chinese(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    broken(RecursionError("maximum recursion depth exceeded"), monkeypatch)
    assert main(["--language", "zh", "platforms"]) == Exit.ERROR
    err = capsys.readouterr().err
    assert "自身出错" in err and "修正" in err and len(reports(cache)) == 1


@pytest.mark.parametrize("line", ["--debug platforms", "platforms --debug", "platforms -vv", "-v platforms -v"])
def test_the_traceback_is_for_those_who_ask(
    cache: Path, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(ZeroDivisionError("x"), monkeypatch)
    assert main(line.split()) == Exit.ERROR
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_what_stands_behind_two_dashes_is_no_option_of_ours(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_xinchuang.cli.inspect._flags", lambda _context: 1 // 0)
    assert main(["flags", "kunpeng", "--", "--debug", "-vv"]) == Exit.ERROR
    assert "Traceback" not in capsys.readouterr().err


def test_memory_that_ran_out_is_told_as_that(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(MemoryError(), monkeypatch)
    assert main(["platforms"]) == Exit.ERROR
    assert "there is not enough memory" in capsys.readouterr().err and not reports(cache)


def test_secrets_in_urls_are_left_out(cache: Path) -> None:
    report = mishap.write_report(
        ValueError("https://user:secret@proxy/x is bad"), ["xc", "--proxy=https://user:secret@proxy"]
    )
    assert report is not None
    assert "secret" not in report.read_text() and "https://***@proxy" in report.read_text()


def test_without_a_cache_it_goes_to_the_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "file" / "x"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = mishap.write_report(ValueError("x"), ["xc"])
    assert report is not None and report.parent == tmp_path


def test_where_nothing_can_be_written_it_says_how_to_see_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "file" / "x"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert mishap.write_report(ValueError("x"), ["xc"]) is None
    assert "--debug" in mishap.mend_of(None)


def test_old_files_go(cache: Path) -> None:
    place = cache / "errors"
    place.mkdir(parents=True)
    for number in range(30):
        (place / f"xc-error-20200101-0000{number:02}-1.txt").write_text("")
    newest = mishap.write_report(ValueError("x"), ["xc"])
    assert len(reports(cache)) == mishap.KEPT and reports(cache)[-1] == newest


def test_a_name_that_is_no_text_can_be_shown(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "/nowhere/\udcff"]) == Exit.ERROR
    assert rb"/nowhere/\udcff" in capsysbinary.readouterr().err

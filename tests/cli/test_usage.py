"""How ``xc`` answers what it does not understand, in both languages, with the exit codes that it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli import entry
from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.commands.common import Commands
from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.commands.wording import columns, translated, wrapped
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.near import near, near_names
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.base import Package
from tests.cli.test_options import GROUPS
from tests.messages.english import english_in


def test_the_exit_codes() -> None:
    assert {e.name: int(e) for e in Exit} == {
        "CLEAN": 0,
        "FINDINGS": 1,
        "ERROR": 2,
        "INCOMPLETE": 3,
        "COMPATIBLE": 4,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_a_command_shows_help_and_is_an_error(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(group.split()) == Exit.ERROR
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"usage: xc {group}".rstrip()) and "commands:" in err


def test_help_and_version_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["sm", "-h"], ["sm", "run", "--help"], ["supply-chain", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        assert capsys.readouterr().err == ""


WRONG = [
    ("platfroms", "did you mean platforms?", "是否为 platforms？"),
    ("syscalls layout shw", "did you mean show?", "是否为 show？"),
    ("supply-chain chek .", "did you mean check?", "是否为 check？"),
    ("inspect a --platfrom kunpeng", "did you mean --platform,", "是否为 --platform、"),
    ("inspect a --platform kunpen", "did you mean kunpeng,", "是否为 kunpeng、"),
    ("platforms show KUNPENG", "did you mean kunpeng,", "是否为 kunpeng、"),
    ("explain XC-ELF-O10", "did you mean XC-ELF-010,", "是否为 XC-ELF-010、"),
    ("api rules GO-FUNC-REMOVD", "did you mean GO-FUNC-REMOVED,", "是否为 GO-FUNC-REMOVED、"),
    ("sm vectors sm2_verfy", "did you mean sm2_verify", "是否为 sm2_verify"),
    ("syscalls table arm46", "did you mean arm64", "是否为 arm64"),
    ("flags muls -- -O2", "did you mean musl?", "是否为 musl？"),
    (
        "platforms --format jsn",
        "none of text, json (did you mean json?)",
        "不在可选值 text、json 之中（是否为 json？）",
    ),
    ("inspect", "PATH must be given", "必须写明：PATH"),
    ("sm tls h:1 --timeout x", "'x' is not a number", "'x' 不是数值"),
    ("supply-chain serve m --port x", "'x' is not a whole number", "'x' 不是整数"),
    ("sm tls h:1 --timeout", "a value must be given", "须写明取值"),
    ("sm init", "one of these must be given: --kind", "必须写明其中之一：--kind"),
    ("sm init --kind go --lang c", "cannot be given together with", "不能与"),
    ("doctor --json=x", "takes no value, and 'x' was given", "不带取值，却写了 'x'"),
    ("inspect a --no-isa --no", "may mean --no-isa, --notes", "可能是 --no-isa, --notes"),
    ("report", "no journal is named", "没有写明运行日志"),
    ("--language fr platforms", "'fr' is none of en, zh".replace("'", ""), "fr 不在可选值 en、zh 之中"),
]


@pytest.mark.parametrize(("line", "english", "chinese"), WRONG)
def test_a_mistake_is_told_in_both_languages(
    line: str, english: str, chinese: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(line.split()) == Exit.ERROR
    out, err = capsys.readouterr()
    assert out == "" and "\nxc: " in f"\n{err}" and english in err
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert main(line.split()) == Exit.ERROR
    err = capsys.readouterr().err
    assert "\nxc：" in f"\n{err}" and chinese in err
    assert not english_in(err)


@pytest.mark.parametrize(
    "words", [["--language", "zh", "sm"], ["sm", "--language=zh"], ["sm", "--lang", "zh"], ["--lan=zh", "sm"]]
)
def test_the_language_may_stand_anywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == Exit.ERROR
    assert capsys.readouterr().err.startswith("用法：xc sm")


def test_the_language_of_a_program_is_not_that_of_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["sm", "init", "--lang", "go", str(tmp_path / "a"), "--language", "zh"]) == Exit.CLEAN
    assert "已将 " in capsys.readouterr().out
    # A word of the command that comes behind `--` is the compiler's: no language of ours.
    assert main(["flags", "liteos_m", "--", "--language=zh"]) != Exit.ERROR
    assert not re.search("[\u4e00-\u9fff]", capsys.readouterr().out)


def test_what_argparse_has_never_said_stays_as_it_is() -> None:
    assert translated("no such thing") == "no such thing"
    assert translated("argument --x: odd").render("zh") == "--x：odd"


def test_lines_are_broken_where_chinese_may_be() -> None:
    text = "在信创平台上评级（kunpeng、loongson），输出报告，见 docs/porting.md。"
    lines = wrapped(text, 20)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns(line) <= 20 for line in lines)
    assert not any(line[0] in "，。、）" or line[-1] in "（" for line in lines)
    assert wrapped("three plain words", 11) == ["three plain", "words"]
    assert wrapped("", 10) == [] and wrapped("toolongforit", 5) == ["toolongforit"]


def test_near_matches_do_not_look_at_the_case() -> None:
    assert near_names("SHWO", ["show", "list"]) == ["show"]
    assert near("qqq", ["show"]) == ""


def test_verbose_tells_what_was_asked_for_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platforms", "show", "kunpeng", "-v"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "xc platforms show kunpeng -v" in lines[0] and all(" s  " in line for line in lines)
    assert main(["platforms", "show", "kunpeng"]) == 0
    assert capsys.readouterr().err == ""


def test_an_interruption_has_its_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_context: object) -> int:
        raise KeyboardInterrupt

    _with_package(monkeypatch, lambda commands: commands.command("acme", _("a"), interrupted))
    assert main(["acme"]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "xc: interrupted\n"


def _with_package(monkeypatch: pytest.MonkeyPatch, add: Any) -> None:
    class Acme(Package):
        name = "acme"

        def add_commands(self, commands: Commands) -> None:
            add(commands)

    monkeypatch.setattr("pytest_xinchuang.packages.base.loadable", lambda: [Acme()])


def test_a_package_whose_commands_cannot_be_added_takes_no_other_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def twice(commands: Commands) -> None:
        commands.command("platforms", _("mine"), lambda _context: 0)

    def broken(_commands: Commands) -> None:
        raise RuntimeError("no")

    for add, told in ((twice, "the command xc platforms is there already"), (broken, "RuntimeError: no")):
        _with_package(monkeypatch, add)
        assert main(["platforms", "show", "kunpeng"]) == 0
        err = capsys.readouterr().err
        assert err.startswith("xc: the commands of the package acme are left out: ") and told in err


def test_an_installation_without_packages_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pytest_xinchuang.packages.base.loadable", list)

    def none(*_more: object) -> None:
        raise XcError(verbatim("no package is registered"))

    monkeypatch.setattr("pytest_xinchuang.packages.registry.installed", none)
    assert main(["platforms", "show", "kunpeng"]) == 0
    assert "no package is registered" in capsys.readouterr().err


@pytest.mark.tools
def test_help_imports_nothing_that_is_slow() -> None:
    """`xc --help` stays below 100 ms: what commands work with is imported when they work."""
    script = (
        "import sys\n"
        "from pytest_xinchuang.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"pydantic", "yaml", "pytest", "logging", "subprocess", "difflib", "argcomplete", "asyncio"}
    assert "pytest_xinchuang.packages.syscall_bridge.layout_commands" not in loaded


@pytest.mark.tools
@pytest.mark.parametrize("module", ["pytest_xinchuang.cli.entry"])
def test_it_runs_as_a_module(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("xc ")
    assert entry.main is main

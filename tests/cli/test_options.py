"""Every command says a thing in one way, and what was once said otherwise is still understood."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import commands_of, main
from pytest_xinchuang.commands.parser import UsageError, XcParser
from tests.messages.english import english_in

COMMANDS: dict[str, tuple[list[str], str]] = {
    "platforms": ([], "format output"),
    "doctor": ([], "format output"),
    "provision": ([], "platform offline"),
    "shell": (["kunpeng"], "platform offline"),
    "rootfs": (["list"], "platform"),
    "kernel": (["list"], "platform"),
    "subject": (["check"], "platform"),
    "inspect": (["a"], "format output platform"),
    "advise": (["."], "format output platform offline"),
    "explain": ([], "output"),
    "flags": (["kunpeng"], "platform"),
    "go-test": (["m@v1"], "format output platform offline"),
    "sm vectors": ([], ""),
    "sm run": ([], "format output platform offline"),
    "sm check-harness": ([], "format output platform offline"),
    "sm tls": (["h:1"], "format output"),
    "sm client-hello": (["1"], "format output"),
    "sm init": (["--kind", "go"], ""),
    "api snapshot": (["."], "output offline"),
    "api diff": (["a", "b"], "format output offline"),
    "api rules": ([], "output"),
    "supply-chain check": (["."], "format output offline"),
    "supply-chain image": (["i"], "format output"),
    "supply-chain verify": (["m", "--key", "k"], "format output"),
    "supply-chain sign": (["m"], ""),
    "supply-chain keygen": (["k"], ""),
    "supply-chain serve": (["m"], ""),
    "syscalls table": (["arm64"], "format output"),
    "syscalls diff": (["arm64", "amd64"], "format output"),
    "syscalls gen": (["arm64", "--kind", "go"], "output"),
    "syscalls layout snapshot": (["--output", "f"], "output"),
    "syscalls layout show": ([], ""),
    "syscalls layout diff": (["a", "b"], "format output"),
    "syscalls layout assert": (["arm64"], "output"),
    "syscalls layout check-go": (["."], ""),
    "syscalls probe": (["--platform", "kunpeng"], "format output platform offline"),
    "syscalls bridge init": (["--kind", "c"], ""),
    "syscalls bridge run": ([], ""),
    "syscalls trace": (["--platform", "kunpeng"], "format output platform offline"),
    "host check": ([], "format output"),
    "report": (["j"], "output format"),
    "reference": (["--output", "f"], "output platform offline"),
    "grade": (["--platform", "kunpeng"], "platform offline"),
    "completion": (["bash"], "output"),
}
"""Command -> the fewest words that it takes, and which of the options that commands share it has."""

SHARED = ("format", "output", "platform", "offline")

GROUPS = ["", "sm", "api", "supply-chain", "syscalls", "syscalls layout", "syscalls bridge", "host"]


def parse(*words: str) -> argparse.Namespace:
    parsed: argparse.Namespace = commands_of("en").parser.parse_args(list(words))
    return parsed


def values(*words: str) -> dict[str, Any]:
    return {k: v for k, v in vars(parse(*words)).items() if k not in ("handler", "parser")}


def parsers(language: str = "en") -> dict[str, XcParser]:
    return {p.prog.removeprefix("xc").strip(): p for p in commands_of(language).parser.walk()}


def test_every_command_is_listed() -> None:
    assert set(parsers()) == {*COMMANDS, *GROUPS}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_the_options_that_it_shares(command: str) -> None:
    words, wanted = COMMANDS[command]
    options = set(parsers()[command].options())
    assert {"--language", "--platforms-file", "--verbose", "-v", "--help"} <= options
    assert {o for o in SHARED if f"--{o}" in options} == set(wanted.split())
    assert not {"--lang", "--json", "--markdown"} & options, "older spellings are not shown"
    own = command.split()
    for shared in (["--language", "zh"], ["--platforms-file", "F"], ["-v"]):
        name = shared[0].strip("-").replace("-", "_").replace("v", "verbose") if shared[0] == "-v" else ""
        name = name or shared[0].strip("-").replace("-", "_")
        places = [own[:at] + shared + own[at:] + words for at in range(len(own) + 1)] + [own + words + shared]
        assert [getattr(parse(*place), name) for place in places] == [shared[-1] if shared[1:] else 1] * len(places)
    assert values(*own, *words)["language"] is None and values(*own, *words)["platforms_file"] is None


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_has_the_name_under_which_a_command_keeps_what_it_runs(command: str) -> None:
    own = [*command.split(), *COMMANDS[command][0]]
    handler = parse(*own).handler
    assert callable(handler) and not any(callable(value) for value in values(*own).values())
    flags = [a.option_strings[-1] for a in parsers()[command]._actions if isinstance(a, argparse._StoreTrueAction)]
    assert all(parse(*own, flag).handler is handler for flag in flags)


def test_programs_of_a_tree_are_run_where_that_is_asked_for() -> None:
    assert parse("advise", ".").run is False and parse("advise", ".", "--run").run is True


OLDER = [
    ("platforms --json", "platforms --format json"),
    ("doctor --json", "doctor --format json"),
    ("provision --offline DIR", "provision --import DIR"),
    ("provision kunpeng phytium", "provision --platform kunpeng,phytium"),
    ("shell kunpeng -- ls", "shell --platform kunpeng -- ls"),
    ("flags kunpeng -- -O2", "flags --platform kunpeng -- -O2"),
    ("sm vectors --lang zh", "sm vectors --language zh"),
    ("sm run --lang zh -- h", "sm run --language zh -- h"),
    ("sm tls h:1 --json", "sm tls h:1 --format json"),
    ("sm init --lang go-tjfoc", "sm init --kind go-tjfoc"),
    ("supply-chain DIR", "supply-chain check DIR"),
    ("supply-chain --offline DIR", "supply-chain check --offline DIR"),
    ("syscalls table arm64 --json", "syscalls table arm64 --format json"),
    ("syscalls diff a b --json", "syscalls diff a b --format json"),
    ("syscalls gen arm64 --lang rust", "syscalls gen arm64 --kind rust"),
    ("syscalls layout diff a b --json", "syscalls layout diff a b --format json"),
    ("syscalls bridge init --lang go", "syscalls bridge init --kind go"),
    ("host check --json", "host check --format json"),
]

SAME = {"offline": "taken", "platforms": "platform", "place": "platform"}
"""Where an older spelling is kept by itself, and the newer one."""


@pytest.mark.parametrize(("older", "newer"), OLDER)
def test_an_older_spelling_is_understood(older: str, newer: str) -> None:
    old, new = values(*older.split()), values(*newer.split())
    for name in {k for k in old if old[k] != new[k]}:
        other = {v: k for k, v in SAME.items()} | SAME
        assert name in other, name
        if name in SAME and old[name]:
            assert new[SAME[name]] == (",".join(old[name]) if isinstance(old[name], list) else old[name])


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("go-test m@v1 --json F", "json_file"),
        ("go-test m@v1 --markdown F", "markdown_file"),
        ("sm run --json F -- h", "json_file"),
        ("syscalls probe --platform kunpeng --json F", "json_file"),
        ("syscalls trace --platform kunpeng --json F -- p", "json_file"),
    ],
)
def test_a_file_beside_the_text_may_still_be_asked_for(words: str, file: str) -> None:
    assert (values(*words.split())[file], values(*words.split())["format"]) == ("F", "text")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shell kunpeng -- ls -v", ["ls", "-v"]),
        ("shell kunpeng ls -v", ["ls", "-v"]),
        ("shell kunpeng git log -p -- f", ["git", "log", "-p", "--", "f"]),
        ("shell kunpeng --backend system -- ls", ["ls"]),
        ("shell --backend system kunpeng -- sh -- x", ["sh", "--", "x"]),
        ("shell kunpeng", []),
        ("shell kunpeng --", []),
        ("flags kunpeng -O2 -lm", ["-O2", "-lm"]),
        ("flags kunpeng --language zh -- -O2", ["-O2"]),
        ("sm run ./harness --flag", ["./harness", "--flag"]),
        ("sm run --timeout 3 -- ./harness --timeout 4", ["./harness", "--timeout", "4"]),
        ("syscalls trace --platform kunpeng ./p -v", ["./p", "-v"]),
        ("syscalls bridge run -- ./h", ["./h"]),
    ],
)
def test_what_is_to_be_run_begins_after_the_dashes(line: str, words: list[str]) -> None:
    assert parse(*line.split()).words == words


@pytest.mark.parametrize(
    "line",
    [
        "shell kunpeng --bakend system -- ls",
        "shell kunpeng --bakend",
        "shell kunpeng --backend system ls",
        "shell --language fr kunpeng -- ls",
        "sm run --tmeout 3 -- h",
    ],
)
def test_a_mistyped_option_is_no_part_of_what_is_run(line: str) -> None:
    with pytest.raises(UsageError):
        parse(*line.split())


def test_a_platforms_file_is_obeyed_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("schema: xc-platforms/1\nshorts: {mine: kunpeng920-kylin_v11}\n")
    for words in (["--platforms-file", str(own), "platforms"], ["platforms", "--platforms-file", str(own)]):
        assert main([*words, "show", "mine"]) == 0
        assert '"kunpeng920-kylin_v11"' in capsys.readouterr().out
    own.write_text("schema: xc-platforms/1\nshorts: {mine: nothing}\n")
    for words in (
        ["explain"],
        ["supply-chain", "check", str(tmp_path)],
        ["supply-chain", str(tmp_path)],
        ["api", "rules"],
        ["sm", "vectors"],
    ):
        for line in ([*words, "--platforms-file", str(own)], [words[0], "--platforms-file", str(own), *words[1:]]):
            assert main(line) == 2
            assert f"{own}:" in capsys.readouterr().err, line


def test_output_is_where_the_result_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f"
    assert main(["platforms", "--format", "json", "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert file.read_text().startswith("[")
    assert main(["explain", "--output", str(tmp_path / "none" / "f")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_platform_given_twice_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flags", "kunpeng", "--platform", "phytium", "--", "-O2"]) == 2
    assert "given twice: phytium, kunpeng" in capsys.readouterr().err
    assert main(["flags", "--", "-O2"]) == 2
    assert "no platform is named" in capsys.readouterr().err
    assert main(["flags", "--platform", "kunpeng", "--", "-O2"]) == 0


def test_every_argument_says_what_it_is_for() -> None:
    silent = [
        (parser.prog, action.dest)
        for parser in commands_of("en").parser.walk()
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not silent


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS])
def test_a_chinese_help_text_has_no_english_in_it(command: str) -> None:
    text = parsers("zh")[command].format_help()
    assert text.startswith("用法：xc") and "所有命令通用的选项：" in text
    assert not english_in(text)
    columns = [sum(2 if c > "ᄀ" else 1 for c in line) for line in text.splitlines()]
    assert max(columns) <= 100

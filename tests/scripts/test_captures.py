"""scripts/captures: what the pages show of outputs is what the commands say, and nothing is left unmarked."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("captures", str(ROOT / "scripts/captures"))
    spec = importlib.util.spec_from_loader("captures", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["captures"] = module  # its dataclasses look for it there
    loader.exec_module(module)
    return module


def page(tmp_path: Path, marker: str, *lines: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text("\n".join(["A page.", marker, "```", *lines, "```", "", "```sh", "exit 1", "```"]) + "\n")
    return path


def test_every_block_of_output_has_its_marker(script: ModuleType) -> None:
    """The house: a block that no command is known of, and no reason why not, is false one day."""
    found = {page: list(script.captures(page)) for page in script.pages()}
    assert {p.name for p in found} >= {"README.md", "README.zh-CN.md", "inspect.md", "page.md"}
    blocks = [capture for captures in found.values() for capture in captures]
    assert len(blocks) > 10 and all(c.by_hand or c.command for c in blocks)
    assert all((ROOT / source).exists() for c in blocks for source, _ in c.copies)


@pytest.mark.parametrize(
    "marker",
    [
        "",
        "<!-- a comment -->",
        "<!-- capture by hand: no date -->",
        "<!-- capture by hand: a reason, last week -->",
        "<!-- capture: echo a\nunknown: key -->",
        "<!-- capture: echo a -->\nbetween",
    ],
)
def test_a_block_without_a_marker_is_wrong(
    script: ModuleType, tmp_path: Path, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["check", str(page(tmp_path, marker, "a"))]) == 1
    assert "page.md:" in capsys.readouterr().out


def test_the_command_that_is_shown_is_the_one_that_is_run(script: ModuleType, tmp_path: Path) -> None:
    path = page(tmp_path, "<!-- capture: echo a -->", "$ echo b", "a")
    with pytest.raises(script.Wrong, match="another command"):
        list(script.captures(path))


def test_a_block_that_does_not_end_is_wrong(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- capture: echo a -->\n```\na\n")
    assert script.main(["check", str(tmp_path / "page.md")]) == 1


SAID = "printf 'one\\ntwo\\nthree\\nfour 4\\n'; exit 3"


@pytest.mark.parametrize(
    ("lines", "renewed"),
    [
        (["one", "two", "three", "four 4"], None),
        (["one", "...", "four 4"], None),
        (["...", "four ..."], None),
        (["one", "two", "three", "four 4", "exit status 3"], None),
        ([f"$ {SAID}", "one", "..."], None),
        (["one", "2", "three", "four 4"], ["one", "two", "three", "four 4"]),
        (["one", "two"], ["one", "two", "three", "four 4"]),
        (["1", "...", "four ..."], ["one", "...", "four ..."]),
        (["one", "...", "4"], ["one", "...", "four 4"]),
        (["one", "...", "four 4", "exit status 0"], ["one", "...", "four 4", "exit status 3"]),
        ([], ["one", "two", "three", "four 4"]),
    ],
)
def test_a_block_is_compared_and_renewed(
    script: ModuleType, tmp_path: Path, lines: list[str], renewed: list[str] | None
) -> None:
    path = page(tmp_path, f"<!-- capture: {SAID} -->", *lines)
    before = path.read_text()
    assert script.main(["check", str(path)]) == (1 if renewed else 0)
    assert path.read_text() == before
    assert script.main(["update", str(path)]) == 0
    (capture,) = script.captures(path)
    assert capture.lines == (renewed or lines)
    assert script.main(["check", str(path)]) == 0
    assert path.read_text().endswith("```\n\n```sh\nexit 1\n```\n")


def test_a_part_stands_anywhere(script: ModuleType, tmp_path: Path) -> None:
    marker = f"<!-- capture: {SAID}\npart: the middle -->"
    assert script.main(["check", str(page(tmp_path, marker, "two", "three"))]) == 0
    assert script.main(["check", str(page(tmp_path, marker, "three", "two"))]) == 1


def test_the_directory_is_prepared(script: ModuleType, tmp_path: Path) -> None:
    marker = "<!-- capture: cat mine/LICENSE made; ls\ncopy: LICENSE as LICENSE\nfirst: mkdir mine && mv LICENSE mine\n"
    path = page(tmp_path, marker + "first: echo made > made\npart: its end -->", "made", "made", "mine")
    assert script.main(["check", str(path)]) == 0


def test_what_cannot_be_prepared_is_told(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = page(tmp_path, "<!-- capture: echo a\nfirst: exit 4 -->", "a")
    assert script.main(["check", str(path)]) == 1
    assert "exit 4: exit status 4" in capsys.readouterr().out


def test_the_slow_are_asked_for(script: ModuleType, tmp_path: Path) -> None:
    path = page(tmp_path, "<!-- capture slow: echo a -->", "b")
    assert script.main(["check", str(path)]) == 0
    assert script.main(["check", "--slow", str(path)]) == 1


def test_what_is_captured_by_hand_is_left_alone(script: ModuleType, tmp_path: Path) -> None:
    path = page(tmp_path, "<!-- capture by hand: needs a board, 2026-11-29 -->", "b")
    assert script.main(["update", str(path)]) == 0 and "\nb\n" in path.read_text()

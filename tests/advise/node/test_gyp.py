"""binding.gyp: what is built for each machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.node.gyp import Unknown, holds, targets_of
from pytest_xinchuang.advise.node.survey import NodeSurvey
from tests.advise.asking import ask

GYP = """# native part
{{
  'variables': {{'with%': 'true'}},
  'targets': [{{
    'target_name': 'fast',
    'sources': [],
    'conditions': [
      ['target_arch=="x64"', {{'sources': ['x86.c'], 'cflags': ['-msse4.2']}}],
      {arm}
    ],
  }}],
}}
"""


def test_nothing_is_compiled(tmp_path: Path) -> None:
    said = ask(
        NodeSurvey(), tmp_path, {"binding.gyp": GYP.format(arm="['target_arch==\"arm64\"', {'sources': ['arm.c']}]")}
    )
    assert said.may("loongson") == [("XC-ADV-092", "binding.gyp:5")] and not said.found("kunpeng")
    assert said.judged("kunpeng") == [(1, 1)]


def test_the_rest_has_sources(tmp_path: Path) -> None:
    text = GYP.format(arm="['target_arch!=\"x64\"', {'sources': ['plain.c']}]")
    assert not ask(NodeSurvey(), tmp_path, {"binding.gyp": text}).said.findings


@pytest.mark.tools
def test_flags_are_asked_of_a_compiler(tmp_path: Path) -> None:
    text = "{'targets': [{'target_name': 'fast', 'sources': ['a.c'], 'cflags': ['-O2', '-mavx2']}]}"
    said = ask(NodeSurvey(), tmp_path, {"binding.gyp": text}, build=True)
    assert said.certain("kunpeng") == [("XC-ADV-092", "binding.gyp:1")] == said.certain("loongson")
    assert not said.found("hygon")


@pytest.mark.parametrize(
    ("condition", "x64", "arm64"),
    [
        ('target_arch=="x64"', True, False),
        ("target_arch in ['x64', 'ia32']", True, False),
        ('OS=="linux" and target_arch!="x64"', False, True),
        ('"<(target_arch)"=="arm64" or OS=="win"', False, True),
        ('not target_arch == "x64"', False, True),
    ],
)
def test_conditions(condition: str, *, x64: bool, arm64: bool) -> None:
    for arch, wanted in (("x64", x64), ("arm64", arm64)):
        assert holds(condition, {"OS": "linux", "target_arch": arch}) is wanted


@pytest.mark.parametrize(
    "condition", ['"<!(uname)"=="x"', "__import__('os')", "with_x == 1", "target_arch ==", "1 + 1"]
)
def test_what_a_condition_cannot_be_told_is_unknown(condition: str) -> None:
    with pytest.raises(Unknown):
        holds(condition, {"OS": "linux", "target_arch": "x64"})


def test_lists_are_merged_as_gyp_does() -> None:
    text = "{'targets': [{'target_name': 'a', 'sources': ['a.c', 'x.c'], 'conditions': [['target_arch!=\"x64\"', {'sources!': ['x.c']}, {'sources': ['y.c']}]]}]}"  # noqa: E501
    assert targets_of(text, "x64")[0].sources == ("a.c", "x.c", "y.c")
    assert targets_of(text, "arm64")[0].sources == ("a.c",)


@pytest.mark.parametrize("text", ["", "{", "[]", "{'targets': 3}", "(" * 3000, "__import__('os')", "{'targets': [3]}"])
def test_what_is_no_binding_is_not_judged(tmp_path: Path, text: str) -> None:
    said = ask(NodeSurvey(), tmp_path, {"binding.gyp": text})
    assert said.judged("kunpeng") == [(0, 1)] and not said.said.findings

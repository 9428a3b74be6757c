"""Fortran: nothing is judged without a compiler for both."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.fortran import survey
from pytest_xinchuang.advise.fortran.survey import FortranSurvey
from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.messages import Message, verbatim
from tests.advise.asking import Asked, ask

FILES = {"a.f90": "end\n", "b.F": "      end\n"}


def test_without_a_compiler_nothing_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "compiler_of", lambda triple: "/usr/bin/gfortran" if "x86_64" in triple else None)
    said = ask(FortranSurvey(), tmp_path, FILES, ("kunpeng",))
    assert said.judged("kunpeng") == [(0, 2)] and "aarch64-linux-gnu" in said.why("kunpeng") and not said.said.findings


def compiled(root: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[tuple[str, str], bool | Message]) -> Asked:
    monkeypatch.setattr(survey, "compiler_of", lambda triple: f"/usr/bin/{triple}-gfortran")
    monkeypatch.setattr(survey, "_compiles", lambda _t, _w, _p, triple, name: answers.get((triple, name), True))
    return ask(FortranSurvey(), root, FILES, ("kunpeng", "loongson"))


def test_what_the_platforms_compiler_refuses_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = compiled(tmp_path, monkeypatch, {("aarch64-linux-gnu", "a.f90"): False})
    assert said.certain("kunpeng") == [("XC-ADV-110", "a.f90")] and not said.found("loongson")
    assert said.judged("kunpeng") == [(2, 2)] == said.judged("loongson")


def test_what_no_compiler_takes_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: dict[tuple[str, str], bool | Message] = {
        (triple, "a.f90"): False for triple in ("aarch64-linux-gnu", "x86_64-linux-gnu")
    }
    said = compiled(tmp_path, monkeypatch, refused)
    assert said.judged("kunpeng") == [(1, 2)] and not said.said.findings


def test_our_own_fault_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = ToolchainFault(verbatim("it broke"))
    said = compiled(tmp_path, monkeypatch, {("aarch64-linux-gnu", "a.f90"): fault.what})
    assert said.judged("kunpeng") == [(1, 2)] and "it broke" in said.why("kunpeng") and not said.said.findings

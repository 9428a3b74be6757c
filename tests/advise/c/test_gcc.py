"""Where this machine has a GCC for the platform, it is asked about what clang alone refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c import gcc
from pytest_xinchuang.advise.c.causes import Cause, Failing, Kind
from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.diagnostics import Place
from pytest_xinchuang.advise.c.units import Unit, language_of
from pytest_xinchuang.advise.triple import triple_of
from pytest_xinchuang.core.finding import Finding
from tests.advise.c.test_survey import survey
from tests.advise.c.trees import ARM, tree_of, work_of

pytestmark = pytest.mark.tools

CLEAR = '#ifdef __aarch64__\nextern "C" void __clear_cache(char *, char *);\n#endif\nint f() { return 0; }\n'
BUILTIN = "\nint f(int a) { return __builtin_aarch64_nosuch(a); }\n"


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcc, "gnu_compiler", lambda _architecture: None)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own GCC stands in for the platform's: of these sources both say the same, but for what is behind a macro."""
    program = shutil.which("gcc")
    if program is None or not Path(program).with_name("g++").is_file():
        pytest.skip("there is no GCC here")
    monkeypatch.setattr(gcc, "gnu_compiler", lambda _architecture: str(program))


def found(tmp_path: Path, name: str, text: str) -> Finding:
    _told, said = survey(tree_of(tmp_path / "tree", {name: text}), tmp_path, ARM)
    (finding,) = said.findings
    return finding


@pytest.mark.usefixtures("none")
def test_without_a_gcc_an_error_of_clangs_own_is_undecided(tmp_path: Path) -> None:
    finding = found(tmp_path, "a.cc", CLEAR)
    assert (finding.code, finding.certainty.value, finding.object) == ("XC-ADV-001", "undecided", "a.cc:2")


@pytest.mark.usefixtures("hosts")
def test_what_gcc_compiles_stops_no_build_with_gcc(tmp_path: Path) -> None:
    finding = found(tmp_path, "a.cc", CLEAR)
    assert finding.certainty.value == "guarded?" and finding.evidence["gcc_compiles_it"] is True
    assert "g" in str(finding.evidence["gcc"])


@pytest.mark.usefixtures("hosts")
def test_what_gcc_refuses_at_the_same_line_is_certain(tmp_path: Path) -> None:
    opinion = _asked(tmp_path, BUILTIN)
    assert opinion is not None and not opinion.takes


@pytest.mark.usefixtures("hosts")
def test_where_gcc_stumbles_over_something_else_clang_decides(tmp_path: Path) -> None:
    assert _asked(tmp_path, "#include <no/such.h>" + BUILTIN) is None


@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize(
    ("kind", "name", "text", "takes"),
    [
        (Kind.BUILTIN, "gcc.c", BUILTIN, False),
        (Kind.BUILTIN, "gcc.c", "\nint f(int a) { return __builtin_popcount(a); }\n", True),
        (Kind.NARROWING, "gcc.cc", "\nunsigned char t[] = {-1};\n", False),
        (Kind.NARROWING, "gcc.cc", "\nvoid f(int a) { unsigned char t[] = {a}; (void)t; }\n", True),
    ],
)
def test_what_gcc_only_warns_of_in_other_places(kind: Kind, name: str, text: str, takes: bool, tmp_path: Path) -> None:
    """An unknown builtin is a function that is declared nowhere, in C; what is constant and narrowed is a pedantic error."""
    opinion = _asked(tmp_path, text, kind, name)
    assert opinion is not None and opinion.takes is takes


def _asked(tmp_path: Path, text: str, kind: Kind = Kind.BUILTIN, name: str = "gcc.cc") -> gcc.Opinion | None:
    tree = tree_of(tmp_path / "tree", {name: text})
    work = work_of(tmp_path)
    cause = Cause(kind, Place(name, 2), "__builtin_aarch64_nosuch", "")
    language = language_of(name)
    assert language is not None
    one = Failing(cause, Unit(name, "", (), language), ())
    (opinion,) = gcc.opinions(Compilers(tree, work), [one], triple_of(work.platforms[0]), machine=False)
    return opinion

"""Where this machine has a GCC for the platform, it is asked about what clang alone refuses."""

from __future__ import annotations

import platform
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
from tests.advise.c.trees import ARM, LOONG, tree_of, work_of

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


@pytest.fixture
def for_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own GCC is that for x86-64, and there is none for the platform."""
    program = shutil.which("gcc")
    if program is None or platform.machine() != "x86_64":
        pytest.skip("there is no GCC for x86-64 here")
    monkeypatch.setattr(
        gcc, "gnu_compiler", lambda architecture: str(program) if architecture.uname == "x86_64" else None
    )


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
@pytest.mark.parametrize("name", ["gcc.c", "gcc.cc"])
def test_what_gcc_refuses_at_the_same_line_is_certain(tmp_path: Path, name: str) -> None:
    """A builtin that it has not is no function of the tree's, in C either."""
    opinion = _asked(tmp_path, BUILTIN, name=name)
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


OF_GAS = ".SECTION .text\n.globl f\nf: movq %rax, %rbx\n movq %rbx, %rax\n ret\n"
"""GNU as knows its directives in either case; clang's assembler does not."""
NESTED = "int f(int a) { int g(int b) { return a + b; } return g(1); }\n"
"""GCC has nested functions in C; clang has not."""


@pytest.mark.usefixtures("for_x86")
def test_a_file_in_assembler_that_gcc_alone_takes_for_x86_is_one_cause(tmp_path: Path) -> None:
    told, said = survey(tree_of(tmp_path / "tree", {"a.s": OF_GAS}), tmp_path, ARM, LOONG)
    assert told == {name: [("XC-ADV-012", "certain", "a.s:3")] for name in (ARM, LOONG)}
    assert all(part.whole for parts in said.parts.values() for part in parts)


@pytest.mark.usefixtures("none")
def test_its_twin_without_a_gcc_is_not_judged(tmp_path: Path) -> None:
    told, said = survey(tree_of(tmp_path / "tree", {"a.s": OF_GAS}), tmp_path, ARM)
    assert told == {ARM: []} and [part.judged for parts in said.parts.values() for part in parts] == [0]


@pytest.mark.usefixtures("for_x86")
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", []),
        ("#ifndef __x86_64__\n#error x86 alone\n#endif\n", [("XC-ADV-004", "certain", "a.c:3")]),
        ("#ifndef __x86_64__\nint h = nowhere;\n#endif\n", [("XC-ADV-001", "undecided", "a.c:3")]),
    ],
)
def test_c_that_gcc_alone_takes_for_x86(tmp_path: Path, more: str, told: list[tuple[str, str, str]]) -> None:
    by_platform, said = survey(tree_of(tmp_path / "tree", {"a.c": NESTED + more}), tmp_path, ARM)
    assert by_platform == {ARM: told}
    ((part,),) = said.parts.values()
    assert part.judged == bool(told) and (
        bool(told) or "compiles it for x86-64, and clang does not" in str(part.why[0][0])
    )


@pytest.mark.usefixtures("hosts")
def test_c_that_gcc_takes_for_both_compiles(tmp_path: Path) -> None:
    told, said = survey(tree_of(tmp_path / "tree", {"a.c": NESTED}), tmp_path, ARM)
    assert told == {ARM: []} and all(part.whole for parts in said.parts.values() for part in parts)

"""What stands beside go.mod and in the files that are delivered is told, with its place; its harmless twin is not."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.packages.supply_chain.golang.sources import embedded, kind_of_object, mixed_scripts, unbalanced
from tests.packages.supply_chain.golang.test_check import append, check, edit
from tests.packages.supply_chain.published import LIB, publish

ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 60
PE = b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0"


def put(place: Path, name: str, data: str | bytes) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(data.encode() if isinstance(data, str) else data)


def told(found: list[Finding]) -> set[tuple[str, str, Certainty]]:
    return {(f.code, f.object, f.certainty) for f in found}


CERTAIN, NOTE = Certainty.CERTAIN, Certainty.NOTE

CASES: dict[str, tuple[Callable[[Path], object], tuple[str, str, Certainty]]] = {
    "exclude": (
        lambda s: append(s / "go.mod", "\nexclude example.org/lib v1.2.1\n"),
        ("XC-SUP-076", "go.mod:5", NOTE),
    ),
    "godebug": (lambda s: append(s / "go.mod", "\ngodebug tlsrsakex=1\n"), ("XC-SUP-076", "go.mod:9", NOTE)),
    "go:debug": (
        lambda s: put(s, "cmd/m.go", "//go:debug x509sha1=1\npackage main\n"),
        ("XC-SUP-076", "cmd/m.go:1", NOTE),
    ),
    "a tool": (lambda s: append(s / "go.mod", "\ntool example.org/lib/cmd\n"), ("XC-SUP-076", "go.mod:9", NOTE)),
    "a tool chain": (
        lambda s: edit(s / "go.mod", "go 1.22\n", "go 1.22\n\ntoolchain go1.99.0-own\n"),
        ("XC-SUP-077", "go.mod:5", NOTE),
    ),
    "cgo": (
        lambda s: put(s, "c.go", 'package product\n\n/*\n#cgo LDFLAGS: -L${SRCDIR}/lib -lown\n*/\nimport "C"\n'),
        ("XC-SUP-078", "c.go:4", NOTE),
    ),
    "cgo out of the directory": (
        lambda s: put(s, "c.go", 'package product\n\n// #cgo linux CFLAGS: -I${SRCDIR}/../up\nimport "C"\n'),
        ("XC-SUP-078", "c.go:3", NOTE),
    ),
    "cgo by pkg-config": (
        lambda s: put(s, "c.go", 'package product\n\n// #cgo pkg-config: own\nimport "C"\n'),
        ("XC-SUP-078", "c.go:3", NOTE),
    ),
    "go:generate": (
        lambda s: put(s, "g.go", "package product\n\n//go:generate sh x.sh\n"),
        ("XC-SUP-079", "g.go:3", NOTE),
    ),
    "go:linkname": (
        lambda s: put(s, "l.go", "package product\n\n//go:linkname now time.now\nfunc now()\n"),
        ("XC-SUP-080", "l.go:3", NOTE),
    ),
    "an object": (lambda s: put(s, "data/tool", ELF), ("XC-SUP-081", "data/tool", NOTE)),
    "an object that is linked in": (lambda s: put(s, "x_amd64.syso", PE), ("XC-SUP-081", "x_amd64.syso", NOTE)),
    "an override": (
        lambda s: put(s, "b.go", 'package product\n\nvar Role = "user\u202e // \u2066admin"\n'),
        ("XC-SUP-082", "b.go:3", CERTAIN),
    ),
    "an override in a name": (
        lambda s: put(s, "a\u202etxt.go", "package product\n"),
        ("XC-SUP-082", "a\\u202etxt.go", CERTAIN),
    ),
    "a name of no characters": (
        lambda s: (s / os.fsdecode(b"x\xff.syso")).write_bytes(ELF),
        ("XC-SUP-081", "x\\udcff.syso", NOTE),
    ),
    "an isolate that is left open": (
        lambda s: put(s, "b.sh", "# \u2066 x\n"),
        ("XC-SUP-082", "b.sh:1", CERTAIN),
    ),
    "an isolate that is closed": (
        lambda s: put(s, "b.go", "package product\n\n// \u2067\u05d0\u2069\n"),
        ("XC-SUP-082", "b.go:3", NOTE),
    ),
    "an import with another script's letter": (
        lambda s: put(s, "i.go", 'package product\n\nimport _ "example.org/l\u0456b"\n'),
        ("XC-SUP-083", "i.go:3", CERTAIN),
    ),
    "a module with another script's letter": (
        lambda s: append(s / "go.mod", "\nrequire ex\u0430mple.org/lib v1.2.0\n"),
        ("XC-SUP-083", "go.mod:9", CERTAIN),
    ),
    "a file with another script's letter": (
        lambda s: put(s, "p\u0430ge.txt", "x"),
        ("XC-SUP-083", "p\u0430ge.txt", NOTE),
    ),
    "a flag in a Makefile": (
        lambda s: put(s, "Makefile", "all:\n\tgo build -modfile=other.mod .\n"),
        ("XC-SUP-084", "Makefile:2", NOTE),
    ),
    "a flag with its value apart": (
        lambda s: put(s, "build.sh", "go build -overlay o.json .\n"),
        ("XC-SUP-084", "build.sh:1", NOTE),
    ),
    "a setting of a service": (
        lambda s: put(s, ".github/workflows/ci.yml", "env:\n  GONOSUMDB: '*'\n"),
        ("XC-SUP-084", ".github/workflows/ci.yml:2", NOTE),
    ),
    "a setting of an image": (
        lambda s: put(s, "Dockerfile", "FROM x\nENV GOFLAGS -insecure\n"),
        ("XC-SUP-084", "Dockerfile:2", NOTE),
    ),
    "a setting of a shell": (
        lambda s: put(s, ".envrc", "export GOINSECURE=*\n"),
        ("XC-SUP-084", ".envrc:1", NOTE),
    ),
    "a setting that is kept": (
        lambda s: put(s, "setup", "#!/bin/sh\ngo env -w GOSUMDB=off\n"),
        ("XC-SUP-084", "setup:2", NOTE),
    ),
    "a module below": (
        lambda s: put(s, "sub/go.mod", "module x.org/s\n\ngo 1.22\n\nreplace example.org/lib => /tmp/own\n"),
        ("XC-SUP-086", "sub/go.mod:5", NOTE),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_told(name: str, subject: Path, proxy: Path) -> None:
    change, expected = CASES[name]
    change(subject)
    assert expected in told(check(subject, proxy))


HARMLESS: dict[str, Callable[[Path], object]] = {
    "cgo within": lambda s: put(
        s, "c.go", 'package product\n\n// #cgo CFLAGS: -O2 -I${SRCDIR}/inc\n// #cgo LDFLAGS: -lm\nimport "C"\n'
    ),
    "no cgo": lambda s: put(s, "c.go", "package product\n\n// #cgo LDFLAGS: -lown\nvar X = 1\n"),
    "directives in the middle": lambda s: put(
        s, "d.go", 'package product\n\nvar x = "//go:generate x"\n// see //go:linkname a b\n'
    ),
    "Chinese": lambda s: put(
        s, "\u6587\u4ef6v2.go", 'package product\n\n// \u5bfc\u5165 Go\nvar \u540d\u5b57 = "\u4e2d\u6587abc"\n'
    ),
    "Russian": lambda s: put(s, "\u0444\u0430\u0439\u043b.txt", "\u0442\u0435\u043a\u0441\u0442"),
    "signs of three bytes": lambda s: put(s, "q.go", 'package product\n\nvar q = "\u201cx\u201d\u2014\u2026"\n'),
    "a class of Java": lambda s: put(s, "X.class", b"\xca\xfe\xba\xbe\0\0\0\x41"),
    "a text that begins with MZ": lambda s: put(s, "m.txt", "MZ is no program" * 9),
    "a comment": lambda s: put(s, "Makefile", "# GOFLAGS=-modfile=x\nall:\n\tgo build -mod=vendor .\n"),
    "other variables": lambda s: put(
        s, "b.sh", "MYGOFLAGS=1\nGOOS=linux GOWORK=off GOTOOLCHAIN=local go build\necho $GOFLAGS\n"
    ),
    "a module below without replaces": lambda s: put(s, "sub/go.mod", "module x.org/s\n\ngo 1.22\n"),
    "a workspace elsewhere": lambda s: put(s, "sub/go.work", "go 1.22\n"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_is_not_told(name: str, subject: Path, proxy: Path) -> None:
    HARMLESS[name](subject)
    assert told(check(subject, proxy)) == set()


def test_an_object_that_is_embedded_names_the_directive(subject: Path, proxy: Path) -> None:
    put(subject, "e.go", 'package product\n\nimport _ "embed"\n\n//go:embed data/*\nvar b []byte\n')
    put(subject, "data/tool.bin", ELF)
    (found,) = check(subject, proxy)
    assert (found.code, found.object) == ("XC-SUP-081", "data/tool.bin") and "e.go:5" in found.params["detail"]


def test_what_a_dependency_has_is_told_once_for_each_kind(subject: Path, proxy: Path) -> None:
    files = {
        **LIB,
        "a.go": "package lib\n\n//go:linkname a b.c\nfunc a()\n",
        "b.go": "package lib\n\n//go:linkname d b.c\nfunc d()\n",
    }
    publish(proxy, "example.org/lib", "v1.2.0", files)
    found = [f for f in check(subject, proxy) if f.code == "XC-SUP-080"]
    assert not found, "it is vendored, and vendor/ does not have it"
    import shutil

    shutil.rmtree(subject / "vendor")
    (one,) = [f for f in check(subject, proxy) if f.code == "XC-SUP-080"]
    assert (one.object, one.certainty) == ("example.org/lib@v1.2.0/a.go:3", NOTE)


# -- workspaces


def workspace(subject: Path, text: str, module: str = "example.org/lib") -> None:
    path, _more, requires = module.partition(";")
    put(subject.parent, "go.work", text)
    put(subject.parent, "own/go.mod", f"module {path}\n\ngo 1.22\n\n{requires}\n")


@pytest.mark.parametrize(
    ("text", "module", "certainty", "word"),
    [
        ("go 1.22\n\nuse ./subject\nuse ./own\n", "example.org/lib", CERTAIN, "is built from"),
        ("go 1.22\n\nuse ./subject\nuse ./own\n", "example.org/apart", NOTE, "no later version"),
        (
            "go 1.22\n\nuse ./subject\n\nreplace example.org/lib => ./own\n",
            "example.org/lib",
            CERTAIN,
            "replaces of its own",
        ),
        ("go 1.22\n\nuse ./subject\n", "example.org/lib", NOTE, "no later version"),
        ("go 1.22\n\nuse ./own\n", "example.org/lib", NOTE, "does not use"),
        (
            "go 1.22\n\nuse ./subject\nuse ./own\n",
            "example.org/apart;require example.org/base v1.0.1",
            CERTAIN,
            "is built, which",
        ),
        (
            "go 1.22\n\nuse ./subject\nuse ./own\n",
            "example.org/apart;require example.org/base v1.0.0",
            NOTE,
            "no later version",
        ),
        (
            "go 1.22\n\nuse ./subject\nuse ./own\n",
            "example.org/apart;replace example.org/base => ./base",
            CERTAIN,
            "replaces of its own",
        ),
        ("go 1.22\n\nuse ./subject\nuse ./none\n", "example.org/lib", NOTE, "where no module is"),
        ("nonsense\n", "example.org/lib", CERTAIN, "refuses"),
    ],
)
def test_a_workspace_above_is_told(
    text: str, module: str, certainty: Certainty, word: str, subject: Path, proxy: Path
) -> None:
    workspace(subject, text, module)
    (found,) = check(subject, proxy)
    assert (found.code, found.object, found.certainty) == ("XC-SUP-023", "../go.work", certainty)
    assert word in found.params["detail"]


def test_settings_of_who_checks_are_told_and_do_not_count(
    subject: Path, proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(subject.parent, "elsewhere/go.work", "go 1.22\n")
    monkeypatch.setenv("GOFLAGS", "-modfile=/none/go.mod -mod=mod")
    monkeypatch.setenv("GOWORK", str(subject.parent / "elsewhere/go.work"))
    found = told(check(subject, proxy))
    assert found == {("XC-SUP-084", "$GOFLAGS", NOTE), ("XC-SUP-084", "$GOWORK", NOTE)}


def test_settings_that_were_written_are_told(
    subject: Path, proxy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "goenv"
    path.write_text("GOFLAGS=-mod=mod\nGOTOOLCHAIN=local\n")
    monkeypatch.setenv("GOENV", str(path))
    assert told(check(subject, proxy)) == {("XC-SUP-084", str(path), NOTE)}
    path.write_text("GOFLAGS=-buildvcs=false -mod=vendor\nGOPROXY=https://proxy.example\nGOWORK=off\n")
    assert told(check(subject, proxy)) == set()


def test_a_line_of_go_sum_that_leads_out_is_asked_of_nobody(subject: Path, proxy: Path) -> None:
    (proxy.parent / "out/@v").mkdir(parents=True)
    (proxy.parent / "out/@v/v1.0.0.mod").write_text("module out\n")
    append(subject / "go.sum", "../out v1.0.0/go.mod h1:" + "A" * 43 + "=\n")
    (found,) = check(subject, proxy)
    assert (found.code, found.object) == ("XC-SUP-007", "go.sum:5")


# -- what was published


def test_a_retracted_version_is_told(subject: Path, proxy: Path) -> None:
    later = LIB["go.mod"] + "\nretract [v1.1.0, v1.2.0] // it forgets\n"
    publish(proxy, "example.org/lib", "v1.3.0", {**LIB, "go.mod": later})
    (found,) = check(subject, proxy)
    assert (found.code, found.object, found.certainty) == ("XC-SUP-075", "go.mod:5", NOTE)
    assert (found.params["newest"], found.params["why"]) == ("v1.3.0", "it forgets")
    publish(proxy, "example.org/lib", "v1.4.0", LIB)
    assert check(subject, proxy) == [], "the newest go.mod says what is retracted"
    publish(proxy, "example.org/lib", "v1.5.0-rc.1", {**LIB, "go.mod": later})
    assert check(subject, proxy) == [], "a pre-release is not the newest"


def test_a_go_mod_of_another_module_or_another_than_in_the_zip_is_told(subject: Path, proxy: Path) -> None:
    path = proxy / "example.org/base/@v/v1.0.0.mod"
    path.write_text("module example.org/other\n\ngo 1.22\n")
    found = {(f.code, f.params["detail"]) for f in check(subject, proxy) if f.code == "XC-SUP-074"}
    assert len(found) == 2


def test_a_zip_that_go_refuses_is_told(subject: Path, proxy: Path) -> None:
    publish(proxy, "example.org/lib", "v1.2.0", {**LIB, "../../evil.go": "x"})
    (found,) = [f for f in check(subject, proxy) if f.code == "XC-SUP-070"]
    assert found.certainty is CERTAIN and "evil.go" in found.params["detail"]


# -- the parts


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (ELF, "ELF"),
        (PE, "PE"),
        (b"MZ" + b" " * 70, ""),
        (b"\xcf\xfa\xed\xfe\x07", "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", ""),
        (b"!<arch>\nx", "ar"),
        (b"", ""),
        (b"\x7fEL", ""),
    ],
)
def test_kinds_of_objects(head: bytes, kind: str) -> None:
    assert kind_of_object(head) == kind


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("github.com/g\u043e\u043egle/uuid", True),
        ("google", False),
        ("\u4e2d\u6587abc", False),
        ("\u30c6\u30b9\u30c8abc\u6587", False),
        ("\u0442\u0435\u0441\u0442", False),
        ("\u0442\u0435\u0441\u0442/test", False),
        ("\u0391lpha", True),
        ("r\u00e9sum\u00e9", False),
    ],
)
def test_words_that_mix_scripts(text: str, mixed: bool) -> None:
    assert bool(mixed_scripts(text)) is mixed


@pytest.mark.parametrize(
    ("line", "open_"),
    [
        ("x", False),
        ("\u2066x\u2069", False),
        ("\u202ax\u202c", False),
        ("\u202bx", True),
        ("\u2066x\u202c", True),
        ("\u202ex\u202c", True),
        ("\u2069", True),
        ("\u2066\u202bx\u202c\u2069", False),
    ],
)
def test_lines_that_leave_a_direction_open(line: str, open_: bool) -> None:
    assert unbalanced(line) is open_


def test_what_a_pattern_embeds() -> None:
    embeds = [("web", 'static all:.hidden "a b.txt"', "web/w.go:3")]
    for name in ("web/static/x/y.bin", "web/.hidden/x", "web/a b.txt"):
        assert embedded(name, embeds) == "web/w.go:3"
    for name in ("static/x", "web/other", "web2/static/x"):
        assert embedded(name, embeds) == ""

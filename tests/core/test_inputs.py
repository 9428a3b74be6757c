"""What a subject is made of: no byte that can change a verdict is outside of its digest."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core import inputs, resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.packages.registry import load_subject

EVERY = """
schema: xc-subject/1
name: every
version: "1"
units:
  - name: c
    kind: c
    sources: [src/a.c]
    c_flags: {arm64: ["-I{here}/../include", "-include", "force/forced.h"]}
    libraries:
      - {name: libx.so.1, sources: [lib/x.c]}
  - {name: go, kind: go-cgo, sources: [go/cmd/hello]}
  - {name: script, kind: shell, sources: [run.sh]}
  - {name: prebuilt, kind: binary, files: {arm64: bin/arm64, loong64: bin/loong64}}
artifacts:
  - {name: tree, files: {arm64: tree}}
sm_crypto:
  harness: {name: harness, kind: c, sources: [sm/harness.c]}
  tls:
    server: {name: server, kind: shell, sources: [sm/server.sh]}
    port: 4433
    expect: [tlcp]
    roots: sm/roots.pem
sdk: {language: go, path: sdk, baseline: baseline.jsonl}
supply_chain: {path: sdk, mirror: mirror, sbom: sbom.json}
syscall_bridge:
  harness: {name: bridge, kind: c, sources: [bridge.c]}
  go_structs: structs
"""
FILES = {
    "src/a.c": '#include "a.h"\n#include <shared.h>\n#  include "sub/deep.h"\n',
    "src/a.h": '#include "../include/other.h"\n',
    "src/sub/deep.h": '__asm__(".incbin \\"src/data.bin\\"");\n',
    "src/data.bin": "data",
    "include/shared.h": "",
    "include/other.h": "",
    "force/forced.h": "",
    "lib/x.c": '#include "x.h"\n',
    "lib/x.h": "",
    "go/go.mod": "module m\n\nreplace example.com/y => ../y\n\nreplace (\n\texample.com/z v1.0.0 => ../z // why\n)\n",
    "go/cmd/hello/main.go": 'package main\n\n// #cgo CFLAGS: -I${SRCDIR}/../../../native\n// #include "n.h"\nimport "C"\n',
    "go/other/other.go": "package other\n",
    "native/n.h": '#include "m.h"\n',
    "native/m.h": "",
    "y/go.mod": "module y\n\nreplace example.com/w => ../w\n",
    "w/go.mod": "module w\n",
    "w/w.go": "package w\n",
    "z/go.mod": "module z\n",
    "run.sh": "#!/bin/sh\n",
    "bin/arm64": "x",
    "bin/loong64": "y",
    "tree/deep/file": "z",
    "sm/harness.c": '#include "json.h"\n',
    "sm/json.h": "",
    "sm/server.sh": "#!/bin/sh\n",
    "sm/roots.pem": "pem",
    "sdk/go.mod": "module sdk\n",
    "sdk/api.go": "package sdk\n",
    "baseline.jsonl": "{}",
    "mirror/m.zip": "zip",
    "sbom.json": "{}",
    "bridge.c": '#include "bridge.h"\n',
    "bridge.h": "",
    "structs/go.mod": "module s\n",
    "structs/s.go": "package s\n",
}
OUTSIDE = ("README.md", "src/unused.h", "sdk/.git/HEAD", "sdk/.xc/journal.ndjson")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in {**FILES, **dict.fromkeys(OUTSIDE, "no part of it"), "xinchuang.yaml": EVERY}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_everything_that_is_read_is_listed_and_nothing_else(place: Path) -> None:
    listed = {str(path.relative_to(place)) for path in load_subject(place).files}
    assert listed == {*FILES, "xinchuang.yaml"}


def test_one_byte_of_any_file_that_a_run_reads_is_another_digest(place: Path) -> None:
    subject = load_subject(place)
    digest = subject.digest
    for path in subject.files:
        data = path.read_bytes()
        # A byte more, and a byte changed: neither may be lost.
        for other in (
            data + b"\n",
            bytes([data[0] ^ 1]) + data[1:] if data and path.suffix not in (".yaml",) else None,
        ):
            if other is not None:
                path.write_bytes(other)
                assert load_subject(place).digest != digest, path
        path.write_bytes(data)
    assert load_subject(place).digest == digest


def test_another_name_or_place_is_another_digest(place: Path) -> None:
    before = load_subject(place).digest
    (place / "tree/deep/file").rename(place / "tree/deep/other")
    assert load_subject(place).digest != before


def test_what_is_no_part_of_the_subject_changes_nothing(place: Path) -> None:
    before = load_subject(place).digest
    for name in OUTSIDE:
        (place / name).write_text("changed")
    (place / "sdk/junit.xml").write_text("a report of the run")
    assert load_subject(place).digest != before
    subject = Subject(place, [section for section, _ in load_subject(place).file.given], [place / "sdk/junit.xml"])
    assert subject.digest == before


def test_links_are_followed_once(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere/linked").write_text("1")
    (place / "tree/link").symlink_to(place / "elsewhere")
    (place / "tree/loop").symlink_to(place / "tree")
    (place / "tree/dangling").symlink_to(place / "nothing")
    subject = load_subject(place)
    assert place / "tree/link/linked" in subject.files
    before = subject.digest
    (place / "elsewhere/linked").write_text("2")
    assert load_subject(place).digest != before


@pytest.mark.parametrize("text", ["replace a => ../../away\n", "replace (\n\ta v1.2.3 => ../../away\n)\n"])
def test_a_module_that_is_built_with_something_outside_is_refused(place: Path, text: str) -> None:
    (place.parent / "away").mkdir(exist_ok=True)
    (place / "sdk/go.mod").write_text("module sdk\n\n" + text)
    with pytest.raises(DataFileError, match="outside of"):
        load_subject(place)


def test_a_module_whose_root_is_outside_is_refused(place: Path) -> None:
    (place / "sdk/go.mod").unlink()
    (place.parent / "go.mod").write_text("module above\n")
    try:
        with pytest.raises(DataFileError, match="outside of"):
            load_subject(place)
    finally:
        (place.parent / "go.mod").unlink()


def test_includes_that_go_in_circles_or_nowhere_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text('#include "b.h"\n#include "none.h"\n#include MACRO\n#include <stdio.h>\n')
    (tmp_path / "b.h").write_text('#include "b.h"\n#include "a.c"\n#include "../../../../etc/hostname"\n')
    assert [p.name for p in inputs.included([tmp_path / "a.c"], (), tmp_path)] == ["a.c", "b.h"]


def test_the_reference_subject_moves_without_another_digest(tmp_path: Path) -> None:
    shipped = resources.fixtures_dir() / "subjects" / "openssl"
    shutil.copytree(shipped, tmp_path / "copy")
    assert load_subject(tmp_path / "copy").digest == load_subject(shipped).digest


def test_a_link_that_leads_out_is_not_listed(tmp_path: Path) -> None:
    place = tmp_path / "subject"
    place.mkdir()
    (tmp_path / "out.h").write_text("")
    (place / "in.h").write_text("")
    (place / "leads.h").symlink_to(tmp_path / "out.h")
    (place / "stays.h").symlink_to("in.h")
    source = place / "u.c"
    source.write_text('#include "leads.h"\n#include "stays.h"\n__asm__(".incbin \\"../out.h\\"");\n')
    told: dict[Path, bool] = {}
    assert inputs.included([source], [], place, told.setdefault) == [place / "stays.h", source]
    assert told == {place / "leads.h": False, tmp_path / "out.h": True}
    assert inputs.leaves(tmp_path / "out.h", place) and not inputs.leaves(tmp_path / "out.h", None)


def test_what_data_holds_names_no_further_files(tmp_path: Path) -> None:
    for name in ("a.bin", "b.h", "c.h"):
        (tmp_path / name).write_text('#include "c.h"\n')
    source = tmp_path / "u.c"
    source.write_text('#embed "a.bin"\n')
    assert inputs.included([source], [], tmp_path) == [tmp_path / "a.bin", source]
    source.write_text('#include "b.h"\n')
    assert inputs.included([source], [], tmp_path) == [tmp_path / "b.h", tmp_path / "c.h", source]


def test_scripts_of_the_linker_are_files_of_the_build(tmp_path: Path) -> None:
    (tmp_path / "x.map").write_text("")
    for flag in ("-Wl,--version-script=x.map", "-Wl,-z,now,--dynamic-list={here}/x.map"):
        assert inputs.forced_includes([flag], tmp_path, tmp_path) == [tmp_path / "x.map"]
    assert inputs.forced_includes(["-Wl,--version-script=none.map"], tmp_path, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "all_of_them"),
    [
        ("#include P(a)", True),
        ("#include NOT_TOLD", True),
        ("#if __has_include(NOT_TOLD)\n#endif", True),
        ('#define TOLD "one.h"\n#include TOLD', False),
        ('#define TOLD(x) "one.h"\n#include TOLD(a)', True),
        ('#if __has_include("one.h")\n#endif', False),
        ("// P(a)\n#include <stdio.h>", None),
    ],
)
def test_where_a_macro_makes_the_name_every_header_counts(tmp_path: Path, text: str, all_of_them: bool | None) -> None:
    place = tmp_path / "in"
    for name in ("src/one.h", "src/deep/two.hpp", "inc/three.inc", "src/notes.txt", "beside/four.h", "src/.git/five.h"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("")
    (tmp_path / "out.h").write_text("")
    (place / "src/leads.h").symlink_to(tmp_path / "out.h")
    source = place / "src/u.c"
    source.write_text(text + "\n")
    found = {str(p.relative_to(place)) for p in inputs.included([source], [place / "inc", tmp_path], place)}
    headers = {"src/one.h", "src/deep/two.hpp", "inc/three.inc"} if all_of_them else {"src/one.h"}
    assert found == {"src/u.c"} | (set() if all_of_them is None else headers)
    if all_of_them:  # without bounds, who knows how much that would be
        assert inputs.included([source], [place / "inc", tmp_path]) == [source]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["-Llib", "-la"], ["lib/liba.so", "lib/liba.a"]),
        (["-la", "-L", "lib"], ["lib/liba.so", "lib/liba.a"]),
        (["-L{here}", "-l", ":liba.a"], ["lib/liba.a"]),
        (["-L=lib", "-lnone", "-lm"], []),
        (["-la"], []),
    ],
)
def test_the_libraries_that_flags_name(tmp_path: Path, flags: list[str], found: list[str]) -> None:
    (tmp_path / "lib").mkdir()
    for name in ("liba.so", "liba.a", "libb.a"):
        (tmp_path / "lib" / name).write_text("")
    assert inputs.linked(flags, tmp_path / "lib", tmp_path) == [tmp_path / name for name in found]


def test_a_link_to_a_directory_outside_is_not_walked(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What it holds is no part of the subject, and may be all of the host."""
    away = tmp_path_factory.mktemp("away")
    (away / "closed").write_text("")
    (place / "inside").mkdir()
    (place / "inside/file").write_text("")
    for name, leads in (("out", away), ("root", Path("/")), ("in", place / "inside")):
        (place / "tree" / name).symlink_to(leads)
    found = {str(path.relative_to(place)) for path in inputs.walk(place / "tree", (), place)}
    assert found == {"tree/deep/file", "tree/in/file"}
    assert {path.relative_to(place).parts[0] for path in load_subject(place).files} == {
        path.split("/")[0] for path in (*FILES, "xinchuang.yaml")
    }


def test_a_link_whose_end_may_not_be_seen_is_no_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``/proc/1/cwd`` is. What is written here as a file, or found by its own name, is."""
    hidden = place / "tree/hidden"
    hidden.symlink_to("/proc/1/cwd")
    stat = Path.stat

    def refused(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == hidden and follow_symlinks:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    assert [path.name for path in inputs.walk(place / "tree", (), place)] == ["file"]
    assert list(inputs.walk(hidden, (), place)) == []


def test_a_replacement_that_leads_out_is_not_walked(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path_factory.mktemp("away")
    (away / "x.go").write_text("package x\n")
    (place / "beside").mkdir()
    (place / "beside/y.go").write_text("package y\n")
    (place / "go.mod").write_text(f"module m\nreplace x => {away}\nreplace y => ./beside\nreplace z => /\n")
    scandir, seen = os.scandir, []

    def watched(path: Path) -> Any:
        seen.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watched)
    assert place / "beside/y.go" in inputs.of_go(place, place)
    assert seen and all(path.is_relative_to(place) for path in seen)

"""How modules are found and read: workspaces, vendored and replaced modules, build tags, cgo, an extractor that is too old."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.goprograms import GOAPI, go_program
from pytest_xinchuang.tools.go import GoCommand
from tests.packages.sdk_ast.trees import read, tree

pytestmark = pytest.mark.tools

USES = 'package m\n\nimport "example.org/dep"\n\ntype T struct{ dep.Base }\n'
DEP = "package dep\n\ntype Base struct{ Field int }\n\nfunc (Base) Method() {}\n"


def promoted(directory: Path) -> list[str]:
    """What the module's T takes over from the other module; nothing where that was not found."""
    snapshot = read(directory)
    assert not snapshot.problems, snapshot.problems
    symbol = snapshot.packages["example.com/m"][0].symbols["T"]
    return [m["name"] for m in symbol.get("methods", [])] + [m["name"] for m in symbol.get("promoted", [])]


def test_a_vendored_module(tmp_path: Path) -> None:
    files = {
        "go.mod": "module example.com/m\n\ngo 1.21\n\nrequire example.org/dep v1.0.0\n",
        "m.go": USES,
        "vendor/modules.txt": "# example.org/dep v1.0.0\n## explicit\nexample.org/dep\n",
        "vendor/example.org/dep/d.go": DEP,
    }
    assert promoted(tree(tmp_path / "m", files)) == ["Method", "Field"]


def test_a_replaced_module(tmp_path: Path) -> None:
    files = {
        "go.mod": "module example.com/m\n\ngo 1.21\n\nrequire example.org/dep v1.0.0\n\nreplace example.org/dep => ./local\n",
        "m.go": USES,
        "local/go.mod": "module example.org/dep\n",
        "local/d.go": DEP,
    }
    assert promoted(tree(tmp_path / "m", files)) == ["Method", "Field"]


def test_a_workspace(tmp_path: Path) -> None:
    files = {
        "go.work": "go 1.21\n\nuse (\n\t./m // the first\n\t./dep\n)\n",
        "m/go.mod": "module example.com/m\n\ngo 1.21\n",
        "m/m.go": USES,
        "dep/go.mod": "module example.org/dep\n",
        "dep/d.go": DEP,
    }
    root = tree(tmp_path / "w", files)
    (root / "go.mod").unlink()
    assert promoted(root) == ["Method", "Field"]
    assert set(read(root).packages) == {"example.com/m", "example.org/dep"}


def test_the_other_modules_sources_are_of_the_digest_where_they_have_no_version(tmp_path: Path) -> None:
    files = {
        "go.mod": "module example.com/m\n\ngo 1.21\n\nrequire example.org/dep v1.0.0\n\nreplace example.org/dep => ./local\n",
        "m.go": USES,
        "local/go.mod": "module example.org/dep\n",
        "local/d.go": DEP,
    }
    root = tree(tmp_path / "m", files)
    before = dict(read(root).sources())["example.com/m"]
    (root / "local/d.go").write_text(DEP.replace("Field", "Other"))
    changed = dict(read(root).sources())["example.com/m"]
    assert changed != before
    vendored = {
        "vendor/modules.txt": "# example.org/dep v1.0.0\n## explicit\nexample.org/dep\n",
        "vendor/example.org/dep/d.go": DEP,
    }
    tree(root, {**files, **vendored})
    edited = dict(read(root).sources())["example.com/m"]
    (root / "vendor/example.org/dep/d.go").write_text(DEP.replace("Method", "Edited"))
    assert dict(read(root).sources())["example.com/m"] != edited


def test_build_tags_and_cgo(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.go": "package m\n",
        "b.go": "//go:build special\n\npackage m\n\nfunc Special() {}\n",
        "c.go": '/*\n#include <stdio.h>\n*/\npackage m\n\nimport "C"\n\nfunc WithC() {}\n',
        "d.go": "//go:build !cgo\n\npackage m\n\nfunc WithoutC() {}\n",
        "e_windows.go": "package m\n\nfunc Windows() {}\n",
    }
    root = tree(tmp_path / "m", files)

    def names(**options: Any) -> set[str]:
        return set(read(root, **options).packages["example.com/m"][0].symbols)

    assert names() == {"WithC"}
    assert names(tags=("special",)) == {"WithC", "Special"}
    assert names(cgo=False) == {"WithoutC"}
    assert names(targets=("windows/amd64",)) == {"WithC", "Windows"}


def test_a_part_of_a_module(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", {"a/a.go": "package a\n", "b/b.go": "package b\n"})
    assert set(read(root / "a", keep=tmp_path / "a.jsonl").packages) == {"example.com/m/a"}


def test_directories_that_are_no_packages(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"{name}/x.go": "package x\n" for name in ("testdata", "_x", ".x", "vendor/y", "good")
    }
    files |= {"nested/go.mod": "module example.com/m/nested\n", "nested/n.go": "package nested\n"}
    snapshot = read(tree(tmp_path / "m", files))
    assert set(snapshot.packages) == {"example.com/m/good"}
    assert snapshot.header.nested == ("nested",)


def test_a_go_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GoCommand, "settings", {"GOVERSION": "go1.20.5"})
    with pytest.raises(ToolchainFault, match=r"Go 1\.20\.5 is too old for the reader of Go APIs: 1\.23"):
        go_program(Cache(), GOAPI)


def test_another_home_has_another_module_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of plugins move HOME for a while: what go said there holds nowhere else."""
    monkeypatch.delenv("GOMODCACHE", raising=False)
    monkeypatch.delenv("GOPATH", raising=False)
    for home in (tmp_path / "a", tmp_path / "b"):
        monkeypatch.setenv("HOME", str(home))
        assert Path(GoCommand().settings["GOMODCACHE"]).is_relative_to(home)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(XcError):
        read(tmp_path / "none")

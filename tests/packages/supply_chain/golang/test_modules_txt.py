"""Every annotation of vendor/modules.txt is compared with go.mod and with the module's own go.mod."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.packages.supply_chain.golang.gofiles import BadModulesTxt, read_modules_txt
from tests.packages.supply_chain.golang.test_check import append, check, edit
from tests.packages.supply_chain.published import BASE, LIB, go, publish

TXT = "vendor/modules.txt"
_LIB = "# example.org/lib v1.2.0\n## explicit; go 1.22\n"


def first(old: str, new: str) -> Callable[[Path], None]:
    return lambda subject: edit(subject / TXT, old, new)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another language": (
        first(_LIB, _LIB.replace("1.22", "1.12")),
        "compiled as Go 1.12, by its own go.mod as Go 1.22",
    ),
    "a later language": (first(_LIB, _LIB.replace("1.22", "1.23")), "compiled as Go 1.23"),
    "no language": (first(_LIB, _LIB.replace("; go 1.22", "")), "compiled as Go 1.16"),
    "not explicit": (first(_LIB, _LIB.replace("explicit; ", "")), "not marked as explicit"),
    "a second language at the end": (
        lambda s: append(s / TXT, "# example.org/lib v1.2.0\n## go 1.18\n"),
        "listed a second time",
    ),
    "an unknown word": (first(_LIB, _LIB.replace("explicit", "explicit; magic")), "'magic' is no word"),
    "a workspace": (lambda s: (s / TXT).write_text("## workspace\n" + (s / TXT).read_text()), "of a workspace"),
    "a replace that go.mod has not": (
        lambda s: append(s / TXT, "# example.org/base => ../base\n"),
        "go.mod does not replace it",
    ),
    "a package of another module": (
        lambda s: append(s / TXT, "example.org/base/evil\n"),
        "not a package of example.org/lib",
    ),
    "a package that leads out": (lambda s: append(s / TXT, "example.org/base/../../x\n"), "not a package"),
    "another beginning": (lambda s: (s / TXT).write_text("## x\n" + (s / TXT).read_text()), "not the beginning"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named(name: str, subject: Path, proxy: Path) -> None:
    change, word = CHANGES[name]
    change(subject)
    found = [f for f in check(subject, proxy) if f.code == "XC-SUP-006"]
    assert any(word in f.params["detail"] for f in found), found
    assert all(f.object.startswith(TXT) for f in found)


def vendored(subject: Path, proxy: Path) -> None:
    shutil.rmtree(subject / "vendor", ignore_errors=True)
    (subject / "go.sum").unlink()
    for words in (["mod", "tidy"], ["mod", "vendor"]):
        go(words, subject, f"file://{proxy}", subject.parent / "home")


@pytest.mark.tools
def test_what_the_go_command_writes_has_no_finding(subject: Path, proxy: Path) -> None:
    """Replaces that are used, unused and of every version; a module without a go line; an older one of ours."""
    publish(proxy, "example.org/fork", "v1.2.3", {**LIB, "go.mod": LIB["go.mod"].replace("lib", "fork")})
    publish(
        proxy,
        "example.org/base",
        "v1.0.1",
        {"go.mod": "module example.org/base\n", "b.go": "package base\n\nconst B = 2\n"},
    )
    append(
        subject / "go.mod",
        "\nreplace example.org/lib v1.2.0 => example.org/fork v1.2.3\n"
        "\nreplace example.org/unused => example.org/fork v1.2.3\n"
        "\nreplace example.org/base => example.org/base v1.0.1\n",
    )
    vendored(subject, proxy)
    text = (subject / TXT).read_text()
    assert "# example.org/base => example.org/base v1.0.1" in text and "# example.org/unused =>" in text
    assert {f.code for f in check(subject, proxy)} == {"XC-SUP-021"}, "the fork is on no list, and that is all"
    edit(subject / TXT, "# example.org/unused => example.org/fork v1.2.3\n", "")
    (found,) = [f for f in check(subject, proxy) if f.code == "XC-SUP-006"]
    assert "not marked as replaced" in found.params["detail"]


@pytest.mark.tools
@pytest.mark.parametrize("version", ["1.13", "1.16"])
def test_an_older_go_line_lists_less(version: str, subject: Path, proxy: Path) -> None:
    publish(proxy, "example.org/base", "v1.0.0", {**BASE, "go.mod": "module example.org/base\n"})
    publish(proxy, "example.org/lib", "v1.2.0", {**LIB, "go.mod": LIB["go.mod"].replace("1.22", "1.12")})
    (subject / "go.mod").write_text(f"module example.com/product\n\ngo {version}\n\nrequire example.org/lib v1.2.0\n")
    vendored(subject, proxy)
    assert {f.code for f in check(subject, proxy)} == {"XC-SUP-010"}


def test_annotations_are_read(tmp_path: Path) -> None:
    path = tmp_path / "modules.txt"
    path.write_text(
        "## workspace\n# a.b/c v1.0.0 => ../c\n## explicit; go 1.20; new\na.b/c\na.b/c/d\n# e.f/g => h.i/j v1.0.0\n"
    )
    found = read_modules_txt(path)
    one, other = found.modules
    assert found.workspace and one.explicit and (one.go, one.unknown, one.line) == ("1.20", ["new"], 2)
    assert one.packages == ["a.b/c", "a.b/c/d"] and not one.nowhere and other.nowhere
    for text in ("# a.b/c v1 v2\n", "# a.b/c => d e f\n", "# \n"):
        path.write_text(text)
        with pytest.raises(BadModulesTxt):
            read_modules_txt(path)

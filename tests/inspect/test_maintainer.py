"""What the scripts of packages do to the names of files, and what it means for the loader."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.maintainer import MOST, MOST_COMMANDS, Effects, effects_of
from tests.inspect import containers
from tests.inspect.test_rules import tools as tools
from tests.mutants.porting.tools import Tools


def effects(text: str, first: str = "#!/bin/sh\n") -> Effects:
    return effects_of({"./postinst": (first + text).encode(), "control": b"ln -s /a /b\n"})


@pytest.mark.parametrize(("text", "links"), [
    ("ln -sf libx.so.1.0 /opt/a/libx.so.1", {"opt/a/libx.so.1": "libx.so.1.0"}),
    ('if [ "$1" = configure ]; then ln -s "/opt/a b/x" /usr/bin/; fi', {"usr/bin/x": "/opt/a b/x"}),
    ("[ -e /x ] || ln -s /opt/a/x \\\n  /usr/bin/x # make it", {"usr/bin/x": "/opt/a/x"}),
    ("cp /opt/a/lib.so.1 /opt/a/lib.so", {"opt/a/lib.so": "/opt/a/lib.so.1"}),
    ("install -m 755 -o root /opt/a/x /usr/bin/x", {"usr/bin/x": "/opt/a/x"}),
    ("ln -s /opt/a/x /opt/a/y /usr/bin/", {"usr/bin/x": "/opt/a/x", "usr/bin/y": "/opt/a/y"}),
    ("update-alternatives --install /usr/bin/e editor /usr/bin/vi 10 --slave /usr/x.1 x.1 /usr/vi.1",
     {"usr/bin/e": "/etc/alternatives/editor", "etc/alternatives/editor": "/usr/bin/vi",
      "usr/x.1": "/etc/alternatives/x.1", "etc/alternatives/x.1": "/usr/vi.1"}),
    ("# ln -s /a /usr/b\necho 'ln -s'; ldconfig; mkdir -p /opt/x; install -d /opt/y; rm -f /usr/lib/z", {}),
    ("cat > /etc/a <<-'EOF'\n\tln -s /a /usr/b\n\tEOF\nln -s /c /usr/d", {"usr/d": "/c"}),
    ("sh <<EOF\nln -s /a /usr/b\nEOF", {"usr/b": "/a"}),
    ("n=$((1 <<shift))\nln -s /a /usr/b", {"usr/b": "/a"}),
    ("cp /usr/share/a.conf /etc/a.conf", {"etc/a.conf": "/usr/share/a.conf"}),
])  # fmt: skip
def test_commands_of_constants_are_understood(text: str, links: dict[str, str]) -> None:
    found = effects(text)
    assert (found.links, found.computed, found.diverted) == (links, False, {})


@pytest.mark.parametrize("text", [
    "ln -s $DIR/libx.so.1 /usr/lib/libx.so", "ln -s ${DIR}/x /usr/bin/x", "for i in /opt/a/*; do ln -sf $i /usr/bin; done",
    "ln -s /opt/a/x `basename x`", "cp /opt/a/*.so /usr/lib/", "tar -xzf /opt/a/x.tgz -C /opt/a", "mv /opt/a/x /opt/a/y",
    "cd /usr/lib && ln -s libx.so.1 libx.so", "update-alternatives --install /usr/bin/java java $D/java 1",
    "dpkg-divert --add --rename $F", "curl -o /usr/bin/x https://x", "python3 /opt/a/install.py",
    "true\n" * (MOST_COMMANDS + 1),
])  # fmt: skip
def test_commands_that_compute_leave_open_what_they_make(text: str) -> None:
    assert effects(text).computed


def test_scripts_of_other_languages_and_none() -> None:
    assert effects("print(1)", "#!/usr/bin/python3\n").computed
    assert effects("", "#!<lua>\n").computed
    assert effects_of({}) == Effects()
    for text in ("'", '"\\', "ln", "ln -s", "dpkg-divert", "update-alternatives --install", "\0\xff", "cp -t"):
        effects(text)


def test_diversions() -> None:
    assert effects("dpkg-divert --package a --add --rename --divert /usr/bin/x.real /usr/bin/x").diverted == {
        "usr/bin/x": "usr/bin/x.real"
    }
    assert effects("dpkg-divert --local --divert=/usr/y /usr/x").diverted == {"usr/x": "usr/y"}
    assert effects("dpkg-divert --add /usr/x").diverted == {"usr/x": "usr/x.distrib"}
    assert not effects("dpkg-divert --remove /usr/x; dpkg-divert --list '*x'").diverted


CONTROL = "Package: app\nVersion: 1\nArchitecture: arm64\n"
POST = 1024


def told(path: Path, platforms: Platforms) -> list[tuple[str, Certainty]]:
    platform = platforms.get("kunpeng")
    found = Verdicts(platform, platforms.file.architectures).of(Inspector(isa=False).read(path))
    return [(f.code, f.certainty) for f in found if f.code.startswith("XC-DLV")]


@pytest.mark.tools
@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_link_that_the_package_makes_when_it_is_installed(
    kind: str, tools: Tools, platforms: Platforms, tmp_path: Path
) -> None:
    library = tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(
        Arch.ARM64,
        "int answer(void);\nint main(void) { return answer(); }\n",
        "-Wl,-rpath,/opt/app/lib",
        stubs={"libanswer.so.1": library},
    )
    files = {"opt/app/bin/app": app, "opt/app/lib/libanswer.so.1.0.0": library}
    path = tmp_path / f"app.{kind}"
    for script, wanted in (
        ("", [("XC-DLV-002", Certainty.CERTAIN)]),
        ("ldconfig\n", [("XC-DLV-002", Certainty.CERTAIN)]),  # it does not know that directory
        ("ln -s libanswer.so.1.0.0 /opt/app/lib/libanswer.so.1\n", []),
        ("ln -s $LIB /opt/app/lib/libanswer.so.1\n", [("XC-DLV-002", Certainty.UNDECIDED)]),
    ):
        if kind == "deb":
            path.write_bytes(containers.deb(files, CONTROL, {"postinst": f"#!/bin/sh\n{script}"} if script else None))
        else:
            path.write_bytes(containers.rpm(files, "app", "aarch64", more={POST: script} if script else None))
        assert told(path, platforms) == wanted, script


@pytest.mark.tools
def test_a_file_that_another_package_diverts(tools: Tools, tmp_path: Path) -> None:
    from pytest_xinchuang.inspect.walk import Walker

    place = tmp_path / "debs"
    place.mkdir()
    divert = "#!/bin/sh\ndpkg-divert --package b --add --rename --divert /usr/bin/x.real /usr/bin/x\n"
    (place / "a.deb").write_bytes(containers.deb({"usr/bin/x": b"old"}, CONTROL))
    second = CONTROL.replace("app", "b")
    (place / "b.deb").write_bytes(containers.deb({"usr/bin/x": b"new"}, second, {"preinst": divert}))
    from pytest_xinchuang.inspect.delivery import Delivery, Kind

    top = Walker(lambda *_: None).walk(place)
    (root,) = (root for root in Delivery(top).roots if root.kind is Kind.SYSTEM)
    assert {"usr/bin/x", "usr/bin/x.real"} <= set(root.files)


def test_a_link_into_a_directory_is_none_in_its_place(tmp_path: Path) -> None:
    from pytest_xinchuang.inspect.delivery import Kind, Root

    root = Root(Kind.SYSTEM, "x", files={"usr/lib/a.so": None, "opt/x/b": None})
    root.apply(effects("ln -s /opt/x/b /usr/lib\nln -sf /opt/x/b /usr/lib/a.so\nln -s /opt/x/b /opt/x/b\n"))
    assert root.links == {"usr/lib/b": "/opt/x/b", "usr/lib/a.so": "/opt/x/b"}
    assert root.resolve("usr/lib/a.so") == root.resolve("usr/lib/b") == "opt/x/b"


def test_a_script_that_is_longer_than_what_is_read_leaves_it_open(tmp_path: Path, platforms: Platforms) -> None:
    long = "#!/bin/sh\n" + ": " * (MOST // 2) + "\nln -s /opt/a/x /usr/lib/x\n"
    assert effects_of({"postinst": long.encode()}).computed
    path = tmp_path / "a.deb"
    path.write_bytes(containers.deb({"./usr/a": b"a"}, "Package: a\nArchitecture: amd64\n", {"postinst": long}))
    (root,) = Inspector(isa=False).read(path).delivery.roots
    assert root.computed


@pytest.mark.parametrize(
    "text", ["if " * 300_000, "<<A " * 200_000, "A=1 " * 200_000, "ln -s \\\n" * 100_000, "#" * MOST]
)
def test_scripts_that_were_made_to_take_long_do_not(text: str) -> None:
    begun = time.process_time()
    effects(text)
    assert time.process_time() - begun < 10

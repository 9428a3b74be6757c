"""What the scripts of packages do to the names of files, and what it means for the loader."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.maintainer import MOST, diverted_by, effects_of
from pytest_xinchuang.inspect.script_state import Delivered, Effects
from pytest_xinchuang.inspect.shell import MOST_COMMANDS
from tests.inspect import containers
from tests.inspect.test_rules import tools as tools
from tests.mutants.porting.tools import Tools


def effects(text: str, first: str = "#!/bin/sh\n", there: Delivered | None = None) -> Effects:
    return effects_of({"./postinst": (first + text).encode(), "control": b"ln -s /a /b\n"}, there)


def diverted(text: str) -> dict[str, str]:
    return diverted_by({"./preinst": ("#!/bin/sh\n" + text).encode()})


@pytest.mark.parametrize(("text", "links"), [
    ("ln -sf libx.so.1.0 /opt/a/libx.so.1", {"opt/a/libx.so.1": "libx.so.1.0"}),
    ('if [ "$1" = configure ]; then ln -s "/opt/a b/x" /usr/bin/; fi', {"usr/bin/x": "/opt/a b/x"}),
    ("true && ln -s /opt/a/x \\\n  /usr/bin/x # make it", {"usr/bin/x": "/opt/a/x"}),
    ("cd /usr/lib && ln -s libx.so.1 libx.so", {"usr/lib/libx.so": "libx.so.1"}),
    ("D=/opt/a\nln -s ${D}/x /usr/bin/x", {"usr/bin/x": "/opt/a/x"}),
    ("case $1 in configure|x) ln -s /a/x /usr/x;; *) ln -s /b /usr/y;; esac", {"usr/x": "/a/x"}),
    ("ln -s /a/x /usr/x; rm /usr/x; exit 0; ln -s /b/x /usr/x", {}),
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
    assert (found.links, found.computed, diverted(text)) == (links, False, {})


@pytest.mark.parametrize("text", [
    "ln -s $DIR/libx.so.1 /usr/lib/libx.so", "ln -s ${DIR}/x /usr/bin/x", "for i in /opt/a/*; do ln -sf $i /usr/bin; done",
    "ln -s /opt/a/x `./name`", "cp /opt/a/*.so /usr/lib/", "tar -xzf /opt/a/x.tgz -C /opt/a", "mv /opt/a/x /opt/a/y",
    "cd $D && ln -s libx.so.1 libx.so", "update-alternatives --install /usr/bin/java java $D/java 1",
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
    assert diverted("dpkg-divert --package a --add --rename --divert /usr/bin/x.real /usr/bin/x") == {
        "usr/bin/x": "usr/bin/x.real"
    }
    assert diverted("dpkg-divert --local --divert=/usr/y /usr/x") == {"usr/x": "usr/y"}
    assert diverted("dpkg-divert --add /usr/x") == {"usr/x": "usr/x.distrib"}
    assert not diverted("dpkg-divert --remove /usr/x; dpkg-divert --list '*x'")


OWN = {"opt/app/lib/libx.so.1", "opt/app/lib/liby.so", "opt/app/bin/app", "usr/bin/app"}
THERE = Delivered(OWN, {"usr/bin/app": "/opt/app/bin/app"}, OWN, "arm64")
X = "opt/app/lib/libx.so.1"


def became(text: str, path: str = X, there: Delivered = THERE) -> set[str]:
    """What a path may be after a postinst."""
    change = effects("set -e\n" + text, there=there).changes.get(path)
    return {outcome.how.value for outcome in change.outcomes} if change is not None else {"kept"}


@pytest.mark.parametrize("text", [
    "rm -f /opt/app/lib/libx.so.1", "unlink /opt/app/lib/libx.so.1", "D=/opt/app/lib\nrm -f \"$D\"/libx.so.1",
    "cd /opt/app/lib && rm libx*", "find /opt/app -name 'libx*' -delete", "find /opt/app -name '*.so.1' -exec rm {} \\;",
    "for f in /opt/app/lib/*.1; do [ -e $f ] || continue; rm $f; done", "if [ $1 = configure ]; then rm -rf /opt/app/lib; fi",
    'case "$1" in configure|abort-upgrade) rm -rf /opt/app/lib;; esac', "mv /opt/app/lib/libx.so.1 /opt/app/lib/libx.so.1.bak",
    "mv /opt/app/lib /opt/app/old", "f() { rm -f /opt/app/lib/$1; }\nf libx.so.1", "sh -c 'rm /opt/app/lib/libx.so.1'",
    "eval 'rm /opt/app/lib/libx.so.1'", "if [ -e /opt/app/bin/app ]; then rm /opt/app/lib/libx.so.1; fi",
    "if [ $(uname -m) = aarch64 ]; then rm /opt/app/lib/libx.so.1; fi", "[ -z \"$2\" ] && rm -r /opt/app/lib/",
    "dpkg-divert --add --rename --divert /opt/x /opt/app/lib/libx.so.1", "if false; then :; else rm /opt/app/lib/libx.so.1; fi",
    "(cd /opt/app/lib; rm libx.so.1)", "shred -u /opt/app/lib/libx.so.1", "rm /opt/app/bin/../lib/libx.so.1",
])  # fmt: skip
def test_what_a_script_takes_away_for_certain(text: str) -> None:
    assert became(text) == {"gone"}


@pytest.mark.parametrize("text", [
    ": > /opt/app/lib/libx.so.1", "cp /dev/null /opt/app/lib/libx.so.1", "truncate -s 0 /opt/app/lib/libx.so.1",
    "echo x >/opt/app/lib/libx.so.1",
])  # fmt: skip
def test_what_a_script_overwrites(text: str) -> None:
    assert became(text) == {"other"}


@pytest.mark.parametrize("text", [
    "if grep -q x /etc/y; then rm -f /opt/app/lib/libx.so.1; fi", "[ -e /etc/foo ] && rm /opt/app/lib/libx.so.1",
    "[ -x /a ] || exit 0; rm /opt/app/lib/libx.so.1", "find /opt/app -name 'libx*' | xargs rm -f", "rm -rf $X/lib",
    "ls /opt/app/lib | while read f; do rm -f /opt/app/lib/$f; done", "rm $(ls /opt/app/lib/*.so.1)",
    "find /opt/app -mtime +1 -delete",
    "perl -e 'unlink \"/opt/app/lib/libx.so.1\"'", "while true; do rm /opt/app/lib/libx.so.1; done",
    "case $(cat /etc/a) in x) rm /opt/app/lib/libx.so.1;; esac", "if rm /opt/app/lib/libx.so.1", "rm /opt/app/lib/*[0-9]",
    "for p in $(cat /etc/list); do rm -f /opt/app/lib/$p; done",
])  # fmt: skip
def test_what_a_script_takes_away_perhaps(text: str) -> None:
    assert became(text) == {"kept", "gone"}


@pytest.mark.parametrize("text", [
    "if [ $1 = remove ]; then rm -rf /opt/app/lib; fi", 'case "$1" in remove) rm -rf /opt/app;; configure) ;; esac',
    "rm -f /opt/app/lib/libx.so /opt/app/lib/libx.so.1.0 /tmp/a", "echo rm /opt/app/lib/libx.so.1", "rm -rf /opt/app/li",
    "find /opt/app -name '*.bak' -delete", "find /opt/app -name 'libx*'", "exit 0\nrm /opt/app/lib/libx.so.1",
    "rmdir /opt/app/lib",
    "tmp=$(mktemp)\nrm -f \"$tmp\"", "ln -s libx.so.1 /opt/app/lib/libx.so", "mkdir -p /opt/app/lib; chmod 755 /opt/app/lib/*",
    "f() { rm -rf /opt/app; }", "[ -d /opt/app/lib ] || rm -rf /opt/app", "ldconfig > /dev/null", "rm -f /opt/app/lib/*.pyc",
    "cat > /etc/a <<EOF\nrm /opt/app/lib/libx.so.1\nEOF", "# rm /opt/app/lib/libx.so.1",
])  # fmt: skip
def test_what_a_script_leaves(text: str) -> None:
    assert became(text) == {"kept"} and not effects(text, there=THERE).takes


def test_what_is_put_back_is_there() -> None:
    assert became("rm /opt/app/lib/libx.so.1; ln -s liby.so /opt/app/lib/libx.so.1") == {"link"}
    assert became("mv /opt/app/lib/liby.so /opt/app/lib/libx.so.1") == {"file"}
    assert became("[ -L /usr/lib/z ] || ln -s /opt/app/lib/liby.so /usr/lib/z", "usr/lib/z") == {"there", "link"}
    assert became("grep -q a /etc/b && ln -s /opt/app/lib/liby.so /usr/lib/z", "usr/lib/z") == {"none", "link"}
    assert became("if grep -q a /b; then ln -s /a /usr/z; else ln -s /b /usr/z; fi", "usr/z") == {"link"}


def test_an_rpm_is_told_how_many_of_it_there_are() -> None:
    rpm = Delivered(OWN, {}, OWN, "aarch64", rpm=True)
    assert became("if [ $1 -eq 1 ]; then rm -rf /opt/app/lib; fi", there=rpm) == {"gone"}
    assert became("if [ $1 -gt 1 ]; then rm -rf /opt/app/lib; fi", there=rpm) == {"kept"}


def test_preinst_runs_before_its_own_files_are_there() -> None:
    script = {"preinst": b"#!/bin/sh\nrm -f /opt/app/lib/libx.so.1 /usr/lib/libz.so\n"}
    there = Delivered({*OWN, "usr/lib/libz.so"}, {}, OWN)
    assert set(effects_of(script, there).changes) == {"usr/lib/libz.so"}


def test_scripts_of_other_languages_that_take_files_away() -> None:
    python = "import os\nfor f in ['/opt/app/lib/libx.so.1']:\n    os.remove(f)\n"
    found = effects(python, "#!/usr/bin/python3\n", THERE).changes
    assert {outcome.how.value for outcome in found[X].outcomes} == {"kept", "gone"}
    assert not effects(python.replace("remove", "stat"), "#!/usr/bin/python3\n", THERE).changes


def test_words_of_which_nothing_is_known_are_told() -> None:
    assert effects("cat /etc/list | xargs rm -f", there=THERE).takes
    assert effects('rm -rf "$(cat /etc/list)"', there=THERE).takes


CONTROL = "Package: app\nVersion: 1\nArchitecture: arm64\n"
POST, POSTTRANS = 1024, 1152


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
        (
            "grep -q a /b && ln -s libanswer.so.1.0.0 /opt/app/lib/libanswer.so.1\n",
            [("XC-DLV-010", Certainty.UNDECIDED)],
        ),
        ("[ -e /a ] || ln -s libanswer.so.1.0.0 /opt/app/lib/libanswer.so.1\n", [("XC-DLV-010", Certainty.UNDECIDED)]),
        ("cd /opt/app/lib\n[ -e libanswer.so.1 ] || ln -s libanswer.so.1.0.0 libanswer.so.1\n", []),
    ):
        if kind == "deb":
            path.write_bytes(containers.deb(files, CONTROL, {"postinst": f"#!/bin/sh\n{script}"} if script else None))
        else:
            path.write_bytes(containers.rpm(files, "app", "aarch64", more={POST: script} if script else None))
        assert told(path, platforms) == wanted, script


@pytest.mark.tools
@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_library_that_the_package_takes_away_when_it_is_installed(
    kind: str, tools: Tools, platforms: Platforms, tmp_path: Path
) -> None:
    library = tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(
        Arch.ARM64,
        "int answer(void);\nint main(void) { return answer(); }\n",
        "-Wl,-rpath,/opt/app/lib",
        stubs={"libanswer.so.1": library},
    )
    files = {"opt/app/bin/app": app, "opt/app/lib/libanswer.so.1": library, "opt/app/other/libother.so.1": library}
    path = tmp_path / f"app.{kind}"
    certain, may = [("XC-DLV-010", Certainty.CERTAIN)], [("XC-DLV-010", Certainty.UNDECIDED)]
    for script, wanted in (
        ("rm -f /opt/app/lib/libanswer.so.1\n", certain),
        ("mv /opt/app/lib/libanswer.so.1 /opt/app/lib/libanswer.so.1.bak\n", certain),
        ("ln -sf /nowhere /opt/app/lib/libanswer.so.1\n", may),
        ("grep -q a /b && rm -f /opt/app/lib/libanswer.so.1\n", may),
        ("rm -f $(cat /opt/app/old)\n", may),
        ("rm -f /opt/app/lib/libanswer.so.0\n", []),
        ("mv /opt/app/lib/libanswer.so.1 /usr/lib/\n", []),
        ("rm -f /opt/app/lib/libanswer.so.1; ln -s /opt/app/other/libother.so.1 /opt/app/lib/libanswer.so.1\n", []),
    ):
        if kind == "deb":
            path.write_bytes(containers.deb(files, CONTROL, {"postinst": f"#!/bin/sh\n{script}"}))
        else:
            path.write_bytes(containers.rpm(files, "app", "aarch64", more={POST: script}))
        assert told(path, platforms) == wanted, script


def test_each_script_of_an_rpm_ends_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.rpm"
    more = {POST: "ln -s /opt/a /usr/bin/a\nexit 0\n", POSTTRANS: "rm -f /usr/lib/libx.so\n"}
    path.write_bytes(containers.rpm({"usr/lib/libx.so": b"x"}, "app", "aarch64", more=more))
    (root,) = Inspector(isa=False).read(path).delivery.roots
    assert root.doubts["usr/lib/libx.so"].sure and "usr/lib/libx.so" not in root.files
    assert root.links == {"usr/bin/a": "/opt/a"}


@pytest.mark.tools
def test_what_another_package_takes_away(tools: Tools, platforms: Platforms, tmp_path: Path) -> None:
    library = tools.c(Arch.ARM64, "int answer(void) { return 42; }\n", "-Wl,-soname,libanswer.so.1", shared=True)
    app = tools.c(
        Arch.ARM64, "int answer(void);\nint main(void) { return answer(); }\n", stubs={"libanswer.so.1": library}
    )
    place = tmp_path / "debs"
    place.mkdir()
    (place / "a.deb").write_bytes(containers.deb({"usr/bin/app": app}, CONTROL))
    second = CONTROL.replace("app", "lib")
    (place / "b.deb").write_bytes(containers.deb({"usr/lib/libanswer.so.1": library}, second))
    post = {"postinst": "#!/bin/sh\nrm -f /usr/lib/libanswer.so.1\n"}
    for depends, wanted in (("lib (>= 1)", Certainty.CERTAIN), ("other", Certainty.UNDECIDED)):
        third = CONTROL.replace("app", "cleaner") + f"Depends: {depends}\n"
        (place / "c.deb").write_bytes(containers.deb({"usr/share/doc/c": b"c"}, third, post))
        assert told(place, platforms) == [("XC-DLV-010", wanted)], depends


@pytest.mark.tools
def test_a_command_whose_program_is_taken_away(tools: Tools, platforms: Platforms, tmp_path: Path) -> None:
    app = tools.c(Arch.ARM64, "int main(void) { return 0; }\n")
    path = tmp_path / "app.deb"
    for script, wanted in (
        ("ln -s /opt/app/bin/app /usr/bin/app; rm /opt/app/bin/app", [("XC-DLV-010", Certainty.CERTAIN)]),
        ("rm /opt/app/bin/app", []),  # nothing that is delivered needs it
    ):
        path.write_bytes(containers.deb({"opt/app/bin/app": app}, CONTROL, {"postinst": f"#!/bin/sh\n{script}\n"}))
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
    there = Delivered(set(root.files))
    root.apply(
        effects("ln -s /opt/x/b /usr/lib\nln -sf /opt/x/b /usr/lib/a.so\nln -s /opt/x/b /opt/x/b\n", there=there)
    )
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
    "text",
    [
        "if " * 300_000,
        "$(" * 500_000,
        "'" * 1001,
        "if a; then rm $b; fi\n" * 9_000,
        "for i in 1 2 3 4 5 6 7 8 9; do " * 50,
        "<<A " * 200_000,
        "A=1 " * 200_000,
        "ln -s \\\n" * 100_000,
        "#" * MOST,
    ],
)
def test_scripts_that_were_made_to_take_long_do_not(text: str) -> None:
    begun = time.process_time()
    effects(text)
    assert time.process_time() - begun < 10

"""How a root that brings its own C library is opened in a sandbox that has another."""

from __future__ import annotations

import pytest

from pytest_xinchuang.inspect.delivery import Kind, Root
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.search import How, Search
from pytest_xinchuang.loading.own import Via, enter
from tests.inspect.test_rules import elf

MUSL, GLIBC = "lib/ld-musl-aarch64.so.1", "lib/ld-linux-aarch64.so.1"


def obj(path: str, *libraries: str, **fields: object) -> ElfRecord:
    return ElfRecord(f"top!{path}", path, elf(machine="EM_AARCH64", libraries=libraries, **fields))


def image(*records: ElfRecord, whole: bool = True, links: dict[str, str] | None = None) -> Root:
    root = Root(Kind.SYSTEM, "top", whole=whole, links=links or {})
    root.files.update({record.path: record for record in records})
    return root


APP = obj("app/a", "libc.musl-aarch64.so.1", "libx.so", interpreter=f"/{MUSL}", runpath=("$ORIGIN/../opt/x",))
LIBRARY = obj("opt/x/libx.so", "libc.so")


def test_musls_loader_lists_and_takes_its_own_names_for_itself() -> None:
    root = image(obj(MUSL, soname="libc.musl-aarch64.so.1"), APP, LIBRARY)
    here = enter(Search(root), "EM_AARCH64", "/d/0", "/more")
    assert here.via == Via((f"/d/0/{MUSL}", "--library-path", "/d/0/lib:/d/0/opt/x:/more", "--list"), lists=True)
    assert (here.own, here.libc, here.base) == (True, "musl", "/d/0")
    assert not here.lacking(APP) and not here.lacking(LIBRARY)
    lacking = image(obj(MUSL, soname="libc.musl-aarch64.so.1"), APP)
    assert "libx.so" in enter(Search(lacking), "EM_AARCH64", "/d/0", "/more").lacking(APP)


def test_glibcs_loader_is_told_to_look_nowhere_else() -> None:
    loader = obj("usr/lib/ld-linux-aarch64.so.1", soname="ld-linux-aarch64.so.1")
    libc = obj("usr/lib/libc.so.6", soname="libc.so.6")
    root = image(loader, libc, links={"lib": "usr/lib"})
    here = enter(Search(root), "EM_AARCH64", "/d/0", "/more")
    words = ("/d/0/usr/lib/ld-linux-aarch64.so.1", "--inhibit-cache", "--library-path", "/d/0/usr/lib:/more")
    assert here.via == Via(words) and here.libc == "glibc"


def test_the_loader_is_that_of_the_c_library_which_is_there() -> None:
    """gcompat gives musl's systems a loader with glibc's name too."""
    root = image(obj(GLIBC), obj(MUSL, soname="libc.musl-aarch64.so.1"), APP, LIBRARY)
    assert enter(Search(root), "EM_AARCH64", "/d/0", "/more").via.words[0] == f"/d/0/{MUSL}"
    assert root.loader("EM_AARCH64", "glibc") == GLIBC and root.loader("EM_X86_64", "musl") is None


def test_what_has_no_loader_is_opened_by_none() -> None:
    app = obj("app", "libc.so.6", interpreter=f"/{GLIBC}")
    alone = obj("static", kind="exec")
    here = enter(Search(image(app, alone)), "EM_AARCH64", "/d/0", "/more")
    assert here.own and not here.via.words and here.lacking(app) and not here.lacking(alone)
    other = obj(GLIBC, soname="ld-linux-aarch64.so.1")
    foreign = ElfRecord("top!x", "lib/ld-linux-x86-64.so.2", elf(machine="EM_X86_64"))
    assert not enter(Search(image(app, foreign)), "EM_AARCH64", "/d/0", "/more").via.words
    assert enter(Search(image(app, other)), "EM_AARCH64", "/d/0", "/more").via.words


@pytest.mark.parametrize(
    ("kind", "base"), [(Kind.SYSTEM, ""), (Kind.TREE, "/d/0"), (Kind.PYTHON, "/d/0"), (Kind.CLASS_PATH, "/d/0")]
)
def test_what_brings_no_c_library_is_opened_by_the_sandboxs(kind: Kind, base: str) -> None:
    here = enter(Search(Root(kind, "top")), "EM_AARCH64", "/d/0", "/more")
    assert (here.own, here.base, here.via) == (False, base, Via())


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("libc.so", How.FOUND),
        ("libc.so.6", How.FOUND),
        ("libc.musl-aarch64.so.1", How.FOUND),
        ("libpthread.so.0", How.FOUND),
        ("libcrypt.so.1", How.ABSENT),
        ("libm-2.so", How.ABSENT),
        ("libstdc++.so.6", How.ABSENT),
    ],
)
def test_names_that_musl_takes_for_itself(name: str, how: How) -> None:
    app = obj("app", name, interpreter=f"/{MUSL}")
    root = image(obj("lib/libc.musl-aarch64.so.1"), app, links={MUSL: "libc.musl-aarch64.so.1"})
    assert Search(root).supply(app, name).how is how
    glibc = image(obj(GLIBC), obj("lib/libc.so.6", soname="libc.so.6"), app)
    assert (Search(glibc).supply(app, name).how is How.FOUND) == (name == "libc.so.6")

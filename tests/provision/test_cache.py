from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision import cache as caches
from pytest_xinchuang.provision.cache import (
    Cache,
    Entry,
    cache_dir,
    is_whole,
    note_digest,
    remove_tree,
    stat_index,
    tree_digest,
)
from tests.messages.english import english_in


def fill(tree: Path) -> tuple[str, dict[str, str]]:
    (tree / "a").write_text("content")
    (tree / "d").mkdir()
    (tree / "d" / "link").symlink_to("../a")
    return "test", {"x": "1"}


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    made = []

    def build(tree: Path) -> tuple[str, dict[str, str]]:
        made.append(tree)
        return fill(tree)

    first = Cache(tmp_path).make("kind", "name", "1", build)
    assert Cache(tmp_path).make("kind", "name", "1", build) == first
    assert len(made) == 1


def test_another_recipe_makes_it_again(tmp_path: Path) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    assert Cache(tmp_path).make("kind", "name", "2", fill).recipe == "2"


@pytest.mark.parametrize("damage", ["edit", "mode", "add", "remove", "link"])
def test_a_damaged_entry_is_not_used(tmp_path: Path, damage: str) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    tree = Cache(tmp_path).tree("kind", "name")
    info = (tree / "a").stat()
    match damage:
        case "edit":
            (tree / "a").write_text("CONTENT")
            os.utime(tree / "a", ns=(info.st_atime_ns, info.st_mtime_ns))
        case "mode":
            (tree / "a").chmod(0o777)
        case "add":
            (tree / "b").write_text("")
        case "remove":
            (tree / "a").unlink()
        case "link":
            (tree / "d" / "link").unlink()
            (tree / "d" / "link").symlink_to("/etc/passwd")
    assert Cache(tmp_path).verified("kind", "name", "1") is None
    Cache(tmp_path).make("kind", "name", "1", fill)
    assert (Cache(tmp_path).tree("kind", "name") / "a").read_text() == "content"
    assert not tree.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 1}'])
def test_an_entry_that_cannot_be_read_is_made_again(tmp_path: Path, content: str) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    Cache(tmp_path).record("kind", "name").write_text(content)
    assert Cache(tmp_path).make("kind", "name", "1", fill).facts == {"x": "1"}


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken(tree: Path) -> tuple[str, dict[str, str]]:
        (tree / "half").write_text("")
        raise HostFault(verbatim("no network"))

    with pytest.raises(HostFault, match="no network"):
        Cache(tmp_path).make("kind", "name", "1", broken)
    assert not list((tmp_path / "tmp").iterdir())
    assert Cache(tmp_path).peek("kind", "name") is None


def test_a_full_disk_is_told_with_its_mend(tmp_path: Path) -> None:
    def full(tree: Path) -> tuple[str, dict[str, str]]:
        (tree / "half").write_text("")
        with Path("/dev/full").open("w") as file:
            file.write("x")
        return "never", {}

    with pytest.raises(HostFault, match=r"No space left on device(.|\n)*XC_CACHE"):
        Cache(tmp_path).make("kind", "name", "1", full)
    assert not list((tmp_path / "tmp").iterdir())


def _slow(tree: Path) -> tuple[str, dict[str, str]]:
    (tree / "half").write_text("")
    time.sleep(30)
    return "never", {}


def _make_slowly(root: Path) -> None:
    Cache(root).make("kind", "name", "1", _slow)


@pytest.mark.tools
def test_what_a_killed_process_left_is_cleaned_and_what_is_being_made_is_not(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_make_slowly, args=(tmp_path,))
    process.start()
    half = tmp_path / "tmp/kind-name/tree/half"
    for _ in range(100):
        if half.exists():
            break
        time.sleep(0.05)
    assert Cache(tmp_path).clean() == []
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert Cache(tmp_path).peek("kind", "name") is None
    assert Cache(tmp_path).clean() == ["kind-name"]
    process.close()


def test_a_scratch_directory_in_use_is_not_cleaned(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.scratch("work") as place:
        (place / "file").write_text("x")
        assert Cache(tmp_path).clean() == []
        assert (place / "file").exists()
    assert not place.exists() and not list((tmp_path / "locks").iterdir())
    (tmp_path / "tmp/work-1-left").mkdir()
    assert Cache(tmp_path).clean() == ["work-1-left"]


@pytest.mark.tools
def test_two_processes_make_it_once(tmp_path: Path) -> None:
    def build(root: Path) -> None:
        def slow(tree: Path) -> tuple[str, dict[str, str]]:
            with (root / "made").open("a") as file:
                file.write("x")
            time.sleep(0.3)
            return fill(tree)

        Cache(root).make("kind", "name", "1", slow)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=build, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
        process.close()
    assert (tmp_path / "made").read_text() == "x"


def test_a_directory_without_permissions_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("")
    (tmp_path / "a/b").chmod(0)
    remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "x"))
    assert cache_dir() == tmp_path / "x"
    monkeypatch.delenv("XC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "pytest-xinchuang"


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostFault, match="XC_CACHE"):
        Cache(tmp_path / "file" / "x")


def test_the_digest_does_not_depend_on_owner_or_time(tmp_path: Path) -> None:
    fill_at = tmp_path / "t"
    fill_at.mkdir()
    fill(fill_at)
    before = tree_digest(fill_at)
    os.utime(fill_at / "a", (0, 0))
    assert tree_digest(fill_at) == before


RECORD_EDITS: dict[str, dict[str, Any]] = {
    "no stand-in": {"stand_in": False},
    "a vendor's recipe": {"recipe": "imported", "stand_in": False},
    "other facts": {"facts": {"x": "2"}},
    "another source": {"source": "the vendor"},
    "another digest": {"digest": "sha256:" + "0" * 64},
    "another name": {"name": "other"},
    "another kind": {"kind": "other"},
}


@pytest.mark.parametrize("edit", RECORD_EDITS.values(), ids=RECORD_EDITS)
def test_a_record_that_was_edited_is_not_believed(tmp_path: Path, edit: dict[str, Any]) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    record = Cache(tmp_path).record("kind", "name")
    record.write_text(json.dumps({**json.loads(record.read_text()), **edit}))
    assert Cache(tmp_path).verified("kind", "name", "1") is None
    assert Cache(tmp_path).verified("kind", "name", None) is None
    assert Cache(tmp_path).holds("kind", "name") and not Cache(tmp_path).entries()
    assert Cache(tmp_path).make("kind", "name", "1", fill).stand_in


def test_a_record_of_an_earlier_version_is_believed_where_it_is_what_its_name_says(tmp_path: Path) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    record = Cache(tmp_path).record("kind", "name")
    fields = json.loads(record.read_text())
    del fields["record"]
    record.write_text(json.dumps(fields))
    assert Cache(tmp_path).verified("kind", "name", "1") is not None
    record.write_text(json.dumps({**fields, "stand_in": False}))
    assert Cache(tmp_path).verified("kind", "name", "1") is None


def test_a_forged_record_of_a_vendor_needs_the_vendors_name(tmp_path: Path) -> None:
    made = Cache(tmp_path).make("kind", "name", "1", fill)
    record = Cache(tmp_path).record("kind", "name")
    for recipe, stand_in in (("imported", False), ("1", False), ("imported", True)):
        Entry(made.kind, made.name, recipe, made.digest, made.source, stand_in, made.facts).write(record)
        assert Cache(tmp_path).verified("kind", "name", None) is None
        assert Cache(tmp_path).verified("kind", "name", "1") is None
    Cache(tmp_path).make("kind", "vendor-x", "imported", fill, stand_in=False)
    assert Cache(tmp_path).verified("kind", "vendor-x", "imported") is not None
    assert Cache(tmp_path).verified("kind", "vendor-x", "1") is None


@pytest.mark.parametrize("what", ["tree", "record", "gone"])
def test_what_changes_while_it_is_in_use_is_our_fault(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "_LOOKED_AT_S", 0.0)
    cache = Cache(tmp_path)
    cache.make("kind", "name", "1", fill)
    place = cache.record("kind", "name").parent
    os.utime(place / "tree/a")
    assert cache.verified("kind", "name", "1") is not None  # touched alone
    match what:
        case "tree":
            (place / "tree/a").write_text("CONTENT")
        case "record":
            (place / "entry.json").write_text((place / "entry.json").read_text().replace("true", "false"))
        case "gone":
            remove_tree(place)
    with pytest.raises(HostFault, match="has changed while it was in use"):
        cache.verified("kind", "name", "1")
    with pytest.raises(HostFault, match="has changed while it was in use"):
        cache.make("kind", "name", "1", fill)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
@pytest.mark.parametrize("what", ["root", "entry"])
def test_a_cache_of_another_user_is_told_and_not_used(tmp_path: Path, what: str) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    place = tmp_path if what == "root" else Cache(tmp_path).record("kind", "name")
    os.chown(place, 64000, 64000)
    with pytest.raises(HostFault, match=r"belongs to user 64000, and we are user root(.|\n)*XC_CACHE"):
        Cache(tmp_path).verified("kind", "name", "1")


def test_attributes_are_part_of_a_trees_digest(tmp_path: Path) -> None:
    fill(tmp_path)
    before = tree_digest(tmp_path)
    try:
        os.setxattr(tmp_path / "a", "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("no extended attributes here")
    assert tree_digest(tmp_path) != before


@pytest.mark.parametrize("change", ["text", "mode", "add", "remove", "touch", "link"])
def test_any_change_changes_the_index(tmp_path: Path, change: str) -> None:
    fill(tmp_path)
    before = stat_index(tmp_path)
    assert stat_index(tmp_path) == before
    time.sleep(0.02)
    match change:
        case "text":
            info = (tmp_path / "a").stat()
            (tmp_path / "a").write_text("CONTENT")
            os.utime(tmp_path / "a", ns=(info.st_atime_ns, info.st_mtime_ns))
        case "mode":
            (tmp_path / "a").chmod(0o600)
        case "add":
            (tmp_path / "d/new").write_text("")
        case "remove":
            (tmp_path / "d/link").unlink()
        case "touch":
            (tmp_path / "a").touch()
        case "link":
            (tmp_path / "d/link").unlink()
            (tmp_path / "d/link").symlink_to("../b")
    assert stat_index(tmp_path) != before


@pytest.mark.parametrize("damage", ["none", "file", "another", "digest", "no digest", "no file", "bytes"])
def test_a_file_is_whole_while_it_has_the_digest_that_was_noted(tmp_path: Path, damage: str) -> None:
    place, noted = tmp_path / "p", tmp_path / "p.sha256"
    place.write_text("program")
    note_digest(place, place)
    match damage:
        case "file":
            place.write_text("PROGRAM")
        case "another":
            place.write_text("another program")
            note_digest(place, tmp_path / "q")
            (tmp_path / "q.sha256").rename(noted)
        case "digest":
            noted.write_text("0" * 64)
        case "no digest":
            noted.unlink()
        case "no file":
            place.unlink()
        case "bytes":
            noted.write_bytes(b"\xff")
    assert is_whole(place) is (damage == "none")


def test_a_new_version_lies_beside_the_old_one_while_somebody_uses_that(tmp_path: Path) -> None:
    """So does an image's layer, whose directories cannot be renamed: a file alone is replaced."""
    user = Cache(tmp_path)
    user.make("kind", "name", "1", fill)
    old = user.tree("kind", "name")

    def other(tree: Path) -> tuple[str, dict[str, str]]:
        (tree / "a").write_text("another")
        return "test", {}

    other_process = Cache(tmp_path)
    other_process.make("kind", "name", "2", other)
    assert (other_process.tree("kind", "name") / "a").read_text() == "another"
    # Who uses the old one keeps it, and is not told that anything has changed.
    assert user.tree("kind", "name") == old and (old / "a").read_text() == "content"
    assert user.verified("kind", "name", "1") is not None
    assert user.verified("kind", "name", "2") is None
    del user
    other_process.clean()
    assert not old.exists()
    assert [path.name for path in (tmp_path / "entries/kind/name").iterdir() if path.is_dir()] == [
        other_process.tree("kind", "name").parent.name
    ]


def test_the_same_content_twice_has_two_places(tmp_path: Path) -> None:
    first = Cache(tmp_path)
    first.make("kind", "name", "1", fill)
    second = Cache(tmp_path)
    second.make("kind", "name", "1", fill, force=True)
    assert second.tree("kind", "name") != first.tree("kind", "name")
    assert first.verified("kind", "name", "1") and second.verified("kind", "name", "1")


@pytest.mark.parametrize("pointer", ["", "../../other\n", "0" * 16, "/etc", "\xff"])
def test_a_pointer_to_nothing_of_ours_is_no_entry(tmp_path: Path, pointer: str) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    (tmp_path / "entries/kind/name/current").write_text(pointer, encoding="latin-1")
    assert Cache(tmp_path).verified("kind", "name", "1") is None
    assert Cache(tmp_path).holds("kind", "name")
    assert Cache(tmp_path).make("kind", "name", "1", fill)


def unversioned(root: Path, name: str = "name", recipe: str = "1", *, stand_in: bool = True) -> Entry:
    """An entry as earlier releases wrote it."""
    place = root / "entries/kind" / name
    (place / "tree").mkdir(parents=True)
    source, facts = fill(place / "tree")
    entry = Entry("kind", name, recipe, tree_digest(place / "tree"), source, stand_in, facts)
    entry.write(place / "entry.json")
    return entry


def test_an_entry_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    entry = unversioned(tmp_path)
    brought = unversioned(tmp_path, "vendor-x", "imported", stand_in=False)
    assert Cache(tmp_path).verified("kind", "name", "1") == entry
    assert Cache(tmp_path).verified("kind", "vendor-x", "imported") == brought
    assert Cache(tmp_path).entries() == [entry, brought]


@pytest.mark.parametrize("days", [0, 2])
def test_an_entry_of_an_earlier_release_is_replaced_and_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    unversioned(tmp_path)
    cache = Cache(tmp_path)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + days * 86400)
    assert cache.make("kind", "name", "2", fill).recipe == "2"
    assert Cache(tmp_path).verified("kind", "name", "2") is not None
    assert (tmp_path / "entries/kind/name/entry.json").exists() is (days == 0)
    assert (tmp_path / "entries/kind/name/tree").exists() is (days == 0)


def test_a_build_that_failed_is_not_tried_again_in_the_run(tmp_path: Path) -> None:
    tried = []

    def broken(tree: Path) -> tuple[str, dict[str, str]]:
        tried.append(tree)
        raise HostFault(verbatim("no network"), mend=verbatim("plug it in"))

    cache = Cache(tmp_path)
    with pytest.raises(HostFault, match=r"^no network\n"):
        cache.make("kind", "name", "1", broken)
    for _ in range(3):
        with pytest.raises(
            HostFault, match=r"^no network; it was tried at \d\d:\d\d:\d\d, and .*\n.*plug it in"
        ) as again:
            cache.make("kind", "name", "1", broken)
    assert len(tried) == 1
    assert not english_in(again.value.render("zh").replace("no network", "").replace("plug it in", ""))
    # Another thing is tried, so is the same when it is forced, and in another run.
    cache.make("kind", "name", "2", fill)
    assert cache.make("kind", "name", "1", fill, force=True)
    assert cache.make("kind", "name", "1", broken)
    with pytest.raises(HostFault, match=r"^no network\n"):
        Cache(tmp_path).make("kind", "other", "1", broken)


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "make room in"),
        (errno.EROFS, "is read-only: export XC_CACHE"),
        (errno.EACCES, "may not be written by us: export XC_CACHE"),
        (errno.EXDEV, "lies on several file systems: export XC_CACHE"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "export XC_CACHE"),
    ],
    ids=errno.errorcode.get,
)
def test_what_the_system_refuses_is_told_by_its_cause(tmp_path: Path, number: int, mend: str) -> None:
    def refused(_tree: Path) -> tuple[str, dict[str, str]]:
        raise OSError(number, os.strerror(number))

    with pytest.raises(HostFault, match=rf"{os.strerror(number)}\n.*{mend}") as caught:
        Cache(tmp_path).make("kind", "name", "1", refused)
    assert ("make room" in str(caught.value)) is (number == errno.ENOSPC)
    assert not english_in(caught.value.render("zh"))


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one entry that may be read alone, and a directory for temporary files."""
    root = tmp_path / "image"
    Cache(root).make("kind", "name", "1", fill)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_relative_to(root) and access(path, mode))
    return root


def test_a_cache_that_may_be_read_alone_is_used(read_only: Path, tmp_path: Path) -> None:
    cache = Cache(read_only)
    assert cache.below == read_only and cache.root.parent == tmp_path / "tmp"
    assert cache.root.stat().st_mode & 0o777 == 0o700
    before = stat_index(read_only)

    def never(_tree: Path) -> tuple[str, dict[str, str]]:
        raise AssertionError

    assert cache.make("kind", "name", "1", never).facts == {"x": "1"}
    assert cache.tree("kind", "name").is_relative_to(read_only)
    cache.make("kind", "other", "1", fill)
    assert {entry.name for entry in cache.entries()} == {"name", "other"}
    # A newer one hides what is below.
    cache.make("kind", "name", "2", fill)
    assert Cache(read_only).verified("kind", "name", "2") is not None
    assert Cache(read_only).tree("kind", "name").is_relative_to(cache.root)
    assert stat_index(read_only) == before
    cache.clean()


@pytest.mark.parametrize("what", ["link", "file", "open to all"])
def test_a_directory_for_temporary_files_that_others_may_write_is_not_used(
    read_only: Path, tmp_path: Path, what: str
) -> None:
    place = tmp_path / "tmp" / f"pytest-xinchuang-{os.geteuid()}"
    match what:
        case "link":
            (tmp_path / "elsewhere").mkdir()
            place.symlink_to(tmp_path / "elsewhere")
        case "file":
            place.write_text("")
        case "open to all":
            place.mkdir()
            place.chmod(0o777)
    with pytest.raises(HostFault, match="XC_CACHE"):
        Cache(read_only)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_what_does_not_fit_is_made_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.make("kind", "name", "1", fill)
    made = []

    def ours(tree: Path) -> tuple[str, dict[str, str]]:
        made.append(tree)
        os.chown(tree, 64000, 64000)
        return fill(tree)

    def fits(tree: Path) -> bool:
        return tree.stat().st_uid == 64000

    for _ in range(2):
        cache.make("kind", "name", "1", ours, fits=fits)
    assert len(made) == 1 and fits(cache.tree("kind", "name"))

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache, cache_dir, remove_tree, tree_digest


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
    assert (tree / "a").read_text() == "content"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 1}'])
def test_an_entry_that_cannot_be_read_is_made_again(tmp_path: Path, content: str) -> None:
    Cache(tmp_path).make("kind", "name", "1", fill)
    (tmp_path / "entries/kind/name/entry.json").write_text(content)
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

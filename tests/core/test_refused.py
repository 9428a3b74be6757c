"""Manifests that no fault of ours may end: each is refused by place and reason; its right twin is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.subject import MANIFEST, Subject
from pytest_xinchuang.core.yamlfile import YamlFile

GOOD = """schema: xc-subject/1
name: p
version: "1"
units:
- {name: a, kind: c, sources: [a.c], args: ["x"], stdin: "a\\0b"}
"""

ALIASES = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
REFUSED: dict[str, tuple[str, str, str]] = {
    "a name that is too long": ("[a.c]", f"[{'a' * 300}.c]", "File name too long"),
    "a name with a NUL": ("[a.c]", '["a\\0.c"]', "no name of a file"),
    "a word with a NUL": ('["x"]', '["x\\0"]', "a word with a NUL"),
    "a key that is a list": ("name: p", "name: p\n? [a, b]\n: c", "a key that is no text"),
    "a key that is a mapping": ("name: p", "name: p\n? {a: b}\n: c", "a key that is no text"),
    "a value that is not what its tag says": ("name: p", "name: !!timestamp p", "not what its tag says"),
    "a truth that is none": ("name: p", "name: !!bool p", "not what its tag says"),
    "aliases that unfold": ("name: p", f"a0: &a0 [x]\n{ALIASES}\nname: *a8", "more than 200000 values"),
    "an alias of itself": ("name: p", "name: &a [*a]", "an alias of what it stands in"),
    "a number without end": ("name: p", f"name: {'9' * 5000}", "not valid YAML"),
    "nested without end": ("name: p", f"name: {'[' * 3000}", "not valid YAML"),
}


def test_the_right_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    (tmp_path / MANIFEST).write_text(GOOD)
    assert Subject(tmp_path, ()).file.units[0].stdin == "a\0b"


@pytest.mark.parametrize("kind", REFUSED)
def test_the_malformed_twin_is_refused(kind: str, tmp_path: Path) -> None:
    before, after, why = REFUSED[kind]
    (tmp_path / "a.c").write_text("")
    assert before in GOOD
    (tmp_path / MANIFEST).write_text(GOOD.replace(before, after))
    with pytest.raises(DataFileError, match=why) as found:
        Subject(tmp_path, ())
    assert str(tmp_path / MANIFEST) in str(found.value)
    assert why not in found.value.render("zh") or why == "not valid YAML"


def test_links_in_a_circle_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.c").symlink_to(tmp_path / "b.c")
    (tmp_path / "b.c").symlink_to(tmp_path / "a.c")
    (tmp_path / MANIFEST).write_text(GOOD)
    with pytest.raises(DataFileError):
        Subject(tmp_path, ())


def test_merged_keys_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\n")
    assert YamlFile(path).data["b"] == {"x": 1, "y": 2}


def test_of_many_mistakes_the_first_are_told(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(f"{GOOD}artifacts: [{', '.join(['1'] * 5000)}]\n")
    with pytest.raises(DataFileError) as found:
        Subject(tmp_path, ())
    assert len(str(found.value).splitlines()) == 101
    assert str(found.value).splitlines()[-1] == "and 4900 more"

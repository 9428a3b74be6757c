from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.packages.registry import load_subject

HEAD = 'schema: xc-subject/1\nname: x\nversion: "1"\n'
UNIT = "units:\n  - {name: a, kind: c, sources: [a.c]}\n"


def subject(tmp_path: Path, text: str) -> Subject:
    (tmp_path / "xinchuang.yaml").write_text(text)
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    return load_subject(tmp_path)


def test_the_reference_subject_is_good() -> None:
    assert len(load_subject(resources.fixtures_dir() / "subjects" / "openssl").file.units) >= 12


def test_the_template_is_good() -> None:
    assert load_subject(resources.fixtures_dir() / "template").name == "my-product"


def test_the_digest_follows_content(tmp_path: Path) -> None:
    first = subject(tmp_path, HEAD + UNIT).digest
    assert load_subject(tmp_path).digest == first
    (tmp_path / "a.c").write_text("int main(void) { return 1; }\n")
    assert load_subject(tmp_path).digest != first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, "there is nothing to look at"),
        (
            HEAD + "units: []\n",
            "give 'units', 'artifacts', 'source_trees', 'sm_crypto', 'sdk', 'supply_chain', 'syscall_bridge' or 'host'",
        ),
        (HEAD + UNIT + "  - {name: a, kind: c, sources: [a.c]}\n", "two units are called 'a'"),
        (HEAD + "units: [{name: a, kind: c}]\n", "needs 'sources'"),
        (HEAD + "units: [{name: a, kind: binary}]\n", "needs 'files'"),
        (HEAD + "units: [{name: a, kind: rootfs, program: ls}]\n", "absolute path"),
        (HEAD + "units: [{name: a, kind: fortran, sources: [a.c]}]\n", "found 'fortran'"),
        (HEAD + "units: [{name: ../a, kind: c, sources: [a.c]}]\n", "found '../a'"),
        (HEAD + "units: [{name: a, kind: c, sources: [../../etc/passwd]}]\n", "outside the manifest's directory"),
        (HEAD + "units: [{name: a, kind: c, sources: [/etc/passwd]}]\n", "outside the manifest's directory"),
        (HEAD + "units: [{name: a, kind: c, sources: [none.c]}]\n", "no such file"),
        (HEAD + "units: [{name: a, kind: c, sources: [a.c], limit_s: 0}]\n", "limit_s"),
        (HEAD + "units: [{name: a, kind: c, sources: [a.c], expect: {stdout: x}}]\n", "needs its source"),
        (HEAD + UNIT + "not_applicable: [{requirement: XC-MRU-021, reason: none}]\n", "at least 10 characters"),
        (HEAD + UNIT + "grade: L4\n", "no such key here"),
    ],
)
def test_a_wrong_manifest_is_told_by_line_and_path(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataFileError, match=expected) as caught:
        subject(tmp_path, text)
    assert "xinchuang.yaml:" in str(caught.value)


def test_a_link_that_leaves_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.c").symlink_to("/etc/passwd")
    with pytest.raises(DataFileError, match="outside"):
        subject(tmp_path, HEAD + "units: [{name: a, kind: c, sources: [out.c]}]\n")


def test_a_missing_manifest_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="xc subject init"):
        load_subject(tmp_path)


@pytest.mark.parametrize("pattern", ["../x", "usr/../../x", "/usr/lib/..", ".."])
def test_objects_of_the_target_are_in_the_target(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DataFileError, match=r"'rootfs_objects' has .* which leads out of the target"):
        subject(tmp_path, HEAD + UNIT + f"rootfs_objects: ['{pattern}']\n")


def test_links_that_lead_out_of_a_directory_are_no_part_of_a_subject(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/secret").write_text("")
    place = tmp_path / "subject"
    (place / "tree").mkdir(parents=True)
    (place / "tree/own").write_text("")
    for name, target in (("file", "../../away/secret"), ("directory", "../../away"), ("stays", "own")):
        (place / "tree" / name).symlink_to(target)
    text = "artifacts: [{name: x, files: {arm64: tree}}]\n"
    names = [path.name for path in subject(place, HEAD + text).files]
    assert names == ["own", "stays", "xinchuang.yaml"]

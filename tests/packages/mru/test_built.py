"""What of a root filesystem belongs to the subject."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.building.built import subject_objects
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.provision.refs import RootfsRef

MANIFEST = """schema: xc-subject/1
name: x
version: "1"
units: [{name: a, kind: rootfs, program: /bin/true}]
rootfs_objects: [usr/lib/*.so, /opt/*, away/*, down/*]
"""


def test_no_pattern_leads_into_the_host(tmp_path: Path) -> None:
    tree, subject = tmp_path / "tree", tmp_path / "subject"
    subject.mkdir()
    for place in (tree / "usr/lib", tree / "opt", tmp_path / "host"):
        place.mkdir(parents=True)
    for file in (tree / "usr/lib/own.so", tree / "opt/tool", tmp_path / "host/secret"):
        file.write_text(file.name)
    (tree / "usr/lib/link.so").symlink_to("/etc/passwd")
    (tree / "away").symlink_to(tmp_path / "host")
    (tree / "down").symlink_to("usr/lib")
    (subject / "xinchuang.yaml").write_text(MANIFEST)
    found = subject_objects(load_subject(subject), RootfsRef("x", tree, "", "2.28", True, ()))
    assert found == {"/usr/lib/own.so": b"own.so", "/opt/tool": b"tool", "/down/own.so": b"own.so"}

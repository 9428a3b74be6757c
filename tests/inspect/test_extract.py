"""What of a directory of the subject's is put into a sandbox."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.inspect.extract import extract


def test_links_that_lead_out_of_a_directory_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    place = tmp_path / "artifact"
    (place / "bin").mkdir(parents=True)
    (place / "bin/own").write_text("own")
    (place / "bin/link").symlink_to("own")
    (place / "bin/python").symlink_to("/usr/bin/env")
    (place / "bin/secret").symlink_to("../../secret")
    (place / "away").symlink_to(tmp_path)
    assert extract(place) == {"bin/own": b"own", "bin/link": b"own"}

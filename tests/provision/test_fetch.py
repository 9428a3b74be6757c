"""Files from mirrors: once, continued, checked, and what is told when they cannot be had."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.provision import fetch
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish
from tests.messages.english import english_in
from tests.provision.packages import served

DATA = bytes(range(256)) * 999


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_PAUSE_S", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def wish(*urls: str, data: bytes = DATA, size: int | None = None) -> Wish:
    return Wish(urls, len(data) if size is None else size, hashlib.sha256(data).hexdigest())


def told(caught: pytest.ExceptionInfo[HostFault]) -> str:
    """The error; in Chinese it has no English, but for what is no text of ours."""
    chinese = re.sub(r"\S+://\S+|export [A-Z_]+=\S+|SHA-256", "", caught.value.render("zh"))
    assert not english_in(chinese), chinese
    return str(caught.value)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    with served({"/a": DATA, "/b": b"b"}) as mirror:
        wanted = [wish(f"{mirror.url}/a"), wish(f"{mirror.url}/b", data=b"b"), wish(f"{mirror.url}/a")]
        files = Downloads(tmp_path).all(wanted)
        assert [file.read_bytes() for file in files] == [DATA, b"b", DATA]
        assert Downloads(tmp_path).all(wanted) == files
        assert sorted(path for path, _range in mirror.asked) == ["/a", "/b"]
    assert not list(tmp_path.glob("*.part"))


def test_what_a_cache_below_has_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / wish().sha256).write_bytes(DATA)
    (file,) = Downloads(tmp_path / "d", tmp_path / "below").all([wish()])
    assert file.parent.name == "below"


def test_what_broke_off_is_continued(tmp_path: Path) -> None:
    with served({"/a": DATA}) as mirror:
        mirror.breaks = 6  # more often than a line without progress would be given
        (file,) = Downloads(tmp_path).all([wish(f"{mirror.url}/a")])
        assert file.read_bytes() == DATA
        begins = [int(asked[6:-1] or 0) for _path, asked in mirror.asked if asked]
        assert begins == sorted(set(begins)) and len(begins) == 6


def test_what_an_earlier_process_left_is_continued(tmp_path: Path) -> None:
    (tmp_path / f"{wish().sha256}.part").write_bytes(DATA[:1000])
    with served({"/a": DATA}) as mirror:
        assert Downloads(tmp_path).one(wish(f"{mirror.url}/a")).read_bytes() == DATA
        assert mirror.asked == [("/a", "bytes=1000-")]


@pytest.mark.parametrize("left", [b"x" * 1000, DATA + b"x", b"x" * len(DATA)], ids=["another", "longer", "as long"])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_was_left_and_is_wrong_is_fetched_anew(tmp_path: Path, left: bytes, ranges: bool) -> None:
    (tmp_path / f"{wish().sha256}.part").write_bytes(left)
    with served({"/a": DATA}) as mirror:
        mirror.ranges = ranges
        assert Downloads(tmp_path).one(wish(f"{mirror.url}/a")).read_bytes() == DATA


@pytest.mark.parametrize("answer", [404, 410, 403, 503, b"another file", DATA + b"x", b""])
def test_the_next_place_is_asked_where_one_has_not_got_it(tmp_path: Path, answer: bytes | int) -> None:
    with served({"/a": answer, "/b": DATA}) as mirror:
        downloads = Downloads(tmp_path)
        assert downloads.one(wish(f"{mirror.url}/a", f"{mirror.url}/b")).read_bytes() == DATA
        assert not downloads.unreachable


def test_a_place_that_gives_no_answer_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = fetch._opened
    asked: list[str] = []

    def once(url: str, headers: dict[str, str]) -> object:
        asked.append(url)
        if "nowhere" in url:
            raise urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        return opened(url, headers)

    monkeypatch.setattr(fetch, "_opened", once)
    with served({"/a": DATA, "/b": b"b"}) as mirror:
        downloads = Downloads(tmp_path)
        for name, data in (("a", DATA), ("b", b"b")):
            downloads.one(wish(f"http://nowhere/{name}", f"{mirror.url}/{name}", data=data))
    assert [url for url in asked if "nowhere" in url] == ["http://nowhere/a"]


def test_a_resolver_that_did_not_answer_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, asked = fetch._opened, list[str]()

    def first_fails(url: str, headers: dict[str, str]) -> object:
        asked.append(url)
        if len(asked) == 1:
            raise urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
        return opened(url, headers)

    monkeypatch.setattr(fetch, "_opened", first_fails)
    monkeypatch.setattr(fetch, "_PAUSE_S", 0.01)
    with served({"/a": DATA}) as mirror:
        assert Downloads(tmp_path).one(wish(f"{mirror.url}/a")).read_bytes() == DATA
    assert len(asked) == 2


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_a_host_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(HostFault) as caught:
        Downloads(tmp_path).all([wish(f"{closed_port()}/a")])
    text = told(caught)
    assert "/a: Connection refused" in text and "mend: export XC_MIRROR=" in text and "xc provision --from" in text


def test_a_proxy_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = closed_port()
    monkeypatch.setenv("http_proxy", proxy.replace("//", "//me:secret@"))
    with pytest.raises(HostFault) as caught:
        Downloads(tmp_path).all([wish("http://mirror.test/a")])
    text = told(caught)
    assert f"the proxy is {proxy.replace('//', '//***@')}: correct HTTPS_PROXY" in text and "secret" not in text


def test_a_proxy_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"http://mirror.test/a": DATA}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Downloads(tmp_path).one(wish("http://mirror.test/a")).read_bytes() == DATA


def test_a_proxy_that_wants_to_know_who_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"http://mirror.test/a": 407}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(HostFault) as caught:
            Downloads(tmp_path).one(wish("http://mirror.test/a"))
    assert "it answers 407" in told(caught) and "correct HTTPS_PROXY" in told(caught)


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed"

    def untrusted(_url: str, _headers: dict[str, str]) -> None:
        raise urllib.error.URLError(error)

    monkeypatch.setattr(fetch, "_opened", untrusted)
    with pytest.raises(HostFault) as caught:
        Downloads(tmp_path).one(wish("https://mirror.test/a"))
    assert "its certificate is not trusted: self-signed" in told(caught) and "SSL_CERT_FILE" in told(caught)


def test_a_file_that_something_changes_on_its_way(tmp_path: Path) -> None:
    with served({"/a": b"<html>please log in</html>"}) as mirror, pytest.raises(HostFault) as caught:
        Downloads(tmp_path).one(wish(f"{mirror.url}/a"))
    assert "its SHA-256 is" in told(caught) and "something between here and the mirror changes files" in told(caught)
    assert not (tmp_path / wish().sha256).exists()


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.ENOSPC, "make room in"), (errno.EROFS, "is read-only"), (errno.EACCES, "may not be written")],
)
def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, mend: str) -> None:
    def full(_file: object, _chunk: bytes) -> None:
        raise fetch._Unwritable(OSError(number, os.strerror(number)))

    monkeypatch.setattr(fetch, "_write", full)
    with served({"/a": DATA, "/b": DATA}) as mirror, pytest.raises(HostFault) as caught:
        Downloads(tmp_path).one(wish(f"{mirror.url}/a", f"{mirror.url}/b"))
    assert os.strerror(number) in told(caught) and mend in told(caught)
    assert len(mirror.asked) == 1


def test_every_place_is_told(tmp_path: Path) -> None:
    with served({}) as mirror, pytest.raises(HostFault) as caught:
        Downloads(tmp_path).one(wish(f"{mirror.url}/a", f"{mirror.url}/b"))
    assert told(caught).count("it answers 404") == 2


def test_the_first_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with served({"/a": DATA}) as mirror, pytest.raises(HostFault, match="/gone: it answers 404"):
        Downloads(tmp_path).all([wish(f"{mirror.url}/a"), wish(f"{mirror.url}/gone", data=b"gone")])


def test_without_a_mirror_the_mend_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(HostFault, match="no mirror of Debian's archive is known") as caught:
        Downloads(tmp_path).one(wish())
    assert "XC_MIRROR" in caught.value.mend


def test_places_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "APT", tmp_path)
    monkeypatch.delenv("XC_SNAPSHOT", raising=False)
    monkeypatch.delenv("XC_MIRROR", raising=False)
    assert Mirrors.of_the_environment() == Mirrors((), "")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://gone.test/debian x main\ndeb [a=b] http://a.test/debian/ x main\n"
    )
    (tmp_path / "sources.list.d/d.sources").write_text(
        "URIs: http://b.test/debian\nURIs: http://b.test/debian-security\n"
    )
    (tmp_path / "sources.list.d/o.sources.disabled").write_text("URIs: http://c.test/debian\n")
    assert Mirrors.of_the_environment().mirrors == ("http://a.test/debian", "http://b.test/debian")
    monkeypatch.setenv("XC_MIRROR", "https://one.test/debian/  file:///srv/debian")
    monkeypatch.setenv("XC_SNAPSHOT", "https://snapshots.test")
    urls = Mirrors.of_the_environment().urls("dists/x/Packages.xz", "20260101T000000Z", first="by-hash/y")
    assert urls[:2] == ("https://one.test/debian/by-hash/y", "file:///srv/debian/by-hash/y")
    assert urls[-1] == "https://snapshots.test/20260101T000000Z/dists/x/Packages.xz" and len(urls) == 5


def test_a_mirror_may_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/a").write_bytes(DATA)
    urls = (f"file://{tmp_path}/srv/gone", f"file://{tmp_path}/srv/a")
    assert Downloads(tmp_path / "d").one(wish(*urls)).read_bytes() == DATA

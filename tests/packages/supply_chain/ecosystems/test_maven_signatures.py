"""Publishers' OpenPGP signatures of Maven's files, by keys that gpg makes: each way to be wrong, and its twin."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.checking import keys
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.signatures import key_bytes, signed
from pytest_xinchuang.packages.supply_chain.registries import Key, Signed
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.test_maven import told
from tests.packages.supply_chain.ecosystems.worlds import maven

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(not (shutil.which("gpg") and shutil.which("gpgv")), reason="gpg makes keys"),
]
C, U = Certainty.CERTAIN, Certainty.UNDECIDED
JAR = "registry/org/example/a-lib/1.5/a-lib-1.5.jar"


class Publisher:
    """A key, and what it signs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700, parents=True)
        self.gpg("--quick-gen-key", "publisher@example.org", "ed25519", "sign", "never")
        for name, words in (("key.asc", ("--armor", "--export")), ("key.gpg", ("--export",))):
            (home / name).write_bytes(self.gpg(*words))
        self.armoured, self.binary = key_bytes(home / "key.asc"), key_bytes(home / "key.gpg")

    def gpg(self, *words: str) -> bytes:
        options = ["gpg", "--homedir", str(self.home), "--batch", "--no-tty", "--pinentry-mode", "loopback"]
        done = subprocess.run([*options, "--passphrase", "", *words], capture_output=True, timeout=120, check=True)
        return done.stdout

    def sign(self, path: Path, *words: str) -> None:
        data = self.gpg("--armor", "--output", "-", *(words or ("--detach-sign",)), str(path))
        path.with_name(f"{path.name}.asc").write_bytes(data)

    def end(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], timeout=60, check=False)


@pytest.fixture(scope="module")
def publishers() -> Iterator[tuple[Publisher, Publisher]]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="g") as name:  # sockets of agents have short paths
        both = Publisher(Path(name) / "a"), Publisher(Path(name) / "b")
        yield both
        for one in both:
            one.end()


@pytest.mark.parametrize("form", ["armoured", "binary"])
def test_what_the_publisher_signed(
    form: str, tmp_path: Path, check: Check, publishers: tuple[Publisher, Publisher]
) -> None:
    maven(tmp_path)
    publishers[0].sign(tmp_path / JAR)
    done = check("maven", keys={"maven": [Key("org.example", getattr(publishers[0], form))]})
    assert (told(done), done.verified) == (set(), 1)


def test_a_signature_of_another_file(tmp_path: Path, check: Check, publishers: tuple[Publisher, Publisher]) -> None:
    maven(tmp_path)
    jar = tmp_path / JAR
    data = jar.read_bytes()
    jar.write_bytes(data + b"x")
    publishers[0].sign(jar)
    jar.write_bytes(data)
    done = check("maven", keys={"maven": [Key("", publishers[0].armoured)]})
    assert (told(done), done.verified) == ({("XC-SUP-152", C)}, 0)


def test_no_signature_and_anothers(tmp_path: Path, check: Check, publishers: tuple[Publisher, Publisher]) -> None:
    maven(tmp_path)
    given = {"maven": [Key("", publishers[0].armoured)]}
    assert told(check("maven", keys=given)) == {("XC-SUP-151", U)}
    publishers[1].sign(tmp_path / JAR)
    assert told(check("maven", keys=given)) == {("XC-SUP-151", U)}
    given["maven"].append(Key("org.example", publishers[1].armoured))
    assert told(check("maven", keys=given)) == set()


def test_keys_of_another_group_say_nothing(
    tmp_path: Path, check: Check, publishers: tuple[Publisher, Publisher]
) -> None:
    maven(tmp_path)
    publishers[1].sign(tmp_path / JAR)
    assert told(check("maven", keys={"maven": [Key("org.exam", publishers[0].armoured)]})) == set()
    assert told(check("maven", keys={"maven": [Key("org.example:a-lib", publishers[0].armoured)]})) == {
        ("XC-SUP-151", U)
    }


def test_a_cache_whose_files_the_publisher_signed_is_verified(
    tmp_path: Path, check: Check, publishers: tuple[Publisher, Publisher]
) -> None:
    maven(tmp_path)
    publishers[0].sign(tmp_path / JAR)
    shutil.move(tmp_path / "registry", tmp_path / "home/.m2/repository")
    without = check("maven", place=None)
    assert (told(without), without.verified) == ({("XC-SUP-109", U)}, 0)
    done = check("maven", place=None, keys={"maven": [Key("", publishers[0].armoured)]})
    assert (told(done), done.verified) == (set(), 1)
    other = check("maven", place=None, keys={"maven": [Key("", publishers[1].armoured)]})
    assert (told(other), other.verified) == ({("XC-SUP-109", U), ("XC-SUP-151", U)}, 0)


@pytest.mark.parametrize("words", [("--clear-sign",), ("--sign",), ("--textmode", "--detach-sign")])
def test_signatures_that_are_not_over_the_file_as_it_is(
    words: tuple[str, ...], tmp_path: Path, publishers: tuple[Publisher, Publisher]
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\n")
    publishers[0].sign(path, *words)
    assert signed(path, (tmp_path / "a.txt.asc").read_bytes(), [publishers[0].binary])[0] is not Signed.GOOD


def test_no_gpgv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publishers: tuple[Publisher, Publisher]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a")
    publishers[0].sign(path)
    signature = (tmp_path / "a.txt.asc").read_bytes()
    assert signed(path, signature, [publishers[0].armoured])[0] is Signed.GOOD
    assert signed(path, b"nothing", [publishers[0].armoured])[0] is Signed.UNKNOWN
    monkeypatch.setenv("PATH", str(tmp_path))
    assert signed(path, signature, [publishers[0].armoured])[0] is Signed.UNKNOWN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n-----END PGP PUBLIC KEY BLOCK-----\n",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
        b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
    ],
)
def test_files_without_keys(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key.asc"
    path.write_bytes(data)
    with pytest.raises(XcError, match="no OpenPGP public key"):
        key_bytes(path)


@pytest.mark.parametrize("text", ["maven", "maven=", "npm=key.asc", "maven:=", "=key.asc"])
def test_what_is_no_choice_of_keys(text: str) -> None:
    with pytest.raises(XcError, match="maven"):
        keys([text])


def test_a_file_of_keys_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(XcError, match=r"nowhere\.asc"):
        keys([f"maven={tmp_path}/nowhere.asc"])

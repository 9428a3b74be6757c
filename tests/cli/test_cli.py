from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest
import yaml

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.commands.exits import Exit
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.inspect import containers


def test_platforms_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platforms"]) == 0
    assert "kunpeng920-kylin_v10_sp3" in capsys.readouterr().out
    assert main(["platforms", "list", "--json"]) == 0
    assert {r["short"] for r in json.loads(capsys.readouterr().out)} >= {"kunpeng", "loongson"}
    assert main(["platforms", "show", "hygon"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "hygon_dhyana-uos_20"
    assert main(["platforms", "validate"]) == 0


def test_the_shipped_platforms_fit_the_schema_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["platforms", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    data = yaml.safe_load(resources.platforms_file().read_text())
    jsonschema.validate(data, schema)
    data["cpus"]["kunpeng920"]["arch"] = "mips"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


@pytest.mark.tools
def test_the_shipped_schemas_are_those_of_the_models(tmp_path: Path) -> None:
    """Mend: scripts/schemas update."""
    script = Path(__file__).parents[2] / "scripts" / "schemas"

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("check") == (0, "the shipped schemas are those of the models\n")
    copies = tmp_path / "schemas"
    shutil.copytree(resources.schemas_dir(), copies)
    (copies / "api.json").unlink()
    (copies / "other.json").write_text("{}")
    (copies / "report.json").write_text("{}")
    code, said = run("check", str(copies))
    assert code == 1 and said.splitlines()[:3] == [
        "api.json is missing",
        "other.json is no schema of a model",
        "report.json is not what its model says",
    ]
    assert run("update", str(copies))[0] == 0
    assert run("check", str(copies))[1].startswith("other.json is no schema of a model\nmend: ")
    assert run()[0] == run("chek")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["platforms", "show", "kunpen"], "did you mean"),
        (["platforms", "show"], "needs a platform"),
        (["platforms", "validate", "/none"], "cannot be read"),
        (["report", "/none"], "cannot be read"),
        (["subject", "check", "/none"], "no such manifest"),
        (["rootfs", "import", "kunpeng"], "needs a platform and a tar archive"),
        (["rootfs", "import", "kunpeng", "/etc/passwd"], "cannot be unpacked"),
        (["provision", "--offline", "/none"], "not an export"),
        (["shell", "nothing"], "unknown platform"),
        (["shell", "loongson_3a5000-loongnix_20", "--", "true"], "no stand-in root filesystem"),
    ],
)
def test_a_problem_is_told_in_words(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == Exit.ERROR
    error = capsys.readouterr().err
    assert error.startswith("xc: ")
    assert expected in error


def test_a_manifest_can_be_made_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["subject", "init", str(tmp_path / "new")]) == 0
    assert main(["subject", "check", str(tmp_path / "new")]) == 0
    assert "good, 1 unit," in capsys.readouterr().out
    assert main(["subject", "init", str(tmp_path / "new")]) == Exit.ERROR


def _shell(platform: str, *words: str, stdin: str = "", options: Sequence[str] = ()) -> tuple[int, str, str]:
    """`xc shell` in a process of its own: it reads the real stdin."""
    argv = [sys.executable, "-m", "pytest_xinchuang.cli.entry", *options, "shell", platform, "--", *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.sandbox
def test_a_command_in_a_sandbox() -> None:
    assert _shell("loongson", "sh", "-c", "cat; uname -m; exit 3", stdin="in\n") == (3, "in\nloongarch64\n", "")


@pytest.mark.sandbox
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_doctor_has_a_mend_for_all_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) in (0, 1)
    findings = json.loads(capsys.readouterr().out)
    names = {f["feature"] for f in findings}
    assert {
        "user namespaces",
        "rootless sandbox with emulated children",
        "what --xc-backend=auto takes",
        "system sandbox",
        "cache",
        "zig",
        "Go",
        "KVM",
    } <= names
    for finding in findings:
        assert finding["matters"]
        assert finding["state"] == "ok" or finding["mend"]
    assert main(["doctor"]) in (0, 1)
    gc.collect()  # without an engine, docker-py leaves the socket that it could not connect to the collector


@pytest.mark.sandbox
def test_what_is_exported_can_be_taken_in_elsewhere(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "export"
    monkeypatch.setenv("XC_CACHE", str(small_cache))
    assert main(["provision", "phytium"]) == 0
    assert main(["provision", "--export", str(export)]) == 0
    before = {(e.kind, e.name): e.digest for e in Cache().entries()}
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    assert main(["provision", "--offline", str(export)]) == 0
    assert {(e.kind, e.name): e.digest for e in Cache().entries()} == before
    monkeypatch.setenv("XC_MIRROR", "http://mirror.invalid/debian")
    assert main(["provision", "phytium"]) == 0  # nothing had to be fetched
    assert main(["rootfs", "list"]) == 0
    assert "bullseye-arm64" in capsys.readouterr().out


@pytest.mark.sandbox
def test_an_export_that_was_changed_is_refused(
    small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "export"
    monkeypatch.setenv("XC_CACHE", str(small_cache))
    assert main(["provision", "--export", str(export)]) == 0
    index = json.loads((export / "index.json").read_text())
    index["entries"][0]["entry"]["digest"] = "sha256:" + "0" * 64
    (export / "index.json").write_text(json.dumps(index))
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    assert main(["provision", "--offline", str(export)]) == Exit.ERROR
    assert "its tree has digest" in capsys.readouterr().err
    assert Cache().entries() == []


DEBIAN = ["--platforms-file", str(Path(__file__).parents[1] / "provision/data/debian.yaml")]


@pytest.mark.sandbox
def test_a_vendors_root_filesystem_is_used_and_is_no_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = Cache()
    tarball = tmp_path / "vendor.tar"
    with tarfile.open(tarball, "w") as tar:
        tar.add(shared.tree("rootfs", "bullseye-arm64"), arcname=".")
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    Cache()
    shutil.copytree(shared.root / "entries/emulator", tmp_path / "cache/entries/emulator", symlinks=True)
    assert main([*DEBIAN, "rootfs", "import", "kunpeng", str(tarball)]) == Exit.ERROR
    error = capsys.readouterr().err
    assert (
        "not a root filesystem of kunpeng920-kylin_v10_sp3: its os-release says 'Debian GNU/Linux 11 (bullseye)'"
        in error
    )
    assert "its glibc is 2.31, and the platform has 2.28" in error and "libc is for" not in error
    assert Cache().entries() == [] or [e.kind for e in Cache().entries()] == ["emulator"]
    name = "kunpeng920-debian_11"
    assert main([*DEBIAN, "rootfs", "import", name, str(tarball)]) == 0
    assert _shell(name, "uname", "-m", options=DEBIAN) == (0, "aarch64\n", "")
    entry = Cache().peek("rootfs", f"vendor-{name}")
    assert entry is not None
    assert not entry.stand_in
    (Cache().tree("rootfs", entry.name) / "etc/os-release.d").mkdir()
    code, _, error = _shell(name, "true", options=DEBIAN)
    assert code == Exit.ERROR
    assert "is not what was imported" in error


@pytest.mark.tools
@pytest.mark.parametrize("words", [["platforms"], ["explain"], ["inspect", "/bin/sh", "--platform", "hygon"]])
def test_a_full_disk_is_an_error_and_neither_clean_nor_a_finding(words: list[str]) -> None:
    """A traceback would exit with 1, which says that findings were made."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pytest_xinchuang.cli.entry", *words], stdout=full, stderr=-1, text=True
        )
    assert done.returncode == Exit.ERROR
    assert done.stderr.startswith("xc: ") and "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "mend:" in done.stderr


def test_a_manifest_of_what_is_delivered_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/readme").write_text("nothing that runs")
    for words, told in (
        (["--from", str(tmp_path / "none")], "there is no such file"),
        (["--from", str(tmp_path / "dist")], "no program, library, package or image in it"),
        ([str(tmp_path / "elsewhere"), "--from", str(tmp_path / "dist")], "is not below"),
    ):
        assert main(["subject", "init", *words]) == Exit.ERROR
        assert told in capsys.readouterr().err
    assert main(["subject", "check", "--from", str(tmp_path / "dist")]) == Exit.ERROR
    assert "--from is for init" in capsys.readouterr().err
    assert not (tmp_path / "xinchuang.yaml").exists()


@pytest.mark.sandbox
def test_an_untested_product_has_its_grade_by_two_commands(
    tmp_path: Path, platforms: Platforms, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    source = tmp_path / "tool.c"
    source.write_text('#include <stdio.h>\nint main(void) { return puts("tool 1.0") < 0; }\n')
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/tool-arm64").write_bytes(Builder(pool.store.cache).c(target, [source]))
    (tmp_path / "dist/tool-arm64").chmod(0o755)
    wheel = {
        "demo.py": b"",
        "demo-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "demo-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1\n",
    }
    (tmp_path / "dist/demo-1-py3-none-any.whl").write_bytes(containers.zipped(wheel))
    assert main(["subject", "init", "--from", str(tmp_path / "dist"), "--platform", "kunpeng"]) == 0
    assert "check what it says" in capsys.readouterr().err
    assert main(["subject", "check", str(tmp_path)]) == 0
    written = (tmp_path / "xinchuang.yaml").read_text()
    assert "dist/tool-arm64" in written and "--version" in written
    assert "import demo" in written and "Nobody knows" not in written
    assert main(["subject", "init", "--from", str(tmp_path / "dist")]) == Exit.ERROR

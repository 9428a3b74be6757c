"""The go command: one environment, and whose fault a failure is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.tools import go as tools_go
from pytest_xinchuang.tools.go import GoCause, GoCommand, find_go, read_failure
from pytest_xinchuang.tools.gomod import GoModFault, GoModRefused, ModuleVersion, read_go_mod
from pytest_xinchuang.tools.versions import version_of
from tests.tools.dialing import Listener

DEAD = "http://127.0.0.1:9"
"""The discard port: nobody listens there."""


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modcache"))
    monkeypatch.setenv("GOCACHE", str(tmp_path / "gocache"))
    monkeypatch.setenv("GOFLAGS", "-modcacherw")


def module(place: Path, text: str, **files: str) -> Path:
    place.mkdir()
    (place / "go.mod").write_text(text)
    for name, content in files.items():
        (place / f"{name}.go").write_text(content)
    return place


NEEDS = "module example.com/m\n\ngo 1.21\n\nrequire example.com/other v1.2.3\n"
USES = 'package m\n\nimport _ "example.com/other"\n'


def cause(place: Path, *words: str, offline: bool = False, mod: str = "mod") -> GoCause | None:
    failure = GoCommand(offline=offline).run(words or ("build", "./..."), place, mod=mod).failure
    return failure.cause if failure else None


# -- whose fault it is, as the go command of this host says it


@pytest.mark.tools
def test_a_dead_proxy_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", DEAD)
    place = module(tmp_path / "m", NEEDS, m=USES)
    for words in (
        ("build", "./..."),
        ("vet", "./..."),
        ("list", "-deps", "./..."),
        ("mod", "tidy"),
        ("mod", "download"),
    ):
        assert cause(place, *words) is GoCause.UNREACHABLE, words


@pytest.mark.tools
def test_a_proxy_that_answers_with_a_fault_of_its_own(tmp_path: Path, listener: Listener) -> None:
    assert cause(module(tmp_path / "m", NEEDS, m=USES)) is GoCause.UNREACHABLE
    assert listener.asked


@pytest.mark.tools
def test_no_network_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "https://proxy.invalid")
    assert cause(module(tmp_path / "m", NEEDS, m=USES)) is GoCause.UNREACHABLE


@pytest.mark.tools
def test_what_a_proxy_does_not_have_is_the_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proxy").mkdir()
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path / 'proxy'}")
    assert cause(module(tmp_path / "m", NEEDS, m=USES)) is GoCause.SUBJECT


@pytest.mark.tools
@pytest.mark.parametrize("private", ["", "example.com/*"])
def test_offline_nothing_is_asked(
    private: str, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPRIVATE", private)
    place = module(tmp_path / "m", NEEDS, m=USES)
    for words in (("build", "./..."), ("mod", "tidy"), ("mod", "download", "-json", "example.com/other@v1.2.3")):
        assert cause(place, *words, offline=True) is not None, words
    assert cause(place, offline=True) is GoCause.OFFLINE
    assert not listener.asked


@pytest.mark.tools
def test_offline_no_checksum_is_asked_for(tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is in the cache and not in go.sum: the go command would ask the checksum database."""
    import io
    import json
    import zipfile

    proxy = tmp_path / "proxy" / "example.com/other/@v"
    proxy.mkdir(parents=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("example.com/other@v1.2.3/go.mod", "module example.com/other\n")
        archive.writestr("example.com/other@v1.2.3/o.go", "package other\n")
    (proxy / "v1.2.3.zip").write_bytes(packed.getvalue())
    (proxy / "v1.2.3.mod").write_text("module example.com/other\n")
    (proxy / "v1.2.3.info").write_text(json.dumps({"Version": "v1.2.3", "Time": "2026-01-01T00:00:00Z"}))
    place = module(tmp_path / "m", NEEDS, m=USES)
    with monkeypatch.context() as once:
        once.setenv("GOPROXY", f"file://{tmp_path / 'proxy'}")
        once.setenv("GOSUMDB", "off")
        assert cause(place) is None
    (place / "go.sum").unlink()
    assert cause(place, offline=True) is None
    assert not listener.asked


@pytest.mark.tools
def test_telemetry_uploads_nothing_offline(tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    mode = tmp_path / "config/go/telemetry/mode"
    mode.parent.mkdir(parents=True)
    mode.write_text("on 2020-01-01")
    place = module(tmp_path / "m", "module example.com/m\n\ngo 1.21\n", m="package m\n")
    run = GoCommand(offline=True).run(["env", "GOTELEMETRY"], place)
    assert run.output.strip() != "on"
    assert cause(place, offline=True) is None
    assert not listener.asked


@pytest.mark.tools
@pytest.mark.parametrize("offline", [False, True])
def test_a_go_mod_for_a_later_go(offline: bool, tmp_path: Path, listener: Listener) -> None:
    place = module(tmp_path / "m", "module example.com/m\n\ngo 1.99\n", m="package m\n")
    for words in (("build", "./..."), ("vet", "./..."), ("list", "./...")):
        failure = GoCommand(offline=offline).run(words, place).failure
        assert failure is not None and failure.cause is GoCause.TOOLCHAIN
        assert failure.needed == "1.99"
        error = failure.error(verbatim("go build"))
        assert isinstance(error, ToolchainFault)
        assert "Go 1.99" in error.mend
    assert not listener.asked


@pytest.mark.tools
@pytest.mark.parametrize("line", ["toolchain go1.99", "toolchain go1.99.1"])
def test_a_toolchain_line_fetches_none(line: str, tmp_path: Path, listener: Listener) -> None:
    place = module(tmp_path / "m", f"module example.com/m\n\ngo 1.21\n\n{line}\n", m="package m\n")
    assert cause(place, mod="") is None
    assert read_go_mod(place / "go.mod").go == "1.21"
    assert not listener.asked


@pytest.mark.tools
def test_the_version_is_that_of_this_go_anywhere(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(module(tmp_path / "m", "module example.com/m\n\ngo 1.99\n"))
    tools_go._settings.cache_clear()
    assert GoCommand().settings["GOVERSION"].startswith("go1.")
    assert "go1.99" not in version_of(find_go(), "version")
    assert not listener.asked


@pytest.mark.tools
def test_code_that_does_not_compile(tmp_path: Path) -> None:
    place = module(tmp_path / "m", "module example.com/m\n\ngo 1.21\n", m="package m\n\nvar X = undefined\n")
    assert cause(place) is GoCause.SUBJECT
    assert cause(place, "vet", "./...") is GoCause.SUBJECT
    place = module(tmp_path / "n", "module example.com/m\n\ngo 1.21\n", m="package m\n\nfunc F( {\n")
    assert cause(place) is GoCause.SUBJECT
    place = module(tmp_path / "o", "module example.com/m\n\ngo 1.21\n", m='package m\n\nimport _ "example.com/none"\n')
    assert cause(place, mod="") is GoCause.SUBJECT
    assert cause(module(tmp_path / "p", "module example.com/m\n\ngo abc\n", m="package m\n")) is GoCause.SUBJECT


@pytest.mark.tools
@pytest.mark.parametrize(
    "text",
    [
        "package m\n\nvar X int = `Get \"https://proxy.invalid\": dial tcp: connection refused` + 1\n",
        "package m\n\nvar X int = `\nGet \"https://proxy.invalid\": dial tcp: connection refused`\n",
        "package `Get \"https://proxy.invalid\": dial tcp: connection refused`\n",
        "package `\nGet \"https://proxy.invalid\": dial tcp: connection refused`\n",
        "package m\n\nimport `requires go >= 1.99 (running go 1.0; GOTOOLCHAIN=local)`\n",
        "package m\n\nimport \"proxyconnect\"\n",
        "package m\n\nimport \"x509: dial tcp\"\n",
        "package m\n\nvar X int = `no space left on device`\n",
        "package m\n\nvar X int = `module lookup disabled by GOPROXY=off`\n",
    ],
)  # fmt: skip
def test_a_subject_cannot_write_the_hosts_excuses(text: str, tmp_path: Path) -> None:
    assert cause(module(tmp_path / "m", "module example.com/m\n\ngo 1.21\n", m=text)) is GoCause.SUBJECT


# -- and as it says it elsewhere


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("go: example.com/x@v1.0.0 requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)", GoCause.TOOLCHAIN),
        ("go: module . listed in go.work file requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)", GoCause.TOOLCHAIN),
        ("go: x.org/a@v1: reading https://p/x.org/a/@v/v1.info: 404 Not Found\n\tserver response:\n\tnot found: terminal prompts disabled",  # noqa: E501
         GoCause.SUBJECT),
        ("go: x.org/a@v1: reading https://p/x.org/a/@v/v1.info: 503 Service Unavailable", GoCause.UNREACHABLE),
        ("go: x.org/a@v1: reading https://p/x.org/a/@v/v1.info: 403 Forbidden", GoCause.UNREACHABLE),
        ("go: x.org/a@v1: verifying module: x.org/a@v1: Get \"https://sum.example.org/lookup/x\": dial tcp: lookup sum.example.org: no such host",  # noqa: E501
         GoCause.UNREACHABLE),
        ("go: x.org/a@v1: invalid version: git ls-remote -q https://x.org/a in /c: exit status 128:\n\tfatal: unable to access 'https://x.org/a/': Could not resolve host: x.org",  # noqa: E501
         GoCause.UNREACHABLE),
        ("m.go:2:8: unrecognized import path \"x.org/a\": https fetch: Get \"https://x.org/a?go-get=1\": net/http: TLS handshake timeout",  # noqa: E501
         GoCause.UNREACHABLE),
        ("m.go:2:8: cannot find module providing package x.org/a: module lookup disabled by GOPROXY=off", GoCause.OFFLINE),
        ("m.go:2:8: missing go.sum entry for module providing package x.org/a; to add:\n\tgo get x.org/a", GoCause.SUBJECT),
        ("go: inconsistent vendoring in /m:\n\tx.org/a@v1: is explicitly required in go.mod, but not marked", GoCause.SUBJECT),
        ("go: creating work dir: mkdir /tmp/go-build1: no space left on device", GoCause.HOST),
        ("# example.com/m\n/usr/lib/go/pkg/tool/linux_amd64/compile: signal: killed", GoCause.HOST),
        ("# example.com/m\n./m.go:3:5: undefined: x", GoCause.SUBJECT),
        ("go: downloading x.org/a v1.0.0\ngo: x.org/a@v1.0.0: Get \"https://p\": EOF", GoCause.UNREACHABLE),
        ("", GoCause.SUBJECT),
    ],
)  # fmt: skip
def test_failures_are_read(output: str, expected: GoCause) -> None:
    failure = read_failure(output)
    assert failure.cause is expected
    assert isinstance(failure.error(verbatim("go")), HostFault) is (expected is not GoCause.SUBJECT)
    for language in ("en", "zh"):
        assert failure.told().render(language)


@pytest.mark.tools
def test_no_go_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools_go.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainFault, match="Go is not installed"):
        GoCommand().run(["version"], tmp_path)
    (tmp_path / "go").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "go").chmod(0o755)
    assert find_go() == str(tmp_path / "go")  # asked anew each time
    with pytest.raises(ToolchainFault, match="does not say its environment"):
        GoCommand().run(["version"], tmp_path)
    with pytest.raises(ToolchainFault, match="does not say its version"):
        assert GoCommand().version


@pytest.mark.tools
def test_a_go_mod_cannot_write_them_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", DEAD)
    start = "module example.com/m\n\ngo 1.21\n\n"
    for number, line in enumerate(
        (
            'require "dial tcp: no such host" v1.0.0',
            'require example.com/a "v1 invalid: Get: dial tcp: no such host"',
            "nonsense dial tcp: no such host",
            'require example.com/a v1.0.0 "requires go >= 1.99 (running go 1.0; GOTOOLCHAIN=local)"',
        )
    ):
        seen = cause(module(tmp_path / str(number), f"{start}{line}\n", m="package m\n"), mod="")
        assert seen in (None, GoCause.SUBJECT), line
    # A branch in the place of a version: somebody has to be asked what it is.
    asks = module(tmp_path / "asks", f"{start}require example.com/a master\n", m="package m\n")
    assert cause(asks) is GoCause.UNREACHABLE
    assert cause(asks, offline=True) is GoCause.OFFLINE


# -- its environment


@pytest.mark.tools
def test_settings_of_the_caller_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-tags=mine")
    monkeypatch.setenv("GOARCH", "riscv64")
    monkeypatch.setenv("GOEXPERIMENT", "none-such")
    monkeypatch.setenv("CGO_CFLAGS", "-DX")
    monkeypatch.setenv("GOWORK", str(tmp_path / "go.work"))
    monkeypatch.setenv("GOMAXPROCS", "1")
    environment = GoCommand(module_cache=tmp_path / "mod").environment({"GOOS": "linux"}, mod="mod")
    assert environment["GOFLAGS"] == "-buildvcs=false -mod=mod"
    assert environment["GOTOOLCHAIN"] == "local" and environment["GOENV"] == "off" and environment["GOWORK"] == "off"
    assert environment["GOMODCACHE"] == str(tmp_path / "mod")
    assert environment["GOMAXPROCS"] == "1"
    assert not {"GOARCH", "GOEXPERIMENT", "CGO_CFLAGS"} & environment.keys()
    assert "GOWORK" not in GoCommand().environment(workspace=True)


@pytest.mark.tools
def test_where_modules_come_from_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOPROXY", "GOPRIVATE", "GOENV", "GONOPROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    told = {"GOPROXY": "https://modules.invalid,direct", "GOPRIVATE": "corp.invalid/*", "GOFLAGS": "-x"}
    for name, value in told.items():
        subprocess.run([find_go(), "env", "-w", f"{name}={value}"], check=True)
    environment = GoCommand().environment()
    assert environment["GOPROXY"] == told["GOPROXY"]
    assert environment["GONOPROXY"] == "corp.invalid/*"
    assert "-x" not in environment["GOFLAGS"]
    offline = GoCommand(offline=True).environment()
    assert (offline["GOPROXY"], offline["GOSUMDB"]) == ("off", "off")
    assert not {"GOPRIVATE", "GONOPROXY"} & offline.keys()


# -- go.mod


@pytest.mark.tools
def test_a_malformed_go_mod_names_its_lines(tmp_path: Path, listener: Listener) -> None:
    text = (
        "module example.com/m\n\ngo 1.21\n\nrequire example.com/a 1.2.3\nrequire example.com/b/v3 v2.0.0\n"
        "nonsense x\nrequire example.com/c v1.0.0 // dial tcp 127.0.0.1:9: connection refused\ngo: 9: x\n"
    )
    with pytest.raises(GoModRefused) as caught:
        read_go_mod(module(tmp_path / "m", text) / "go.mod")
    assert [(e.line, e.fault) for e in caught.value.errors] == [
        (5, GoModFault.VERSION),
        (6, GoModFault.MAJOR),
        (7, GoModFault.SYNTAX),
        (9, GoModFault.SYNTAX),
    ]
    assert str(caught.value).startswith("go.mod:5: ")
    assert not listener.asked


@pytest.mark.tools
def test_a_go_mod_for_a_later_go_is_read(tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    place = module(tmp_path / "m", "module example.com/m\n\ngo 1.99\n")
    monkeypatch.chdir(place)
    assert read_go_mod(Path("go.mod")).go == "1.99"
    assert not listener.asked


@pytest.mark.tools
def test_a_go_mod_that_is_not_there_or_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(XcError, match=r"there is no go\.mod"):
        read_go_mod(tmp_path / "go.mod")
    place = module(tmp_path / "m", "module example.com/m\n")
    program = tmp_path / "go"
    # A go command that fails for another reason, with a colon and a number in what it says.
    program.write_text(
        f'#!/bin/sh\n[ "$1" = env ] && exec {find_go()} "$@"\n'
        'echo "go: dial tcp 127.0.0.1:9: connect: refused" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(tools_go, "find_go", lambda: str(program))
    with pytest.raises(ToolchainFault, match="go mod edit does not read"):
        read_go_mod(place / "go.mod")


def test_what_is_no_module_version(tmp_path: Path) -> None:
    assert str(ModuleVersion.parse("example.com/m@v1.0.0")) == "example.com/m@v1.0.0"
    for text in ("example.com/m", "m@v1", "example.com/m@", "@v1"):
        with pytest.raises(XcError, match="is not MODULE@VERSION"):
            ModuleVersion.parse(text)


@pytest.mark.tools
@pytest.mark.parametrize(
    "name", ["CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "ZIG_LIB_DIR", "PKG_CONFIG_PATH", "CGO_CFLAGS"]
)
def test_nothing_that_bends_a_c_compiler_reaches_cgo(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/evil")
    assert name not in GoCommand().environment()

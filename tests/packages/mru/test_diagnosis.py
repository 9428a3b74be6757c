"""Causes read from what a run said, called and asked for."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.finding import load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.packages.mru.diagnosis import what_it_said
from pytest_xinchuang.packages.mru.installers import wrong_requests
from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from pytest_xinchuang.sandbox.shims import shims


def outcome(stderr: str = "", stdout: str = "") -> Outcome:
    return Outcome(("x",), Ended.EXITED, 1, None, stdout.encode(), stderr.encode(), 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("libjcef.so: cannot allocate memory in static TLS block", "XC-RUN-001"),
        ("<jemalloc>: Unsupported system page size", "XC-RUN-002"),
        ("error while loading shared libraries: libc.so.6: cannot stat shared object: Error 38", "XC-RUN-003"),
        ('Exception in thread "main" java.lang.UnsatisfiedLinkError: no x in java.library.path', "XC-RUN-005"),
        ("./x: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./x)", "XC-RUN-010"),
        ("This program can only be run on AMD64 processors with v3 microarchitecture support.", "XC-RUN-011"),
        ("SIGILL: illegal instruction", "XC-RUN-012"),
        ("#  SIGILL (0x4) at pc=0x00007f8f12b60981, pid=4, tid=5", "XC-RUN-012"),
        ("./run.sh: line 3:  7 Illegal instruction     (core dumped) ./server", "XC-RUN-012"),
        ("the illegal instruction set of the tax office", None),
        (
            "./v2rayN: symbol lookup error: libSkiaSharp.so: undefined symbol: png_init_filter_functions_lsx",
            "XC-RUN-013",
        ),
        ("dotnet: error while loading shared libraries: unexpected reloc type 0x0e", "XC-RUN-014"),
        ("everything is well", None),
    ],
)
def test_known_failures_are_known_by_what_they_say(text: str, code: str | None) -> None:
    found = what_it_said(load_findings(), outcome(f"first\n{text}\nlast\n"), "p")
    assert (found.code if found else None) == code
    if found:
        assert found.params["line"] == text


def test_what_an_installer_should_not_have_asked_for(platforms: Platforms) -> None:
    architectures = platforms.file.architectures
    loongson, hygon = platforms.get("loongson"), platforms.get("hygon")

    def codes(platform: object, requests: list[str], stderr: str = "") -> list[str]:
        return [w.code for w in wrong_requests(platform, architectures, requests, outcome(stderr))]  # type: ignore[arg-type]

    assert codes(loongson, ["curl -o /tmp/amd64.tgz https://x/tool-linux_loong64.tgz"]) == []
    assert codes(loongson, ["wget https://x/tool_linux_amd64"]) == ["XC-INS-001"]
    assert codes(loongson, ["curl https://x/tool-noarch.rpm", "dnf install x"]) == []
    assert codes(hygon, [], "./i.sh: 3: apt-get: not found\n") == ["XC-INS-003"]
    assert codes(hygon, [], "./i.sh: line 3: dpkg: command not found\n") == ["XC-INS-003"]
    assert codes(hygon, [], "./i.sh: 3: yum: not found\n") == []
    names = {path.rpartition("/")[2] for path in shims(hygon, "/xc/u")}
    assert names == {"curl", "wget", "dnf", "yum", "rpm"}

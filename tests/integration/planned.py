"""A vendor's repository without a real sandbox, and what a run in it came to: for tests of plan and face of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

CATALOGUE = """
    schema: xc-requirements/1
    version: "1"
    requirements:
      - {id: ACME-001, package: acme, level: L1, title: {zh: 甲, en: one}, clause: ours, min_fidelity: emulated-user,
         mend: {zh: 修, en: mend}}
      - {id: ACME-002, package: acme, level: L2, title: {zh: 乙, en: two}, clause: ours, min_fidelity: emulated-user,
         mend: {zh: 修, en: mend}}
"""

CONFTEST = """
    import pathlib

    from pytest_xinchuang.core.verdict import Fidelity
    from pytest_xinchuang.sandbox.protocol import Ended, Fingerprint, Outcome

    ISOLATION = ("children_emulated", "cpu_pinned", "no_network", "private_layer", "kernel_floor", "identity")

    class Fake:
        "Runs nothing: a command prints its arguments, and its exit code is 0."

        def __init__(self, platform):
            self.fingerprint = Fingerprint(
                backend="fake", platform=platform.id, fidelity=Fidelity.EMULATED_USER, emulated=True, rootfs="none",
                rootfs_digest="", stand_in=True, differs=(), emulator="none", emulator_digest="", cpu_model="none",
                isolation=dict.fromkeys(ISOLATION, True), observed={"uname_m": platform.architecture.uname},
                host_kernel="none", baseline_ms=0.0)
            self.files = {}

        def run(self, argv, *, stdin=b"", env=None, cwd="/xc", limits=None, trace=False):
            said = " ".join(argv).encode()
            return Outcome(tuple(argv), Ended.EXITED, 0, None, said, b"", 1.0, 1.0)

        def put(self, path, data, *, executable=False): self.files[path] = data
        def get(self, path): return self.files[path]
        def changes(self): return ()
        def reset(self): self.files.clear()
        def alive(self): return True
        def close(self): pass

    def pytest_xc_requirements(config):
        return [pathlib.Path(__file__).with_name("own.yaml")]

    def pytest_xc_sandbox_backends(config):
        return {"fake": lambda pool, platform, variant: Fake(platform)}
"""

PRODUCT = """
    HOW = "{how}"
    SEEN = []

    def see(sandbox):
        sandbox.run(["x"])
        SEEN.append(1)
        if HOW == "recovers" and len(SEEN) == 1:
            raise AssertionError("the product is not there yet")
        if HOW == "fails":
            raise AssertionError("the product is wrong")
        if HOW == "errs":
            raise RuntimeError("the check is wrong")
"""

PLATFORM = "kunpeng920-kylin_v10_sp3"
WARNINGS = ("-W", "error", "-W", "default::pytest.PytestAssertRewriteWarning")
"""The latter: in one process with the tests, plugins are imported already."""
PLUGIN = ("-p", "pytest_xinchuang.plugin")
OPTIONS = ("--xc-platform=kunpeng", "--xc-suite=none", "--xc-backend=fake", *WARNINGS)


@dataclass(frozen=True)
class Came:
    """What a run came to.

    Attributes:
        verdicts: requirement -> verdict, of the one platform.
        reasons: requirement -> why.
        level: the grade; None: no report was written, or it grants nothing.
    """

    ret: int
    verdicts: dict[str, str]
    reasons: dict[str, str]
    level: str | None
    output: str


def vendor(pytester: pytest.Pytester, how: str = "passes") -> None:
    """A repository whose product ``passes``, ``fails``, ``recovers`` when it is seen again, or whose check ``errs``."""
    pytester.makefile(".yaml", own=CATALOGUE)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(product=PRODUCT.replace("{how}", how))


def report_of(pytester: pytest.Pytester) -> dict[str, Any] | None:
    path = pytester.path / ".xc/report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def came(pytester: pytest.Pytester, result: pytest.RunResult) -> Came:
    report = report_of(pytester) or {"requirements": [], "grades": [{"level": None}]}
    return Came(
        int(result.ret),
        {r["id"]: r["verdict"] for r in report["requirements"]},
        {r["id"]: r["reason"] for r in report["requirements"]},
        report["grades"][0]["level"],
        result.stdout.str() + result.stderr.str(),
    )

"""Runs a module's own tests on a platform, and separates failures of the platform from what emulation cannot judge."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.gotest.module import ModuleTree, Package
from pytest_xinchuang.gotest.result import (
    EndOfTest,
    ModuleResult,
    PackageResult,
    TestCase,
    TestVerdict,
    coverage_of,
    ends_of,
)
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.sandbox.emulators import not_emulated
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Limits, Outcome, Sandbox
from pytest_xinchuang.sandbox.tracing import Trace
from pytest_xinchuang.tools.gomod import ModuleVersion

SOURCE, BINARY, PROFILE = "/xc/src", "/xc/package.test", "/xc/cover.out"
MAX_TREE = 200 << 20
"""Bytes of a module's files that are copied into a sandbox."""
RETRIES = 2
"""How often a failed test is run again by itself."""
MAX_RETRIED = 20
"""Failed tests of one package that are tried again by themselves; when more fail, they have one cause."""
ALONE_WALL_S = 10.0
"""Seconds for one test by itself."""
MAX_ENDERS = 8
"""Tests of one package that may end the whole program; the tests that further ones hide are not judged."""

# A Go runtime under qemu-user maps far more than it uses.
LIMITS = Limits(wall_s=60, memory_mb=4096, processes=1024, output_mb=64)

_CLOCK = re.compile(
    r"timed? ?out|deadline exceeded|too slow|took too long|within \d|took \d|took longer|Elapsed|elapsed|"
    r"expected duration|time\.Duration|AllocsPerRun|\d allocs|connection refused",
    re.IGNORECASE,
)
"""Texts of failures that a slow machine explains, and an emulator is slow: a client may also be faster than its server."""

_THREADS = re.compile(r"ThreadSanitizer|race: limit|FATAL: .*Sanitizer", re.IGNORECASE)

_MARKS = re.compile(r"[\x0e\x0f\x16]")
"""Control characters with which a test program marks its lines and errors (cmd/internal/test2json)."""

Say = Callable[[Message], None]

Reference = dict[str, EndOfTest] | Message
"""How each test ended on x86-64, or why there are no tests to compare with."""


class GoTestEngine:
    """Modules on one platform.

    Args:
        say: receives a line for each package that is tried.
        only: a regular expression over test names; empty: all.
    """

    def __init__(
        self,
        platform: Platform,
        pool: Pool,
        *,
        cover: bool = False,
        race: bool = False,
        only: str = "",
        say: Say = lambda _: None,
    ) -> None:
        self.platform = platform
        self.pool = pool
        self.cover = cover
        self.race = race
        self.only = only
        self._retried = 0
        self.say = say

    def run(self, wanted: ModuleVersion, *, offline: bool = False) -> ModuleResult:
        """Run the tests of all packages of a module. ``error`` of the result says why the module could not be tried."""
        result = ModuleResult(str(wanted), self.platform.id, "")
        try:
            module = ModuleTree(self.pool.store.cache, wanted, offline=offline, runner=self.pool.runner)
            result.module, result.go = str(module.version), module.go.version
            packages = module.packages(self.platform.arch.value)
        except XcError as error:
            result.error = error.told
            return result
        for package in packages:
            self.say(
                _(
                    "{module}: {package} on {platform}",
                    module=str(module.version),
                    package=package.path,
                    platform=self.platform.id,
                )
            )
            result.packages.append(self._package(module, package))
        return result

    def _package(self, module: ModuleTree, package: Package) -> PackageResult:
        result = PackageResult(package.path)
        levels = dict(self.platform.cpu.go_env.value or {})
        try:
            program = module.test_binary(package, self.platform.arch.value, levels, cover=self.cover, race=self.race)
        except HostFault as fault:
            result.verdict, result.reason = TestVerdict.NOT_JUDGED, fault.what
            return result
        except XcError as error:
            result.verdict, result.reason = self._not_built(module, package, error)
            return result
        try:
            sandbox = self.pool.sandbox(self.platform, loopback=True)
            words = [f"-test.coverprofile={PROFILE}"] if self.cover else []
            seen, outcome = self._all_tests(sandbox, module, package, program, words)
            result.wall_s = outcome.wall_ms / 1000
            if self.cover:
                result.coverage = self._coverage(sandbox)
            self._judge(module, package, program, seen, outcome, result)
        except HostFault as fault:
            result.verdict, result.reason = TestVerdict.NOT_JUDGED, fault.what
        finally:
            program.unlink(missing_ok=True)
        return result

    def _not_built(self, module: ModuleTree, package: Package, error: XcError) -> tuple[TestVerdict, Message]:
        """A build that fails for x86-64 as well says nothing about the platform."""
        if self.race:
            return TestVerdict.NOT_JUDGED, _("the race detector cannot be cross built: {what}", what=error.what)
        try:
            module.test_binary(package, Arch.AMD64.value, {}, cover=False, race=False).unlink(missing_ok=True)
        except HostFault as fault:
            return TestVerdict.NOT_JUDGED, fault.what
        except XcError:
            return TestVerdict.FAILS_EVERYWHERE, error.what
        return TestVerdict.FAIL, error.what

    def _execute(
        self,
        sandbox: Sandbox,
        module: ModuleTree,
        package: Package,
        program: Path,
        words: list[str],
        *,
        wall_s: float = LIMITS.wall_s,
        trace: bool = False,
    ) -> Outcome:
        sandbox.reset()
        sandbox.put("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")
        _put_tree(sandbox, module.root)
        sandbox.put(BINARY, program.read_bytes(), executable=True)
        # Under a shell: a program whose parent is process 1 may take itself for an orphan, and end.
        argv = [
            "/bin/sh",
            "-c",
            '"$0" "$@"; exit $?',
            BINARY,
            "-test.v=test2json",
            "-test.paniconexit0",
            "-test.timeout=0",
            *words,
        ]
        if self.only and not any(word.startswith("-test.run=") for word in words):
            argv.append(f"-test.run={self.only}")
        limits = replace(LIMITS, wall_s=wall_s)
        return sandbox.run(argv, cwd=f"{SOURCE}/{package.directory}".rstrip("/"), limits=limits, trace=trace)

    def _all_tests(
        self, sandbox: Sandbox, module: ModuleTree, package: Package, program: Path, words: list[str]
    ) -> tuple[dict[str, EndOfTest], Outcome]:
        """How every test ended, and how the last run did.

        A test that ends the whole program hides the others: they are run again without it.
        """
        enders: dict[str, EndOfTest] = {}
        while True:
            skip = [f"-test.skip=^({'|'.join(map(re.escape, enders))})$"] if enders else []
            outcome = self._execute(sandbox, module, package, program, [*words, *skip])
            events = module.events(package, outcome.stdout)
            seen = ends_of(events)
            unfinished = [name for name, end in seen.items() if end.action == "unfinished"]
            if outcome.is_fault or outcome.ok or not unfinished or len(enders) >= MAX_ENDERS:
                return {**seen, **enders}, outcome
            started = [
                str(e["Test"]).partition("/")[0] for e in events if e.get("Action") in ("run", "cont") and e.get("Test")
            ]
            ender = next((name for name in reversed(started) if name in unfinished), unfinished[-1])
            said = outcome.stderr[-2000:].decode(errors="replace") + "\n" + seen[ender].output
            enders[ender] = EndOfTest("unfinished", said, _program_ended(outcome))

    @staticmethod
    def _coverage(sandbox: Sandbox) -> tuple[int, int] | None:
        try:
            return coverage_of(sandbox.get(PROFILE))
        except OSError:
            return None

    def _judge(
        self,
        module: ModuleTree,
        package: Package,
        program: Path,
        seen: dict[str, EndOfTest],
        outcome: Outcome,
        result: PackageResult,
    ) -> None:
        if outcome.is_fault:
            result.verdict, result.reason = TestVerdict.NOT_JUDGED, outcome.describe()
        self._retried = 0
        good = outcome.ok and all(action in ("pass", "skip") for action, *_rest in seen.values())
        reference: Reference = {} if good else self._reference(module, package)
        for name, end in seen.items():
            case = TestCase(name, TestVerdict.PASS)
            if end.action == "skip":
                case.verdict, case.reason = TestVerdict.SKIP, _reason(end.output)
            elif end.action != "pass":
                case.verdict, case.reason = self._judge_test(module, package, program, name, end, outcome, reference)
            result.tests.append(case)
        for verdict in (TestVerdict.FAIL, TestVerdict.NOT_JUDGED, TestVerdict.FAILS_EVERYWHERE):
            first = next((t for t in result.tests if t.verdict is verdict), None)
            if first is not None and (result.verdict is TestVerdict.PASS or verdict is TestVerdict.FAIL):
                result.verdict, result.reason = verdict, _("{test}: {why}", test=first.name, why=first.reason)
        if result.verdict is TestVerdict.PASS and not outcome.ok:
            result.verdict, result.reason = self._judge_end(outcome, reference)
        if result.verdict is TestVerdict.PASS and not result.tests:
            result.verdict, result.reason = TestVerdict.SKIP, _("no test was run")

    def _judge_end(self, outcome: Outcome, reference: Reference) -> tuple[TestVerdict, Message]:
        """No test failed, and the program did: it died at its start, or in TestMain."""
        tail = _reason((outcome.stderr + outcome.stdout).decode(errors="replace"))
        reason = _("{end}: {said}", end=outcome.describe(), said=tail) if tail else outcome.describe()
        if isinstance(reference, Message):
            return TestVerdict.FAILS_EVERYWHERE, _("{why}; on x86-64 {end}", why=reason, end=reference)
        if _THREADS.search(tail):
            return TestVerdict.NOT_JUDGED, reason
        return TestVerdict.FAIL, reason

    def _reference(self, module: ModuleTree, package: Package) -> Reference:
        """Run the same tests on x86-64: natively where the host can."""
        try:
            program = module.test_binary(package, Arch.AMD64.value, {}, cover=False, race=False)
        except HostFault:
            raise
        except XcError as error:
            return _("it does not build: {what}", what=error.what)
        try:
            seen, outcome = self._all_tests(self.pool.reference(loopback=True), module, package, program, [])
        finally:
            program.unlink(missing_ok=True)
        if seen:
            return seen
        said = _reason(outcome.stderr.decode(errors="replace"))
        return _("{end}: {said}", end=outcome.describe(), said=said) if said else outcome.describe()

    def _judge_test(
        self,
        module: ModuleTree,
        package: Package,
        program: Path,
        name: str,
        end: EndOfTest,
        outcome: Outcome,
        reference: Reference,
    ) -> tuple[TestVerdict, Message]:
        action, output, ended = end
        reason = _reason(output, ended)
        if isinstance(reference, Message):
            return TestVerdict.FAILS_EVERYWHERE, _("{why}; on x86-64 {end}", why=reason, end=reference)
        there = reference.get(name)
        if there is None or there.action not in ("pass", "skip"):
            return TestVerdict.FAILS_EVERYWHERE, reason
        if outcome.is_fault and action == "unfinished":
            return TestVerdict.NOT_JUDGED, outcome.describe()
        if _THREADS.search(output):
            return TestVerdict.NOT_JUDGED, reason
        if self._retried >= MAX_RETRIED:
            return TestVerdict.NOT_JUDGED, _("{why}; too many tests failed to try each again", why=reason)
        self._retried += 1
        sandbox = self.pool.sandbox(self.platform, loopback=True)
        again, words = reason, [f"-test.run=^{re.escape(name)}$"]
        for _turn in range(RETRIES):
            alone = self._execute(sandbox, module, package, program, words, wall_s=ALONE_WALL_S)
            if alone.is_fault:
                return TestVerdict.NOT_JUDGED, alone.describe()
            if alone.ok:
                return TestVerdict.NOT_JUDGED, _(
                    "{why}; alone it passes: it depends on timing or on other tests", why=reason
                )
            ended = _program_ended(alone) if ended else NOTHING
            again = _reason(alone.stdout.decode(errors="replace"), ended) or again
        if not self._steady_on_x86(module, package, name):
            return TestVerdict.FAILS_EVERYWHERE, _("{why}; on x86-64 it fails at times", why=again)
        if _CLOCK.search(output):
            return TestVerdict.NOT_JUDGED, _("{why}: an emulator's clock says nothing of the machine's", why=again)
        if sandbox.fingerprint.fidelity is Fidelity.EMULATED_USER:
            traced = Trace.whole(
                lambda: self._execute(sandbox, module, package, program, words, wall_s=ALONE_WALL_S, trace=True)
            )
            if lacking := not_emulated(traced, self.platform):
                return TestVerdict.NOT_JUDGED, _(
                    "{why}: the emulator has no {names}", why=again, names=joined(lacking, _(", "))
                )
            if (traced.ended, traced.code) != (alone.ended, alone.code) or traced.truncated:
                # Calls that it did not get to are not in the trace.
                return TestVerdict.NOT_JUDGED, _(
                    "{why}: traced, it ended with {end}, so that calls that the emulator lacks may be missed",
                    why=again,
                    end=traced.describe(),
                )
        return TestVerdict.FAIL, again

    def _steady_on_x86(self, module: ModuleTree, package: Package, name: str) -> bool:
        """Whether a test, run by itself, passes on x86-64 each time."""
        program = module.test_binary(package, Arch.AMD64.value, {}, cover=False, race=False)
        try:
            runs = (
                self._execute(
                    self.pool.reference(loopback=True),
                    module,
                    package,
                    program,
                    [f"-test.run=^{re.escape(name)}$"],
                    wall_s=ALONE_WALL_S,
                )
                for _ in range(RETRIES + 1)
            )
            return all(outcome.ok for outcome in runs)
        finally:
            program.unlink(missing_ok=True)


def _put_tree(sandbox: Sandbox, root: Path) -> None:
    """Copy the module's files, which tests read by relative paths.

    Raises:
        HostFault: there are more than ``MAX_TREE`` bytes.
    """
    total = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name == ".xc-complete":
            continue
        total += path.stat().st_size
        if total > MAX_TREE:
            raise HostFault(
                _(
                    "{name}: more than {value} MiB of files do not fit into a sandbox",
                    name=root.name,
                    value=MAX_TREE >> 20,
                )
            )
        sandbox.put(f"{SOURCE}/{path.relative_to(root).as_posix()}", path.read_bytes())


def _program_ended(outcome: Outcome) -> Message:
    return _("the program ended with {end}", end=outcome.describe())


def _reason(output: str, ended: Message = NOTHING) -> Message:
    """The line of a failed test's output that tells why; without one, how its program ended, or the first line."""
    lines = [line.strip() for line in _MARKS.sub("", output).splitlines() if line.strip()]
    lines = [line for line in lines if not re.match(r"(?:=== |--- |PASS|FAIL$|ok |warning: GOCOVERDIR)", line)]
    telling = [line for line in lines if re.search(r"panic:|fatal error|Error:|error|expected|want|got", line)]
    if telling or not ended:
        return verbatim((telling or lines or [""])[0][:200])
    return ended
